//! `klamm group list`.

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use wire::messages::ListGroupsRequest;

use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::error_advice::refusal;
use crate::commands::output::{Output, table};

/// `klamm group list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// A group as its coordinator lists it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedGroup {
    pub(crate) group: String,
    /// `classic` or `consumer`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `consumer`, `connect`, …; empty for a group that only commits.
    pub(crate) protocol: String,
    pub(crate) state: String,
    pub(crate) coordinator: i32,
}

/// All groups, by name. Each broker lists those that it coordinates.
pub(crate) async fn listed_groups(brokers: &mut Brokers) -> Result<Vec<ListedGroup>> {
    let mut groups = Vec::new();
    for broker in brokers.ids() {
        let response = brokers.call(broker, &ListGroupsRequest::default()).await?;
        let what = format!("listing the groups of broker {broker}");
        if let Some(error) = refusal(&what, response.error_code, None) {
            return Err(error);
        }
        groups.extend(response.groups.into_iter().map(|group| ListedGroup {
            group: group.group_id.to_string(),
            kind: group.group_type.to_lowercase(),
            protocol: group.protocol_type.to_string(),
            state: group.group_state.to_string(),
            coordinator: broker,
        }));
    }
    groups.sort_unstable_by(|one, other| one.group.cmp(&other.group));
    Ok(groups)
}

impl ListArgs {
    pub(crate) async fn run(self) -> Result<()> {
        let (mut brokers, _) = Brokers::of(&self.connection).await?;
        let groups = listed_groups(&mut brokers).await?;
        self.output.write(&groups, |groups| {
            if groups.is_empty() {
                return "no groups".to_owned();
            }
            table(
                &["group", "type", "protocol", "state", "coordinator"],
                groups.iter().map(|group| {
                    [
                        group.group.clone(),
                        group.kind.clone(),
                        group.protocol.clone(),
                        group.state.clone(),
                        group.coordinator.to_string(),
                    ]
                }),
            )
        })
    }
}
