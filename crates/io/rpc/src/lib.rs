//! The internal transport between nodes.
//!
//! `Network` is the seam that the simulator replaces: it lies above gRPC's encoding, so a simulated network carries the
//! same typed messages without a socket. `Services` is its other end: what a node answers. `grpc` is the real thing.
//!
//! Every call carries a [`proto::PeerHeader`]; [`PeerIdentity::check`] is the one place that decides whether it is served.

mod address;
mod connections;
mod grpc;
mod link;
mod network;
mod peer;
mod services;

/// The generated messages of `proto/nodes.proto`, `replication.proto` and `peer.proto`.
#[allow(missing_docs, clippy::all, reason = "generated; the .proto files document it")]
pub mod proto {
    tonic::include_proto!("klamm.internal");
}

pub use address::{PeerAddress, PeerAddressError};
pub use connections::{ConnectionLimits, ConnectionSlot};
pub use grpc::{GrpcNetwork, GrpcServer};
pub use link::{Link, LinkReceiver};
pub use network::{DialOutcome, Network, NetworkError};
pub use peer::{PROTOCOL_VERSION, PeerIdentity, PeerRefusal};
pub use services::{ControllerService, RaftService, Refused, ReplicationService, Services};
