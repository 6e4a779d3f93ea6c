//! `klamm topic …`.

mod alter;
mod configs;
mod create;
mod delete;
mod describe;
mod list;
mod topic_command;

pub(super) use configs::topic_values;
pub(super) use describe::{TopicDescription, describe_topics};
pub(super) use topic_command::TopicCommand;
