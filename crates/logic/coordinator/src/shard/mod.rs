//! A shard of groups: state, replay and one file per operation.

mod classic_member;
mod consumer_draft;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod consumer_place;
mod consumer_replay;
mod consumer_request;
mod consumer_tick;
mod delete_groups;
mod describe_group;
mod group_shard;
mod heartbeat;
mod invariants;
mod join_group;
mod leave_group;
mod lifecycle;
mod list_groups;
mod migration;
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
