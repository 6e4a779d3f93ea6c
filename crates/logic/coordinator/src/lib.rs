//! The group coordinator: one [`GroupShard`] holds the groups of one partition of `__consumer_offsets`, those of the classic protocol
//! and those of the consumer protocol (KIP-848).
//!
//! A shard is a pure state machine: replay a log, decide, return records and replies. It never waits, never reads a
//! clock and never touches a socket; the shell in the broker does.
//!
//! # The contract with the shell
//! The shell owns one shard a partition, behind one lock, and calls it like this:
//!
//! 1. **Load.** [`GroupShard::new`], then [`GroupShard::replay`] for every record from the log's start to its end, then
//!    [`GroupShard::on_load_finished`]. Before that the shell itself answers `COORDINATOR_LOAD_IN_PROGRESS`.
//! 2. **Decide.** An operation (or [`GroupShard::tick`], or any `on_…`) returns [`Effects`].
//! 3. **Append.** If `effects.records` isn't empty the shell appends them at once, in order, as the leader of the
//!    partition, and calls `replay` for each with its offset, *before any other call*. They belong into one batch;
//!    only tombstones may be many, and these may be split into several batches.
//!    If the append is refused, nothing may be replayed and nothing of the effects may be sent: they are handed to
//!    [`GroupShard::on_append_failed`], and the effects that come back are executed instead. If the first batches of
//!    a split were appended, `replay` those, and hand the effects back all the same: a tombstone is idempotent.
//! 4. **Reply.** [`Wait::Now`] replies are sent at once (after a successful append). [`Wait::Committed`] replies are sent
//!    when the high watermark is above [`GroupShard::last_offset`], read *after* step 3: so a read never shows an
//!    uncommitted record and a commit is acknowledged only when it can't be lost. At its request's deadline such a reply
//!    becomes [`Answer::with_error`]`(CoordinatorNotAvailable)`, at a lost leadership `(NotCoordinator)`.
//! 5. **Commit.** Whenever the high watermark moves: [`GroupShard::on_committed`]. The move from CompletingRebalance to
//!    Stable happens there and nowhere else, so members never act on an assignment that could be lost.
//! 6. **Time.** One timer at [`GroupShard::next_deadline`], which calls [`GroupShard::tick`]; read the deadline again
//!    after every call. A deadline that has passed means "tick now". Spurious ticks are harmless.
//!    `now` should be the wall clock at start plus monotonic time since: a clock that jumps ahead expires every session.
//! 7. **Resign.** [`GroupShard::on_unload`] answers everything parked; then the shard is dropped.
//!
//! JoinGroup and SyncGroup park their [`ReplyToken`]: the answer comes in the effects of a later call. Tokens are the
//! shell's, unique while unanswered; an answer for a connection that is gone is dropped by the shell.
//!
//! Record formats are Kafka's (`record`), so its tools read our log and we read Kafka's.

mod answer;
mod config;
mod consumer;
mod effects;
mod group;
mod group_partition;
pub mod record;
mod request;
mod shard;

pub use answer::{
    Answer, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, DeleteGroupsResponse, DescribeGroupResponse,
    DescribedConsumer, DescribedMember, FetchedOffset, HeartbeatResponse, JoinGroupMember, JoinGroupResponse,
    LeaveGroupResponse, LeftMember, ListGroupsResponse, ListedGroup, OffsetCommitResponse, OffsetDeleteResponse,
    OffsetFetchResponse, PartitionResult, SyncGroupResponse,
};
pub use config::GroupConfig;
pub use consumer::{AssignorKind, ClusterView, ConsumerGroupState, GroupOverrides, TopicView};
pub use effects::{CoordinatorRecord, Effects, Reply, ReplyToken, Wait};
pub use group::GroupState;
pub use group_partition::{group_partition, java_string_hash};
pub use request::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DescribeGroupRequest, HeartbeatRequest,
    JoinGroupRequest, JoinProtocol, LeaveGroupRequest, LeavingMember, ListGroupsRequest, MemberAssignment,
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetToCommit, SyncGroupRequest, TopicPartitions,
    new_member_id,
};
pub use shard::{BrokenInvariant, GroupShard};

#[cfg(test)]
mod tests;
