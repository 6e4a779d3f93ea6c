//! Records by time.

use std::time::Duration;

use serde::Serialize;

use crate::commands::progress::thousands;

/// So much in so long.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Throughput {
    pub(super) records: u64,
    pub(super) seconds: f64,
    pub(super) records_per_second: f64,
    /// Millions of bytes of keys and values: what the user wanted to be there, before compression and replication.
    pub(super) mb_per_second: f64,
}

impl Throughput {
    /// The headings of [`Self::cells`].
    pub(super) const HEADINGS: [&'static str; 4] = ["records", "seconds", "records/s", "MB/s"];

    /// Nothing by no time is 0.
    pub(super) fn of(records: u64, bytes: u64, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        let by_second = |number: f64| if seconds > 0.0 { number / seconds } else { 0.0 };
        Self {
            records,
            seconds,
            records_per_second: by_second(records as f64),
            mb_per_second: by_second(bytes as f64 / 1e6),
        }
    }

    /// For a table.
    pub(super) fn cells(&self) -> [String; 4] {
        [
            thousands(self.records),
            format!("{:.3}", self.seconds),
            thousands(self.records_per_second.round() as u64),
            format!("{:.1}", self.mb_per_second),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_by_the_second_and_a_megabyte_is_a_million_bytes() {
        let found = Throughput::of(2_000, 4_000_000, Duration::from_millis(500));
        assert_eq!((found.records_per_second, found.mb_per_second), (4_000.0, 8.0));
        assert_eq!(found.cells(), ["2,000", "0.500", "4,000", "8.0"]);
        let nothing = Throughput::of(0, 0, Duration::ZERO);
        assert_eq!((nothing.records_per_second, nothing.mb_per_second), (0.0, 0.0));
    }
}
