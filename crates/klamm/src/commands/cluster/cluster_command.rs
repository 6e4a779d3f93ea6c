//! The list of `klamm cluster`'s commands.

use anyhow::Result;
use clap::Subcommand;

use super::describe::DescribeArgs;
use super::drain::DrainArgs;
use super::elect::ElectArgs;
use super::reassign::ReassignArgs;
use super::safe_to_stop::SafeToStopArgs;

/// What can be asked of the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show nodes, roles, the controller, the quorum's lag and partitions that need care.
    Describe(DescribeArgs),
    /// Tell whether a node may be stopped: exit code 0 when no partition and no majority would be lost by it.
    SafeToStop(SafeToStopArgs),
    /// Move partitions to other brokers, see what moves, or take it back.
    Reassign(ReassignArgs),
    /// Give partitions back to their preferred leaders, or, losing records, to whoever is there.
    Elect(ElectArgs),
    /// Move every replica off a broker, so that it can go for good.
    Drain(DrainArgs),
}

impl ClusterCommand {
    pub(in crate::commands) async fn run(self) -> Result<()> {
        match self {
            Self::Describe(args) => args.run().await,
            Self::SafeToStop(args) => args.run().await,
            Self::Reassign(args) => args.run().await,
            Self::Elect(args) => args.run().await,
            Self::Drain(args) => args.run().await,
        }
    }
}
