//! How a leader answers a replica that asks to follow, and how far the follower truncates (KIP-101, KIP-279, KIP-595).
//!
//! ```text
//!   follower   |--e1--|------e2------|          asks: offset 9, last epoch 2
//!   leader     |--e1--|--e2--|--e4-------|      epoch 2 ends at 6 here: truncate to (2, 6)
//! ```
//!
//! FOL-1: a follower's end counts for the high watermark only after its last epoch and offset were found in the leader's
//! log, so every record below it is the leader's own. FOL-2: truncation is by epoch, never by high watermark: a high
//! watermark lags on followers, and cutting there loses acknowledged records when leaders change twice quickly.

use thiserror::Error;
use types::{BrokerEpoch, BrokerId, EpochEnd, FollowId, LeaderEpoch, Offset};

/// What a replica asks its leader, once for each follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FollowRequest {
    /// The replica.
    pub replica: BrokerId,
    /// The replica's incarnation.
    pub broker_epoch: BrokerEpoch,
    /// Names this follow in every push and acknowledgement.
    pub follow_id: FollowId,
    /// The leadership that the replica believes in.
    pub leader_epoch: LeaderEpoch,
    /// The replica's log end.
    pub offset: Offset,
    /// The part of it that may be acknowledged (the synced end on topics that flush).
    pub acknowledgeable_end: Offset,
    /// The epoch of the replica's last record; [`LeaderEpoch::NONE`] when its log is empty.
    pub last_epoch: LeaderEpoch,
}

/// What the replica does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowAnswer {
    /// The logs agree: pushes start at this offset.
    Append(Offset),
    /// The logs part: truncate towards this epoch end, then ask again.
    Truncate(EpochEnd),
    /// The replica's end is below the leader's log start: drop everything and start there.
    RestartAtLogStart(Offset),
}

/// Why a follow isn't answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FollowRefusal {
    /// The replica's leadership is over.
    #[error("fenced leader epoch: the leader is at {current}")]
    FencedEpoch {
        /// The leader's.
        current: LeaderEpoch,
    },
    /// The leader hasn't heard of that leadership yet.
    #[error("unknown leader epoch: the leader is at {current}")]
    UnknownEpoch {
        /// The leader's.
        current: LeaderEpoch,
    },
    /// The asker isn't a replica of this partition.
    #[error("broker {0} is not a replica")]
    NotReplica(BrokerId),
    /// An older incarnation of that broker, or an older follow than one already seen.
    #[error("a newer incarnation or follow of broker {0} is known")]
    Superseded(BrokerId),
}

/// What the rules need to know of a log.
pub trait EpochLookup {
    /// First offset kept.
    fn log_start_offset(&self) -> Offset;
    /// Next offset to be written.
    fn log_end_offset(&self) -> Offset;
    /// The largest epoch known that isn't above `epoch`, and where it ends; `None` when all known epochs are above it.
    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd>;
    /// The epoch of the last record.
    fn latest_epoch(&self) -> Option<LeaderEpoch>;
}

/// Compares a replica's end with the leader's log. The epochs of the request were checked before.
pub(crate) fn reconcile(log: &dyn EpochLookup, request: &FollowRequest) -> FollowAnswer {
    let log_start = log.log_start_offset();
    #[cfg(feature = "bugs")]
    if bugs::is_planted(bugs::Bug::SkipEpochCheck) {
        return FollowAnswer::Append(request.offset.min(log.log_end_offset()));
    }
    if request.offset < log_start {
        return FollowAnswer::RestartAtLogStart(log_start);
    }
    if request.last_epoch == LeaderEpoch::NONE {
        // An empty log agrees with anything, as far as the leader's log reaches.
        return if request.offset > log.log_end_offset() {
            FollowAnswer::RestartAtLogStart(log_start)
        } else {
            FollowAnswer::Append(request.offset)
        };
    }
    match log.end_offset_for_epoch(request.last_epoch) {
        Some(end) if end.epoch == request.last_epoch && request.offset <= end.end_offset => {
            FollowAnswer::Append(request.offset)
        }
        Some(end) => FollowAnswer::Truncate(end),
        // Everything that the leader keeps is of later epochs.
        None if request.offset == log_start => FollowAnswer::Append(request.offset),
        None => FollowAnswer::RestartAtLogStart(log_start),
    }
}

