//! Records into state: the same for loading a log and for what was just appended.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::{Offset, TimestampMs};

use super::GroupShard;
use crate::GroupState;
use crate::group::ClassicGroup;
use crate::record::{CommittedOffset, GroupMetadata, RecordError, RecordKey};

impl GroupShard {
    /// Applies the record at `offset`; no value is a tombstone. Kinds that aren't ours are skipped.
    ///
    /// Records of transactional batches and control records are not to be replayed: transactional commits aren't supported.
    ///
    /// # Errors
    /// The bytes aren't a record of ours; the shell logs it and goes on, the state is as before.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>, offset: Offset) -> Result<(), RecordError> {
        self.last_offset = self.last_offset.max(Some(offset));
        match RecordKey::decode(key)? {
            RecordKey::OffsetCommit {
                group_id,
                topic,
                partition,
            } => {
                if let Some(value) = value {
                    let committed = CommittedOffset::decode(value)?;
                    self.materialize_simple_group(&group_id, &committed);
                    let id = self.group_id(&group_id);
                    self.offsets
                        .entry(id)
                        .or_default()
                        .entry(topic)
                        .or_default()
                        .insert(partition, committed);
                } else if let Some(topics) = self.offsets.get_mut(group_id.as_str()) {
                    if let Some(partitions) = topics.get_mut(&topic) {
                        partitions.remove(&partition);
                        if partitions.is_empty() {
                            topics.remove(&topic);
                        }
                    }
                    if topics.is_empty() {
                        self.offsets.remove(group_id.as_str());
                    }
                    self.drop_if_void(&group_id);
                }
            }
            RecordKey::GroupMetadata { group_id } => match value {
                Some(value) => self.replay_group(&group_id, GroupMetadata::decode(value)?, offset),
                None => self.replay_group_tombstone(&group_id),
            },
            RecordKey::Unknown { .. } => {}
            consumer => self.replay_consumer(consumer, value)?,
        }
        Ok(())
    }

    /// One allocation a group's name, where it is known already.
    pub(super) fn group_id(&self, group_id: &str) -> Arc<str> {
        let known = self.groups.get_key_value(group_id).map(|(id, _)| id);
        let known = known.or_else(|| self.consumer_groups.get_key_value(group_id).map(|(id, _)| id));
        let known = known.or_else(|| self.offsets.get_key_value(group_id).map(|(id, _)| id));
        let known = known.or_else(|| self.metadata.get_key_value(group_id).map(|(id, _)| id));
        known.cloned().unwrap_or_else(|| Arc::from(group_id))
    }

    /// A commit without a group makes a simple one.
    fn materialize_simple_group(&mut self, group_id: &str, committed: &CommittedOffset) {
        let known = self.groups.contains_key(group_id) || self.consumer_groups.contains_key(group_id);
        if self.active && !known {
            let id = self.group_id(group_id);
            self.groups
                .insert(id.clone(), ClassicGroup::new(id, committed.commit_timestamp));
        }
    }

    /// A consumer group is gone, its offsets aren't: what is left is a simple group, until they expire.
    pub(super) fn materialize_if_offsets(&mut self, group_id: &str) {
        if self.active && self.offsets.contains_key(group_id) && !self.groups.contains_key(group_id) {
            let id = self.group_id(group_id);
            let since = self.last_commit_of(group_id);
            self.groups.insert(id.clone(), ClassicGroup::new(id, since));
        }
    }

    fn last_commit_of(&self, group_id: &str) -> TimestampMs {
        let topics = self.offsets.get(group_id).into_iter().flat_map(BTreeMap::values);
        let commits = topics
            .flat_map(BTreeMap::values)
            .map(|committed| committed.commit_timestamp);
        commits.max().unwrap_or_default()
    }

    fn replay_group(&mut self, group_id: &str, record: GroupMetadata, offset: Offset) {
        let id = self.group_id(group_id);
        let vacant = |group: &ClassicGroup| group.state == GroupState::Empty && group.pending.is_empty();
        if self.active && !record.members.is_empty() && self.groups.get(group_id).is_none_or(vacant) {
            // A consumer group whose last members are classic: they join again.
            let mut turn = self.turn(record.current_state_timestamp.unwrap_or_default());
            let mut group = ClassicGroup::from_record(id.clone(), &record, turn.now);
            group.prepare_rebalance(&mut turn);
            debug_assert!(turn.effects.is_empty(), "nobody waits for anything yet");
            self.groups.insert(id.clone(), group);
            self.arm(group_id);
        }
        // The only record written in CompletingRebalance is the leader's assignment.
        if let Some(group) = self.groups.get_mut(group_id)
            && group.state == GroupState::CompletingRebalance
            && group.generation == record.generation
        {
            group.on_assignment_appended(offset);
            self.uncommitted.insert((offset, id.clone()));
        }
        self.metadata.insert(id, record);
    }

    /// Only empty groups are deleted; a client that was about to join starts anew.
    fn replay_group_tombstone(&mut self, group_id: &str) {
        self.metadata.remove(group_id);
        if self
            .groups
            .get(group_id)
            .is_some_and(|group| group.state == GroupState::Empty)
        {
            if self.offsets.contains_key(group_id) {
                if let Some(group) = self.groups.get_mut(group_id) {
                    *group = ClassicGroup::new(group.id.clone(), group.current_state_timestamp.unwrap_or_default());
                }
            } else {
                self.groups.remove(group_id);
            }
            self.arm(group_id);
        }
    }
}
