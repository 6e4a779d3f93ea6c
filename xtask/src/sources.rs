//! The workspace's Rust sources, and which of their lines are the product's rather than its tests'.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// One source file: its path below the root, with `/`, and its text.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    text: String,
}

impl Source {
    /// True for files that hold nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| part == "tests" || part == "benches" || part == "tests.rs" || part.ends_with("_tests.rs"))
    }

    /// The lines before the inline test module. A `#[cfg(test)]` that only declares `mod tests;` doesn't end the file.
    pub(crate) fn product_lines(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.text.lines().collect();
        let end = (0..lines.len())
            .find(|at| starts_test_module(&lines, *at))
            .unwrap_or(lines.len());
        lines[..end].to_vec()
    }

    /// All lines, tests included.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }
}

/// Every `.rs` file below `folder` (a path under `root`), sorted by path.
pub(crate) fn sources(root: &Path, folder: &str) -> anyhow::Result<Vec<Source>> {
    let mut found = Vec::new();
    let start = root.join(folder);
    if start.is_dir() {
        walk(root, &start, &mut found)?;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<Source>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                walk(root, &path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let below = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            found.push(Source { path: below, text });
        }
    }
    Ok(())
}

fn starts_test_module(lines: &[&str], at: usize) -> bool {
    if lines[at] != "#[cfg(test)]" {
        return false;
    }
    let item = lines[at + 1..]
        .iter()
        .find(|line| !line.starts_with('#') && !line.starts_with("//"));
    item.is_some_and(|line| line.contains("mod ") && line.trim_end().ends_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.into(),
            text: text.into(),
        }
    }

    #[test]
    fn counting_stops_at_the_inline_test_module() {
        let file = source("crates/a/src/b.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!(file.product_lines(), ["fn a() {}"]);
    }

    #[test]
    fn a_declared_test_module_does_not_hide_what_follows_it() {
        let file = source("crates/a/src/b.rs", "#[cfg(test)]\nmod tests;\nfn a() {}\n");
        assert_eq!(file.product_lines().len(), 3);
    }

    #[test]
    fn test_files_are_known_by_their_path() {
        assert!(source("crates/a/src/b/tests.rs", "").is_test());
        assert!(source("crates/a/tests/kill.rs", "").is_test());
        assert!(!source("crates/testing/sim/src/lib.rs", "").is_test());
    }
}
