//! `klamm quorum recover`: offline, on a stopped survivor of a majority that is lost for good.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use controller::raft::Survivor;
use serde::Serialize;
use storage::RealFileSystem;

use crate::commands::output::{Output, note};

/// The metadata log's place in a log directory, as in Kafka.
const METADATA_LOG: &str = "__cluster_metadata-0";

/// `klamm quorum recover`.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// The stopped node's metadata.log.dir, or the first of its log.dirs
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Do it: metadata that only the lost voters had is gone for good
    #[arg(long)]
    accept_metadata_loss: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Recovered {
    cluster_id: String,
    node: i32,
    directory_id: String,
    voters_before: Vec<String>,
    last_epoch: u64,
    last_offset: u64,
    recovered: bool,
}

impl RecoverArgs {
    pub(super) async fn run(self) -> Result<()> {
        let inner = self.data.join(METADATA_LOG);
        let directory = if inner.is_dir() { inner } else { self.data.clone() };
        let survivor = Survivor::open(Arc::new(RealFileSystem), &directory)
            .with_context(|| format!("{} can't be recovered from", directory.display()))?;
        let lost: Vec<String> = survivor.other_voters().iter().map(ToString::to_string).collect();
        let mut report = Recovered {
            cluster_id: survivor.cluster_id().to_string(),
            node: survivor.node_id().0,
            directory_id: survivor.directory_id().to_string(),
            voters_before: lost.clone(),
            last_epoch: survivor.last_term(),
            last_offset: survivor.last_index(),
            recovered: false,
        };
        note(&warning(&report));
        if lost.is_empty() {
            bail!("node {} is the only voter already: start it", report.node);
        }
        if !self.accept_metadata_loss {
            bail!(
                "nothing was changed. If those voters are lost for good, and no other survivor has a later (epoch, offset), \
                 run it again with --accept-metadata-loss"
            );
        }
        survivor
            .recover()
            .await
            .context("the membership could not be rewritten")?;
        report.recovered = true;
        self.output.write(&report, |report| {
            format!(
                "node {} is the only voter of cluster {} now: start it. Before another former voter starts, empty its metadata \
                 log directory; it then joins as a new voter",
                report.node, report.cluster_id
            )
        })
    }
}

fn warning(report: &Recovered) -> String {
    format!(
        "WARNING: this makes node {} (directory {}) the only voter of cluster {}.\n\
         Its voters were, besides: {}.\n\
         Whatever they committed after epoch {}, offset {} of this disk is LOST: topics created or deleted, configurations, \
         leaders and in-sync replicas chosen since, and records acknowledged by replicas that this disk doesn't know of.\n\
         A former voter that comes back with its old disk is refused; two of them that can't reach this node would go on \
         without it, as a second cluster: make sure that they never start with their old disks.",
        report.node,
        report.directory_id,
        report.cluster_id,
        if report.voters_before.is_empty() {
            "none".to_owned()
        } else {
            report.voters_before.join(", ")
        },
        report.last_epoch,
        report.last_offset
    )
}
