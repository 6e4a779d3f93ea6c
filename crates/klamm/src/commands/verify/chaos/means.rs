//! What this machine can do to nodes of our own: everything is tried, in small.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;
use serde::Serialize;

use super::fault::FaultKind;
use super::network::Network;
use crate::commands::output::table;
use crate::local_cluster::{Clock, Disk, run_command};

/// Whether a kind of fault can be done here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Means {
    fault: String,
    can: bool,
    /// What it is.
    about: String,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    lacking: Option<String>,
}

impl Means {
    /// Of every kind. `scratch` is an empty folder.
    pub(crate) fn all(scratch: &Path) -> Vec<Self> {
        let lacking = |result: Result<()>| result.err().map(|error| format!("{error:#}"));
        let disks = lacking(disks(scratch));
        let network = lacking(Network::create(1).map(drop));
        let clocks = lacking(Clock::create(scratch, 1).map(drop));
        let strace = lacking(strace());
        let of = |kind: &FaultKind| {
            let lacking = match kind {
                FaultKind::Kill
                | FaultKind::KillAgain
                | FaultKind::Pause
                | FaultKind::PauseLong
                | FaultKind::Stop
                | FaultKind::Wipe => None,
                FaultKind::Partition => network.clone(),
                FaultKind::Power | FaultKind::PowerAll | FaultKind::DiskFull => disks.clone(),
                FaultKind::FsyncError => strace.clone(),
                FaultKind::Clock => clocks.clone(),
            };
            let about = kind
                .to_possible_value()
                .and_then(|value| value.get_help().map(ToString::to_string));
            Self {
                fault: kind.name(),
                can: lacking.is_none(),
                about: about.unwrap_or_default(),
                lacking,
            }
        };
        FaultKind::value_variants().iter().map(of).collect()
    }

    /// For people.
    pub(crate) fn render(all: &[Self]) -> String {
        let rows = all.iter().map(|means| {
            let here = means.lacking.as_deref().map_or("yes", |lacking| lacking);
            [means.fault.clone(), means.about.clone(), here.to_owned()]
        });
        table(&["fault", "what is done", "here"], rows)
    }
}

fn disks(scratch: &Path) -> Result<()> {
    Disk::create(scratch, "probe").and_then(|mut disk| disk.cut_power()).context(
        "needs file systems of the nodes' own: root on Linux with loop devices, mkfs.ext4 (e2fsprogs) and xfs_io (xfsprogs)",
    )
}

fn strace() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "needs root, and strace");
    run_command(Command::new("strace").args(["-f", "-e", "inject=fsync:error=EIO", "true"]))
        .context("needs root, and strace")
}
