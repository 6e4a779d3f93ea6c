//! The figures, in the order of the table, with what each shall be beside Apache Kafka's.

/// What a figure shall be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// So many times Kafka's, at least.
    AtLeast(f64),
    /// So many times Kafka's, at most.
    AtMost(f64),
    /// So much, whatever Kafka's is.
    Below(f64),
    /// It is shown for the others' sake.
    None,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    /// The measurement that it comes from, for `--only`.
    pub(super) measurement: &'static str,
    /// What it is called among that measurement's results.
    pub(super) key: &'static str,
    /// What it is called in the table.
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) goal: Goal,
}

const fn row(measurement: &'static str, key: &'static str, name: &'static str, unit: &'static str, goal: Goal) -> Row {
    Row {
        measurement,
        key,
        name,
        unit,
        goal,
    }
}

use Goal::{AtLeast, AtMost, Below};

/// All of them.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("start-one", "seconds", "start of one node, blank disk", "s", AtMost(0.1)),
    row("start-three", "seconds", "start of three nodes, blank disks", "s", AtMost(0.05)),
    row("start-three", "cpu", "the same: broker CPU", "s", Goal::None),
    row("idle", "rss", "idle: RSS of the largest node", "MB", Below(20.0)),
    row("idle", "cpu", "idle: CPU of a node", "% of a core", Below(0.4)),
    row("produce-1k", "mb", "produce 1 KiB", "MB/s", AtLeast(3.0)),
    row("produce-1k", "cpu", "the same: broker CPU", "s/GB", AtMost(0.25)),
    row("produce-1k", "client", "the same: client CPU", "s/GB", Goal::None),
    row("produce-1k", "rss", "the same: RSS of the largest node, at most", "MB", AtMost(0.125)),
    row("produce-100", "mb", "produce 100 B", "MB/s", AtLeast(2.0)),
    row("produce-100", "cpu", "the same: broker CPU", "s/GB", AtMost(0.25)),
    row("produce-100", "client", "the same: client CPU", "s/GB", Goal::None),
    row("produce-java", "mb", "produce 1 KiB, from Kafka's own measuring program", "MB/s", AtLeast(1.3)),
    row("produce-java", "cpu", "the same: broker CPU", "s/GB", AtMost(0.25)),
    row("produce-java", "client", "the same: client CPU", "s/GB", Goal::None),
    row("produce-lz4", "mb", "produce 1 KiB, lz4", "MB/s", Goal::None),
    row("produce-lz4", "cpu", "the same: broker CPU by bytes on the wire", "s/GB", AtMost(0.25)),
    row("produce-zstd", "mb", "produce 1 KiB, zstd", "MB/s", Goal::None),
    row("produce-zstd", "cpu", "the same: broker CPU by bytes on the wire", "s/GB", AtMost(0.25)),
    row("latency", "p50", "produce at 2,000 records/s, linger 0: p50", "ms", AtMost(0.5)),
    row("latency", "p90", "the same: p90", "ms", Goal::None),
    row("latency", "p99", "the same: p99", "ms", AtMost(1.0 / 3.0)),
    row("latency", "p999", "the same: p99.9", "ms", AtMost(1.0 / 3.0)),
    row("latency", "max", "the same: longest", "ms", Goal::None),
    row("latency", "cpu", "the same: CPU of all brokers", "% of a core", Goal::None),
    row("latency-synced", "p50", "the same with flush.messages=1: p50", "ms", Goal::None),
    row("latency-synced", "p99", "the same: p99", "ms", AtMost(1.0 / 3.0)),
    row("latency-synced", "p999", "the same: p99.9", "ms", Goal::None),
    row("latency-synced", "cpu", "the same: CPU of all brokers", "% of a core", Goal::None),
    row("one-at-a-time", "rate", "one record at a time", "records/s", AtLeast(2.0)),
    row("end-to-end", "p50", "end to end, one at a time: p50", "ms", AtMost(0.7)),
    row("end-to-end", "p90", "the same: p90", "ms", Goal::None),
    row("end-to-end", "p99", "the same: p99", "ms", AtMost(1.0 / 3.0)),
    row("end-to-end", "p999", "the same: p99.9", "ms", Goal::None),
    row("end-to-end", "max", "the same: longest", "ms", Goal::None),
    row("consume", "mb", "consume 1 KiB from the page cache", "MB/s", AtLeast(1.2)),
    row("consume", "cpu", "the same: broker CPU", "s/GB", AtMost(2.0 / 3.0)),
    row("fan-out", "cpu", "20 consumers at the end of a topic, 1,000 records/s: broker CPU", "ms per 1,000 read", AtMost(0.5)),
    row("fan-out", "p50", "the same, end to end: p50", "ms", Goal::None),
    row("fan-out", "p99", "the same: p99", "ms", Goal::None),
    row("connections", "cpu", "1,000 connections, a small batch each every 100 ms: broker CPU", "ms per 1,000 batches", AtMost(0.25)),
    row("connections", "rate", "the same", "batches/s", Goal::None),
    row("connections", "p50", "the same: p50", "ms", Goal::None),
    row("connections", "p99", "the same: p99", "ms", Goal::None),
    row("catch-up", "times", "producers beside a reader of data that no memory holds: p99, by their p99 alone", "", Below(2.0)),
    row("catch-up", "p99", "the same: p99", "ms", Goal::None),
    row("catch-up", "mb", "the same: the reader", "MB/s", Goal::None),
    row("disk", "bytes", "disk bytes of 100 B records, by bytes of the records × 3", "", AtMost(1.0)),
    row("topics", "seconds", "1,000 partitions, until each has acknowledged a record", "s", AtMost(1.0 / 15.0)),
    row("topics", "cpu", "the same: broker CPU", "s", Goal::None),
    row("topics", "rss", "the same: RSS of the largest node, at most", "MB", Goal::None),
    row("topics-3000", "seconds", "3,000 partitions, until each has acknowledged a record", "s", AtMost(1.0 / 15.0)),
    row("topics-10000", "seconds", "10,000 partitions, until each has acknowledged a record", "s", Goal::None),
    row("topics-10000", "rss", "the same: RSS of the largest node, at most", "MB", Goal::None),
    row("restart-one", "seconds", "a node killed under 2,000 records/s and started again, until all is in sync", "s", AtMost(1.0 / 7.0)),
    row("restart-all", "seconds", "all nodes killed with 5 GB and started again, until all is in sync", "s", AtMost(0.2)),
    row("many", "rest", "3,000 partitions created, until the nodes are at rest", "s", Below(2.0)),
    row("many", "seconds", "start of three nodes with 3,000 partitions, until all is in sync", "s", AtMost(0.1)),
    row("many", "rss", "the same: RSS of the largest node", "MB", AtMost(0.125)),
];

