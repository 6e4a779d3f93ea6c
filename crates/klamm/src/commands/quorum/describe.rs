//! `klamm quorum describe`.

use anyhow::Result;
use clap::Args;

use super::members::{QuorumDescription, describe_quorum};
use crate::commands::connection::Connection;
use crate::commands::output::{Output, table};

/// `klamm quorum describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl DescribeArgs {
    pub(super) async fn run(self) -> Result<()> {
        let mut cluster = self.connection.connect().await?;
        let quorum = describe_quorum(&mut cluster).await?;
        self.output.write(&quorum, render)
    }
}

fn render(quorum: &QuorumDescription) -> String {
    let leader = quorum
        .leader
        .map_or_else(|| "none".to_owned(), |leader| leader.to_string());
    let head = format!(
        "Leader: {leader}  Epoch: {}  HighWatermark: {}",
        quorum.epoch, quorum.high_watermark
    );
    let dash = || "-".to_owned();
    let number = |value: Option<i64>, unit: &str| value.map_or_else(dash, |value| format!("{value}{unit}"));
    let rows = quorum.replicas.iter().map(|replica| {
        [
            replica.node.to_string(),
            replica.role.name().to_owned(),
            replica.directory_id.clone().unwrap_or_else(dash),
            replica.address.clone().unwrap_or_else(dash),
            number(Some(replica.log_end_offset).filter(|end| *end >= 0), ""),
            number(replica.lag, ""),
            number(replica.last_fetch_ms_ago, " ms ago"),
            number(replica.last_caught_up_ms_ago, " ms ago"),
        ]
    });
    let header = [
        "node",
        "role",
        "directory id",
        "address",
        "log end",
        "lag",
        "last heard",
        "last caught up",
    ];
    format!("{head}\n{}", table(&header, rows))
}
