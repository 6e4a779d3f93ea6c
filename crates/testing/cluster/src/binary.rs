//! Where the `klamm` binary is: `KLAMM_BIN`, else beside the test's own target folder.

use std::path::PathBuf;

use anyhow::{Context, bail};

/// The binary under test.
///
/// # Errors
/// It isn't there; the message says how to build it.
pub fn klamm_binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("KLAMM_BIN") {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            bail!("KLAMM_BIN={} is no file", path.display())
        };
    }
    // A test runs as <target>/<profile>/deps/<name>-<hash>; cargo gives no CARGO_BIN_EXE across packages.
    let test = std::env::current_exe().context("own path")?;
    let candidates = test.ancestors().skip(1).take(2).map(|folder| folder.join("klamm"));
    match candidates.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!(
            "no klamm beside {}: build the binary first: cargo build --release",
            test.display()
        ),
    }
}
