//! `cargo xtask compat`: the clients of other languages, by `tests/compat/run.sh`; `cargo xtask compat diff`: the same requests to Apache
//! Kafka and to Klamm, by `tests/compat/diff/run.sh`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// Runs the named parts, or all; the script prints what it needs and what it found.
pub(crate) fn compat(root: &Path, parts: &[String]) -> anyhow::Result<()> {
    let (script, parts) = match parts {
        [first, rest @ ..] if first == "diff" => ("tests/compat/diff/run.sh", rest),
        all => ("tests/compat/run.sh", all),
    };
    let status = Command::new("bash")
        .arg(root.join(script))
        .args(parts)
        .current_dir(root)
        .status()
        .context("no bash")?;
    ensure!(status.success(), "{script} ended with {status}");
    Ok(())
}
