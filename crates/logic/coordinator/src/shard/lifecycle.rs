//! What happens to a shard from outside: loaded, committed, refused, unloaded, topics deleted.

use std::collections::{BTreeMap, BTreeSet};

use types::{ErrorCode, Offset, TimestampMs, TopicName};

use super::GroupShard;
use crate::consumer::ClusterView;
use crate::effects::{Undo, append_error_for_clients};
use crate::group::ClassicGroup;
use crate::record::RecordKey;
use crate::{CoordinatorRecord, Effects, GroupState, JoinGroupResponse, Reply, SyncGroupResponse, Wait};

/// After a refused append, expired offsets are looked at again no sooner.
const REFUSED_PAUSE_MS: i64 = 1_000;

impl GroupShard {
    /// The whole log was replayed: groups come alive, and members have a full session to show up.
    pub fn on_load_finished(&mut self, now: TimestampMs, cluster: &dyn ClusterView) -> Effects {
        self.active = true;
        for (id, record) in &self.metadata {
            self.groups
                .insert(id.clone(), ClassicGroup::from_record(id.clone(), record, now));
        }
        for id in self.offsets.keys() {
            if self.consumer_groups.contains_key(id) {
                continue;
            }
            self.groups
                .entry(id.clone())
                .or_insert_with(|| ClassicGroup::new(id.clone(), now));
        }
        let mut turn = self.turn(now);
        let max_size = usize::try_from(self.config.max_size).unwrap_or(0);
        for group in self.groups.values_mut() {
            // The limit was lowered: a rebalance keeps those who come first. Or the group was a consumer group, and nobody has joined
            // again yet: a classic one with members is never without a leader.
            let record = self.metadata.get(&group.id);
            let leaderless = record.is_some_and(|record| record.leader.is_none() && !record.members.is_empty());
            if group.members.len() > max_size || leaderless {
                group.prepare_rebalance(&mut turn);
            }
        }
        self.start_consumer_time(now, cluster);
        for id in self
            .groups
            .keys()
            .chain(self.consumer_groups.keys())
            .cloned()
            .collect::<Vec<_>>()
        {
            self.arm(&id);
        }
        self.settle("", turn)
    }

    /// Everything below `high_watermark` is committed: assignments below it go to their members.
    pub fn on_committed(&mut self, now: TimestampMs, high_watermark: Offset) -> Effects {
        let mut effects = Effects::default();
        while let Some((offset, group_id)) = self.uncommitted.first().filter(|(at, _)| *at < high_watermark).cloned() {
            self.uncommitted.remove(&(offset, group_id.clone()));
            let mut turn = self.turn(now);
            if let (Some(group), Some(record)) = (self.groups.get_mut(&group_id), self.metadata.get(&group_id))
                // A rebalance since then made the assignment stale.
                && group.assignment_at == Some(offset)
                && group.generation == record.generation
            {
                group.on_assignment_committed(&mut turn, record);
            }
            effects.replies.extend(self.settle(&group_id, turn).replies);
        }
        effects
    }

    /// The records of `failed` couldn't be appended. What comes back has no records; its replies take the place of
    /// `failed`'s: those that waited for the records carry the error, members that wait for an assignment are sent
    /// back to join again, a static member's new id is forgotten.
    pub fn on_append_failed(
        &mut self,
        now: TimestampMs,
        failed: Effects,
        error: ErrorCode,
        cluster: &dyn ClusterView,
    ) -> Effects {
        let error = append_error_for_clients(error);
        // Expired offsets may have been among them, with more to come at once.
        let pause = now.plus_ms(REFUSED_PAUSE_MS);
        self.expiry_at = self.expiry_at.map(|at| at.max(pause));
        let mut effects = Effects::default();
        for reply in failed.replies {
            let answer = match reply.wait {
                Wait::Now => reply.answer,
                Wait::Committed => reply.answer.with_error(error),
            };
            effects.replies.push(Reply {
                answer,
                wait: Wait::Now,
                ..reply
            });
        }
        let mut turn = self.turn(now);
        let group_id = match failed.undo {
            Undo::Nothing => {
                // A group may have become empty without a trace in the log.
                let void = self.groups.values().filter(|group| self.is_void(group));
                for id in void.map(|group| group.id.clone()).collect::<Vec<_>>() {
                    self.drop_if_void(&id);
                }
                return effects;
            }
            Undo::Assignment { group_id, generation } => {
                if let Some(group) = self.groups.get_mut(&group_id)
                    && group.state == GroupState::CompletingRebalance
                    && group.generation == generation
                {
                    group.fail_assignment(&mut turn, error);
                    group.prepare_rebalance(&mut turn);
                }
                group_id
            }
            Undo::Consumers(groups) => {
                for group_id in groups {
                    self.restore_consumer_time(now, &group_id, cluster);
                }
                return effects;
            }
            Undo::Group(mut before) => {
                let group_id = before.id.clone();
                for member in before.members.values_mut() {
                    member.restart_session(now);
                }
                self.groups.insert(group_id.clone(), *before);
                group_id
            }
        };
        effects.replies.extend(self.settle(&group_id, turn).replies);
        effects
    }

    /// The leadership is lost: everything parked is answered, and the shard is done. Replies that the shell holds back
    /// are the shell's: [`crate::Answer::with_error`]`(NotCoordinator)`.
    #[must_use]
    pub fn on_unload(&mut self) -> Vec<Reply> {
        self.active = false;
        self.disarm_all();
        self.uncommitted.clear();
        let mut effects = Effects::default();
        for group in std::mem::take(&mut self.groups).into_values() {
            for (member_id, member) in group.members {
                if let Some(token) = member.awaiting_join {
                    effects.reply(token, JoinGroupResponse::error(ErrorCode::NotCoordinator, &member_id));
                }
                if let Some(token) = member.awaiting_sync {
                    effects.reply(token, SyncGroupResponse::error(ErrorCode::NotCoordinator));
                }
            }
        }
        effects.replies
    }

    /// Topics that offsets were committed for, and that the cluster doesn't have. They were deleted while nobody coordinated this shard,
    /// or before the tombstones were there: a topic made again under the name mustn't begin where the old one ended.
    #[must_use]
    pub fn topics_gone(&self, cluster: &dyn ClusterView) -> Vec<TopicName> {
        let topics = self.offsets.values().flat_map(BTreeMap::keys);
        let gone: BTreeSet<&TopicName> = topics.filter(|topic| cluster.topic(topic).is_none()).collect();
        gone.into_iter().cloned().collect()
    }

    /// Topics are gone from the cluster: so are the offsets committed for them.
    pub fn on_topics_deleted(&mut self, topics: &[TopicName]) -> Effects {
        let mut effects = Effects::default();
        for (group_id, offsets) in &self.offsets {
            for topic in topics {
                for partition in offsets.get(topic).into_iter().flat_map(|partitions| partitions.keys()) {
                    let key = RecordKey::encode_offset_commit(group_id, topic, *partition);
                    effects.records.push(CoordinatorRecord { key, value: None });
                }
            }
        }
        effects
    }
}
