//! A broker's listeners, running.

use std::sync::Arc;

use rpc::GrpcServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::context::BrokerContext;
use crate::network::{KafkaServer, ListenerSocket};

/// Serves clients, and on the inter-broker listener other nodes, until it is stopped.
#[derive(Debug)]
pub struct BrokerServer {
    shutdown: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
}

impl BrokerServer {
    /// Starts on bound listeners, each with its name; `internal` gets the gRPC connections of the one called
    /// `inter_broker`. Clients are served once the broker is unfenced (LISTEN-1), nodes at once.
    #[must_use]
    pub fn start(
        context: Arc<BrokerContext>,
        listeners: Vec<(String, TcpListener)>,
        inter_broker: &str,
        internal: &GrpcServer,
    ) -> Self {
        let (shutdown, stopping) = watch::channel(false);
        let server = KafkaServer::start(&context);
        let several = listeners.len() > 1;
        let listeners = listeners
            .into_iter()
            .map(|(name, socket)| {
                let grpc = (name == inter_broker).then(|| internal.clone());
                let socket = ListenerSocket {
                    protected: several && grpc.is_some(),
                    name,
                    socket,
                    grpc,
                };
                tokio::spawn(Arc::clone(&server).serve(socket, stopping.clone()))
            })
            .collect();
        Self { shutdown, listeners }
    }

    /// Takes no more connections, lets the open ones send what is due.
    pub async fn stop(self) {
        self.shutdown.send_replace(true);
        for listener in self.listeners {
            let _ = listener.await;
        }
    }
}
