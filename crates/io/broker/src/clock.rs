//! The wall clock, passed in: the simulator's runs with its paused timer.

use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

use types::TimestampMs;

/// Tells the time of day. Deadlines use the runtime's timer instead.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Now.
    fn now(&self) -> TimestampMs;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimestampMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
