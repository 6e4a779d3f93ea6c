//! `klamm quorum remove`: RemoveRaftVoter (KIP-853).

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use wire::messages::RemoveRaftVoterRequest;

use super::members::{describe_quorum, directory_of};
use crate::commands::connection::Connection;
use crate::commands::error_advice::refusal;
use crate::commands::output::Output;

/// `klamm quorum remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The voter's node id; it may be down, and it may be the leader
    node: i32,
    /// Its directory, when it has several
    #[arg(long, value_name = "ID")]
    directory_id: Option<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Removed {
    node: i32,
    directory_id: String,
}

impl RemoveArgs {
    pub(super) async fn run(self) -> Result<()> {
        let mut cluster = self.connection.connect().await?;
        let quorum = describe_quorum(&mut cluster).await?;
        let directory = directory_of(&quorum, self.node, true, self.directory_id.as_deref())?;
        let request = RemoveRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_voter_id(self.node)
            .with_voter_directory_id(directory.0);
        let response = cluster.call(&request).await?;
        let what = format!("removing node {} from the metadata quorum", self.node);
        if let Some(error) = refusal(&what, response.error_code, response.error_message.as_deref()) {
            return Err(error);
        }
        let removed = Removed {
            node: self.node,
            directory_id: directory.to_string(),
        };
        self.output.write(&removed, |removed| {
            format!(
                "node {} votes no longer (directory {}); while its process runs it follows as an observer",
                removed.node, removed.directory_id
            )
        })
    }
}
