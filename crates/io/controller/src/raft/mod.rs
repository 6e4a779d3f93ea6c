//! The metadata quorum: a replicated log of metadata records, and the image that they replay into.
//!
//! This is the only folder that names openraft or sled; [`MetadataQuorum`] is what the rest of the controller sees.
//! Invariants, each with a test that can fail:
//!
//! - **RAFT-1** Nothing is answered (vote, append, truncate, purge) before it is on stable storage; a failed sync is
//!   reported by [`MetadataQuorum::fatal`] and never retried: the process must exit.
//! - **RAFT-2** A voter is (node id, directory id): a wiped disk is another voter and never votes with amnesia.
//! - **RAFT-3** An entry is replayed only if it was decided on the offset that it is replayed at.
//! - **RAFT-4** Damage in the synced part of the log is refused with file and offset, never skipped; only the part
//!   that was not synced when the power failed is cut.
//! - **RAFT-5** sled caches the applied image. It is never evidence: anything odd, and it is deleted and rebuilt.
//! - **RAFT-6** No second cluster is born beside the first: a cluster begins only when every listed voter is blank.
//! - **RAFT-7** Who was left behind by a forced recovery is refused by the recovered quorum, and ends when it hears of it.

mod answers;
mod applied;
mod bootstrap;
mod codec;
mod config;
mod election;
mod errors;
mod identity;
mod image_cache;
mod leadership;
mod log_store;
mod membership;
mod network;
mod node;
mod peers;
mod proto;
mod quorum;
mod recover;
mod runtime;
mod server;
mod slot_file;
mod snapshots;
mod start;
mod state_machine;
mod status;
mod transport;
mod type_config;
mod voters;

#[cfg(test)]
mod tests;

pub use applied::{AppliedBatch, AppliedImage};
pub use config::{LogIo, QuorumConfig, RaftThreads, VoterAddress};
pub use errors::{FatalError, MembershipError, QuorumError, ReadError, WriteError};
pub use leadership::Leadership;
pub use quorum::MetadataQuorum;
pub use recover::Survivor;
pub(crate) use runtime::handed_over;
pub use runtime::seed_randomness;
pub use status::{QuorumStatus, ReplicaStatus};
pub use transport::{DialOutcome, RaftTransport, TransportError};
