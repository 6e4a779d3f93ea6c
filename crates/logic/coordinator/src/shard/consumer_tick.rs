//! What a consumer group does by itself: members that are silent, or don't give up what they should, are removed.

use std::borrow::Cow;

use types::TimestampMs;

use super::GroupShard;
use super::consumer_draft::Draft;
use crate::CoordinatorRecord;
use crate::consumer::{ClusterView, ConsumerDue, ConsumerGroup, ConsumerTimers};
use crate::record::MemberState;

impl GroupShard {
    /// Removes the members of a group whose time is up. One batch's worth of records for each group.
    pub(super) fn tick_consumer_group(
        &mut self,
        now: TimestampMs,
        group_id: &str,
        cluster: &dyn ClusterView,
    ) -> Vec<CoordinatorRecord> {
        let mut overdue = Vec::new();
        while let Some(due) = self
            .consumer_timers
            .get_mut(group_id)
            .and_then(|timers| timers.take_due(now))
        {
            overdue.push(due);
        }
        let Some(group) = self.consumer_groups.get(group_id) else {
            self.consumer_timers.remove(group_id);
            return Vec::new();
        };
        let mut draft = Draft::new(Cow::Borrowed(group));
        let mut gone = Vec::new();
        for due in overdue {
            let member_id = match due {
                ConsumerDue::Session(member_id) => member_id,
                ConsumerDue::Rebalance { member_id, epoch } => {
                    let member = draft.group.members.get(&member_id);
                    if member.is_none_or(|member| member.current.epoch != epoch) {
                        continue;
                    }
                    member_id
                }
            };
            if draft.group.members.contains_key(&member_id) {
                draft.remove_member(&member_id);
                gone.push(member_id);
            }
        }
        if !gone.is_empty() {
            draft.end_removal();
            self.downgrade_if_classic(&mut draft, now, cluster);
        }
        let records = draft.records;
        if let Some(timers) = self.consumer_timers.get_mut(group_id) {
            gone.iter().for_each(|member_id| timers.forget(member_id));
        }
        records
    }

    /// The records of a consumer group were refused: its timers are those of what it is.
    pub(super) fn restore_consumer_time(&mut self, now: TimestampMs, group_id: &str, cluster: &dyn ClusterView) {
        let session_timeout_ms = self.consumer_session_timeout_ms(group_id, cluster);
        if let Some(group) = self.consumer_groups.get(group_id) {
            let timers = self.consumer_timers.entry(group.id.clone()).or_default();
            timers.retain(|member_id| group.members.contains_key(member_id));
            timers.seen_version = None;
            start_time(timers, group, now, session_timeout_ms);
        } else {
            self.consumer_timers.remove(group_id);
        }
        self.arm(group_id);
    }

    /// The shard was loaded: every member has a full session to show up, and to give up what it is giving up.
    pub(super) fn start_consumer_time(&mut self, now: TimestampMs, cluster: &dyn ClusterView) {
        for (group_id, group) in &self.consumer_groups {
            let session_timeout_ms = self.consumer_session_timeout_ms(group_id, cluster);
            let timers = self.consumer_timers.entry(group_id.clone()).or_default();
            start_time(timers, group, now, session_timeout_ms);
        }
    }

    /// The group's own, else the broker's.
    pub(super) fn consumer_session_timeout_ms(&self, group_id: &str, cluster: &dyn ClusterView) -> i32 {
        let own = cluster.overrides(group_id).session_timeout_ms;
        own.unwrap_or(self.config.consumer_session_timeout_ms)
    }
}

/// A session for each member that has none running, and time to give up for each that is at it.
fn start_time(timers: &mut ConsumerTimers, group: &ConsumerGroup, now: TimestampMs, session_timeout_ms: i32) {
    for (member_id, member) in &group.members {
        let classic = member.subscription.classic.as_ref();
        let session = classic.map_or(session_timeout_ms, |classic| classic.session_timeout_ms);
        if !timers.has_session(member_id) {
            timers.restart_session(member_id, now.plus_ms(i64::from(session.max(0))));
        }
        let revokes = classic.is_none() && member.current.state == MemberState::Unrevoked;
        if revokes && !timers.is_rebalancing(member_id) {
            let until = now.plus_ms(i64::from(member.subscription.rebalance_timeout_ms.max(0)));
            timers.start_rebalance(member_id, member.current.epoch, until);
        }
    }
}
