//! A consumer group as its records say. Invariants, checked by `broken_rule`:
//! - CGR-1: a partition is held by one member at most.
//! - CGR-2: each instance id maps to one member that carries it, and the other way round.
//! - CGR-3: no epoch is above the group's: not the target's, not a member's.
//! - CGR-4: targets are disjoint, of members only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use types::{ErrorCode, PartitionIndex, TopicId, TopicName};

use super::ConsumerGroupState;
use crate::group::GroupId;
use crate::record::{
    Assignment, CurrentAssignment, GroupEpoch, HeldPartitions, MemberState, MemberSubscription, ResolvedPattern,
    TargetEpoch,
};

/// A static member that is away, and comes back.
pub(crate) const AWAY: i32 = -2;

/// One member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConsumerMember {
    pub(crate) subscription: MemberSubscription,
    pub(crate) current: CurrentAssignment,
}

impl ConsumerMember {
    /// Whether it has what the target of that epoch gives it.
    pub(crate) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == epoch
    }

    pub(crate) fn is_static(&self) -> bool {
        self.subscription.instance_id.is_some()
    }
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsumerGroup {
    pub(crate) id: GroupId,
    pub(crate) epoch: GroupEpoch,
    pub(crate) target_epoch: TargetEpoch,
    pub(crate) members: BTreeMap<String, ConsumerMember>,
    pub(crate) targets: BTreeMap<String, Assignment>,
    pub(crate) patterns: BTreeMap<String, ResolvedPattern>,
    /// Instance id to member id.
    pub(crate) static_members: BTreeMap<String, String>,
    /// Who holds a partition: as assigned, or still to be given up.
    holders: BTreeMap<(TopicId, PartitionIndex), Arc<str>>,
}

impl ConsumerGroup {
    pub(crate) fn new(id: GroupId) -> Self {
        Self {
            id,
            // The first member's is 2, as in Kafka 4.4.
            epoch: GroupEpoch {
                epoch: 1,
                metadata_hash: 0,
            },
            target_epoch: TargetEpoch::default(),
            members: BTreeMap::new(),
            targets: BTreeMap::new(),
            patterns: BTreeMap::new(),
            static_members: BTreeMap::new(),
            holders: BTreeMap::new(),
        }
    }

    pub(crate) fn state(&self) -> ConsumerGroupState {
        if self.members.is_empty() {
            ConsumerGroupState::Empty
        } else if self.epoch.epoch > self.target_epoch.epoch {
            ConsumerGroupState::Assigning
        } else if self
            .members
            .values()
            .all(|member| member.is_reconciled_to(self.target_epoch.epoch))
        {
            ConsumerGroupState::Stable
        } else {
            ConsumerGroupState::Reconciling
        }
    }

    /// Takes what a member wants.
    pub(crate) fn set_subscription(&mut self, member_id: &str, subscription: MemberSubscription) {
        let member = self.members.entry(member_id.to_owned()).or_default();
        let before = std::mem::replace(&mut member.subscription, subscription);
        let now = member.subscription.instance_id.clone();
        if before.instance_id != now
            && let Some(instance) = &before.instance_id
        {
            self.release_instance(instance, member_id);
        }
        if let Some(instance) = now {
            self.static_members.insert(instance, member_id.to_owned());
        }
    }

    fn release_instance(&mut self, instance: &str, member_id: &str) {
        if self
            .static_members
            .get(instance)
            .is_some_and(|holder| holder == member_id)
        {
            self.static_members.remove(instance);
        }
    }

    /// The member is gone, with all it had.
    pub(crate) fn remove_member(&mut self, member_id: &str) {
        self.clear_current(member_id);
        self.targets.remove(member_id);
        if let Some(removed) = self.members.remove(member_id)
            && let Some(instance) = removed.subscription.instance_id
        {
            self.release_instance(&instance, member_id);
        }
    }

    /// Takes what a member has.
    pub(crate) fn set_current(&mut self, member_id: &str, current: CurrentAssignment) {
        self.clear_current(member_id);
        let holder: Arc<str> = Arc::from(member_id);
        for held in [&current.assigned, &current.pending_revocation] {
            for (topic, partitions) in held {
                for partition in partitions.keys() {
                    self.holders.insert((*topic, *partition), Arc::clone(&holder));
                }
            }
        }
        self.members.entry(member_id.to_owned()).or_default().current = current;
    }

