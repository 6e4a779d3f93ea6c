//! Which pushes a follower takes.
//!
//! FOL-3: a push counts only under the follow id of the current follow, so nothing of an older leadership or of a
//! half-open stream is ever written. FOL-4: appended bytes continue the log without a gap.

use thiserror::Error;
use types::{BrokerId, FollowId, LeaderEpoch, Offset};

/// A replica that follows, or waits for a leader.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FollowerState {
    /// The leadership it believes in.
    pub leader_epoch: LeaderEpoch,
    /// Who leads; `None` while nobody does.
    pub leader: Option<BrokerId>,
    /// The follow whose pushes count.
    pub follow: Option<FollowId>,
    /// What is known to be committed; never above the log end.
    pub high_watermark: Offset,
}

/// Why a push isn't taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PushRefusal {
    /// Of another follow: dropped in silence, its stream is being closed.
    #[error("the push belongs to another follow")]
    OtherFollow,
    /// Not at the log end: the follower must follow anew.
    #[error("the push starts at {at}, the log ends at {log_end}")]
    Gap {
        /// The push's first offset.
        at: Offset,
        /// The log's end.
        log_end: Offset,
    },
}

impl FollowerState {
    /// A replica that starts to follow.
    #[must_use]
    pub fn new(leader_epoch: LeaderEpoch, leader: Option<BrokerId>, high_watermark: Offset) -> Self {
        Self {
            leader_epoch,
            leader,
            follow: None,
            high_watermark,
        }
    }

    /// Checks a push before its bytes are written (FOL-3, FOL-4).
    ///
    /// # Errors
    /// When it belongs elsewhere.
    pub fn check_push(&self, follow: FollowId, base_offset: Offset, log_end: Offset) -> Result<(), PushRefusal> {
        self.check_follow(follow)?;
        if base_offset == log_end {
            Ok(())
        } else {
            Err(PushRefusal::Gap {
                at: base_offset,
                log_end,
            })
        }
    }

    /// Checks that a message belongs to the current follow (FOL-3).
    ///
    /// # Errors
    /// When it belongs to another.
    pub fn check_follow(&self, follow: FollowId) -> Result<(), PushRefusal> {
        if self.follow == Some(follow) {
            Ok(())
        } else {
            Err(PushRefusal::OtherFollow)
        }
    }

    /// Takes the leader's high watermark, as far as this log reaches. Within one leadership it never goes back.
    pub fn on_high_watermark(&mut self, leader: Offset, log_end: Offset) -> bool {
        let reached = leader.min(log_end);
        let rises = reached > self.high_watermark;
        if rises {
            self.high_watermark = reached;
        }
        rises
    }

    /// After a truncation the high watermark can't lie above the end.
    pub fn on_truncated(&mut self, log_end: Offset) {
        self.high_watermark = self.high_watermark.min(log_end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_current_follow_at_the_log_end_counts() {
        let mut follower = FollowerState::new(LeaderEpoch(3), Some(BrokerId(1)), Offset(4));
        assert_eq!(
            follower.check_push(FollowId(7), Offset(5), Offset(5)),
            Err(PushRefusal::OtherFollow)
        );
        follower.follow = Some(FollowId(7));
        assert_eq!(follower.check_push(FollowId(7), Offset(5), Offset(5)), Ok(()));
        assert!(matches!(
            follower.check_push(FollowId(7), Offset(6), Offset(5)),
            Err(PushRefusal::Gap { .. })
        ));
        assert!(!follower.on_high_watermark(Offset(2), Offset(5)));
        assert!(follower.on_high_watermark(Offset(9), Offset(5)));
        assert_eq!(follower.high_watermark, Offset(5));
    }
}
