//! DeleteGroups (KIP-229): empty groups and all their offsets.

use std::borrow::Cow;
use std::collections::BTreeSet;

use types::ErrorCode;

use super::GroupShard;
use super::consumer_draft::Draft;
use crate::record::RecordKey;
use crate::{CoordinatorRecord, DeleteGroupsResponse, Effects, GroupState, ReplyToken};

impl GroupShard {
    /// Deletes groups that have no members. The offsets' tombstones come before the group's.
    pub fn delete_groups(&self, token: ReplyToken, group_ids: Vec<String>) -> Effects {
        let mut effects = Effects::default();
        let mut results = Vec::with_capacity(group_ids.len());
        let mut deleted = BTreeSet::new();
        for group_id in group_ids {
            let consumers = self.consumer_groups.get(group_id.as_str());
            let error = match self.groups.get(group_id.as_str()).map(|group| group.state) {
                None => match consumers {
                    None => ErrorCode::GroupIdNotFound,
                    Some(group) if !group.members.is_empty() => ErrorCode::NonEmptyGroup,
                    Some(group) => {
                        if deleted.insert(group_id.clone()) {
                            self.add_offset_tombstones(&group_id, &mut effects.records);
                            let mut draft = Draft::new(Cow::Borrowed(group));
                            draft.remove_group();
                            effects.records.extend(draft.records);
                        }
                        ErrorCode::None
                    }
                },
                Some(GroupState::Empty) => {
                    if deleted.insert(group_id.clone()) {
                        self.add_group_tombstones(&group_id, &mut effects.records);
                    }
                    ErrorCode::None
                }
                Some(_) => ErrorCode::NonEmptyGroup,
            };
            results.push((group_id, error));
        }
        effects.reply_committed(token, DeleteGroupsResponse { results });
        effects
    }

    fn add_group_tombstones(&self, group_id: &str, records: &mut Vec<CoordinatorRecord>) {
        self.add_offset_tombstones(group_id, records);
        records.push(CoordinatorRecord {
            key: RecordKey::encode_group_metadata(group_id),
            value: None,
        });
    }

    fn add_offset_tombstones(&self, group_id: &str, records: &mut Vec<CoordinatorRecord>) {
        for (topic, partitions) in self.offsets.get(group_id).into_iter().flatten() {
            for partition in partitions.keys() {
                let key = RecordKey::encode_offset_commit(group_id, topic, *partition);
                records.push(CoordinatorRecord { key, value: None });
            }
        }
    }
}
