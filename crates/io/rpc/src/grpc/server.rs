//! Serves a node's internal services on connections that a listener accepted.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::counted::Counted;
use super::replication::ReplicationCalls;
use super::{
    CONCURRENT_STREAMS, CONNECTION_WINDOW_BYTES, FRAME_BYTES, HANDSHAKE_DEADLINE, HEADER_LIST_BYTES,
    KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, MESSAGE_BYTES, PENDING_RESETS, REQUEST_BYTES, STREAM_WINDOW_BYTES,
};
use crate::connections::ConnectionSlot;
use crate::link::{Link, LinkReceiver};
use crate::proto::controller_server::{Controller, ControllerServer};
use crate::proto::raft_server::{Raft, RaftServer};
use crate::proto::{
    BrokerToController, ChangeVotersCall, ChangeVotersReply, ControlCall, ControlReply, ControllerToBroker,
    QuorumStatusCall, QuorumStatusReply, RaftCall, RaftReply,
};
use crate::services::{ControllerService, RaftService, Refused, Services};

/// Connections that wait to be taken up.
const ACCEPTED_DEPTH: usize = 128;

/// A running gRPC server without a listener of its own: the port is shared with Kafka's protocol.
#[derive(Debug, Clone)]
pub struct GrpcServer {
    connections: mpsc::Sender<std::io::Result<Counted>>,
    handshake: Duration,
}

/// How every HTTP/2 connection begins.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Between two looks at a preface that comes in pieces.
const PIECE_PAUSE: Duration = Duration::from_millis(10);

impl GrpcServer {
    /// Starts serving on the current runtime; ends when the last handle and connection are gone.
    #[must_use]
    pub fn start(services: Services) -> Self {
        let (connections, incoming) = mpsc::channel(ACCEPTED_DEPTH);
        let raft = services.raft.map(|service| {
            RaftServer::new(RaftShell(service))
                .max_decoding_message_size(MESSAGE_BYTES)
                .max_encoding_message_size(MESSAGE_BYTES)
        });
        let controller = services.controller.map(|service| {
            ControllerServer::new(ControllerShell(service))
                .max_decoding_message_size(REQUEST_BYTES)
                .max_encoding_message_size(MESSAGE_BYTES)
        });
        let replication = services.replication.map(ReplicationCalls);
        tokio::spawn(async move {
            let served = Server::builder()
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_frame_size(FRAME_BYTES)
                .max_concurrent_streams(CONCURRENT_STREAMS)
                .http2_max_header_list_size(HEADER_LIST_BYTES)
                .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
                .http2_max_local_error_reset_streams(Some(PENDING_RESETS))
                .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
                .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
                .add_optional_service(raft)
                .add_optional_service(controller)
                .add_optional_service(replication)
                .serve_with_incoming(ReceiverStream::new(incoming))
                .await;
            if let Err(error) = served {
                tracing::error!(%error, "internal server ended");
            }
        });
        Self {
            connections,
            handshake: HANDSHAKE_DEADLINE,
        }
    }

    /// Takes over an accepted connection, nothing of which was consumed, and its place among the node's connections. Waits
    /// until it has said that it speaks HTTP/2: one that doesn't is closed.
    pub async fn serve(&self, connection: TcpStream, slot: ConnectionSlot) {
        // Lost with connections that come in from a listener of one's own: 40 ms a call.
        let _ = connection.set_nodelay(true);
        // tonic would wait for the preface for ever.
        if timeout(self.handshake, speaks_http2(&connection)).await == Ok(true) {
            let _ = self.connections.send(Ok(Counted::new(connection, slot))).await;
        }
    }
}

async fn speaks_http2(connection: &TcpStream) -> bool {
    let mut start = [0; PREFACE.len()];
    loop {
        let Ok(peeked) = connection.peek(&mut start).await else {
            return false;
        };
        let said = start.get(..peeked).unwrap_or_default();
        if said.is_empty() || !PREFACE.starts_with(said) {
            return false;
        }
        if said.len() == PREFACE.len() {
            return true;
        }
        sleep(PIECE_PAUSE).await;
    }
}

fn refused(refusal: Refused) -> Status {
    Status::failed_precondition(refusal.0)
}

type Outgoing<Out> = Pin<Box<dyn Stream<Item = Result<Out, Status>> + Send>>;

fn outgoing<Out: Send + 'static>() -> (mpsc::Sender<Out>, Outgoing<Out>) {
    let (tx, rx) = mpsc::channel(Link::<Out, ()>::DEPTH);
    (tx, Box::pin(ReceiverStream::new(rx).map(Ok)))
}

struct RaftShell(Arc<dyn RaftService>);

#[tonic::async_trait]
impl Raft for RaftShell {
    async fn call(&self, request: Request<RaftCall>) -> Result<Response<RaftReply>, Status> {
        self.0
            .call(request.into_inner())
            .await
            .map(Response::new)
            .map_err(refused)
    }
}

struct ControllerShell(Arc<dyn ControllerService>);

#[tonic::async_trait]
impl Controller for ControllerShell {
    async fn call(&self, request: Request<ControlCall>) -> Result<Response<ControlReply>, Status> {
        self.0
            .call(request.into_inner())
            .await
            .map(Response::new)
            .map_err(refused)
    }

    async fn quorum_status(&self, request: Request<QuorumStatusCall>) -> Result<Response<QuorumStatusReply>, Status> {
        self.0
            .quorum_status(request.into_inner())
            .await
            .map(Response::new)
            .map_err(refused)
    }

    async fn change_voters(&self, request: Request<ChangeVotersCall>) -> Result<Response<ChangeVotersReply>, Status> {
        self.0
            .change_voters(request.into_inner())
            .await
            .map(Response::new)
            .map_err(refused)
    }

    type SessionStream = Outgoing<ControllerToBroker>;

    async fn session(
        &self,
        request: Request<Streaming<BrokerToController>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let rx = LinkReceiver::of_stream(request.into_inner());
        let (tx, stream) = outgoing();
        let service = Arc::clone(&self.0);
        tokio::spawn(async move { service.session(Link { tx, rx }).await });
        Ok(Response::new(stream))
    }
}

#[cfg(test)]
mod tests;
