//! Records of the consumer protocol into state. In any order that compaction may leave: the last record of a key counts.

use super::GroupShard;
use crate::consumer::ConsumerGroup;
use crate::record::{
    CurrentAssignment, GroupEpoch, MemberSubscription, RecordError, RecordKey, ResolvedPattern, TargetEpoch,
    decode_target,
};

impl GroupShard {
    /// Applies a record of a consumer group; others are for the caller.
    pub(super) fn replay_consumer(&mut self, key: RecordKey, value: Option<&[u8]>) -> Result<(), RecordError> {
        match key {
            RecordKey::ConsumerGroup { group_id } => match value.map(GroupEpoch::decode).transpose()? {
                Some(epoch) => self.consumer_group_mut(&group_id).epoch = epoch,
                None => {
                    self.consumer_groups.remove(group_id.as_str());
                    self.consumer_timers.remove(group_id.as_str());
                    self.materialize_if_offsets(&group_id);
                    self.arm(&group_id);
                }
            },
            RecordKey::ConsumerMember { group_id, member_id } => {
                match value.map(MemberSubscription::decode).transpose()? {
                    Some(subscription) => self
                        .consumer_group_mut(&group_id)
                        .set_subscription(&member_id, subscription),
                    None => self.known_mut(&group_id, |group| group.remove_member(&member_id)),
                }
            }
            RecordKey::TargetAssignment { group_id } => match value.map(TargetEpoch::decode).transpose()? {
                Some(epoch) => self.consumer_group_mut(&group_id).target_epoch = epoch,
                None => self.known_mut(&group_id, |group| group.target_epoch = TargetEpoch::default()),
            },
            RecordKey::TargetMember { group_id, member_id } => match value.map(decode_target).transpose()? {
                Some(target) => {
                    self.consumer_group_mut(&group_id).targets.insert(member_id, target);
                }
                None => self.known_mut(&group_id, |group| {
                    group.targets.remove(&member_id);
                }),
            },
            RecordKey::CurrentAssignment { group_id, member_id } => {
                match value.map(CurrentAssignment::decode).transpose()? {
                    Some(current) => self.consumer_group_mut(&group_id).set_current(&member_id, current),
                    None => self.known_mut(&group_id, |group| group.clear_current(&member_id)),
                }
            }
            RecordKey::RegularExpression { group_id, pattern } => {
                match value.map(ResolvedPattern::decode).transpose()? {
                    Some(resolved) => {
                        self.consumer_group_mut(&group_id).patterns.insert(pattern, resolved);
                    }
                    None => self.known_mut(&group_id, |group| {
                        group.patterns.remove(&pattern);
                    }),
                }
            }
            RecordKey::OffsetCommit { .. } | RecordKey::GroupMetadata { .. } | RecordKey::Unknown { .. } => {}
        }
        Ok(())
    }

    /// The group, which takes the place of an empty classic one.
    fn consumer_group_mut(&mut self, group_id: &str) -> &mut ConsumerGroup {
        let id = self.group_id(group_id);
        if self.groups.remove(group_id).is_some() {
            self.arm(group_id);
        }
        self.consumer_groups
            .entry(id.clone())
            .or_insert_with(|| ConsumerGroup::new(id))
    }

    fn known_mut(&mut self, group_id: &str, change: impl FnOnce(&mut ConsumerGroup)) {
        if let Some(group) = self.consumer_groups.get_mut(group_id) {
            change(group);
        }
    }
}
