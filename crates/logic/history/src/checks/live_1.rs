//! LIVE-1: everything sent was answered, and the final reader has reached the end of each partition.
//!
//! That a cluster becomes whole within its bound, and groups reach the end, is seen by those who wait for it: they say
//! `Stalled`.

use crate::answer::Answer;
use crate::event::ReaderKind;
use crate::ledger::Ledger;
use crate::violations::{Property, Violations};

/// Looks for records without an answer, and offsets below the end that the final reader didn't get.
pub(crate) fn check(ledger: &Ledger, violations: &mut Violations) {
    let has_final = ledger.readers.iter().any(|reader| reader.kind == ReaderKind::Final);
    for (number, partition) in ledger.partitions.iter().enumerate() {
        for (producer, lane) in partition.lanes.iter().enumerate() {
            let open = lane.iter().filter(|answer| answer.answer() == Answer::None).count();
            if open > 0 {
                violations.add(Property::Live1, || {
                    format!("{open} records of producer {producer} in partition {number} were never answered")
                });
            }
        }
        let Some(end) = partition.end.filter(|_| has_final) else {
            continue;
        };
        let missing = (0..end)
            .filter(|offset| !usize::try_from(*offset).is_ok_and(|at| partition.confirmed.get(at)))
            .count();
        if missing > 0 {
            violations.add(Property::Live1, || {
                format!("{missing} offsets below the end {end} of partition {number} were not read back")
            });
        }
    }
}
