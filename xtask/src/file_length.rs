//! `cargo xtask file-length`: a source file holds one type or one operation; past 500 lines it holds more.
//!
//! Tests don't count. A file that is better whole says so in its header, in a line that starts with [`EXCEPTION`] and goes
//! on with the reason.

use std::path::Path;

use crate::outcome;
use crate::sources::{Source, sources};

/// Lines of a file, tests not counted.
const LIMIT_LINES: usize = 500;
/// How the header line of a longer file starts.
const EXCEPTION: &str = "//! Longer than 500 lines because ";

/// Checks every source file of the workspace.
pub(crate) fn file_length(root: &Path) -> anyhow::Result<()> {
    let mut violations = Vec::new();
    for folder in ["crates", "xtask", "tests"] {
        violations.extend(sources(root, folder)?.iter().filter_map(too_long));
    }
    outcome("file length", &violations)
}

fn too_long(file: &Source) -> Option<String> {
    let length = file.product_lines().len();
    if file.is_test() || length <= LIMIT_LINES || has_reason(file) {
        return None;
    }
    Some(format!(
        "{}: {length} lines; split it, or say why in a header line '{EXCEPTION}…'",
        file.path
    ))
}

fn has_reason(file: &Source) -> bool {
    let header = file.lines().take_while(|line| line.starts_with("//!"));
    header
        .filter_map(|line| line.strip_prefix(EXCEPTION))
        .any(|reason| !reason.trim().is_empty())
}
