//! The program that the drivers drive.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// The one that `KLAMM_BIN` names, else this workspace's, built now.
pub(crate) fn klamm_binary(root: &Path) -> anyhow::Result<PathBuf> {
    if let Some(program) = std::env::var_os("KLAMM_BIN") {
        return Ok(program.into());
    }
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--package", "klamm"])
        .current_dir(root)
        .status()
        .context("cargo cannot be started")?;
    ensure!(status.success(), "klamm doesn't compile");
    // It lies beside this program.
    let own = std::env::current_exe()?;
    let folder = own.parent().context("this program lies nowhere")?;
    Ok(folder.join("klamm"))
}
