//! Simulated time: milliseconds since the world began, the same on every node, told by each runtime's paused timer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use broker::Clock;
use controller::WallClock;
use tokio::time::{Instant, sleep_until};
use types::TimestampMs;

/// The wall clock's reading when a world begins.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// One runtime's time. Only right while that runtime's tasks run, or inside its `enter`.
#[derive(Debug, Clone)]
pub(crate) struct SimClock {
    base: Instant,
    base_ms: u64,
    skew_ms: Arc<AtomicI64>,
}

impl SimClock {
    /// A runtime that begins now, at `base_ms`; to be called inside it.
    pub(crate) fn new(base_ms: u64, skew_ms: i64) -> Self {
        Self {
            base: Instant::now(),
            base_ms,
            skew_ms: Arc::new(AtomicI64::new(skew_ms)),
        }
    }

    /// Simulated milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        let since = Instant::now().saturating_duration_since(self.base);
        self.base_ms + u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until the world's time is `at_ms`.
    pub(crate) async fn sleep_until(&self, at_ms: u64) {
        sleep_until(self.base + Duration::from_millis(at_ms.saturating_sub(self.base_ms))).await;
    }

    fn wall_ms(&self) -> i64 {
        let now = i64::try_from(self.now_ms()).unwrap_or(i64::MAX);
        EPOCH_MS
            .saturating_add(now)
            .saturating_add(self.skew_ms.load(Ordering::Relaxed))
    }
}

impl Clock for SimClock {
    fn now(&self) -> TimestampMs {
        TimestampMs(self.wall_ms())
    }
}

impl WallClock for SimClock {
    fn now_ms(&self) -> i64 {
        self.wall_ms()
    }
}
