//! How fast somebody was, over a number of windows.

use std::collections::VecDeque;
use std::time::Duration;

use types::TimestampMs;

/// `quota.window.num` and `quota.window.size.seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// How many are looked at; at least 1.
    pub count: u32,
    /// How long each is, in milliseconds; at least 1.
    pub length_ms: i64,
}

impl Windows {
    /// At least one, each of at least a millisecond.
    #[must_use]
    pub fn new(count: u32, length: Duration) -> Self {
        Self {
            count: count.max(1),
            length_ms: i64::try_from(length.as_millis()).unwrap_or(i64::MAX).max(1),
        }
    }

    /// All of them together.
    #[must_use]
    pub fn total_ms(self) -> i64 {
        self.length_ms.saturating_mul(i64::from(self.count.max(1)))
    }
}

/// A sum of what was used, by window.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    /// When each window began and what was used in it, the oldest first.
    samples: VecDeque<(TimestampMs, f64)>,
}

impl Rate {
    /// Notes a use.
    pub fn record(&mut self, windows: Windows, now: TimestampMs, used: f64) {
        self.forget_old(windows, now);
        match self.samples.back_mut() {
            Some((began, sum)) if now.since(*began) < windows.length_ms => *sum += used,
            _ => self.samples.push_back((now, used)),
        }
    }

    /// Takes a use back that didn't happen after all. No window becomes negative.
    pub fn take_back(&mut self, used: f64) {
        if let Some((_, sum)) = self.samples.back_mut() {
            *sum = (*sum - used).max(0.0);
        }
    }

    /// How long to wait until the use of all windows is within `limit` a second, in milliseconds; 0 where it is. The excess over
    /// the limit's share of the time looked at, as Kafka has it: who used more than all windows allow waits longer than those last.
    #[must_use]
    pub fn throttle_ms(&mut self, windows: Windows, now: TimestampMs, limit: f64) -> i64 {
        self.forget_old(windows, now);
        let Some((oldest, _)) = self.samples.front() else {
            return 0;
        };
        // A client that has just begun isn't taken for one that is as fast all the time.
        let elapsed_ms = now.since(*oldest).max(0);
        let missing = i64::from(windows.count.max(1)) - 1 - elapsed_ms / windows.length_ms;
        let elapsed_ms = (elapsed_ms + windows.length_ms.saturating_mul(missing.max(0))).max(1);
        let used = self.used(windows, now);
        if limit <= 0.0 {
            return if used > 0.0 { elapsed_ms } else { 0 };
        }
        let rate = used * 1_000.0 / as_float(elapsed_ms);
        if rate <= limit {
            return 0;
        }
        let wait = (rate - limit) / limit * as_float(elapsed_ms);
        #[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
        let wait_ms = wait.round() as i64;
        wait_ms
    }

    /// What was used in all windows.
    #[must_use]
    pub fn used(&mut self, windows: Windows, now: TimestampMs) -> f64 {
        self.forget_old(windows, now);
        self.samples.iter().map(|(_, sum)| sum).sum()
    }

    /// When it was last used.
    #[must_use]
    pub fn last_window(&self) -> Option<TimestampMs> {
        self.samples.back().map(|(began, _)| *began)
    }

    fn forget_old(&mut self, windows: Windows, now: TimestampMs) {
        let kept_ms = windows.total_ms();
        while self
            .samples
            .front()
            .is_some_and(|(began, _)| now.since(*began) >= kept_ms)
        {
            self.samples.pop_front();
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a few minutes at most")]
fn as_float(ms: i64) -> f64 {
    ms as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOWS: Windows = Windows {
        count: 11,
        length_ms: 1_000,
    };

    fn at(ms: i64) -> TimestampMs {
        TimestampMs(ms)
    }

    #[test]
    fn a_client_above_its_limit_waits_until_it_is_within() {
        let mut rate = Rate::default();
        rate.record(WINDOWS, at(0), 20_000.0);
        // 20,000 within ten seconds are 2,000 a second.
        assert_eq!(rate.throttle_ms(WINDOWS, at(0), 2_000.0), 0);
        assert_eq!(rate.throttle_ms(WINDOWS, at(0), 1_000.0), 10_000);
        // Windows that are still missing count as whole ones.
        assert_eq!(rate.throttle_ms(WINDOWS, at(900), 1_000.0), 9_100);
        // What it has waited counts.
        assert_eq!(rate.throttle_ms(WINDOWS, at(10_500), 1_000.0), 9_500);
        assert_eq!(rate.throttle_ms(WINDOWS, at(11_000), 1_000.0), 0);
    }

    #[test]
    fn what_is_taken_back_does_not_count() {
        let mut rate = Rate::default();
        rate.record(WINDOWS, at(0), 50_000.0);
        rate.take_back(50_000.0);
        assert_eq!(rate.throttle_ms(WINDOWS, at(1), 1.0), 0);
        assert_eq!(rate.throttle_ms(WINDOWS, at(1), 0.0), 0);
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_stays_within_the_limit(limit in 1.0_f64..10_000.0, uses in proptest::collection::vec(1.0_f64..20_000.0, 1..60)) {
            let (mut rate, mut now, mut used) = (Rate::default(), 0_i64, 0.0);
            for amount in uses {
                rate.record(WINDOWS, at(now), amount);
                used += amount;
                let wait = rate.throttle_ms(WINDOWS, at(now), limit);
                prop_assert!(wait >= 0);
                now += wait.max(1);
            }
            // A burst of all windows is allowed, and what came before a wait is forgotten with it.
            let allowed = limit * (as_float(now) / 1_000.0 + 11.0) * 2.0;
            prop_assert!(used <= allowed, "{used} in {now} ms at {limit}");
        }
    }
}
