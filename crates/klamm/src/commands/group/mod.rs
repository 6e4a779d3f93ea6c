//! `klamm group …`.

mod delete;
mod describe;
mod group_command;
mod list;
mod members;
mod offsets;
mod reset_offsets;

pub(super) use group_command::GroupCommand;
