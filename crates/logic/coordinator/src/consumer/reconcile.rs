//! A member's next step towards its target. Mirrors what Kafka's `CurrentAssignmentBuilder` decides.
//!
//! A member gives up first, and gets what is free; it never holds what another one still holds. It moves to the target's epoch when it
//! has nothing left to give up.

use std::collections::BTreeMap;

use types::{ErrorCode, PartitionIndex, TopicId};

use crate::record::{Assignment, CurrentAssignment, HeldPartitions, MemberState};

/// What decides a member's next step.
pub(crate) struct Reconciliation<'a> {
    /// The target's epoch.
    pub(crate) target_epoch: i32,
    /// What the member is to have.
    pub(crate) target: &'a Assignment,
    /// What it says that it holds; `None` where it said nothing.
    pub(crate) owned: Option<&'a Assignment>,
    /// Whether another member holds a partition.
    pub(crate) is_held_by_another: &'a dyn Fn(TopicId, PartitionIndex) -> bool,
    /// The topics its subscription stands for; what it holds of others goes at once.
    pub(crate) subscribed: &'a dyn Fn(TopicId) -> bool,
}

/// What the member has next; the same as before where it must wait.
///
/// # Errors
/// FENCED_MEMBER_EPOCH: it is in a state of a later version, and must begin anew.
pub(crate) fn next_assignment(
    current: &CurrentAssignment,
    step: &Reconciliation<'_>,
) -> Result<CurrentAssignment, ErrorCode> {
    match current.state {
        MemberState::Stable if current.epoch == step.target_epoch => Ok(current.clone()),
        MemberState::Stable | MemberState::Unreleased => Ok(step.from(current, current.epoch)),
        MemberState::Unrevoked if step.still_owns(&current.pending_revocation) => Ok(current.clone()),
        MemberState::Unrevoked => Ok(step.from(current, current.epoch.saturating_add(1).min(step.target_epoch))),
        MemberState::Unknown if step.owned.is_some_and(BTreeMap::is_empty) => Ok(step.from(current, step.target_epoch)),
        MemberState::Unknown => Err(ErrorCode::FencedMemberEpoch),
    }
}

impl Reconciliation<'_> {
    /// Whether the member may still read some of these. One that doesn't say may.
    fn still_owns(&self, pending: &HeldPartitions) -> bool {
        let Some(owned) = self.owned else { return true };
        pending.iter().any(|(topic, partitions)| {
            let owned = owned.get(topic);
            owned.is_some_and(|owned| partitions.keys().any(|partition| owned.contains(partition)))
        })
    }

    fn from(&self, current: &CurrentAssignment, epoch: i32) -> CurrentAssignment {
        let mut assigned = HeldPartitions::new();
        let mut to_revoke = HeldPartitions::new();
        for (topic, partitions) in &current.assigned {
            for (partition, since) in partitions {
                let kept = self.is_target(*topic, *partition) && (self.subscribed)(*topic);
                let side = if kept { &mut assigned } else { &mut to_revoke };
                side.entry(*topic).or_default().insert(*partition, *since);
            }
        }
        let mut free = HeldPartitions::new();
        let mut unreleased = false;
        for (topic, partitions) in self.target {
            for partition in partitions {
                let has = assigned.get(topic).is_some_and(|held| held.contains_key(partition));
                if has || !(self.subscribed)(*topic) {
                    continue;
                }
                if (self.is_held_by_another)(*topic, *partition) {
                    unreleased = true;
                } else {
                    free.entry(*topic).or_default().insert(*partition, self.target_epoch);
                }
            }
        }
        if !to_revoke.is_empty() && self.still_owns(&to_revoke) {
            return CurrentAssignment {
                epoch,
                previous_epoch: current.epoch,
                state: MemberState::Unrevoked,
                assigned,
                pending_revocation: to_revoke,
            };
        }
        for (topic, partitions) in free {
            assigned.entry(topic).or_default().extend(partitions);
        }
        CurrentAssignment {
            epoch: self.target_epoch,
            previous_epoch: current.epoch,
            state: if unreleased {
                MemberState::Unreleased
            } else {
                MemberState::Stable
            },
            assigned,
            pending_revocation: HeldPartitions::new(),
        }
    }

    fn is_target(&self, topic: TopicId, partition: PartitionIndex) -> bool {
        self.target
            .get(&topic)
            .is_some_and(|partitions| partitions.contains(&partition))
    }
}
