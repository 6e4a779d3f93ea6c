//! A consumer group while an operation changes it: every change is a record as well, and the group itself changes when that is
//! replayed. Whoever only looks copies nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use types::TimestampMs;

use crate::CoordinatorRecord;
use crate::consumer::{ClusterView, ConsumerGroup, metadata_hash, resolve_pattern};
use crate::record::{
    Assignment, CurrentAssignment, GroupEpoch, MemberSubscription, RecordKey, ResolvedPattern, TargetEpoch,
    encode_target,
};

/// The group as it will be, and the records that make it so.
pub(super) struct Draft<'a> {
    pub(super) group: Cow<'a, ConsumerGroup>,
    pub(super) records: Vec<CoordinatorRecord>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(group: Cow<'a, ConsumerGroup>) -> Self {
        Self {
            group,
            records: Vec::new(),
        }
    }

    fn put(&mut self, key: bytes::Bytes, value: bytes::Bytes) {
        self.records.push(CoordinatorRecord {
            key,
            value: Some(value),
        });
    }

    fn bury(&mut self, key: bytes::Bytes) {
        self.records.push(CoordinatorRecord { key, value: None });
    }

    pub(super) fn set_subscription(&mut self, member_id: &str, subscription: MemberSubscription) {
        let key = RecordKey::encode_consumer_member(&self.group.id, member_id);
        self.put(key, subscription.encode());
        self.group.to_mut().set_subscription(member_id, subscription);
    }

    pub(super) fn set_current(&mut self, member_id: &str, current: CurrentAssignment) {
        let key = RecordKey::encode_current_assignment(&self.group.id, member_id);
        self.put(key, current.encode());
        self.group.to_mut().set_current(member_id, current);
    }

    /// The record alone: whoever goes on looking at the group doesn't look at this.
    pub(super) fn record_current(&mut self, member_id: &str, current: &CurrentAssignment) {
        let key = RecordKey::encode_current_assignment(&self.group.id, member_id);
        self.put(key, current.encode());
    }

    pub(super) fn set_target(&mut self, member_id: &str, target: Assignment) {
        let key = RecordKey::encode_target_member(&self.group.id, member_id);
        self.put(key, encode_target(&target));
        self.group.to_mut().targets.insert(member_id.to_owned(), target);
    }

    /// In the order that lets nobody hold what isn't theirs, whatever of it is seen.
    pub(super) fn remove_member(&mut self, member_id: &str) {
        let id = self.group.id.clone();
        self.bury(RecordKey::encode_current_assignment(&id, member_id));
        self.bury(RecordKey::encode_target_member(&id, member_id));
        self.bury(RecordKey::encode_consumer_member(&id, member_id));
        self.group.to_mut().remove_member(member_id);
    }

    /// After members were removed: the next heartbeat of another one finds the topics that are left.
    pub(super) fn end_removal(&mut self) {
        self.forget_patterns();
        self.bump_epoch(0);
    }

    pub(super) fn set_epoch(&mut self, epoch: GroupEpoch) {
        self.put(RecordKey::encode_consumer_group(&self.group.id), epoch.encode());
        self.group.to_mut().epoch = epoch;
    }

    /// The group is another one from now on: its members' targets must be made anew.
    pub(super) fn bump_epoch(&mut self, metadata_hash: i64) {
        self.set_epoch(GroupEpoch {
            epoch: self.group.epoch.epoch.wrapping_add(1),
            metadata_hash,
        });
    }

    fn set_pattern(&mut self, pattern: &str, resolved: ResolvedPattern) {
        let key = RecordKey::encode_regular_expression(&self.group.id, pattern);
        self.put(key, resolved.encode());
        self.group.to_mut().patterns.insert(pattern.to_owned(), resolved);
    }

    /// Patterns that nobody gives any more.
    pub(super) fn forget_patterns(&mut self) {
        let unused = |pattern: &&String| {
            let gives =
                |member: &crate::consumer::ConsumerMember| member.subscription.pattern.as_ref() == Some(*pattern);
            !self.group.members.values().any(gives)
        };
        let unused: Vec<String> = self.group.patterns.keys().filter(unused).cloned().collect();
        for pattern in unused {
            self.bury(RecordKey::encode_regular_expression(&self.group.id, &pattern));
            self.group.to_mut().patterns.remove(&pattern);
        }
    }

    /// Looks again for what the members' patterns stand for; true when some topic came or went.
    ///
    /// # Errors
    /// INVALID_REGULAR_EXPRESSION, of a pattern that was never resolved before.
    pub(super) fn resolve_patterns(
        &mut self,
        cluster: &dyn ClusterView,
        now: TimestampMs,
    ) -> Result<bool, types::ErrorCode> {
        let mut given: Vec<String> = self
            .group
            .members
            .values()
            .filter_map(|member| member.subscription.pattern.clone())
            .collect();
        given.sort_unstable();
        given.dedup();
        let mut changed = false;
        for pattern in given {
            let known = self.group.patterns.get(&pattern);
            if known.is_some_and(|known| known.version == cluster.version()) {
                continue;
            }
            let resolved = resolve_pattern(&pattern, cluster, now)?;
            if known.is_none_or(|known| known.topics != resolved.topics) {
                self.set_pattern(&pattern, resolved);
                changed = true;
            }
        }
        Ok(changed)
    }

    /// The hash of the topics that the group is subscribed to.
    pub(super) fn metadata_hash(&self, cluster: &dyn ClusterView) -> i64 {
        metadata_hash(self.group.subscribed_topics(), cluster)
    }

    /// Takes new targets; only those that differ are written.
    pub(super) fn set_targets(&mut self, targets: BTreeMap<String, Assignment>, now: TimestampMs) {
        for (member_id, target) in targets {
            if self.group.targets.get(&member_id) != Some(&target) {
                self.set_target(&member_id, target);
            }
        }
        let epoch = TargetEpoch {
            epoch: self.group.epoch.epoch,
            made_at: now,
        };
        self.put(RecordKey::encode_target_assignment(&self.group.id), epoch.encode());
        self.group.to_mut().target_epoch = epoch;
    }

    /// The targets are those of this epoch as they are.
    pub(super) fn keep_targets(&mut self, now: TimestampMs) {
        self.set_targets(BTreeMap::new(), now);
    }

    /// The group itself goes, with all its records.
    pub(super) fn remove_group(&mut self) {
        let members: Vec<String> = self.group.members.keys().cloned().collect();
        for member_id in members {
            self.remove_member(&member_id);
        }
        self.forget_patterns();
        self.bury(RecordKey::encode_target_assignment(&self.group.id));
        self.bury(RecordKey::encode_consumer_group(&self.group.id));
    }
}
