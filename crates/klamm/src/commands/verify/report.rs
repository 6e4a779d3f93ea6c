//! What is printed at the end, as a file beside the history.

use std::path::Path;

use anyhow::{Context as _, Result};
use history::Timeline;

use super::summary::Summary;

/// Its file's name below `--out`.
pub(super) const REPORT_FILE: &str = "report.txt";

/// Writes it, with the gaps of 200 ms and more.
pub(super) fn write_report(path: &Path, summary: &Summary, timeline: &Timeline) -> Result<()> {
    let gaps = timeline.gaps().iter().map(|gap| {
        let (from, to) = (gap.from_us as f64 / 1e6, gap.to_us as f64 / 1e6);
        format!(
            "partition {} took no write from {from:.3} s to {to:.3} s\n",
            gap.partition
        )
    });
    let text = format!("{}\n\n{}", summary.render(), gaps.collect::<String>());
    std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}
