//! `cargo xtask layers`: dependencies point down only, and outside crates stop at their door.
//!
//! The rules are the tables `layers` and `doors` in ARCHITECTURE.md, so that the document can't lie:
//! * LAYER-1: a crate depends only on the crates that its row lists (tests included), and every crate has a row;
//! * LAYER-2: an outside crate with a door is named only in the manifests of crates around its doors, and its types only
//!   in sources below them;
//! * LAYER-3: crates/logic is pure ([`crate::purity`]).

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::metadata::{Package, packages};
use crate::sources::{Source, sources};
use crate::table::{Row, table};
use crate::{outcome, purity};

/// Checks all three rules and reports everything found.
pub(crate) fn layers(root: &Path) -> anyhow::Result<()> {
    let document = fs::read_to_string(root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let packages = packages(root)?;
    let doors = table(&document, "doors")?;
    let mut violations = check_layers(&packages, &table(&document, "layers")?);
    violations.extend(check_doors(&packages, &doors));
    for file in sources(root, "crates")? {
        violations.extend(check_names(&file, &doors));
    }
    violations.extend(purity::purity(root, &packages)?);
    outcome("layers", &violations)
}

fn check_layers(packages: &[Package], rows: &[Row]) -> Vec<String> {
    let mut violations = Vec::new();
    for package in packages {
        let Some(row) = rows.iter().find(|row| row.subject == package.name) else {
            violations.push(format!(
                "{} has no row in the layers table of ARCHITECTURE.md",
                package.name
            ));
            continue;
        };
        let inside = package.dependencies.iter().filter(|dependency| dependency.inside);
        for dependency in inside.filter(|dependency| !row.allowed.contains(&dependency.name)) {
            violations.push(format!("{} may not depend on {}", package.name, dependency.name));
        }
    }
    for row in rows
        .iter()
        .filter(|row| packages.iter().all(|package| package.name != row.subject))
    {
        violations.push(format!("{} has a row in ARCHITECTURE.md but is no crate", row.subject));
    }
    violations
}

fn check_doors(packages: &[Package], doors: &[Row]) -> Vec<String> {
    let mut violations = Vec::new();
    for package in packages {
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.inside) {
            let Some(door) = doors.iter().find(|door| door.subject == dependency.name) else {
                continue;
            };
            if !door.allowed.iter().any(|folder| is_below(folder, &package.folder)) {
                violations.push(format!(
                    "{} may not depend on {}, see the doors",
                    package.name, dependency.name
                ));
            }
        }
    }
    violations
}

fn check_names(file: &Source, doors: &[Row]) -> Vec<String> {
    let mut violations = Vec::new();
    for door in doors
        .iter()
        .filter(|door| !door.allowed.iter().any(|folder| is_below(&file.path, folder)))
    {
        let path = format!("{}::", door.subject.replace('-', "_"));
        let names = file
            .lines()
            .enumerate()
            .filter(|(_, line)| !is_comment(line) && names_path(line, &path));
        violations.extend(names.map(|(at, _)| format!("{}:{}: names {}", file.path, at + 1, door.subject)));
    }
    violations
}

/// True if `line` holds `path` as a whole word, so that `my_tonic::` isn't `tonic::`.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
    })
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn is_below(path: &str, folder: &str) -> bool {
    path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn package(name: &str, inside: bool, dependency: &str) -> Package {
        let dependency = Dependency {
            name: dependency.into(),
            inside,
            dev: false,
        };
        Package {
            name: name.into(),
            folder: format!("crates/io/{name}"),
            dependencies: vec![dependency],
        }
    }

    fn row(subject: &str, allowed: &[&str]) -> Row {
        Row {
            subject: subject.into(),
            allowed: allowed.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn an_upward_dependency_is_found() {
        let packages = [package("wire", true, "broker")];
        assert_eq!(
            check_layers(&packages, &[row("wire", &["types"])]),
            ["wire may not depend on broker"]
        );
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        assert_eq!(check_layers(&[package("wire", true, "types")], &[]).len(), 1);
    }

    #[test]
    fn an_outside_crate_stops_at_its_door() {
        let doors = [row("sled", &["crates/io/controller/src/raft"])];
        assert_eq!(
            check_doors(&[package("controller", false, "sled")], &doors),
            Vec::<String>::new()
        );
        assert_eq!(check_doors(&[package("broker", false, "sled")], &doors).len(), 1);
    }

    #[test]
    fn a_path_is_matched_as_a_whole_word() {
        assert!(names_path("use tonic::Status;", "tonic::"));
        assert!(!names_path("use my_tonic::Status;", "tonic::"));
        assert!(!names_path("rpc::tonic::x", "tonic::"));
    }
}
