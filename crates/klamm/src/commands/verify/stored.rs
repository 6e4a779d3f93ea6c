//! `klamm verify --check`: a stored history, checked again.

use std::path::Path;

use anyhow::Result;

use super::history_file::{HISTORY_FILE, read_history};
use super::recorder::Recorded;

/// Reads a history, or the one in a folder that a run has written.
pub(super) fn read(path: &Path) -> Result<Recorded> {
    let file = if path.is_dir() {
        path.join(HISTORY_FILE)
    } else {
        path.to_owned()
    };
    let mut recorded = Recorded::new();
    read_history(&file, |entry| recorded.record(entry))?;
    Ok(recorded)
}
