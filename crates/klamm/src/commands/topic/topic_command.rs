//! The list of `klamm topic`'s commands.

use anyhow::Result;
use clap::Subcommand;

use super::alter::AlterArgs;
use super::create::CreateArgs;
use super::delete::DeleteArgs;
use super::describe::DescribeArgs;
use super::list::ListArgs;

/// What can be done with topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Create topics.
    Create(CreateArgs),
    /// List the topics.
    List(ListArgs),
    /// Show partitions, leaders, replicas and configurations.
    Describe(DescribeArgs),
    /// Add partitions, set or delete configurations.
    Alter(AlterArgs),
    /// Delete topics and all their records.
    Delete(DeleteArgs),
}

impl TopicCommand {
    pub(in crate::commands) async fn run(self) -> Result<()> {
        match self {
            Self::Create(args) => args.run().await,
            Self::List(args) => args.run().await,
            Self::Describe(args) => args.run().await,
            Self::Alter(args) => args.run().await,
            Self::Delete(args) => args.run().await,
        }
    }
}

/// A `key=value` of `--config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct ConfigAssignment {
    pub(in crate::commands) key: String,
    pub(in crate::commands) value: String,
}

/// Reads `key=value`.
pub(in crate::commands) fn parse_config(text: &str) -> Result<ConfigAssignment, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok(ConfigAssignment {
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
        }),
        Some(_) | None => Err("expected key=value, as in retention.ms=86400000".to_owned()),
    }
}
