//! What one replica of a partition decides: pure rules, called under the partition's lock by the broker's shell.
//!
//! - `leader`: ISR, high watermark, followers' progress of the current leadership.
//! - `follow`: how a leader answers a replica that asks to follow, and what the follower does with the answer.
//! - `follower`: which pushes a follower takes.
//! - `admission`: whether a produced batch may be appended.
//! - `offset_waiters`: who waits for the high watermark.
//! - `producer_state`: idempotent producers' sequences.
//! - `compaction`: which records of a compacted topic stay.

mod admission;
pub mod compaction;
mod follow;
mod follower;
mod isr;
mod leader;
mod offset_waiters;
pub mod producer_state;

pub use admission::{Acks, Admission, AdmissionRefusal, ProduceAttempt, admit};
pub use follow::{EpochLookup, FollowAnswer, FollowRefusal, FollowRequest, truncation_target};
pub use follower::{FollowerState, PushRefusal};
pub use isr::Isr;
pub use leader::{FollowerAck, IsrProposal, LeaderEffects, LeaderState, LeadershipStart, ReplicaProgress};
pub use offset_waiters::OffsetWaiters;
