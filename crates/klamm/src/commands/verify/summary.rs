//! What a history amounts to: for programs (`summary.json`) and for people.

use std::collections::BTreeMap;

use history::{Gap, Phase, Property, Timeline, Totals, Violations};
use serde::Serialize;

use super::recorder::Recorded;
use crate::commands::output::table;
use crate::commands::progress::thousands;

/// Its file's name below `--out`.
pub(super) const SUMMARY_FILE: &str = "summary.json";

/// What a history amounts to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    /// Every promise was kept, and there was something to keep.
    pub(super) passed: bool,
    pub(super) verdict: String,
    /// What the run was told; missing when a stored history was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<RunSettings>,
    pub(super) properties: Vec<PropertySummary>,
    pub(super) totals: Totals,
    pub(super) seconds: f64,
    /// Acknowledged records a second, over the whole run.
    pub(super) acked_per_second: f64,
    /// From handing a record over to its acknowledgement.
    pub(super) latency_ms: LatencySummary,
    pub(super) faults: Vec<FaultSummary>,
    /// By kind; a fault of two kinds counts for both.
    pub(super) kinds: Vec<KindSummary>,
    /// The longest time a partition took no write while one waited, by partition.
    pub(super) longest_gap_ms: Vec<f64>,
}

/// What the run was told.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunSettings {
    pub(super) run: String,
    pub(super) topic: String,
    pub(super) partitions: u32,
    pub(super) topic_configs: Vec<String>,
    pub(super) producers: u16,
    pub(super) consumers: u16,
    pub(super) groups: u16,
    pub(super) members: u16,
    pub(super) rate: Option<u64>,
    pub(super) seed: u64,
    pub(super) chaos: Vec<String>,
    pub(super) version: &'static str,
}

/// One promise.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PropertySummary {
    pub(super) id: &'static str,
    pub(super) promise: &'static str,
    pub(super) violations: u64,
    /// The first few.
    pub(super) named: Vec<String>,
}

/// Latencies.
#[derive(Debug, Serialize)]
pub(super) struct LatencySummary {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

/// All faults of a kind.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KindSummary {
    pub(super) kind: String,
    pub(super) faults: usize,
    /// The longest time until every replica was in sync.
    pub(super) whole_after_s: Option<f64>,
    /// The median and the longest time without an acknowledgement.
    pub(super) median_gap_ms: f64,
    pub(super) longest_gap_ms: f64,
}

/// One fault.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FaultSummary {
    pub(super) fault: u32,
    pub(super) name: String,
    pub(super) kinds: Vec<String>,
    pub(super) began_s: f64,
    /// From its begin until it was undone.
    pub(super) lasted_s: Option<f64>,
    /// From its end until every replica was in sync.
    pub(super) whole_after_s: Option<f64>,
    /// The longest time without an acknowledgement that touches it, and in which partition.
    pub(super) gap_ms: f64,
    pub(super) gap_partition: Option<u32>,
}

impl Summary {
    /// Of this history. Gives the timeline back, for the report.
    pub(super) fn of(recorded: Recorded, run: Option<RunSettings>) -> (Self, Timeline) {
        let Recorded { ledger, timeline } = recorded;
        let totals = ledger.totals().clone();
        let violations = ledger.check();
        let passed = violations.is_empty() && totals.acked > 0;
        let seconds = timeline.end_us() as f64 / 1e6;
        let latencies = timeline.latencies();
        let faults: Vec<FaultSummary> = timeline.faults().iter().map(|phase| fault(&timeline, phase)).collect();
        let summary = Self {
            passed,
            verdict: verdict(&violations, &totals),
            run,
            properties: Property::ALL
                .into_iter()
                .map(|property| PropertySummary {
                    id: property.id(),
                    promise: property.promise(),
                    violations: violations.count(property),
                    named: violations.named(property).to_vec(),
                })
                .collect(),
            seconds,
            acked_per_second: if seconds > 0.0 {
                totals.acked as f64 / seconds
            } else {
                0.0
            },
            latency_ms: LatencySummary {
                p50: ms(latencies.per_mille_us(500)),
                p99: ms(latencies.per_mille_us(990)),
                p999: ms(latencies.per_mille_us(999)),
                max: ms(latencies.max_us()),
            },
            kinds: by_kind(&faults),
            faults,
            longest_gap_ms: timeline
                .longest_gaps()
                .map(|gap| gap.map_or(0.0, |gap| ms(gap.us())))
                .collect(),
            totals,
        };
        (summary, timeline)
    }

    /// Something that no history knows was wrong.
    pub(super) fn fail(&mut self, why: &str) {
        self.passed = false;
        self.verdict = format!("FAILED: {why}; {}", self.verdict);
    }

