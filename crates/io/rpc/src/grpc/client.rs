//! Calls over gRPC.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::replication::open_stream;
use super::{
    CONNECT_TIMEOUT, CONNECTION_WINDOW_BYTES, FRAME_BYTES, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, MESSAGE_BYTES,
    STREAM_WINDOW_BYTES,
};
use crate::address::PeerAddress;
use crate::link::{Link, LinkReceiver};
use crate::network::{DialOutcome, Network, NetworkError};
use crate::proto::controller_client::ControllerClient;
use crate::proto::raft_client::RaftClient;
use crate::proto::{
    BrokerToController, ChangeVotersCall, ChangeVotersReply, ControlCall, ControlReply, ControllerToBroker,
    FollowerToLeader, Lane, LeaderToFollower, QuorumStatusCall, QuorumStatusReply, RaftCall, RaftReply,
};

/// What a connection is for; each has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Purpose {
    Raft,
    Control,
    Tail,
    CatchUp,
}

/// Four for each of as many peers as a large cluster has.
const MAX_CHANNELS: usize = 4_096;

/// Connections to peers, made when first needed and made anew when broken.
#[derive(Debug, Clone, Default)]
pub struct GrpcNetwork {
    channels: Arc<Mutex<HashMap<(PeerAddress, Purpose), Channel>>>,
}

impl GrpcNetwork {
    /// Without connections yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn channel(&self, to: &PeerAddress, purpose: Purpose) -> Result<Channel, NetworkError> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(&(to.clone(), purpose)) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{to}"))
            .map_err(|error| unreachable_peer(to, &error.to_string()))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            // What a leader pushes comes this way; each frame costs both ends a call.
            .max_frame_size(FRAME_BYTES)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect_lazy();
        // Who may name addresses without end would fill this map; who still uses a connection keeps it.
        if channels.len() >= MAX_CHANNELS {
            channels.clear();
        }
        channels.insert((to.clone(), purpose), channel.clone());
        Ok(channel)
    }

    /// A failed connection is dropped, so that the next call dials by name again.
    fn forget(&self, to: &PeerAddress, purpose: Purpose) {
        self.channels.lock().remove(&(to.clone(), purpose));
    }

    async fn within<T>(
        &self,
        to: &PeerAddress,
        purpose: Purpose,
        deadline: Duration,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, NetworkError> {
        // The deadline covers waiting for the connection, which tonic's own timeout doesn't.
        match tokio::time::timeout(deadline, call).await {
            Err(_) => Err(NetworkError::Timeout {
                to: to.clone(),
                after_ms: u64::try_from(deadline.as_millis()).unwrap_or(0),
            }),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => match status.code() {
                Code::FailedPrecondition | Code::Unimplemented | Code::PermissionDenied => Err(NetworkError::Refused {
                    to: to.clone(),
                    reason: status.message().to_owned(),
                }),
                _ => {
                    self.forget(to, purpose);
                    Err(unreachable_peer(to, &describe(&status)))
                }
            },
        }
    }
}

/// The innermost cause says what happened ("connection refused"); the outer ones say "transport error".
fn describe(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn unreachable_peer(to: &PeerAddress, reason: &str) -> NetworkError {
    NetworkError::Unreachable {
        to: to.clone(),
        reason: reason.to_owned(),
    }
}

macro_rules! sized {
    ($client:expr) => {
        $client
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES)
    };
}

#[async_trait]
impl Network for GrpcNetwork {
    async fn raft(&self, to: &PeerAddress, call: RaftCall, deadline: Duration) -> Result<RaftReply, NetworkError> {
        let mut client = sized!(RaftClient::new(self.channel(to, Purpose::Raft)?));
        Ok(self
            .within(to, Purpose::Raft, deadline, client.call(call))
            .await?
            .into_inner())
    }

    async fn control(
        &self,
        to: &PeerAddress,
        call: ControlCall,
        deadline: Duration,
    ) -> Result<ControlReply, NetworkError> {
        let mut client = sized!(ControllerClient::new(self.channel(to, Purpose::Control)?));
        Ok(self
            .within(to, Purpose::Control, deadline, client.call(call))
            .await?
            .into_inner())
    }

    async fn quorum_status(
        &self,
        to: &PeerAddress,
        call: QuorumStatusCall,
        deadline: Duration,
    ) -> Result<QuorumStatusReply, NetworkError> {
        let mut client = sized!(ControllerClient::new(self.channel(to, Purpose::Control)?));
        Ok(self
            .within(to, Purpose::Control, deadline, client.quorum_status(call))
            .await?
            .into_inner())
    }

    async fn change_voters(
        &self,
        to: &PeerAddress,
        call: ChangeVotersCall,
        deadline: Duration,
    ) -> Result<ChangeVotersReply, NetworkError> {
        let mut client = sized!(ControllerClient::new(self.channel(to, Purpose::Control)?));
        Ok(self
            .within(to, Purpose::Control, deadline, client.change_voters(call))
            .await?
            .into_inner())
    }

    async fn session(
        &self,
        to: &PeerAddress,
        deadline: Duration,
    ) -> Result<Link<BrokerToController, ControllerToBroker>, NetworkError> {
        let mut client = sized!(ControllerClient::new(self.channel(to, Purpose::Control)?));
        let (tx, rx) = mpsc::channel(Link::<BrokerToController, ()>::DEPTH);
        let call = client.session(ReceiverStream::new(rx));
        let stream = self.within(to, Purpose::Control, deadline, call).await?.into_inner();
        let rx = LinkReceiver::of_stream(stream);
        Ok(Link { tx, rx })
    }

    async fn replication(
        &self,
        to: &PeerAddress,
        lane: Lane,
        deadline: Duration,
    ) -> Result<Link<FollowerToLeader, LeaderToFollower>, NetworkError> {
        let purpose = match lane {
            Lane::Tail => Purpose::Tail,
            Lane::CatchUp => Purpose::CatchUp,
        };
        let channel = self.channel(to, purpose)?;
        self.within(to, purpose, deadline, open_stream(channel)).await
    }

    async fn dial(&self, to: &PeerAddress, deadline: Duration) -> DialOutcome {
        let connect = tokio::net::TcpStream::connect((to.host.as_str(), to.port));
        match tokio::time::timeout(deadline, connect).await {
            Ok(Ok(_)) => DialOutcome::Accepted,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => DialOutcome::Refused,
            Ok(Err(_)) | Err(_) => DialOutcome::Silent,
        }
    }
}
