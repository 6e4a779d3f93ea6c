//! VIS-2: what was read once stays. Who reads an offset finds who was found there before, and the final reader finds it.

use crate::event::ReaderKind;
use crate::ledger::Ledger;
use crate::state::Seen;
use crate::violations::{Property, Violations};

/// A reader got a record.
pub(crate) fn on_record(ledger: &mut Ledger, reader: u16, partition: u32, offset: u64, who: Seen) {
    let is_final = ledger
        .readers
        .get(usize::from(reader))
        .is_some_and(|reader| reader.kind == ReaderKind::Final);
    let Some(state) = ledger.partitions.get_mut(partition as usize) else {
        return;
    };
    let before = state.seen(offset);
    if before == Seen::Nothing || is_final {
        // The log is what the final reader finds, whatever others were shown.
        state.set_seen(offset, who);
    }
    if before != Seen::Nothing && before != who {
        ledger.violations.add(Property::Vis2, || {
            format!("partition {partition}, offset {offset}: {before:?} was read, then reader {reader} got {who:?}")
        });
    }
}

/// Everything below the end that anybody has read was found by the final reader, too.
pub(crate) fn check(ledger: &Ledger, violations: &mut Violations) {
    for (number, partition) in ledger.partitions.iter().enumerate() {
        let end = partition.end.unwrap_or(u64::MAX).min(partition.seen_end());
        for offset in 0..end {
            let confirmed = usize::try_from(offset).is_ok_and(|at| partition.confirmed.get(at));
            if !confirmed && partition.seen(offset) != Seen::Nothing {
                violations.add(Property::Vis2, || {
                    format!(
                        "partition {number}, offset {offset}: {:?} was read and is not there any more",
                        partition.seen(offset)
                    )
                });
            }
        }
        super::vis_3::check(number, partition, violations);
    }
}