/// How far a follower truncates after [`FollowAnswer::Truncate`]: to where the leader's epoch ends or, when the follower
/// has none of that epoch, to where its own next lower epoch ends (KIP-279). Always below its log end, unless the log
/// is empty, so that asking again makes progress.
#[must_use]
pub fn truncation_target(log: &dyn EpochLookup, leader: EpochEnd) -> Offset {
    let own = log.end_offset_for_epoch(leader.epoch);
    match own {
        Some(own) if own.epoch == leader.epoch => own.end_offset.min(leader.end_offset),
        Some(own) => own.end_offset,
        None => log.log_start_offset(),
    }
    .min(log.log_end_offset())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Epochs as (epoch, start offset), and an end.
    #[derive(Debug, Clone)]
    pub(crate) struct Epochs {
        pub(crate) start: i64,
        pub(crate) end: i64,
        pub(crate) starts: Vec<(i32, i64)>,
    }

    impl EpochLookup for Epochs {
        fn log_start_offset(&self) -> Offset {
            Offset(self.start)
        }
        fn log_end_offset(&self) -> Offset {
            Offset(self.end)
        }
        fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
            let at = self.starts.iter().rposition(|&(known, _)| known <= epoch.0)?;
            let end = self.starts.get(at + 1).map_or(self.end, |next| next.1);
            Some(EpochEnd {
                epoch: LeaderEpoch(self.starts[at].0),
                end_offset: Offset(end),
            })
        }
        fn latest_epoch(&self) -> Option<LeaderEpoch> {
            self.starts.last().map(|last| LeaderEpoch(last.0))
        }
    }

    fn ask(offset: i64, last_epoch: i32) -> FollowRequest {
        FollowRequest {
            replica: BrokerId(2),
            broker_epoch: BrokerEpoch(1),
            follow_id: FollowId(1),
            leader_epoch: LeaderEpoch(4),
            offset: Offset(offset),
            acknowledgeable_end: Offset(offset),
            last_epoch: LeaderEpoch(last_epoch),
        }
    }

    #[test]
    fn a_follower_that_agrees_continues_where_it_is() {
        let leader = Epochs {
            start: 0,
            end: 12,
            starts: vec![(1, 0), (2, 3), (4, 6)],
        };
        assert_eq!(reconcile(&leader, &ask(5, 2)), FollowAnswer::Append(Offset(5)));
        assert_eq!(reconcile(&leader, &ask(12, 4)), FollowAnswer::Append(Offset(12)));
        assert_eq!(reconcile(&leader, &ask(0, -1)), FollowAnswer::Append(Offset(0)));
    }

    #[test]
    fn a_follower_that_parted_truncates_to_the_end_of_its_epoch() {
        let leader = Epochs {
            start: 0,
            end: 12,
            starts: vec![(1, 0), (2, 3), (4, 6)],
        };
        let end = EpochEnd {
            epoch: LeaderEpoch(2),
            end_offset: Offset(6),
        };
        assert_eq!(reconcile(&leader, &ask(9, 2)), FollowAnswer::Truncate(end));
        assert_eq!(reconcile(&leader, &ask(9, 3)), FollowAnswer::Truncate(end));
    }

    #[test]
    fn a_follower_below_the_log_start_starts_over() {
        let leader = Epochs {
            start: 8,
            end: 12,
            starts: vec![(4, 8)],
        };
        assert_eq!(
            reconcile(&leader, &ask(5, 2)),
            FollowAnswer::RestartAtLogStart(Offset(8))
        );
        assert_eq!(
            reconcile(&leader, &ask(9, 2)),
            FollowAnswer::RestartAtLogStart(Offset(8))
        );
    }

    proptest::proptest! {
        /// FOL-1, FOL-2: whatever both logs hold, asking and truncating ends in agreement on a common prefix, and
        /// never cuts a record that both share.
        #[test]
        fn asking_and_truncating_ends_in_agreement(
            common in 0_i64..20,
            own in proptest::collection::vec((0_i32..6, 1_i64..5), 0..5),
            theirs in proptest::collection::vec((0_i32..6, 1_i64..5), 0..5),
        ) {
            // The shared prefix is epoch 0; afterwards each log has epochs of its own, never the same one twice in
            // both with different records: odd epochs are the follower's, even ones the leader's.
            let build = |parts: &[(i32, i64)], odd: i32| {
                let mut starts = if common > 0 { vec![(0, 0)] } else { vec![] };
                let mut end = common;
                let mut last = 0;
                for &(step, length) in parts {
                    let epoch = last + 2 + 2 * step - (last + 2 + 2 * step + odd) % 2;
                    let epoch = if epoch <= last { epoch + 2 } else { epoch };
                    starts.push((epoch, end));
                    end += length;
                    last = epoch;
                }
                Epochs { start: 0, end, starts }
            };
            let leader = build(&theirs, 0);
            let mut follower = build(&own, 1);
            let mut rounds = 0;
            loop {
                rounds += 1;
                assert!(rounds < 20);
                let last = follower.latest_epoch().unwrap_or(LeaderEpoch::NONE);
                let request = FollowRequest { last_epoch: last, ..ask(follower.end, 0) };
                match reconcile(&leader, &request) {
                    FollowAnswer::Append(offset) => {
                        assert_eq!(offset.0, follower.end);
                        assert_eq!(follower.end, common);
                        break;
                    }
                    FollowAnswer::Truncate(end) => {
                        let target = truncation_target(&follower, end).0;
                        assert!(target < follower.end && target >= common, "{target} of {follower:?} at {end:?}");
                        follower.end = target;
                        follower.starts.retain(|start| start.1 < target);
                    }
                    FollowAnswer::RestartAtLogStart(at) => {
                        assert_eq!(common, 0);
                        follower = Epochs { start: at.0, end: at.0, starts: vec![] };
                    }
                }
            }
        }
    }
}
