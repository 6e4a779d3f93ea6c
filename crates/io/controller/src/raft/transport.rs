//! How quorum members reach each other: opaque bytes both ways, so that the transport needs no Raft words.
//!
//! One call is one request and one response; order between calls is not needed. A broken connection must be dropped
//! by the implementation: a stale one would starve a restarted follower.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::VoterAddress;

/// A call that brought no response.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransportError {
    /// Nobody is there, or the connection broke before the request was sent.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// No response before the deadline; the request may have been handled.
    #[error("no response before the deadline")]
    Timeout,
    /// The peer refused to serve us (identity, cluster id, protocol version).
    #[error("refused by the peer: {0}")]
    Refused(String),
}

/// What a plain connection attempt to an address shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialOutcome {
    /// The host answered that nobody listens: the process is gone.
    Refused,
    /// Somebody accepted.
    Accepted,
    /// No answer in time, or an error that says nothing about the process.
    Silent,
}

/// The network between quorum members.
#[async_trait]
pub trait RaftTransport: std::fmt::Debug + Send + Sync + 'static {
    /// Sends one request and waits for its response, at most `deadline`.
    async fn call(&self, to: &VoterAddress, request: Bytes, deadline: Duration) -> Result<Bytes, TransportError>;

    /// Dials the address without saying anything. Must answer within a few hundred milliseconds.
    async fn dial(&self, to: &VoterAddress) -> DialOutcome;
}
