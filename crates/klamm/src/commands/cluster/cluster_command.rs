//! The list of `klamm cluster`'s commands.

use anyhow::Result;
use clap::Subcommand;

use super::describe::DescribeArgs;

/// What can be asked about the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show nodes, roles, the controller, the quorum's lag and partitions that need care.
    Describe(DescribeArgs),
}

impl ClusterCommand {
    pub(in crate::commands) async fn run(self) -> Result<()> {
        match self {
            Self::Describe(args) => args.run().await,
        }
    }
}
