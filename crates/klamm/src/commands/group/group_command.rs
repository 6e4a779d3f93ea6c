//! The list of `klamm group`'s commands, and how a group's coordinator is found.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use wire::messages::FindCoordinatorRequest;
use wire::protocol::StrBytes;

use super::delete::DeleteArgs;
use super::describe::DescribeArgs;
use super::list::ListArgs;
use super::reset_offsets::ResetOffsetsArgs;
use crate::commands::brokers::Brokers;
use crate::commands::error_advice::refusal;

/// What can be done with consumer groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List the groups.
    List(ListArgs),
    /// Show members, committed offsets and how far behind they are.
    Describe(DescribeArgs),
    /// Commit other offsets for a group without members.
    ResetOffsets(ResetOffsetsArgs),
    /// Delete groups without members, with their offsets.
    Delete(DeleteArgs),
}

impl GroupCommand {
    pub(crate) async fn run(self) -> Result<()> {
        match self {
            Self::List(args) => args.run().await,
            Self::Describe(args) => args.run().await,
            Self::ResetOffsets(args) => args.run().await,
            Self::Delete(args) => args.run().await,
        }
    }
}

/// The broker that coordinates the group. Any broker knows.
pub(crate) async fn coordinator_of(brokers: &mut Brokers, group: &str) -> Result<i32> {
    let key = StrBytes::from_string(group.to_owned());
    let request = FindCoordinatorRequest::default()
        .with_key_type(0)
        .with_coordinator_keys(vec![key]);
    let asked = brokers.ids().first().copied().context("the cluster names no brokers")?;
    let response = brokers.call(asked, &request).await?;
    let found = response.coordinators.into_iter().next();
    let found = found.context("the broker names no coordinator")?;
    let what = format!("looking for the coordinator of group {group}");
    match refusal(&what, found.error_code, found.error_message.as_deref()) {
        Some(error) => Err(error),
        None => Ok(found.node_id.0),
    }
}
