//! The list of `klamm quorum`'s commands.

use anyhow::Result;
use clap::Subcommand;

use super::add::AddArgs;
use super::describe::DescribeArgs;
use super::recover::RecoverArgs;
use super::remove::RemoveArgs;

/// What can be asked of the metadata quorum.
#[derive(Debug, Subcommand)]
pub(crate) enum QuorumCommand {
    /// Show voters and observers with their directory ids, log ends and lag.
    Describe(DescribeArgs),
    /// Make a controller that follows the quorum a voter.
    #[command(alias = "add-controller")]
    Add(AddArgs),
    /// Take a voter out of the quorum.
    #[command(alias = "remove-controller")]
    Remove(RemoveArgs),
    /// On a stopped survivor of a majority that is lost for good: make it the only voter. Loses metadata.
    Recover(RecoverArgs),
}

impl QuorumCommand {
    pub(in crate::commands) async fn run(self) -> Result<()> {
        match self {
            Self::Describe(args) => args.run().await,
            Self::Add(args) => args.run().await,
            Self::Remove(args) => args.run().await,
            Self::Recover(args) => args.run().await,
        }
    }
}
