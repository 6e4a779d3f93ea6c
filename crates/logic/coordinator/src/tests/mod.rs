//! The shard driven as the shell drives it.

mod group_life;
mod offsets;
mod random_members;
mod shell;
mod static_members;
