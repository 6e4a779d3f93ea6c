//! The Raft metadata quorum and the active controller.
//!
//! `raft` replicates the metadata log; above it, `writer` decides what brokers ask for, `sessions` knows which brokers
//! live, `feed` streams the metadata to them, `service` is what the network reaches. Only the active controller decides;
//! everybody replays.

mod active;
mod feed;
mod log_ends;
mod mutation_quotas;
pub mod raft;
mod service;
mod session;
mod sessions;
mod transport;
mod voters;
mod writer;

pub use active::{ControllerConfig, WallClock};
pub use service::Controller;
pub use transport::RpcRaftTransport;
