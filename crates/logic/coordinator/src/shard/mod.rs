//! A shard of groups: state, replay and one file per operation.

mod delete_groups;
mod describe_group;
mod group_shard;
mod heartbeat;
mod invariants;
mod join_group;
mod leave_group;
mod lifecycle;
mod list_groups;
mod offset_commit;
mod offset_delete;
mod offset_expiry;
mod offset_fetch;
mod replay;
mod static_member;
mod sync_group;
mod tick;

pub use group_shard::GroupShard;
pub use invariants::BrokenInvariant;