    /// The member has nothing.
    pub(crate) fn clear_current(&mut self, member_id: &str) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        let before = std::mem::take(&mut member.current);
        for held in [before.assigned, before.pending_revocation] {
            for (topic, partitions) in held {
                for partition in partitions.into_keys() {
                    let key = (topic, partition);
                    if self.holders.get(&key).is_some_and(|holder| **holder == *member_id) {
                        self.holders.remove(&key);
                    }
                }
            }
        }
    }

    /// Who else holds a partition.
    pub(crate) fn is_held_by_another(&self, topic: TopicId, partition: PartitionIndex, member_id: &str) -> bool {
        self.holders
            .get(&(topic, partition))
            .is_some_and(|holder| **holder != *member_id)
    }

    /// What a member is to have.
    pub(crate) fn target_of(&self, member_id: &str) -> Assignment {
        self.targets.get(member_id).cloned().unwrap_or_default()
    }

    /// Every topic that some member named or gave a pattern for.
    pub(crate) fn subscribed_topics(&self) -> BTreeSet<&TopicName> {
        let named = self.members.values().flat_map(|member| &member.subscription.topics);
        let matched = self.patterns_in_use();
        named.chain(matched.flat_map(|pattern| &pattern.topics)).collect()
    }

    fn patterns_in_use(&self) -> impl Iterator<Item = &ResolvedPattern> {
        let used: BTreeSet<&String> = self
            .members
            .values()
            .filter_map(|member| member.subscription.pattern.as_ref())
            .collect();
        used.into_iter().filter_map(|pattern| self.patterns.get(pattern))
    }

    /// The topics of one member.
    pub(crate) fn topics_of<'a>(&'a self, member: &'a ConsumerMember) -> BTreeSet<&'a TopicName> {
        let pattern = member.subscription.pattern.as_ref();
        let matched = pattern.and_then(|pattern| self.patterns.get(pattern));
        let matched = matched.into_iter().flat_map(|matched| &matched.topics);
        member.subscription.topics.iter().chain(matched).collect()
    }

    /// Whether some member reads the topic.
    pub(crate) fn is_subscribed_to(&self, topic: &TopicName) -> bool {
        self.members
            .values()
            .any(|member| member.subscription.topics.contains(topic))
            || self.patterns_in_use().any(|pattern| pattern.topics.contains(topic))
    }

    /// The member that a request speaks for (KIP-345's fencing).
    pub(crate) fn member(&self, member_id: &str, instance_id: Option<&str>) -> Result<&ConsumerMember, ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(holder) if holder != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)
    }

    /// The assignor that most members ask for; the first name where they are even (as Kafka's map happens to have it).
    pub(crate) fn preferred_assignor(&self) -> Option<&str> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for assignor in self
            .members
            .values()
            .filter_map(|member| member.subscription.assignor.as_deref())
        {
            *votes.entry(assignor).or_default() += 1;
        }
        let winner = votes
            .into_iter()
            .reduce(|best, next| if next.1 > best.1 { next } else { best });
        winner.map(|(name, _)| name)
    }

    /// The first rule of the module's header that doesn't hold.
    pub(crate) fn broken_rule(&self) -> Option<(&'static str, &'static str)> {
        let mut held = BTreeSet::new();
        for member in self.members.values() {
            for partitions in [&member.current.assigned, &member.current.pending_revocation] {
                if !all_new(partitions, &mut held) {
                    return Some(("CGR-1", "a partition is held twice"));
                }
            }
        }
        let carried = |member_id: &String| {
            let member = self.members.get(member_id);
            member.and_then(|member| member.subscription.instance_id.as_ref())
        };
        if self
            .static_members
            .iter()
            .any(|(instance, member_id)| carried(member_id) != Some(instance))
            || self.members.values().filter(|member| member.is_static()).count() != self.static_members.len()
        {
            return Some(("CGR-2", "instance ids and members don't agree"));
        }
        if self.target_epoch.epoch > self.epoch.epoch
            || self
                .members
                .values()
                .any(|member| member.current.epoch > self.epoch.epoch)
        {
            return Some(("CGR-3", "an epoch is above the group's"));
        }
        let mut targeted = BTreeSet::new();
        for (member_id, target) in &self.targets {
            let partitions = target
                .iter()
                .flat_map(|(topic, partitions)| partitions.iter().map(|partition| (*topic, *partition)));
            if !self.members.contains_key(member_id) || !partitions.into_iter().all(|key| targeted.insert(key)) {
                return Some(("CGR-4", "targets overlap, or are nobody's"));
            }
        }
        None
    }
}

fn all_new(held: &HeldPartitions, seen: &mut BTreeSet<(TopicId, PartitionIndex)>) -> bool {
    held.iter()
        .flat_map(|(topic, partitions)| partitions.keys().map(|partition| (*topic, *partition)))
        .all(|key| seen.insert(key))
}
