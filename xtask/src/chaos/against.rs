//! Apache Kafka through the same: its nodes by `tests/chaos/kafka.sh`, hurt by commands, then Klamm's with the same seed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use super::verify_run::{Klamm, Outcome};
use crate::columns::{columns, thousands};

/// What commands can do.
const KINDS: &str = "kill,stop,pause";
const SEED: u64 = 7;

/// Compares them. `out` keeps the runs' files.
pub(crate) fn against_kafka(root: &Path, faults: u32, out: Option<PathBuf>) -> anyhow::Result<()> {
    let klamm = Klamm::find(root)?;
    let folder = out.unwrap_or_else(|| std::env::temp_dir().join(format!("klamm-chaos-{}", std::process::id())));
    let load = |more: &[&str]| -> Vec<String> {
        let fixed = [
            "--chaos",
            KINDS,
            "--every",
            "5s",
            "--rate",
            "1000",
            "--whole-within",
            "3m",
        ];
        let numbers = [
            "--faults".to_owned(),
            faults.to_string(),
            "--seed".to_owned(),
            SEED.to_string(),
        ];
        let words = fixed.iter().chain(more).map(|word| (*word).to_owned());
        words.chain(numbers).collect()
    };
    let nodes = KafkaNodes::start(root, &folder.join("kafka-nodes"))?;
    let commands: Vec<(&str, String)> = ["kill", "stop", "start", "pause", "resume"]
        .map(|action| (action, nodes.command(action)))
        .to_vec();
    let mut arguments = load(&["--bootstrap-server", &nodes.bootstrap]);
    for (action, command) in commands {
        arguments.extend([format!("--{action}-command"), command]);
    }
    let kafka = klamm.verify(&arguments, &folder.join("kafka"));
    drop(nodes);
    let kafka = kafka?;
    let own = klamm.verify(&load(&["--nodes", "3"]), &folder.join("klamm"))?;
    eprint!("\n{}", compared(&kafka, &own));
    eprintln!("files: {}", folder.display());
    if own.passed {
        return Ok(());
    }
    bail!("Klamm broke a promise")
}

fn compared(kafka: &Outcome, own: &Outcome) -> String {
    let mut rows = Vec::new();
    for (name, outcome) in [("Apache Kafka", kafka), ("Klamm", own)] {
        for kind in outcome.kinds() {
            rows.push(vec![
                name.to_owned(),
                kind.name,
                kind.faults.to_string(),
                format!("{:.1} s", kind.median_gap_ms / 1e3),
                format!("{:.1} s", kind.longest_gap_ms / 1e3),
                format!("{:.1} s", kind.whole_after_s),
                thousands(outcome.acknowledged()),
                outcome.verdict().to_owned(),
            ]);
        }
    }
    let headings = [
        "",
        "fault",
        "times",
        "median without a write",
        "longest",
        "whole after, at most",
        "acknowledged",
        "verdict",
    ];
    columns(&headings, &rows)
}

/// Three nodes of Apache Kafka. Dropping it ends them.
struct KafkaNodes {
    script: PathBuf,
    folder: PathBuf,
    bootstrap: String,
}

impl KafkaNodes {
    fn start(root: &Path, folder: &Path) -> anyhow::Result<Self> {
        let mut nodes = Self {
            script: root.join("tests/chaos/kafka.sh"),
            folder: folder.to_owned(),
            bootstrap: String::new(),
        };
        let output = Command::new("bash")
            .args([&nodes.script, &nodes.folder])
            .arg("up")
            .stderr(Stdio::inherit())
            .output()
            .context("no bash")?;
        ensure!(
            output.status.success(),
            "Apache Kafka didn't start: it needs a JDK and Maven"
        );
        nodes.bootstrap = String::from_utf8(output.stdout)?.trim().to_owned();
        Ok(nodes)
    }

    fn command(&self, action: &str) -> String {
        format!(
            "bash '{}' '{}' {action} {{node}}",
            self.script.display(),
            self.folder.display()
        )
    }
}

impl Drop for KafkaNodes {
    fn drop(&mut self) {
        // It names the nodes that it couldn't end.
        let _ = Command::new("bash")
            .args([&self.script, &self.folder])
            .arg("down")
            .status();
    }
}
