//! A disk of a node's own, small enough to be filled: a tmpfs, which needs the right to mount (root, as in CI).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// What is written at a time while it is filled, and at last byte by byte.
const PIECES: [usize; 3] = [1 << 20, 4096, 1];

/// Whether tests may break disks here: mount, which needs root, and strace. Where they may not, `test` is named on stderr as
/// left out; with `KLAMM_REQUIRE_FAULTS` set, as in CI, it runs and fails instead.
#[must_use]
pub fn can_break_disks(test: &str) -> bool {
    can_do_with("strace", test)
}

/// Whether tests may cut the power of nodes: mount, which needs root, and xfsprogs. As with [`can_break_disks`].
#[must_use]
pub fn can_cut_power(test: &str) -> bool {
    can_do_with("xfs_io", test)
}

fn can_do_with(tool: &str, test: &str) -> bool {
    let there = || Command::new(tool).arg("-V").output();
    let can = rustix::process::geteuid().is_root() && there().is_ok_and(|output| output.status.success());
    if can || std::env::var_os("KLAMM_REQUIRE_FAULTS").is_some() {
        return true;
    }
    // Past the capture of a test's output. Nobody reads it: then nothing is lost.
    let _ = writeln!(std::io::stderr(), "left out, for it needs root and {tool}: {test}");
    false
}

/// A mounted tmpfs. Dropping it unmounts it.
#[derive(Debug)]
pub struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Mounts one of `bytes` at `place`, which is made.
    pub(crate) fn mount(place: &Path, bytes: u64) -> anyhow::Result<Self> {
        fs::create_dir_all(place)?;
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={bytes}"))
            .arg("klamm-test")
            .arg(place)
            .output()
            .context("mount")?;
        ensure!(
            output.status.success(),
            "can't mount a tmpfs at {} (the tests of full disks need the right to mount: run them as root): {}",
            place.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Self {
            place: place.to_owned(),
        })
    }

    /// Fills it to the last byte with a file of its own.
    ///
    /// # Errors
    /// Another than lack of room.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut ballast = OpenOptions::new().create(true).append(true).open(self.ballast())?;
        for piece in PIECES.map(|bytes| vec![1; bytes]) {
            loop {
                match ballast.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => bail!("filling {}: {error}", self.place.display()),
                }
            }
        }
        Ok(())
    }

    /// Removes the file that filled it.
    ///
    /// # Errors
    /// There is none.
    pub fn free(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.place.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a node that was killed a moment ago may still be on its way out.
        let _ = Command::new("umount").arg("-l").arg(&self.place).output();
    }
}
