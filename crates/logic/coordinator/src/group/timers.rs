//! When a group must act on its own.

use types::TimestampMs;

use super::ClassicGroup;

/// When the join phase ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum JoinTimer {
    /// The members had their rebalance timeout.
    Rebalance { at: TimestampMs },
    /// The first rebalance of a group waits for more members (KIP-134); `remaining_ms` may still be added.
    Initial {
        at: TimestampMs,
        delay_ms: i64,
        remaining_ms: i64,
    },
}

impl JoinTimer {
    fn at(self) -> TimestampMs {
        match self {
            Self::Rebalance { at } | Self::Initial { at, .. } => at,
        }
    }
}

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// A member id that nobody came back with.
    Pending(String),
    /// A silent member.
    Session(String),
    /// The end of the join phase.
    Join,
    /// Members that didn't ask for their assignment.
    Sync,
    /// An assignment that isn't committed in time.
    Commit,
}

impl ClassicGroup {
    /// What is due first. Sessions of members that wait for us don't run.
    pub(crate) fn next_due(&self) -> Option<(TimestampMs, Due)> {
        let pending = self
            .pending
            .iter()
            .min_by_key(|(_, at)| **at)
            .map(|(id, at)| (*at, Due::Pending(id.clone())));
        let silent = self.members.iter().filter(|(_, member)| !member.is_excused());
        let session = silent
            .min_by_key(|(_, member)| member.session_deadline)
            .map(|(id, member)| (member.session_deadline, Due::Session(id.clone())));
        let join = self.join_timer.map(|timer| (timer.at(), Due::Join));
        let sync = self.sync_deadline.map(|at| (at, Due::Sync));
        let commit = self.commit_deadline.map(|at| (at, Due::Commit));
        [pending, session, join, sync, commit]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}
