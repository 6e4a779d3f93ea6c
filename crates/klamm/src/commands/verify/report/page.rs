//! The page: verdict, numbers, pictures, faults, promises.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use history::{Bucket, Timeline};

use super::chart::{Curve, Scale, chart};
use super::frame::escape;
use super::gaps::gaps;
use crate::commands::progress::thousands;
use crate::commands::verify::summary::Summary;

/// Its file's name below `--out`.
pub(in crate::commands::verify) const REPORT_FILE: &str = "report.html";

const STYLE: &str = include_str!("style.css");

/// Writes it.
pub(in crate::commands::verify) fn write_report(path: &Path, summary: &Summary, timeline: &Timeline) -> Result<()> {
    std::fs::write(path, page(summary, timeline)).with_context(|| format!("can't write {}", path.display()))
}

fn page(summary: &Summary, timeline: &Timeline) -> String {
    let name = summary.run.as_ref().map_or("stored history", |run| run.run.as_str());
    let class = if summary.passed { "passed" } else { "failed" };
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>klamm verify {}</title>\n\
         <style>\n{STYLE}</style>\n<main>\n<h1>klamm verify <small>{}</small></h1>\n\
         <p class=\"verdict {class}\">{}</p>\n",
        escape(name),
        escape(name),
        escape(&summary.verdict)
    );
    settings(&mut html, summary);
    tiles(&mut html, summary);
    let times = (timeline.bucket_us(), timeline.end_us());
    let faults = timeline.faults();
    html += &chart(
        "Throughput, records a second",
        Scale::Linear,
        &throughput(timeline),
        faults,
        times,
    );
    html += &chart(
        "Latency of acknowledgements, ms",
        Scale::Logarithmic,
        &latency(timeline),
        faults,
        times,
    );
    html += &gaps(summary.longest_gap_ms.len(), timeline.gaps(), faults, timeline.end_us());
    fault_table(&mut html, summary);
    promises(&mut html, summary);
    html += "</main>\n</html>\n";
    html
}

fn settings(html: &mut String, summary: &Summary) {
    let Some(run) = &summary.run else { return };
    let rate = run.rate.map_or_else(
        || "as many records as possible".to_owned(),
        |rate| format!("{rate} records/s"),
    );
    let _ = writeln!(
        html,
        "<p>Topic {} with {} partitions{}; {} producers ({rate}), {} consumers, {} groups of {}; faults: {}; seed {}; \
         klamm {}</p>",
        escape(&run.topic),
        run.partitions,
        run.topic_configs
            .iter()
            .map(|config| format!(", {}", escape(config)))
            .collect::<String>(),
        run.producers,
        run.consumers,
        run.groups,
        run.members,
        if run.chaos.is_empty() {
            "none".to_owned()
        } else {
            run.chaos.join(", ")
        },
        run.seed,
        run.version,
    );
}

fn tiles(html: &mut String, summary: &Summary) {
    let totals = &summary.totals;
    let longest = summary.longest_gap_ms.iter().copied().fold(0.0, f64::max);
    let tiles = [
        (thousands(totals.acked), "acknowledged"),
        (thousands(totals.refused + totals.unknown), "not acknowledged"),
        (thousands(totals.in_the_log), "read back"),
        (format!("{:.0}", summary.acked_per_second), "acknowledged a second"),
        (format!("{:.1} ms", summary.latency_ms.p50), "half of them within"),
        (format!("{:.1} ms", summary.latency_ms.p99), "99 % within"),
        (summary.faults.len().to_string(), "faults"),
        (format!("{longest:.0} ms"), "longest without a write in a partition"),
    ];
    html.push_str("<div class=\"tiles\">\n");
    for (value, name) in tiles {
        let _ = writeln!(html, "<div><b>{value}</b>{name}</div>");
    }
    html.push_str("</div>\n");
}

fn throughput(timeline: &Timeline) -> Vec<Curve> {
    let seconds = timeline.bucket_us() as f64 / 1e6;
    let curve = |class, name, count: fn(&Bucket) -> u64| Curve {
        class,
        name,
        values: buckets(timeline)
            .map(|bucket| Some(count(bucket) as f64 / seconds))
            .collect(),
    };
    vec![
        curve("one", "acknowledged", |bucket| bucket.acked),
        curve("two", "read by consumers", |bucket| bucket.read),
        curve("three", "read in groups", |bucket| bucket.read_in_groups),
        curve("four", "refused or unknown", |bucket| bucket.failed),
    ]
}

