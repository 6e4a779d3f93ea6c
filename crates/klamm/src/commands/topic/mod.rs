//! `klamm topic …`.

mod alter;
mod configs;
mod create;
mod delete;
mod describe;
mod list;
mod topic_command;

pub(super) use configs::topic_values;
pub(crate) use describe::{PartitionDescription, TopicDescription, describe_topics};
pub(super) use topic_command::TopicCommand;
pub(super) use topic_command::{ConfigAssignment, parse_config};
