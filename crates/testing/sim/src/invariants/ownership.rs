//! GRP-2: a partition has one owner in a generation of its group.

use std::collections::BTreeMap;

use super::Violation;
use crate::history::History;

/// Who was told to own what.
#[derive(Debug, Default)]
pub(super) struct Owners(BTreeMap<(i32, i32), String>);

impl Owners {
    pub(super) fn check(&mut self, history: &History) -> Result<(), Violation> {
        for told in history.take_ownerships() {
            for partition in told.partitions {
                let owner = self
                    .0
                    .entry((told.generation, partition))
                    .or_insert_with(|| told.member.clone());
                if *owner != told.member {
                    return Err(Violation::new(
                        "GRP-2",
                        format!(
                            "partition {partition} in generation {}: owned by {owner} and by {}",
                            told.generation, told.member
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}
