//! A node's wall clock, which others may set: libfaketime reads how far it is off from a file. The monotonic clock goes on as
//! ever, as when somebody sets a machine's time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Where distributions put the library; the one for programs with threads first.
const FOLDERS: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib/faketime",
    "/usr/lib64/faketime",
    "/usr/local/lib/faketime",
    "/opt/homebrew/lib/faketime",
];
const NAMES: [&str; 2] = ["libfaketimeMT.so.1", "libfaketime.so.1"];

/// A node's clock.
#[derive(Debug)]
pub(crate) struct Clock {
    library: PathBuf,
    offset: PathBuf,
}

impl Clock {
    /// Of this node; its file is in `folder`.
    pub(crate) fn create(folder: &Path, node: usize) -> Result<Self> {
        let library = FOLDERS
            .iter()
            .flat_map(|folder| NAMES.map(|name| Path::new(folder).join(name)))
            .find(|path| path.is_file())
            .context("this fault needs libfaketime: apt-get install faketime")?;
        let clock = Self {
            library,
            offset: fs::canonicalize(folder)?.join(format!("node{node}.clock")),
        };
        clock.set(0)?;
        Ok(clock)
    }

    /// From now on it is so many seconds ahead, or behind.
    pub(crate) fn set(&self, seconds: i64) -> Result<()> {
        // At once: the node may look at any moment.
        let new = self.offset.with_extension("clock.new");
        fs::write(&new, format!("{seconds:+}\n"))?;
        fs::rename(&new, &self.offset).with_context(|| format!("setting {}", self.offset.display()))
    }

    /// What a process must be started with.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        vec![
            ("LD_PRELOAD", text(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.offset)),
            // Seconds: opening the file at every question for the time would be slow.
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }

    /// Whether this process has the library: a static binary ignores it in silence.
    pub(super) fn is_used_by(&self, pid: u32) -> bool {
        let library = self.library.file_name().unwrap_or_default().to_string_lossy();
        fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains(&*library))
    }
}
