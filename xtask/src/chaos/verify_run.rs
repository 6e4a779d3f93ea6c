//! One run of `klamm verify`, from its arguments to its summary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::klamm_binary::klamm_binary;

/// The program.
#[derive(Debug, Clone)]
pub(super) struct Klamm {
    program: PathBuf,
}

impl Klamm {
    /// The one that `KLAMM_BIN` names, else this workspace's, built now.
    pub(super) fn find(root: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            program: klamm_binary(root)?,
        })
    }

    /// Every kind of fault by its name, and what is lacking for those that can't be done here.
    pub(super) fn faults(&self) -> anyhow::Result<Vec<(String, Option<String>)>> {
        let output = Command::new(&self.program)
            .args(["verify", "--list-faults", "--output", "json"])
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("{} can't be run", self.program.display()))?;
        ensure!(output.status.success(), "klamm verify --list-faults: {}", output.status);
        let listed: Value = serde_json::from_slice(&output.stdout)?;
        let faults = listed.as_array().context("no list of faults")?;
        faults
            .iter()
            .map(|fault| {
                let name = fault["fault"].as_str().context("a fault without a name")?;
                Ok((name.to_owned(), fault["lacking"].as_str().map(str::to_owned)))
            })
            .collect()
    }

    /// Runs it; its files are in `out`. The way it was called and its progress are shown.
    pub(super) fn verify(&self, arguments: &[String], out: &Path) -> anyhow::Result<Outcome> {
        if out.exists() {
            fs::remove_dir_all(out).with_context(|| format!("removing {}", out.display()))?;
        }
        fs::create_dir_all(out)?;
        eprintln!("klamm verify {}", arguments.join(" "));
        let said = fs::File::create(out.join("verify.txt"))?;
        let status = Command::new(&self.program)
            .arg("verify")
            .args(arguments)
            .arg("--out")
            .arg(out)
            .stdin(Stdio::null())
            .stdout(said)
            .status()
            .with_context(|| format!("{} can't be run", self.program.display()))?;
        // A run that broke off before its end has none.
        let summary = fs::read(out.join("summary.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or(Value::Null);
        Ok(Outcome {
            passed: status.success() && summary["passed"] == Value::Bool(true),
            summary,
        })
    }
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) passed: bool,
    pub(super) summary: Value,
}

/// All faults of a kind in a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) faults: u64,
    pub(super) median_gap_ms: f64,
    pub(super) longest_gap_ms: f64,
    pub(super) whole_after_s: f64,
}

impl Outcome {
    /// In one word.
    pub(super) fn verdict(&self) -> &'static str {
        match (&self.summary, self.passed) {
            (_, true) => "PASSED",
            (Value::Null, false) => "BROKE OFF",
            (_, false) => "FAILED",
        }
    }

    /// How many there were.
    pub(super) fn faults(&self) -> u64 {
        self.summary["faults"]
            .as_array()
            .map_or(0, |faults| faults.len() as u64)
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.summary["totals"]["acked"].as_u64().unwrap_or(0)
    }

    pub(super) fn kinds(&self) -> Vec<Kind> {
        let kinds = self.summary["kinds"].as_array();
        let number = |value: &Value| value.as_f64().unwrap_or(0.0);
        kinds
            .into_iter()
            .flatten()
            .map(|kind| Kind {
                name: kind["kind"].as_str().unwrap_or_default().to_owned(),
                faults: kind["faults"].as_u64().unwrap_or(0),
                median_gap_ms: number(&kind["medianGapMs"]),
                longest_gap_ms: number(&kind["longestGapMs"]),
                whole_after_s: number(&kind["wholeAfterS"]),
            })
            .collect()
    }
}
