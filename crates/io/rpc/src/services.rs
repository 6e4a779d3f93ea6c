//! What a node answers to its peers. A node hosts those that its roles have.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

use crate::link::Link;
use crate::proto::{
    BrokerToController, ChangeVotersCall, ChangeVotersReply, ControlCall, ControlReply, ControllerToBroker,
    FollowerToLeader, LeaderToFollower, QuorumStatusCall, QuorumStatusReply, RaftCall, RaftReply,
};

/// Why a call isn't served; nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// The quorum's own messages.
#[async_trait]
pub trait RaftService: Debug + Send + Sync + 'static {
    /// Answers one.
    ///
    /// # Errors
    /// When the peer isn't to be served.
    async fn call(&self, call: RaftCall) -> Result<RaftReply, Refused>;
}

/// The controller's requests and the brokers' sessions.
#[async_trait]
pub trait ControllerService: Debug + Send + Sync + 'static {
    /// Answers a request, or says who is active.
    ///
    /// # Errors
    /// When the peer isn't to be served.
    async fn call(&self, call: ControlCall) -> Result<ControlReply, Refused>;

    /// The quorum's state.
    ///
    /// # Errors
    /// When the peer isn't to be served.
    async fn quorum_status(&self, call: QuorumStatusCall) -> Result<QuorumStatusReply, Refused>;

    /// Changes the quorum's voters, or says who is active.
    ///
    /// # Errors
    /// When the peer isn't to be served.
    async fn change_voters(&self, call: ChangeVotersCall) -> Result<ChangeVotersReply, Refused>;

    /// Takes a session's stream; returns when the session is over.
    async fn session(&self, link: Link<ControllerToBroker, BrokerToController>);
}

/// The leader's side of replication.
#[async_trait]
pub trait ReplicationService: Debug + Send + Sync + 'static {
    /// Takes a follower's stream; returns when it is over.
    async fn stream(&self, link: Link<LeaderToFollower, FollowerToLeader>);
}

/// What one port of a node serves.
#[derive(Debug, Clone, Default)]
pub struct Services {
    /// On controllers.
    pub raft: Option<Arc<dyn RaftService>>,
    /// On controllers.
    pub controller: Option<Arc<dyn ControllerService>>,
    /// On brokers.
    pub replication: Option<Arc<dyn ReplicationService>>,
}
