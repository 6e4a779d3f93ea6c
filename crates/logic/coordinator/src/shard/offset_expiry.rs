//! The expiry of offsets and of groups that have none left (KIP-211).
//!
//! An offset that carries an expiry of its own expires then. Otherwise the retention runs
//! - for a simple group: from the commit;
//! - for an empty group: from when it became empty;
//! - for a stable group of consumers: from the commit, in topics that none of them is subscribed to;
//! - for a consumer group: from the commit, in topics that none of its members is subscribed to;
//! - for any other group: not at all.

use std::borrow::Cow;

use types::{TimestampMs, TopicName};

use super::GroupShard;
use super::consumer_draft::Draft;
use crate::consumer::ConsumerGroup;
use crate::group::{ClassicGroup, GroupId};
use crate::record::{CommittedOffset, RecordKey};
use crate::{CoordinatorRecord, GroupState};

/// Tombstones a round; the rest follows a millisecond later, so that one append stays small.
const MAX_TOMBSTONES: usize = 2_000;

impl GroupShard {
    /// Tombstones of what has expired; sets the time of the next round.
    pub(super) fn expire_offsets(&mut self, now: TimestampMs, records: &mut Vec<CoordinatorRecord>) {
        let limit = records.len() + MAX_TOMBSTONES;
        for group in self.groups.values() {
            if records.len() >= limit {
                break;
            }
            let all_expired = self.expire_group_offsets(group, now, limit, records);
            if all_expired && group.state == GroupState::Empty && self.metadata.contains_key(&group.id) {
                records.push(CoordinatorRecord {
                    key: RecordKey::encode_group_metadata(&group.id),
                    value: None,
                });
            }
        }
        for group in self.consumer_groups.values() {
            if records.len() >= limit {
                break;
            }
            let all_expired = self.expire_consumer_offsets(group, now, limit, records);
            if all_expired && group.members.is_empty() {
                let mut draft = Draft::new(Cow::Borrowed(group));
                draft.remove_group();
                records.extend(draft.records);
            }
        }
        let full = records.len() >= limit;
        let interval = if full {
            1
        } else {
            self.config.offsets_retention_check_interval_ms.max(1)
        };
        let any = !self.groups.is_empty() || !self.consumer_groups.is_empty();
        self.expiry_at = any.then(|| now.plus_ms(interval));
    }

    fn expire_group_offsets(
        &self,
        group: &ClassicGroup,
        now: TimestampMs,
        limit: usize,
        records: &mut Vec<CoordinatorRecord>,
    ) -> bool {
        let is_needed = |topic: &TopicName| group.is_subscribed_to(topic.as_str());
        self.expire_offsets_of(&group.id, limit, records, is_needed, |committed| {
            let since = if group.protocol_type.is_none() {
                committed.commit_timestamp
            } else if group.state == GroupState::Empty {
                group.current_state_timestamp.unwrap_or(committed.commit_timestamp)
            } else if group.state == GroupState::Stable && group.is_consumers() && group.subscribed_topics.is_some() {
                committed.commit_timestamp
            } else {
                return false;
            };
            self.is_expired(committed, since, now)
        })
    }

    fn expire_consumer_offsets(
        &self,
        group: &ConsumerGroup,
        now: TimestampMs,
        limit: usize,
        records: &mut Vec<CoordinatorRecord>,
    ) -> bool {
        let is_needed = |topic: &TopicName| group.is_subscribed_to(topic);
        self.expire_offsets_of(&group.id, limit, records, is_needed, |committed| {
            self.is_expired(committed, committed.commit_timestamp, now)
        })
    }

    /// Whether nothing of the group's is left.
    fn expire_offsets_of(
        &self,
        group_id: &GroupId,
        limit: usize,
        records: &mut Vec<CoordinatorRecord>,
        is_needed: impl Fn(&TopicName) -> bool,
        is_expired: impl Fn(&CommittedOffset) -> bool,
    ) -> bool {
        let mut all_expired = true;
        for (topic, partitions) in self.offsets.get(group_id).into_iter().flatten() {
            let needed = is_needed(topic);
            for (partition, committed) in partitions {
                if records.len() < limit && !needed && is_expired(committed) {
                    let key = RecordKey::encode_offset_commit(group_id, topic, *partition);
                    records.push(CoordinatorRecord { key, value: None });
                } else {
                    all_expired = false;
                }
            }
        }
        all_expired
    }

    fn is_expired(&self, committed: &CommittedOffset, since: TimestampMs, now: TimestampMs) -> bool {
        match committed.expire_timestamp {
            Some(expires) => now >= expires,
            None => now.since(since) >= self.config.offsets_retention_ms,
        }
    }
}
