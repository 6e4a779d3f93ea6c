//! What was measured: of each system, each figure, each run.

use std::collections::BTreeMap;

use super::nodes::System;
use super::rows::{ROWS, Row};
use crate::columns::{columns, thousands};

/// The least, the middle one and the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of at least one value.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let median = if sorted.len().is_multiple_of(2) {
            (upper + sorted.get(middle.checked_sub(1)?)?) / 2.0
        } else {
            upper
        };
        Some(Self {
            min: *sorted.first()?,
            median,
            max: *sorted.last()?,
        })
    }

    /// `least / middle / most`, or the one value there is.
    pub(super) fn text(&self) -> String {
        if self.min == self.max {
            return number(self.median);
        }
        [self.min, self.median, self.max].map(number).join(" / ")
    }
}

/// Values by system, measurement and key, in the order of the runs.
#[derive(Debug, Default)]
pub(super) struct Results {
    values: BTreeMap<(System, &'static str, &'static str), Vec<f64>>,
    /// Cores that others used during a measurement.
    others: BTreeMap<&'static str, Vec<f64>>,
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) row: Row,
    pub(super) kafka: Option<Spread>,
    pub(super) klamm: Spread,
    /// Klamm's by Kafka's, of each pair of neighbouring runs; the middle one is that of the medians.
    pub(super) ratio: Option<Spread>,
    pub(super) is_reached: Option<bool>,
    /// Cores that others used, at most.
    pub(super) others: Option<f64>,
}

impl Results {
    /// One more run's value.
    pub(super) fn add(&mut self, system: System, measurement: &'static str, key: &'static str, value: f64) {
        self.values.entry((system, measurement, key)).or_default().push(value);
    }

    /// How many cores others used while it was measured.
    pub(super) fn add_others(&mut self, measurement: &'static str, cores: f64) {
        self.others.entry(measurement).or_default().push(cores);
    }

    /// The spread of one figure.
    pub(super) fn spread(&self, system: System, measurement: &'static str, key: &'static str) -> Option<Spread> {
        Spread::of(self.values(system, measurement, key))
    }

    fn values(&self, system: System, measurement: &'static str, key: &'static str) -> &[f64] {
        self.values.get(&(system, measurement, key)).map_or(&[], Vec::as_slice)
    }

    /// The lines of all figures that were measured.
    pub(super) fn lines(&self) -> Vec<Line> {
        ROWS.iter().filter_map(|row| self.line(*row)).collect()
    }

    fn line(&self, row: Row) -> Option<Line> {
        let klamm = self.spread(System::Klamm, row.measurement, row.key)?;
        let kafka = self.spread(System::Kafka, row.measurement, row.key);
        let own = self.values(System::Klamm, row.measurement, row.key);
        let theirs = self.values(System::Kafka, row.measurement, row.key);
        let pairs: Vec<f64> = own.iter().zip(theirs).map(|(own, theirs)| own / theirs).collect();
        let ratio = Spread::of(&pairs).zip(kafka).map(|(pairs, kafka)| {
            let median = klamm.median / kafka.median;
            Spread {
                min: pairs.min.min(median),
                median,
                max: pairs.max.max(median),
            }
        });
        let others = self.others.get(row.measurement).and_then(|cores| Spread::of(cores));
        Some(Line {
            row,
            kafka,
            klamm,
            ratio,
            is_reached: row.goal.is_reached(klamm.median, ratio.map(|ratio| ratio.median)),
            others: others.map(|others| others.max),
        })
    }

    /// For the terminal.
    pub(super) fn table(&self) -> String {
        let rows: Vec<Vec<String>> = self.lines().iter().map(|line| line.cells().to_vec()).collect();
        columns(&Line::HEADINGS, &rows)
    }
}

impl Line {
    /// The headings of [`Self::cells`].
    pub(super) const HEADINGS: [&'static str; 7] = [
        "figure",
        "Apache Kafka",
        "Klamm",
        "Klamm / Kafka",
        "goal",
        "reached",
        "others",
    ];

    /// For a table.
    pub(super) fn cells(&self) -> [String; 7] {
        let Row { name, unit, goal, .. } = self.row;
        let figure = if unit.is_empty() {
            name.to_owned()
        } else {
            format!("{name}, {unit}")
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            figure,
            or_none(self.kafka.map(|spread| spread.text())),
            self.klamm.text(),
            or_none(self.ratio.map(|spread| spread.text())),
            goal.text(),
            self.is_reached
                .map_or("", |is| if is { "yes" } else { "no" })
                .to_owned(),
            or_none(self.others.map(|cores| format!("{cores:.2}"))),
        ]
    }
}

/// Three digits that say something.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 10_000.0 => thousands(value.round() as u64),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_least_middle_and_most() {
        assert_eq!(Spread::of(&[]), None);
        let spread = |min, median, max| Some(Spread { min, median, max });
        assert_eq!(Spread::of(&[3.0]), spread(3.0, 3.0, 3.0));
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), spread(1.0, 2.0, 3.0));
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]), spread(1.0, 2.5, 4.0));
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]).unwrap().text(), "1.00 / 2.00 / 3.00");
        assert_eq!(Spread::of(&[12345.6]).unwrap().text(), "12,346");
    }

    #[test]
    fn the_ratio_is_that_of_the_medians_and_its_spread_that_of_the_pairs() {
        let mut results = Results::default();
        for (kafka, klamm) in [(100.0, 300.0), (50.0, 400.0), (120.0, 310.0)] {
            results.add(System::Kafka, "produce-1k", "mb", kafka);
            results.add(System::Klamm, "produce-1k", "mb", klamm);
        }
        results.add_others("produce-1k", 0.25);
        let lines = results.lines();
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let ratio = line.ratio.unwrap();
        assert_eq!((ratio.median, ratio.max), (3.1, 8.0));
        assert!((ratio.min - 310.0 / 120.0).abs() < 1e-9);
        assert_eq!((line.is_reached, line.others), (Some(true), Some(0.25)));
        assert!(results.table().contains("2.58 / 3.10 / 8.00"), "{}", results.table());
    }

    #[test]
    fn without_kafka_there_is_no_ratio() {
        let mut results = Results::default();
        results.add(System::Klamm, "start-one", "seconds", 0.2);
        results.add(System::Klamm, "idle", "rss", 18.0);
        let lines = results.lines();
        assert_eq!(
            lines.iter().map(|line| line.is_reached).collect::<Vec<_>>(),
            [None, Some(true)]
        );
        assert!(lines.iter().all(|line| line.ratio.is_none() && line.kafka.is_none()));
    }
}
