//! Records into state: the same for loading a log and for what was just appended.

use std::sync::Arc;

use types::Offset;

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
        }
        Ok(())
    }

    /// One allocation a group's name, where it is known already.
    fn group_id(&self, group_id: &str) -> Arc<str> {
        let known = self.groups.get_key_value(group_id).map(|(id, _)| id);
        let known = known.or_else(|| self.offsets.get_key_value(group_id).map(|(id, _)| id));
        let known = known.or_else(|| self.metadata.get_key_value(group_id).map(|(id, _)| id));
        known.cloned().unwrap_or_else(|| Arc::from(group_id))
    }

    /// A commit without a group makes a simple one.
    fn materialize_simple_group(&mut self, group_id: &str, committed: &CommittedOffset) {
        if self.active && !self.groups.contains_key(group_id) {
            let id = self.group_id(group_id);
            self.groups
                .insert(id.clone(), ClassicGroup::new(id, committed.commit_timestamp));
        }
    }

    fn replay_group(&mut self, group_id: &str, record: GroupMetadata, offset: Offset) {
        let id = self.group_id(group_id);
        debug_assert!(
            !self.active || self.groups.contains_key(group_id),
            "only living groups are written"
        );
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
