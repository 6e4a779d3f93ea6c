//! LAYER-3: crates/logic never touches the world. Everything it needs is passed in, so every test of it is plain code and
//! the simulator's seed decides everything.
//!
//! The compiler can't say this, so the sources are searched for the standard library's doors and the manifests for crates
//! that open them. Tests may do as they like.

use std::path::Path;

use crate::metadata::Package;
use crate::sources::{Source, sources};

const LOGIC: &str = "crates/logic";
/// Modules of the standard library that reach the world, or hide shared state.
const STD_MODULES: [&str; 6] = ["fs", "net", "thread", "env", "process", "io"];
/// Paths that no decision may name.
const PATHS: [&str; 10] = [
    "Instant",
    "SystemTime",
    "tokio::",
    "rand::",
    "Mutex",
    "RwLock",
    "Condvar",
    "AtomicU64",
    "thread_local!",
    "static mut",
];
/// Dependencies that bring tasks, clocks, randomness, locks, sockets or files.
const CRATES: [&str; 9] = [
    "tokio",
    "rand",
    "parking_lot",
    "arc-swap",
    "rustix",
    "socket2",
    "tempfile",
    "tonic",
    "futures",
];

/// What is impure in crates/logic.
pub(crate) fn purity(root: &Path, packages: &[Package]) -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    for package in packages.iter().filter(|package| package.folder.starts_with(LOGIC)) {
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.dev) {
            if CRATES.contains(&dependency.name.as_str()) {
                violations.push(format!(
                    "{} is logic and may not depend on {}",
                    package.name, dependency.name
                ));
            }
        }
    }
    for file in sources(root, LOGIC)?
        .iter()
        .filter(|file| !file.is_test() && !file.path.ends_with("/build.rs"))
    {
        violations.extend(impure_lines(file));
    }
    Ok(violations)
}

fn impure_lines(file: &Source) -> Vec<String> {
    let lines = file
        .product_lines()
        .into_iter()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"));
    let found = lines.filter_map(|(at, line)| Some((at, impurity(code_of(line))?)));
    found
        .map(|(at, what)| format!("{}:{}: logic names {what}", file.path, at + 1))
        .collect()
}

/// The line without what follows a comment's start.
fn code_of(line: &str) -> &str {
    line.split_once(" //").map_or(line, |(code, _)| code)
}

fn impurity(line: &str) -> Option<&'static str> {
    let module = STD_MODULES.into_iter().find(|module| names_std(line, module));
    module.or_else(|| PATHS.into_iter().find(|path| names(line, path)))
}

fn names_std(line: &str, module: &str) -> bool {
    if names(line, &format!("std::{module}")) {
        // `std::io::Read`, `Write` and `Cursor` over memory are what compression libraries are made of.
        return module != "io" || ["stdin", "stdout", "stderr"].iter().any(|stream| line.contains(stream));
    }
    let group = line.split_once("std::{").map(|(_, group)| group);
    module != "io" && group.is_some_and(|group| names(group, module))
}

/// True if `word` stands in `line` between characters that can't belong to it.
fn names(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let open_end = !word.ends_with(part);
        before.is_none_or(|c| !part(c)) && (open_end || after.is_none_or(|c| !part(c)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_is_recognised() {
        for line in [
            "use std::fs;",
            "use std::{collections::BTreeMap, net};",
            "let now = Instant::now();",
            "tokio::spawn(x)",
        ] {
            assert!(impurity(line).is_some(), "{line}");
        }
    }

    #[test]
    fn harmless_lines_pass() {
        for line in [
            "use std::io::Read;",
            "let operand::X = 1;",
            "struct InstantLike;",
            "use std::time::Duration;",
        ] {
            assert!(impurity(line).is_none(), "{line}");
        }
    }
}
