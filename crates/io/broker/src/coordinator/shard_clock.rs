//! A shard's time: the wall clock when the shard began, plus what the timer measured since. A wall clock that is set
//! ahead would expire every member's session at once.

use std::time::Duration;

use tokio::time::Instant;
use types::TimestampMs;

use crate::clock::Clock;

/// Never jumps.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShardClock {
    began: TimestampMs,
    at: Instant,
}

impl ShardClock {
    pub(super) fn new(clock: &dyn Clock) -> Self {
        Self {
            began: clock.now(),
            at: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> TimestampMs {
        self.began
            .plus_ms(i64::try_from(self.at.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// When the timer has to end for `time`; the millisecond is full then.
    pub(super) fn instant(&self, time: TimestampMs) -> Instant {
        self.at + Duration::from_millis(u64::try_from(time.since(self.began)).unwrap_or(0))
    }
}
