//! `cargo xtask compat`: the clients of other languages, by `tests/compat/run.sh`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// Runs the named parts, or all; the script prints what it needs and what it found.
pub(crate) fn compat(root: &Path, parts: &[String]) -> anyhow::Result<()> {
    let script = root.join("tests/compat/run.sh");
    let status = Command::new("bash")
        .arg(script)
        .args(parts)
        .current_dir(root)
        .status()
        .context("no bash")?;
    ensure!(status.success(), "tests/compat ended with {status}");
    Ok(())
}