/// The measurements' names, each once, in their order.
pub(super) fn measurements() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = ROWS.iter().map(|row| row.measurement).collect();
    names.dedup();
    names
}

impl Goal {
    /// In words.
    pub(super) fn text(self) -> String {
        match self {
            Self::AtLeast(factor) => format!("≥ {}", factor_text(factor)),
            Self::AtMost(factor) => format!("≤ {}", factor_text(factor)),
            Self::Below(most) => format!("≤ {most} itself"),
            Self::None => String::new(),
        }
    }

    /// Whether it is reached; `ratio` to Kafka's, if there is one.
    pub(super) fn is_reached(self, value: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::AtLeast(factor) => ratio.map(|ratio| ratio >= factor),
            Self::AtMost(factor) => ratio.map(|ratio| ratio <= factor),
            Self::Below(most) => Some(value <= most),
            Self::None => None,
        }
    }
}

/// Small ones as a fraction, as people say them.
fn factor_text(factor: f64) -> String {
    let parts = 1.0 / factor;
    if factor < 0.6 && (parts - parts.round()).abs() < 1e-9 {
        format!("1/{parts:.0}")
    } else {
        format!("{}", (factor * 100.0).round() / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_figure_is_there_once_and_the_measurements_are_together() {
        let keys: BTreeSet<(&str, &str)> = ROWS.iter().map(|row| (row.measurement, row.key)).collect();
        assert_eq!(keys.len(), ROWS.len());
        let names: BTreeSet<&str> = measurements().into_iter().collect();
        assert_eq!(names.len(), measurements().len());
    }

    #[test]
    fn goals_are_read_as_they_are_meant() {
        assert_eq!(
            (AtMost(0.05).text(), AtLeast(1.2).text()),
            ("≤ 1/20".to_owned(), "≥ 1.2".to_owned())
        );
        assert_eq!(
            (AtMost(1.0 / 15.0).text(), AtMost(2.0 / 3.0).text()),
            ("≤ 1/15".to_owned(), "≤ 0.67".to_owned())
        );
        assert_eq!(AtLeast(3.0).is_reached(300.0, Some(3.0)), Some(true));
        assert_eq!(AtLeast(3.0).is_reached(300.0, Some(2.9)), Some(false));
        assert_eq!(AtMost(0.25).is_reached(1.0, Some(0.2)), Some(true));
        assert_eq!(AtMost(0.25).is_reached(1.0, None), None);
        assert_eq!(Below(20.0).is_reached(21.0, Some(0.1)), Some(false));
        assert_eq!(Goal::None.is_reached(1.0, Some(1.0)), None);
    }
}
