//! `cargo xtask sim`: hands over to the simulation's own program, which takes all cores.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// Runs `seeds` seeds from `first` on.
pub(crate) fn sim(root: &Path, seeds: u64, first: u64) -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--locked", "--package", "sim", "--"])
        .args(["--seeds", &seeds.to_string(), "--first", &first.to_string()])
        .current_dir(root)
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("a promise was broken");
    }
    Ok(())
}
