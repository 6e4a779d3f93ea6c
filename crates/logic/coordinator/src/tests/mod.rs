//! The shard driven as the shell drives it.

mod cluster;
mod consumer_groups;
mod group_life;
mod offsets;
mod random_consumers;
mod random_members;
mod shell;
mod static_members;
