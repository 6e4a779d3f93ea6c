//! VIS-4: a reader's offsets go up one by one from where it began. Readers without a group, and the final one, begin at 0.
//!
//! A member of a group may get the last record once more: for a rebalance librdkafka (2.12) pauses partitions, and goes on after the
//! last record that it has counted as consumed, which may be one less than it has just handed out. Readers without a group are never
//! paused, and show whether a broker repeats anything.

use crate::event::ReaderKind;
use crate::ledger::Ledger;
use crate::violations::Property;

/// A reader got a record.
pub(crate) fn on_record(ledger: &mut Ledger, reader: u16, partition: u32, offset: u64) {
    let Some(kind) = ledger.readers.get(usize::from(reader)).map(|reader| reader.kind) else {
        return;
    };
    let Some(position) = ledger.position(reader, partition) else {
        return;
    };
    let expected = match kind {
        ReaderKind::Assigned | ReaderKind::Final => Some(position.next.unwrap_or(0)),
        ReaderKind::Member { .. } => position.next,
    };
    let again = matches!(kind, ReaderKind::Member { .. }) && expected == offset.checked_add(1);
    position.next = Some(offset.saturating_add(1));
    if again {
        return;
    }
    if let Some(expected) = expected.filter(|expected| *expected != offset) {
        let what = if expected < offset {
            "skipped to"
        } else {
            "went back to"
        };
        ledger.violations.add(Property::Vis4, || {
            format!("reader {reader} in partition {partition} {what} offset {offset}; the next was {expected}")
        });
    }
}

/// A reader's position was refused.
pub(crate) fn on_out_of_range(ledger: &mut Ledger, reader: u16, error: &str) {
    ledger.violations.add(Property::Vis4, || {
        format!("reader {reader} was refused the offset that it had reached: {error}")
    });
}
