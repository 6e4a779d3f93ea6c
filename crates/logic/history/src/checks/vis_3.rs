//! VIS-3: nothing is read above what was written: at or above the final end of the log.

use crate::state::{Partition, Seen};
use crate::violations::{Property, Violations};

/// What anybody has read at or above the final end.
pub(crate) fn check(number: usize, partition: &Partition, violations: &mut Violations) {
    let Some(end) = partition.end else { return };
    for offset in end..partition.seen_end().max(end) {
        if partition.seen(offset) != Seen::Nothing {
            violations.add(Property::Vis3, || {
                format!(
                    "partition {number}, offset {offset}: {:?} was read, but the log ends at {end}",
                    partition.seen(offset)
                )
            });
        }
    }
}
