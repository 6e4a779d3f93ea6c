//! How long operations took, and the percentiles of it.
//!
//! Finer than `history`'s, which draws curves: here figures of two systems are compared, and a bin's width would show.

use std::time::Duration;

use serde::Serialize;

use crate::commands::output::table;
use crate::commands::progress::thousands;

/// Bins of a power of two: each is less than 1 % wide.
const SUB_BINS: u64 = 128;
/// Its binary logarithm.
const SUB_BITS: u32 = 7;

/// How many took how long, in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Latencies {
    bins: Vec<u64>,
    count: u64,
    sum_us: u64,
    max_us: u64,
}

/// Milliseconds within which that part of the operations was done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    /// 99.9 %.
    pub(super) p999: f64,
    pub(super) max: f64,
    pub(super) mean: f64,
}

impl Latencies {
    /// Counts one.
    pub(super) fn add(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bin = bin_of(us);
        if bin >= self.bins.len() {
            self.bins.resize(bin + 1, 0);
        }
        if let Some(place) = self.bins.get_mut(bin) {
            *place += 1;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
        self.max_us = self.max_us.max(us);
    }

    /// Counts all that somebody else has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.bins.len() > self.bins.len() {
            self.bins.resize(other.bins.len(), 0);
        }
        for (own, other) in self.bins.iter_mut().zip(&other.bins) {
            *own += other;
        }
        self.count += other.count;
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
    }

    /// How many were counted.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// All of them; `None` when nothing was counted.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        if self.count == 0 {
            return None;
        }
        let ms = |us: u64| us as f64 / 1e3;
        Some(Percentiles {
            p50: ms(self.per_mille_us(500)),
            p90: ms(self.per_mille_us(900)),
            p99: ms(self.per_mille_us(990)),
            p999: ms(self.per_mille_us(999)),
            max: ms(self.max_us),
            mean: ms(self.sum_us) / self.count as f64,
        })
    }

    /// The time within which so many thousandths were done; less than 1 % too long.
    fn per_mille_us(&self, per_mille: u64) -> u64 {
        let wanted = self.count.saturating_mul(per_mille).div_ceil(1000).max(1);
        let mut sum = 0;
        for (bin, count) in self.bins.iter().enumerate() {
            sum += count;
            if sum >= wanted {
                return longest_of(bin).min(self.max_us);
            }
        }
        self.max_us
    }
}

impl Percentiles {
    /// The headings of [`Self::cells`].
    pub(super) const HEADINGS: [&'static str; 5] = ["p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"];

    /// For a table.
    pub(super) fn cells(percentiles: Option<&Self>) -> [String; 5] {
        match percentiles {
            Some(own) => [own.p50, own.p90, own.p99, own.p999, own.max].map(|ms| format!("{ms:.2}")),
            None => Self::HEADINGS.map(|_| "-".to_owned()),
        }
    }
}

/// What an operation's user reads.
pub(super) fn latency_table(records: u64, per_second: f64, percentiles: Option<&Percentiles>) -> String {
    let header = [["records", "records/s"].as_slice(), &Percentiles::HEADINGS].concat();
    let row = [thousands(records), thousands(per_second.round() as u64)];
    table(&header, [row.into_iter().chain(Percentiles::cells(percentiles))])
}

fn bin_of(us: u64) -> usize {
    let bin = match us.checked_ilog2() {
        Some(exponent) if exponent >= SUB_BITS => {
            let shift = exponent - SUB_BITS;
            u64::from(shift) * SUB_BINS + (us >> shift)
        }
        Some(_) | None => us,
    };
    usize::try_from(bin).unwrap_or(usize::MAX)
}

/// The longest time that falls into a bin.
fn longest_of(bin: usize) -> u64 {
    let bin = bin as u64;
    if bin < 2 * SUB_BINS {
        return bin;
    }
    let shift = bin / SUB_BINS - 1;
    ((SUB_BINS + bin % SUB_BINS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_holds_its_times_and_is_less_than_one_percent_wide() {
        let mut us = 0;
        while us < 1 << 40 {
            let longest = longest_of(bin_of(us));
            assert!(longest >= us && longest <= us + us / 128, "{us}: {longest}");
            assert_eq!(bin_of(longest), bin_of(us), "{us}");
            assert_eq!(bin_of(longest + 1), bin_of(us) + 1, "{us}");
            us = us * 9 / 8 + 1;
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_times() {
        assert_eq!(Latencies::default().percentiles(), None);
        let mut all = Latencies::default();
        for ms in 1..=1000 {
            all.add(Duration::from_millis(ms));
        }
        let found = all.percentiles().unwrap();
        let near = |found: f64, exact: f64| assert!(found >= exact && found <= exact * 1.01, "{found} {exact}");
        near(found.p50, 500.0);
        near(found.p90, 900.0);
        near(found.p99, 990.0);
        near(found.p999, 999.0);
        assert_eq!((found.max, all.count()), (1000.0, 1000));
        assert!((found.mean - 500.5).abs() < 1e-6);
    }

    #[test]
    fn two_counts_together_are_one_of_all() {
        let count = |times: &[u64]| {
            let mut latencies = Latencies::default();
            times.iter().for_each(|us| latencies.add(Duration::from_micros(*us)));
            latencies
        };
        let (few, many) = (count(&[7, 900]), count(&[3, 40_000, 900]));
        let all = count(&[7, 900, 3, 40_000, 900]);
        for (mut merged, other) in [(few.clone(), &many), (many.clone(), &few)] {
            merged.merge(other);
            assert_eq!(merged, all);
        }
    }

    #[test]
    fn one_slow_operation_is_seen_in_the_maximum_only() {
        let mut all = Latencies::default();
        for _ in 0..9_999 {
            all.add(Duration::from_micros(100));
        }
        all.add(Duration::from_secs(3));
        let found = all.percentiles().unwrap();
        assert_eq!((found.p50, found.p999, found.max), (0.1, 0.1, 3000.0));
    }
}
