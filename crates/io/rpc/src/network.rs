//! The network as nodes see it: the seam that the simulator replaces.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::address::PeerAddress;
use crate::link::Link;
use crate::proto::{
    BrokerToController, ChangeVotersCall, ChangeVotersReply, ControlCall, ControlReply, ControllerToBroker,
    FollowerToLeader, Lane, LeaderToFollower, QuorumStatusCall, QuorumStatusReply, RaftCall, RaftReply,
};

/// A call that brought no answer. Whether the peer acted on it is not known, unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// No connection could be made, or it broke.
    #[error("{to} is unreachable: {reason}")]
    Unreachable {
        /// The peer.
        to: PeerAddress,
        /// The transport's words.
        reason: String,
    },
    /// No answer in time.
    #[error("{to} did not answer within {after_ms} ms")]
    Timeout {
        /// The peer.
        to: PeerAddress,
        /// The deadline.
        after_ms: u64,
    },
    /// The peer answered that it doesn't serve this: nothing was done.
    #[error("{to} refused: {reason}")]
    Refused {
        /// The peer.
        to: PeerAddress,
        /// The peer's words.
        reason: String,
    },
}

/// What a plain connection attempt shows about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialOutcome {
    /// The port refuses: nothing listens there, the process is gone.
    Refused,
    /// Something accepts.
    Accepted,
    /// No answer in time, or the name can't be resolved: nothing is known.
    Silent,
}

/// Calls to other nodes. Every call ends by its deadline.
#[async_trait]
pub trait Network: Debug + Send + Sync + 'static {
    /// A Raft message.
    async fn raft(&self, to: &PeerAddress, call: RaftCall, deadline: Duration) -> Result<RaftReply, NetworkError>;

    /// A request to the active controller.
    async fn control(
        &self,
        to: &PeerAddress,
        call: ControlCall,
        deadline: Duration,
    ) -> Result<ControlReply, NetworkError>;

    /// The state of the quorum as the node asked sees it.
    async fn quorum_status(
        &self,
        to: &PeerAddress,
        call: QuorumStatusCall,
        deadline: Duration,
    ) -> Result<QuorumStatusReply, NetworkError>;

    /// A change of the quorum's voters, by the active controller.
    async fn change_voters(
        &self,
        to: &PeerAddress,
        call: ChangeVotersCall,
        deadline: Duration,
    ) -> Result<ChangeVotersReply, NetworkError>;

    /// Opens a broker's session; `deadline` bounds the opening.
    async fn session(
        &self,
        to: &PeerAddress,
        deadline: Duration,
    ) -> Result<Link<BrokerToController, ControllerToBroker>, NetworkError>;

    /// Opens a replication stream on the lane's own connection; `deadline` bounds the opening.
    async fn replication(
        &self,
        to: &PeerAddress,
        lane: Lane,
        deadline: Duration,
    ) -> Result<Link<FollowerToLeader, LeaderToFollower>, NetworkError>;

    /// Whether a process answers at the address.
    async fn dial(&self, to: &PeerAddress, deadline: Duration) -> DialOutcome;
}
