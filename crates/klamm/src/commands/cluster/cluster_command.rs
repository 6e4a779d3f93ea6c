//! The list of `klamm cluster`'s commands.

use anyhow::Result;
use clap::Subcommand;

use super::describe::DescribeArgs;
use super::safe_to_stop::SafeToStopArgs;

/// What can be asked about the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show nodes, roles, the controller, the quorum's lag and partitions that need care.
    Describe(DescribeArgs),
    /// Tell whether a node may be stopped: exit code 0 when no partition and no majority would be lost by it.
    SafeToStop(SafeToStopArgs),
}

impl ClusterCommand {
    pub(in crate::commands) async fn run(self) -> Result<()> {
        match self {
            Self::Describe(args) => args.run().await,
            Self::SafeToStop(args) => args.run().await,
        }
    }
}
