//! Clients whose bytes come over something else than a socket: the simulator's wires.
//!
//! The same server as behind the listeners, LISTEN-1 included; only accepting is left out.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::listener::KafkaServer;
use crate::context::BrokerContext;

/// Serves clients over streams that somebody else connects.
#[derive(Debug)]
pub struct ClientStreams {
    server: Arc<KafkaServer>,
    shutdown: watch::Sender<bool>,
}

impl ClientStreams {
    /// A server for this broker; to be called inside its runtime.
    #[must_use]
    pub fn new(context: &Arc<BrokerContext>) -> Self {
        Self {
            server: KafkaServer::start(context),
            shutdown: watch::Sender::new(false),
        }
    }

    /// Whether clients' requests are read (LISTEN-1).
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.server.is_serving()
    }

    /// Serves one connection that came in through the listener of that name, until it ends.
    pub async fn serve<R, W>(&self, source: R, sink: W, listener: &str, peer: SocketAddr)
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let shutdown = self.shutdown.subscribe();
        self.server.converse(source, sink, listener, peer, shutdown).await;
    }

    /// The open connections send what is due and end.
    pub fn stop(&self) {
        self.shutdown.send_replace(true);
    }
}