    /// For people.
    pub(super) fn render(&self) -> String {
        let totals = &self.totals;
        let mut lines = vec![
            format!(
                "{} records sent in {:.0} s: {} acknowledged ({:.0}/s), {} refused, {} unknown",
                thousands(totals.sent),
                self.seconds,
                thousands(totals.acked),
                self.acked_per_second,
                thousands(totals.refused),
                thousands(totals.unknown),
            ),
            format!(
                "{} read back; {} read by consumers, {} by groups' members with {} commits",
                thousands(totals.in_the_log),
                thousands(totals.read),
                thousands(totals.read_in_groups),
                thousands(totals.commits),
            ),
            format!(
                "latency: half within {:.1} ms, 99 % within {:.1} ms, the longest {:.0} ms",
                self.latency_ms.p50, self.latency_ms.p99, self.latency_ms.max
            ),
        ];
        let errors: Vec<String> = totals
            .errors
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        if !errors.is_empty() {
            lines.push(format!("not acknowledged: {}", errors.join(", ")));
        }
        if !self.faults.is_empty() {
            lines.push(String::new());
            lines.push(self.render_faults());
        }
        lines.push(String::new());
        for property in &self.properties {
            let word = match property.violations {
                0 => "kept".to_owned(),
                count => format!("BROKEN {count} times"),
            };
            lines.push(format!("{:<7} {word}: {}", property.id, property.promise));
            lines.extend(property.named.iter().map(|text| format!("          {text}")));
        }
        lines.push(String::new());
        lines.push(self.verdict.clone());
        lines.join("\n")
    }

    fn render_faults(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        let rows = self.faults.iter().map(|fault| {
            [
                fault.fault.to_string(),
                format!("{:.1}", fault.began_s),
                fault.name.clone(),
                number(fault.whole_after_s),
                format!("{:.0}", fault.gap_ms),
            ]
        });
        let faults = table(&["fault", "at s", "what", "whole after s", "longest gap ms"], rows);
        let rows = self.kinds.iter().map(|kind| {
            [
                kind.kind.clone(),
                kind.faults.to_string(),
                number(kind.whole_after_s),
                format!("{:.0}", kind.median_gap_ms),
                format!("{:.0}", kind.longest_gap_ms),
            ]
        });
        let kinds = table(
            &[
                "kind",
                "faults",
                "whole after s, at most",
                "median gap ms",
                "longest gap ms",
            ],
            rows,
        );
        format!("{faults}\n\n{kinds}")
    }
}

fn fault(timeline: &Timeline, phase: &Phase) -> FaultSummary {
    let gap: Option<Gap> = timeline.gap_of(phase);
    let since = |from: u64, to: Option<u64>| to.map(|to| to.saturating_sub(from) as f64 / 1e6);
    FaultSummary {
        fault: phase.fault,
        name: phase.name.clone(),
        kinds: phase.kinds.clone(),
        began_s: phase.began_us as f64 / 1e6,
        lasted_s: since(phase.began_us, phase.ended_us),
        whole_after_s: phase.ended_us.and_then(|ended| since(ended, phase.whole_us)),
        gap_ms: gap.map_or(0.0, |gap| ms(gap.us())),
        gap_partition: gap.map(|gap| gap.partition),
    }
}

fn by_kind(faults: &[FaultSummary]) -> Vec<KindSummary> {
    let mut kinds: BTreeMap<&str, Vec<&FaultSummary>> = BTreeMap::new();
    for fault in faults {
        for kind in &fault.kinds {
            kinds.entry(kind).or_default().push(fault);
        }
    }
    let summary = |(kind, faults): (&str, Vec<&FaultSummary>)| {
        let mut gaps: Vec<f64> = faults.iter().map(|fault| fault.gap_ms).collect();
        gaps.sort_by(f64::total_cmp);
        KindSummary {
            kind: kind.to_owned(),
            faults: faults.len(),
            whole_after_s: faults.iter().filter_map(|fault| fault.whole_after_s).reduce(f64::max),
            median_gap_ms: gaps.get(gaps.len() / 2).copied().unwrap_or(0.0),
            longest_gap_ms: gaps.last().copied().unwrap_or(0.0),
        }
    };
    kinds.into_iter().map(summary).collect()
}

fn verdict(violations: &Violations, totals: &Totals) -> String {
    if totals.acked == 0 {
        return "NOTHING VERIFIED: no record was acknowledged".to_owned();
    }
    if violations.is_empty() {
        return format!(
            "PASSED: nothing acknowledged was lost, doubled, moved or reordered ({} acknowledged records)",
            thousands(totals.acked)
        );
    }
    let broken: BTreeMap<&str, u64> = Property::ALL
        .into_iter()
        .filter(|property| violations.count(*property) > 0)
        .map(|property| (property.id(), violations.count(property)))
        .collect();
    let broken: Vec<String> = broken.iter().map(|(id, count)| format!("{id} ({count})")).collect();
    format!("FAILED: {}", broken.join(", "))
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}