fn latency(timeline: &Timeline) -> Vec<Curve> {
    let curve = |class, name, us: fn(&Bucket) -> u64| Curve {
        class,
        name,
        values: buckets(timeline)
            .map(|bucket| Some(us(bucket) as f64 / 1e3).filter(|_| bucket.latencies.count() > 0))
            .collect(),
    };
    vec![
        curve("one", "half within", |bucket| bucket.latencies.per_mille_us(500)),
        curve("two", "99 % within", |bucket| bucket.latencies.per_mille_us(990)),
        curve("four", "longest", |bucket| bucket.latencies.max_us()),
    ]
}

/// Those of the run itself: what is read after its end belongs to no curve.
fn buckets(timeline: &Timeline) -> impl Iterator<Item = &Bucket> {
    let count = timeline.end_us().div_ceil(timeline.bucket_us().max(1)) as usize;
    timeline.buckets().iter().take(count)
}

fn fault_table(html: &mut String, summary: &Summary) {
    if summary.faults.is_empty() {
        return;
    }
    let seconds = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"));
    html.push_str(
        "<h2>Faults</h2>\n<table>\n<tr><th>#<th>at s<th class=\"wide\">what<th>lasted s<th>whole after s\
         <th>longest gap ms<th>in partition</tr>\n",
    );
    for fault in &summary.faults {
        let _ = writeln!(
            html,
            "<tr><td>{}<td>{:.1}<td class=\"wide\">{}<td>{}<td>{}<td>{:.0}<td>{}</tr>",
            fault.fault,
            fault.began_s,
            escape(&fault.name),
            seconds(fault.lasted_s),
            seconds(fault.whole_after_s),
            fault.gap_ms,
            fault
                .gap_partition
                .map_or_else(|| "–".to_owned(), |partition| partition.to_string()),
        );
    }
    html.push_str("</table>\n");
    kind_table(html, summary);
}

fn kind_table(html: &mut String, summary: &Summary) {
    if summary.kinds.is_empty() {
        return;
    }
    let seconds = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"));
    html.push_str(
        "<h2>Kinds of faults</h2>\n<table>\n<tr><th class=\"wide\">kind<th>faults<th>whole after s, at most\
         <th>median gap ms<th>longest gap ms</tr>\n",
    );
    for kind in &summary.kinds {
        let _ = writeln!(
            html,
            "<tr><td class=\"wide\">{}<td>{}<td>{}<td>{:.0}<td>{:.0}</tr>",
            escape(&kind.kind),
            kind.faults,
            seconds(kind.whole_after_s),
            kind.median_gap_ms,
            kind.longest_gap_ms,
        );
    }
    html.push_str("</table>\n");
}

fn promises(html: &mut String, summary: &Summary) {
    html.push_str("<h2>Promises</h2>\n<table>\n<tr><th class=\"wide\">id<th class=\"wide\">what<th>broken</tr>\n");
    for property in &summary.properties {
        let class = if property.violations == 0 { "passed" } else { "failed" };
        let named: String = property
            .named
            .iter()
            .map(|text| format!("<br><code>{}</code>", escape(text)))
            .collect();
        let _ = writeln!(
            html,
            "<tr><td class=\"wide\">{}<td class=\"wide\">{}{named}<td class=\"{class}\">{}</tr>",
            property.id,
            escape(property.promise),
            property.violations
        );
    }
    html.push_str("</table>\n");
}

#[cfg(test)]
mod tests {
    use history::{Entry, Event, ReaderKind, Records};

    use super::*;
    use crate::commands::verify::recorder::Recorded;

    #[test]
    fn the_page_stands_alone_and_names_what_was_lost() {
        let records = Records {
            producer: 0,
            partition: 0,
            sequence: 0,
            count: 3,
        };
        let begin = Event::Begin {
            run: 1,
            partitions: 1,
            producers: 1,
            groups: 0,
            readers: vec![ReaderKind::Final],
        };
        let name = "kill <leader>".to_owned();
        let events = [
            begin,
            Event::Sent(records),
            Event::FaultBegan {
                fault: 0,
                name,
                kinds: vec!["kill".to_owned()],
            },
            Event::Acked {
                records,
                offset: Some(0),
            },
            Event::FaultEnded { fault: 0 },
            Event::Whole { fault: 0 },
            Event::End {
                partition: 0,
                offset: 0,
            },
        ];
        let mut recorded = Recorded::new();
        for (us, event) in (0..).step_by(500_000).zip(events) {
            recorded.record(&Entry { us, event }).unwrap();
        }
        let (summary, timeline) = Summary::of(recorded, None);
        let html = page(&summary, &timeline);
        assert!(html.contains("FAILED: ACK-1 (3)"), "{html}");
        assert!(html.contains("lost: partition 0, producer 0, sequence 2"));
        assert!(html.contains("kill &lt;leader&gt;"));
        assert!(html.contains("class=\"gap\""));
        for outside in ["http:", "https:", "<script", "src="] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    }
}
