//! The turns: each run measures both systems, one after the other, and the next run begins with the other one.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::memory::FullMemory;
use super::nodes::{Programs, System};
use super::page::write_page;
use super::results::Results;
use super::rows::measurements;
use super::session::Session;
use crate::klamm_binary::klamm_binary;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Options {
    /// Apache Kafka takes part.
    pub(crate) against: bool,
    /// Only these measurements, if there are any.
    pub(crate) only: Vec<String>,
    pub(crate) runs: u32,
    /// So much of the records and times of a real run.
    pub(crate) scale: f64,
    /// The page is written.
    pub(crate) write: bool,
    pub(crate) out: Option<PathBuf>,
}

/// Measures, and prints the table.
pub(crate) fn bench(root: &Path, options: &Options) -> anyhow::Result<()> {
    let wanted = wanted(&options.only)?;
    if !(options.scale > 0.0 && options.scale <= 100.0) {
        bail!("--scale {} is not above 0 and at most 100", options.scale);
    }
    let folder = options
        .out
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("klamm-bench-{}", std::process::id())));
    std::fs::create_dir_all(&folder)?;
    let programs = Programs::find(root, klamm_binary(root)?, options.against, &folder)?;
    let mut results = Results::default();
    let memory = FullMemory::new(&folder)?;
    for run in 1..=options.runs {
        for system in turn(run, options.against) {
            eprintln!("run {run} of {}: {}", options.runs, system.name());
            let session = Session {
                programs: &programs,
                system,
                folder: &folder,
                memory: &memory,
                wanted: &wanted,
                scale: options.scale,
            };
            session.run(&mut results)?;
        }
        // A turn takes a quarter of an hour: whoever has to end before the last one keeps those that are whole.
        if options.write {
            write_page(root, &programs, run, &results)?;
        }
    }
    eprint!("\n{}", results.table());
    eprintln!(
        "least / middle / most of {} runs; others: cores that others used meanwhile, at most",
        options.runs
    );
    if options.out.is_none() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// The measurements of these names, or all.
fn wanted(only: &[String]) -> anyhow::Result<Vec<&'static str>> {
    let all = measurements();
    if let Some(name) = only.iter().find(|name| !all.contains(&name.as_str())) {
        bail!("there is no measurement {name}, only {}", all.join(", "));
    }
    let is_wanted = |name: &&str| only.is_empty() || only.iter().any(|wanted| wanted == name);
    Ok(all.into_iter().filter(is_wanted).collect())
}

/// Who comes first changes, so that whatever changes on the machine hits both.
fn turn(run: u32, against: bool) -> Vec<System> {
    match (against, run % 2) {
        (false, _) => vec![System::Klamm],
        (true, 1) => vec![System::Kafka, System::Klamm],
        (true, _) => vec![System::Klamm, System::Kafka],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_kept_in_order() {
        assert_eq!(wanted(&[]).unwrap(), measurements());
        let some = ["consume", "idle"].map(str::to_owned);
        assert_eq!(wanted(&some).unwrap(), ["idle", "consume"]);
        let error = wanted(&["speed".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("speed") && error.contains("produce-1k"), "{error}");
    }

    #[test]
    fn the_systems_take_turns_to_be_first() {
        let first = |run| turn(run, true).first().copied();
        assert_eq!(
            [first(1), first(2), first(3)].map(|system| system == first(1)),
            [true, false, true]
        );
        assert_eq!(turn(2, false), [System::Klamm]);
    }
}
