//! The group coordinator's shell: one task a partition of `__consumer_offsets` led here, over `logic/coordinator`.
//!
//! ```text
//! apis/… → GroupCoordinator (which partition, is it here, is it loaded) → the shard's channel → ShardTask
//!            decide → append to the partition → replay → answers held until the high watermark covers them
//! ```
//! - CO-1: a shard acts under the leader epoch it was loaded in; an append or a look at the log under another ends it.
//! - CO-2: an answer that depends on a record is sent when that record is committed, never before; holding an answer
//!   never holds up the shard's next operation.
//! - CO-3: every request gets one answer: its own, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE at its
//!   deadline, or NOT_COORDINATOR when the leadership is over.

mod group_coordinator;
mod group_log;
mod held_replies;
mod image_view;
mod loader;
mod partition_log;
mod request;
mod shard_clock;
mod shard_metrics;
mod shard_task;
#[cfg(test)]
mod tests;

pub use group_coordinator::GroupCoordinator;
pub(crate) use request::GroupRequest;

/// Where groups live.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
