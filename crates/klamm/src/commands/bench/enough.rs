//! When a measurement has had enough.

use std::time::Duration;

use clap::Args;

use crate::commands::duration::parse_duration;

/// How long it lasts when nobody says anything.
const DURATION: Duration = Duration::from_secs(10);

/// By records, by time, or by whichever comes first.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Enough {
    /// End after so many records
    #[arg(short = 'n', long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time, as in 30s or 2m [default: 10s, unless --count says when]
    #[arg(short, long, value_parser = parse_duration)]
    duration: Option<Duration>,
}

impl Enough {
    /// So many records, however long that takes.
    pub(super) fn count(count: u64) -> Self {
        Self {
            count: Some(count),
            duration: None,
        }
    }

    /// How much of it is done, from 0 to 1 and beyond.
    pub(super) fn done(&self, records: u64, elapsed: Duration) -> f64 {
        let by_count = self.count.map(|count| records as f64 / count as f64);
        let duration = self.duration.or(self.count.is_none().then_some(DURATION));
        let by_time = duration.map(|all| elapsed.as_secs_f64() / all.as_secs_f64().max(1e-9));
        by_count.into_iter().chain(by_time).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_comes_first_ends_it() {
        let seconds = Duration::from_secs;
        let both = Enough {
            count: Some(100),
            duration: Some(seconds(10)),
        };
        assert_eq!(both.done(50, seconds(1)), 0.5);
        assert_eq!(both.done(10, seconds(9)), 0.9);
        assert!(both.done(100, seconds(0)) >= 1.0 && both.done(0, seconds(10)) >= 1.0);
        let count = Enough::count(100);
        assert_eq!(count.done(99, seconds(1_000)), 0.99);
        let neither = Enough {
            count: None,
            duration: None,
        };
        assert_eq!(neither.done(1 << 40, seconds(5)), 0.5);
    }
}
