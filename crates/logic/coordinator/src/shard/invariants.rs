//! The rules of the shard, checked: by tests after every step, by the simulator, and in chaos runs.

use std::collections::BTreeSet;

use thiserror::Error;

use super::GroupShard;
use crate::GroupState;
use crate::consumer::ConsumerTimers;
use crate::group::{ClassicGroup, GroupId};

/// A rule that doesn't hold. Always a bug of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{rule} is broken in group {group_id}: {detail}")]
pub struct BrokenInvariant {
    /// The rule's id, as in the headers.
    pub rule: &'static str,
    /// The group.
    pub group_id: String,
    /// What is wrong.
    pub detail: &'static str,
}

impl GroupShard {
    /// Checks every rule. To be called between operations: after the records of the last effects were replayed.
    ///
    /// # Errors
    /// The first rule that doesn't hold.
    pub fn check_invariants(&self) -> Result<(), BrokenInvariant> {
        let mut parked = BTreeSet::new();
        for (group_id, group) in &self.groups {
            let own = group.broken_rule().or_else(|| self.broken_by(group_id, group));
            let twice = group
                .members
                .values()
                .flat_map(|member| [member.awaiting_join, member.awaiting_sync]);
            let twice = twice.flatten().any(|token| !parked.insert(token));
            let broken = own.or(twice.then_some(("GRP-3", "a token is parked twice")));
            if let Some((rule, detail)) = broken {
                return Err(BrokenInvariant {
                    rule,
                    group_id: group_id.to_string(),
                    detail,
                });
            }
        }
        for (group_id, group) in &self.consumer_groups {
            let both = self.groups.contains_key(group_id) || self.metadata.contains_key(group_id);
            let both = both.then_some(("GRP-10", "the name is a classic group's and a consumer group's"));
            let due = self.consumer_timers.get(group_id).and_then(ConsumerTimers::next_due);
            let late = due.is_some_and(|(due, _)| self.armed_at(group_id).is_none_or(|armed| armed > due));
            let late = late.then_some(("GRP-9", "a deadline without a timer"));
            if let Some((rule, detail)) = group.broken_rule().or(both).or(late) {
                return Err(BrokenInvariant {
                    rule,
                    group_id: group_id.to_string(),
                    detail,
                });
            }
        }
        let known = |id: &GroupId| self.groups.contains_key(id) || self.consumer_groups.contains_key(id);
        if let Some(group_id) = self.offsets.keys().find(|id| self.active && !known(id)) {
            let detail = "offsets without a group";
            return Err(BrokenInvariant {
                rule: "GRP-2",
                group_id: group_id.to_string(),
                detail,
            });
        }
        Ok(())
    }

    fn broken_by(&self, group_id: &GroupId, group: &ClassicGroup) -> Option<(&'static str, &'static str)> {
        let record = self.metadata.get(group_id);
        if record.is_some_and(|record| group.generation < record.generation) {
            return Some(("GRP-1", "the generation is below the stored one"));
        }
        if group.state == GroupState::Stable {
            let Some(record) = record.filter(|record| record.generation == group.generation) else {
                return Some(("GRP-4", "a stable group without a record of its generation"));
            };
            let stored = |id: &String| record.members.iter().rfind(|stored| stored.member_id == *id);
            let same = group
                .members
                .iter()
                .all(|(id, m)| stored(id).is_some_and(|s| s.assignment == m.assignment));
            if !same {
                return Some(("GRP-4", "a member's assignment isn't the stored one"));
            }
        }
        let due = group.next_due().map(|(at, _)| at);
        if due.is_some_and(|due| self.armed_at(group_id).is_none_or(|armed| armed > due)) {
            return Some(("GRP-9", "a deadline without a timer"));
        }
        None
    }
}
