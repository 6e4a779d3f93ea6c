//! ACK-4, first half: nothing is read before it was sent. What is refused, but there, `log` finds.

use crate::ledger::Ledger;
use crate::state::Seen;
use crate::violations::Property;

/// A reader got a record.
pub(crate) fn on_record(ledger: &mut Ledger, reader: u16, partition: u32, offset: u64, who: Seen) {
    let Seen::Record { producer, sequence } = who else {
        return;
    };
    let sent = ledger
        .partitions
        .get(partition as usize)
        .is_some_and(|state| state.answer(producer, sequence).is_some());
    if !sent {
        ledger.violations.add(Property::Ack4, || {
            format!(
                "not sent, or not yet: partition {partition}, offset {offset}, producer {producer}, sequence {sequence}, \
                 got by reader {reader}"
            )
        });
    }
}
