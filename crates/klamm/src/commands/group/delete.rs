//! `klamm group delete`.

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use wire::messages::{DeleteGroupsRequest, GroupId};
use wire::protocol::StrBytes;

use super::group_command::coordinator_of;
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::error_advice::refusal;
use crate::commands::output::Output;

/// `klamm group delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The groups
    #[arg(required = true)]
    names: Vec<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeletedGroups {
    deleted: Vec<String>,
}

impl DeleteArgs {
    pub(crate) async fn run(self) -> Result<()> {
        let (mut brokers, _) = Brokers::of(&self.connection).await?;
        for name in &self.names {
            let coordinator = coordinator_of(&mut brokers, name).await?;
            let group = GroupId(StrBytes::from_string(name.clone()));
            let request = DeleteGroupsRequest::default().with_groups_names(vec![group]);
            let response = brokers.call(coordinator, &request).await?;
            let what = format!("deleting group {name}");
            let refused = response
                .results
                .iter()
                .find_map(|result| refusal(&what, result.error_code, None));
            if let Some(error) = refused {
                return Err(error);
            }
        }
        let result = DeletedGroups { deleted: self.names };
        self.output
            .write(&result, |result| format!("deleted {}", result.deleted.join(", ")))
    }
}
