//! A quota that lets a burst pass and makes whoever is in debt wait (KIP-599).

use types::TimestampMs;

use crate::Windows;

/// Nobody is asked for a debt that is older, as in Kafka.
const FORGOTTEN_MS: i64 = 3_600_000;

/// Tokens come at the quota's rate, up to a burst of all windows, and what is used may leave the bucket in debt: one large use is
/// allowed, and paid for by waiting.
#[derive(Debug, Clone, Default)]
pub struct TokenBucket {
    tokens: f64,
    /// When tokens last came; a new bucket is full.
    filled: Option<TimestampMs>,
    /// When it is full again, by the rate that it was last used with.
    full_at: TimestampMs,
}

impl TokenBucket {
    /// Takes `used` tokens, whether they are there or not.
    pub fn take(&mut self, windows: Windows, now: TimestampMs, limit: f64, used: f64) {
        self.fill(windows, now, limit);
        self.tokens -= used;
        let missing_ms = (limit * seconds(windows.total_ms()) - self.tokens) * 1_000.0 / limit;
        #[expect(clippy::cast_possible_truncation, reason = "a cast saturates, and NaN is 0")]
        let missing_ms = missing_ms.ceil() as i64;
        self.full_at = TimestampMs(now.0.saturating_add(missing_ms.clamp(0, FORGOTTEN_MS)));
    }

    /// Gives tokens back that weren't used after all.
    pub fn give_back(&mut self, used: f64) {
        self.tokens += used;
    }

    /// How long until the debt is paid, in milliseconds; 0 without debt.
    #[must_use]
    pub fn debt_ms(&mut self, windows: Windows, now: TimestampMs, limit: f64) -> i64 {
        self.fill(windows, now, limit);
        if self.tokens >= 0.0 {
            return 0;
        }
        let wait = -self.tokens * 1_000.0 / limit;
        #[expect(clippy::cast_possible_truncation, reason = "a cast saturates, and NaN is 0")]
        let wait_ms = wait.round() as i64;
        wait_ms.max(1)
    }

    /// Whether it is as good as new: full again, or not used for an hour.
    #[must_use]
    pub fn is_idle(&self, now: TimestampMs) -> bool {
        now >= self.full_at
    }

    fn fill(&mut self, windows: Windows, now: TimestampMs, limit: f64) {
        let burst = limit * seconds(windows.total_ms());
        self.tokens = match self.filled {
            None => burst,
            Some(filled) => (self.tokens + limit * seconds(now.since(filled).max(0))).min(burst),
        };
        self.filled = Some(self.filled.map_or(now, |filled| filled.max(now)));
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53 milliseconds")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOWS: Windows = Windows {
        count: 11,
        length_ms: 1_000,
    };

    #[test]
    fn a_burst_passes_and_its_debt_is_waited_for() {
        let mut bucket = TokenBucket::default();
        let at = TimestampMs;
        bucket.take(WINDOWS, at(0), 2.0, 22.0);
        assert_eq!(bucket.debt_ms(WINDOWS, at(0), 2.0), 0);
        bucket.take(WINDOWS, at(0), 2.0, 3.0);
        assert_eq!(bucket.debt_ms(WINDOWS, at(0), 2.0), 1_500);
        assert_eq!(bucket.debt_ms(WINDOWS, at(1_000), 2.0), 500);
        assert_eq!(bucket.debt_ms(WINDOWS, at(1_500), 2.0), 0);
        // No more comes together than a burst.
        bucket.take(WINDOWS, at(1_000_000), 2.0, 24.0);
        assert_eq!(bucket.debt_ms(WINDOWS, at(1_000_000), 2.0), 1_000);
        bucket.give_back(24.0);
        assert_eq!(bucket.debt_ms(WINDOWS, at(1_000_000), 2.0), 0);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_twice() {
        let mut bucket = TokenBucket::default();
        bucket.take(WINDOWS, TimestampMs(10_000), 1.0, 12.0);
        assert_eq!(bucket.debt_ms(WINDOWS, TimestampMs(0), 1.0), 1_000);
        assert_eq!(bucket.debt_ms(WINDOWS, TimestampMs(10_000), 1.0), 1_000);
        assert!(!bucket.is_idle(TimestampMs(21_999)));
        assert!(bucket.is_idle(TimestampMs(22_000)));
        bucket.take(WINDOWS, TimestampMs(30_000), 0.0, 1.0);
        assert!(!bucket.is_idle(TimestampMs(3_629_999)));
        assert!(bucket.is_idle(TimestampMs(3_630_000)));
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_stays_within_the_limit(limit in 0.5_f64..1_000.0, uses in proptest::collection::vec(1.0_f64..5_000.0, 1..60)) {
            let (mut bucket, mut now, mut used) = (TokenBucket::default(), 0_i64, 0.0);
            let mut last = 0.0;
            for amount in uses {
                bucket.take(WINDOWS, TimestampMs(now), limit, amount);
                used += amount;
                last = amount;
                now += bucket.debt_ms(WINDOWS, TimestampMs(now), limit);
                prop_assert!(bucket.debt_ms(WINDOWS, TimestampMs(now), limit) <= 1);
            }
            prop_assert!(used - last <= limit * (seconds(now) + seconds(WINDOWS.total_ms()) + 0.1));
        }
    }
}
