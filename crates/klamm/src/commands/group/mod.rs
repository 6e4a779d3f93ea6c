//! `klamm group …`.

mod delete;
mod describe;
mod group_command;
mod list;
mod members;
mod offsets;
mod reset_offsets;

pub(super) use group_command::GroupCommand;
pub(crate) use group_command::coordinator_of;
pub(crate) use list::{ListedGroup, listed_groups};
pub(crate) use members::classic_assignment;
pub(crate) use offsets::{
    CommittedOffset, EARLIEST, FoundOffsets, LATEST, TopicPartition, committed_offsets, leaders, offsets_at, topic_name,
};
pub(crate) use reset_offsets::commit_offsets;
