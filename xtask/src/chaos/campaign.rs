//! The campaign: every run, then what all of them amount to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{bail, ensure};

use super::plan::{PlannedRun, full, short};
use super::verify_run::{Kind, Klamm, Outcome};
use crate::columns::{columns, thousands};

/// From the cluster's being whole to the next fault.
const EVERY: &str = "1s";
/// Records a second.
const RATE: &str = "1500";
/// One of each kind: cooperative and range of the classic protocol, and the consumer protocol.
const GROUPS: &str = "3";
/// Members leave and come back all the time, one after the other.
const CHURN: &str = "7s";

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Campaign {
    /// Hours of it, not minutes.
    pub(crate) full: bool,
    /// Only the runs with these names, if there are any.
    pub(crate) only: Vec<String>,
    /// Where the runs' files are kept, of those that passed, too.
    pub(crate) out: Option<PathBuf>,
}

/// Goes through all runs, whatever becomes of one.
pub(crate) fn campaign(root: &Path, campaign: &Campaign) -> anyhow::Result<()> {
    let klamm = Klamm::find(root)?;
    let faults = klamm.faults()?;
    let can: Vec<String> = faults
        .iter()
        .filter(|(_, lacking)| lacking.is_none())
        .map(|(name, _)| name.clone())
        .collect();
    let left_out: Vec<String> = faults
        .iter()
        .filter_map(|(name, lacking)| Some(format!("left out: {name}: {}", lacking.as_ref()?)))
        .collect();
    if std::env::var_os("KLAMM_REQUIRE_FAULTS").is_some() {
        ensure!(
            left_out.is_empty(),
            "KLAMM_REQUIRE_FAULTS is set. {}",
            left_out.join("; ")
        );
    }
    let mut runs = if campaign.full { full(&can) } else { short(&can) };
    if let Some(name) = campaign
        .only
        .iter()
        .find(|name| runs.iter().all(|run| run.name != **name))
    {
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        bail!("there is no run {name}, only {}", names.join(", "));
    }
    runs.retain(|run| campaign.only.is_empty() || campaign.only.contains(&run.name));
    let folder = campaign
        .out
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("klamm-chaos-{}", std::process::id())));
    let mut done = Vec::new();
    for run in &runs {
        // What others have left unwritten, a compiler say, would hang the nodes' disks for longer than they may (10 s).
        ensure!(Command::new("sync").status()?.success(), "sync failed");
        let (out, began) = (folder.join(&run.name), Instant::now());
        let mut outcome = klamm.verify(&arguments(run), &out)?;
        // Somebody may have ended it.
        outcome.passed &= outcome.faults() >= u64::from(run.faults);
        if outcome.passed && campaign.out.is_none() {
            fs::remove_dir_all(&out)?;
        }
        done.push((run, outcome, began.elapsed().as_secs()));
    }
    eprint!("\n{}\n{}", by_run(&done), by_kind(&done));
    for line in &left_out {
        eprintln!("{line}");
    }
    let failed: Vec<_> = done.iter().filter(|(_, outcome, _)| !outcome.passed).collect();
    eprintln!("{} passed, {} failed", done.len() - failed.len(), failed.len());
    if failed.is_empty() {
        if campaign.out.is_none() {
            fs::remove_dir_all(&folder)?;
        }
        return Ok(());
    }
    bail!("a promise was broken; the runs that failed are in {}", folder.display())
}

fn arguments(run: &PlannedRun) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--chaos",
        &run.kinds.join(","),
        "--nodes",
        "3",
        "--every",
        EVERY,
        "--rate",
        RATE,
        "--groups",
        GROUPS,
        "--churn",
        CHURN,
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.extend(["--faults".to_owned(), run.faults.to_string()]);
    arguments.extend(["--seed".to_owned(), run.seed.to_string()]);
    if run.overlap {
        arguments.push("--overlap".to_owned());
    }
    arguments
}

fn by_run(done: &[(&PlannedRun, Outcome, u64)]) -> String {
    let rows: Vec<Vec<String>> = done
        .iter()
        .map(|(run, outcome, seconds)| {
            vec![
                run.name.clone(),
                run.seed.to_string(),
                outcome.faults().to_string(),
                format!("{seconds} s"),
                thousands(outcome.acknowledged()),
                outcome.verdict().to_owned(),
            ]
        })
        .collect();
    columns(&["run", "seed", "faults", "took", "acknowledged", "verdict"], &rows)
}

fn by_kind(done: &[(&PlannedRun, Outcome, u64)]) -> String {
    let mut kinds: BTreeMap<String, (Vec<Kind>, bool)> = BTreeMap::new();
    for (_, outcome, _) in done {
        for kind in outcome.kinds() {
            let entry = kinds.entry(kind.name.clone()).or_insert((Vec::new(), true));
            entry.0.push(kind);
            entry.1 &= outcome.passed;
        }
    }
    let rows: Vec<Vec<String>> = kinds
        .into_iter()
        .map(|(name, (runs, passed))| {
            let longest = runs.iter().map(|kind| kind.longest_gap_ms).fold(0.0, f64::max);
            let whole = runs.iter().map(|kind| kind.whole_after_s).fold(0.0, f64::max);
            vec![
                name,
                runs.iter().map(|kind| kind.faults).sum::<u64>().to_string(),
                format!("{longest:.0} ms"),
                format!("{whole:.1} s"),
                if passed { "PASSED" } else { "in a run that failed" }.to_owned(),
            ]
        })
        .collect();
    let headings = [
        "fault",
        "times",
        "longest without a write",
        "whole after, at most",
        "verdict",
    ];
    columns(&headings, &rows)
}
