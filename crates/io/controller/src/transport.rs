//! Raft's messages over the nodes' network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rpc::proto::RaftCall;
use rpc::{Network, NetworkError, PeerAddress, PeerIdentity};
use types::BrokerEpoch;

use crate::raft::{DialOutcome, RaftTransport, TransportError, VoterAddress};

/// A dial that stays unanswered so long says nothing.
const DIAL_TIMEOUT: Duration = Duration::from_millis(200);

/// Carries opaque Raft payloads with the header that identifies this node.
#[derive(Debug)]
pub struct RpcRaftTransport {
    network: Arc<dyn Network>,
    identity: PeerIdentity,
}

impl RpcRaftTransport {
    /// Over `network`, as `identity`.
    #[must_use]
    pub fn new(network: Arc<dyn Network>, identity: PeerIdentity) -> Self {
        Self { network, identity }
    }
}

#[async_trait]
impl RaftTransport for RpcRaftTransport {
    async fn call(&self, to: &VoterAddress, request: Bytes, deadline: Duration) -> Result<Bytes, TransportError> {
        let call = RaftCall {
            header: Some(self.identity.header(BrokerEpoch::NONE)),
            payload: request,
        };
        match self
            .network
            .raft(&PeerAddress::new(&to.host, to.port), call, deadline)
            .await
        {
            Ok(reply) => Ok(reply.payload),
            Err(NetworkError::Timeout { .. }) => Err(TransportError::Timeout),
            Err(NetworkError::Refused { reason, .. }) => Err(TransportError::Refused(reason)),
            Err(NetworkError::Unreachable { reason, .. }) => Err(TransportError::Unreachable(reason)),
        }
    }

    async fn dial(&self, to: &VoterAddress) -> DialOutcome {
        match self
            .network
            .dial(&PeerAddress::new(&to.host, to.port), DIAL_TIMEOUT)
            .await
        {
            rpc::DialOutcome::Refused => DialOutcome::Refused,
            rpc::DialOutcome::Accepted => DialOutcome::Accepted,
            rpc::DialOutcome::Silent => DialOutcome::Silent,
        }
    }
}
