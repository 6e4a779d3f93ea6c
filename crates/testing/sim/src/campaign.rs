//! Many seeds in a row, a line each for whoever adds them up.

use std::io::{self, Write};

use crate::run::run;
use crate::world::Scenario;

/// Events kept of a seed that fails.
const KEPT: usize = 60;

/// Runs seeds one after the other. Each gives a line with tabs: seed, virtual milliseconds, events, acknowledged records,
/// consumed records, faults (kind=count, separated by commas), the broken promise or `-`, what was found.
///
/// # Errors
/// The writer's.
pub fn campaign(first: u64, count: u64, out: &mut dyn Write) -> io::Result<()> {
    for seed in first..first.saturating_add(count) {
        let report = run(Scenario::from_seed(seed), KEPT);
        let faults: Vec<String> = report
            .faults
            .iter()
            .map(|(kind, count)| format!("{kind}={count}"))
            .collect();
        let (promise, why) = report
            .violation
            .map_or(("-", String::new()), |violation| (violation.id, violation.why));
        writeln!(
            out,
            "{seed}\t{}\t{}\t{}\t{}\t{}\t{promise}\t{}",
            report.virtual_ms,
            report.events,
            report.acked,
            report.consumed,
            faults.join(","),
            why.lines().next().unwrap_or_default(),
        )?;
        out.flush()?;
    }
    Ok(())
}
