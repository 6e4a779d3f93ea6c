//! When a consumer group must act on its own. Not durable: a new coordinator gives every member a full session.

use std::collections::{BTreeMap, BTreeSet};

use types::TimestampMs;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConsumerDue {
    /// A silent member.
    Session(String),
    /// A member that didn't give its partitions up, or a classic one that didn't join again, while it was in `epoch`.
    Rebalance {
        /// The member.
        member_id: String,
        /// Its epoch when the time began.
        epoch: i32,
    },
}

#[derive(Debug, Clone, Copy, Default)]
struct Deadlines {
    session: Option<TimestampMs>,
    rebalance: Option<(TimestampMs, i32)>,
}

/// The timers of one group.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsumerTimers {
    of: BTreeMap<String, Deadlines>,
    queue: BTreeSet<(TimestampMs, ConsumerDue)>,
    /// The cluster's version when the group's topics were looked at.
    pub(crate) seen_version: Option<i64>,
}

impl ConsumerTimers {
    /// A sign of life.
    pub(crate) fn restart_session(&mut self, member_id: &str, until: TimestampMs) {
        let of = self.of.entry(member_id.to_owned()).or_default();
        let due = ConsumerDue::Session(member_id.to_owned());
        match of.session.replace(until) {
            Some(before) if before == until => {}
            Some(before) => {
                self.queue.remove(&(before, due.clone()));
                self.queue.insert((until, due));
            }
            None => {
                self.queue.insert((until, due));
            }
        }
    }

    /// The member has until then to leave its epoch.
    pub(crate) fn start_rebalance(&mut self, member_id: &str, epoch: i32, until: TimestampMs) {
        self.stop_rebalance(member_id);
        self.of.entry(member_id.to_owned()).or_default().rebalance = Some((until, epoch));
        let member_id = member_id.to_owned();
        self.queue.insert((until, ConsumerDue::Rebalance { member_id, epoch }));
    }

    /// Whether the member's session runs.
    pub(crate) fn has_session(&self, member_id: &str) -> bool {
        self.of.get(member_id).is_some_and(|of| of.session.is_some())
    }

    /// Forgets whoever isn't to be kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let gone: Vec<String> = self.of.keys().filter(|member_id| !keep(member_id)).cloned().collect();
        gone.iter().for_each(|member_id| self.forget(member_id));
    }

    /// Whether the member's time to leave its epoch runs.
    pub(crate) fn is_rebalancing(&self, member_id: &str) -> bool {
        self.of.get(member_id).is_some_and(|of| of.rebalance.is_some())
    }

    /// The member has time.
    pub(crate) fn stop_rebalance(&mut self, member_id: &str) {
        let running = self.of.get_mut(member_id).and_then(|of| of.rebalance.take());
        if let Some((at, epoch)) = running {
            let member_id = member_id.to_owned();
            self.queue.remove(&(at, ConsumerDue::Rebalance { member_id, epoch }));
        }
    }

    /// The member is gone, or away.
    pub(crate) fn forget(&mut self, member_id: &str) {
        self.stop_rebalance(member_id);
        if let Some(at) = self.of.remove(member_id).and_then(|of| of.session) {
            self.queue.remove(&(at, ConsumerDue::Session(member_id.to_owned())));
        }
    }

    /// What is due first.
    pub(crate) fn next_due(&self) -> Option<(TimestampMs, &ConsumerDue)> {
        self.queue.first().map(|(at, due)| (*at, due))
    }

    /// Takes what is due at `now`.
    pub(crate) fn take_due(&mut self, now: TimestampMs) -> Option<ConsumerDue> {
        self.queue.first().filter(|(at, _)| *at <= now)?;
        let (_, due) = self.queue.pop_first()?;
        match &due {
            ConsumerDue::Session(member_id) => {
                if let Some(of) = self.of.get_mut(member_id) {
                    of.session = None;
                }
            }
            ConsumerDue::Rebalance { member_id, .. } => {
                if let Some(of) = self.of.get_mut(member_id) {
                    of.rebalance = None;
                }
            }
        }
        Some(due)
    }
}
