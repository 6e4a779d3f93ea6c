//! Accepts connections and tells Kafka's from gRPC's, which share the inter-broker port (design, "Listeners").
//!
//! An HTTP/2 preface can't be a Kafka frame's size, so the first bytes decide; they are peeked at, not consumed.
//!
//! LISTEN-1: no client's request is read before the broker was unfenced for the first time, as in Kafka: the metadata of a
//! broker that just started names no brokers, and librdkafka, told so, forgets all that it knew and never comes back.
//! Clients may connect, and wait; other nodes are served at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use config::NetworkConfig;
use futures::FutureExt;
use prometheus_client::metrics::gauge::Gauge;
use rpc::{ConnectionLimits, ConnectionSlot, GrpcServer};
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection::{Connection, ConnectionSettings, stopped};
use super::dispatcher::{BrokerDispatcher, Dispatcher};
use super::limits::RequestBudget;
use crate::context::{BrokerContext, ClientConnection};
use crate::metrics::BrokerMetrics;

/// After accept failed (mostly: no file descriptors left), so that the loop doesn't spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What connections get to send their last answers when the node stops.
const CLOSING_WAIT: Duration = Duration::from_secs(2);
/// How often a client that waits is looked at.
const GONE_ROUND: Duration = Duration::from_millis(250);
/// How HTTP/2 begins.
const PREFACE: &[u8; 4] = b"PRI ";

/// A bound listener.
#[derive(Debug)]
pub(crate) struct ListenerSocket {
    /// Its name: Metadata answers with addresses of the same one.
    pub(crate) name: String,
    /// Bound already, so that the port is known before anything is advertised.
    pub(crate) socket: TcpListener,
    /// On the inter-broker listener: what gRPC connections are handed to.
    pub(crate) grpc: Option<GrpcServer>,
    /// Clients have other listeners.
    pub(crate) protected: bool,
}

/// Serves Kafka's protocol on any number of listeners, under common limits.
#[derive(Debug)]
pub(crate) struct KafkaServer {
    broker: Arc<BrokerContext>,
    dispatcher: Arc<dyn Dispatcher>,
    settings: ConnectionSettings,
    connections: Arc<ConnectionLimits>,
    metrics: Arc<BrokerMetrics>,
    /// Turns true when clients may be served (LISTEN-1).
    serving: watch::Receiver<bool>,
    next_id: AtomicU64,
}

impl KafkaServer {
    /// A server for this broker; [`KafkaServer::serve`] starts it on a listener. Clients wait until `serving` is true.
    pub(crate) fn new(broker: &Arc<BrokerContext>, serving: watch::Receiver<bool>) -> Arc<Self> {
        let network: &NetworkConfig = &broker.config.network;
        let request_max_bytes = network.socket_request_max_bytes as usize;
        let settings = ConnectionSettings {
            request_max_bytes,
            max_idle: network.connections_max_idle,
            budget: RequestBudget::new(request_max_bytes),
        };
        let connections = ConnectionLimits::new(network.max_connections, network.max_connections_per_ip);
        Arc::new(Self {
            broker: Arc::clone(broker),
            dispatcher: Arc::new(BrokerDispatcher(Arc::clone(broker))),
            settings,
            connections,
            metrics: Arc::clone(&broker.host.metrics),
            serving,
            next_id: AtomicU64::new(0),
        })
    }

    /// A server that begins to serve clients once this broker is unfenced (LISTEN-1).
    pub(crate) fn start(broker: &Arc<BrokerContext>) -> Arc<Self> {
        let (serve, serving) = watch::channel(false);
        let context = Arc::clone(broker);
        tokio::spawn(async move {
            tokio::select! {
                () = context.publisher.unfenced() => drop(serve.send_replace(true)),
                () = serve.closed() => {}
            }
        });
        Self::new(broker, serving)
    }

    /// Whether clients are served by now.
    pub(crate) fn is_serving(&self) -> bool {
        *self.serving.borrow()
    }

    /// Accepts until `shutdown` turns true, then lets the open connections send what is due.
    pub(crate) async fn serve(self: Arc<Self>, listener: ListenerSocket, mut shutdown: watch::Receiver<bool>) {
        let name: Arc<str> = Arc::from(listener.name.as_str());
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.socket.accept() => accepted,
                Some(_) = open.join_next(), if !open.is_empty() => continue,
                () = stopped(&mut shutdown) => break,
            };
            let (stream, peer) = match accepted {
                // Listening on [::], an IPv4 client has an IPv6 address that no quota and no limit names.
                Ok((stream, peer)) => (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port())),
                Err(error) => {
                    tracing::warn!(%error, listener = %name, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let address = peer.ip();
            self.renew_limits();
            let slot = if listener.protected {
                self.connections.open_protected(address)
            } else {
                self.connections.open(address)
            };
            match slot {
                Ok(slot) => {
                    let accepted = Accepted {
                        stream,
                        peer,
                        slot,
                        name: Arc::clone(&name),
                    };
                    open.spawn(Arc::clone(&self).take(accepted, listener.grpc.clone(), shutdown.clone()));
                }
                Err(limit) => tracing::warn!(%address, listener = %name, limit, "a connection was refused"),
            }
        }
        drop(listener.socket);
        let all_closed = async { while open.join_next().await.is_some() {} };
        if timeout(CLOSING_WAIT, all_closed).await.is_err() {
            tracing::debug!(listener = %name, "connections were cut");
        }
    }

    /// As they are set now (KIP-226).
    fn renew_limits(&self) {
        let image = self.broker.host.image.load();
        let own = image.broker_config(Some(self.broker.host.local));
        let of_all = image.broker_config(None);
        let set = |key| own.get(key).or_else(|| of_all.get(key))?.trim().parse().ok();
        let network = &self.broker.config.network;
        self.connections.set(
            set("max.connections").unwrap_or(network.max_connections),
            set("max.connections.per.ip").unwrap_or(network.max_connections_per_ip),
        );
    }

    async fn take(self: Arc<Self>, accepted: Accepted, grpc: Option<GrpcServer>, mut shutdown: watch::Receiver<bool>) {
        let Accepted {
            stream,
            peer,
            slot,
            name,
        } = accepted;
        let _ = stream.set_nodelay(true);
        if let Some(grpc) = grpc {
            match self.speaks_http2(&stream, shutdown.clone()).await {
                Some(false) => {}
                Some(true) => {
                    return grpc.serve(stream, slot).await;
                }
                None => return,
            }
        }
        let broker = &self.broker;
        let admitted = broker
            .quotas
            .admit(&broker.host.image.load(), peer.ip(), broker.host.clock.now());
        if let Err(wait) = admitted {
            // Closed at once it would try again at once (KIP-612).
            tokio::select! {
                () = sleep(wait) => {}
                () = has_gone(&stream) => {}
                () = stopped(&mut shutdown) => {}
            }
            return;
        }
        // Clients that try again and again mustn't use up the files of a node that waits.
        let may_serve = tokio::select! {
            biased;
            may_serve = self.may_serve(shutdown.clone()) => may_serve,
            () = has_gone(&stream) => false,
        };
        if !may_serve {
            return;
        }
        let (source, sink) = stream.into_split();
        self.converse(source, sink, &name, peer, shutdown).await;
        drop(slot);
    }

    /// Serves a client's connection, once clients are served at all.
    pub(crate) async fn converse<R, W>(
        &self,
        source: R,
        sink: W,
        listener: &str,
        peer: SocketAddr,
        shutdown: watch::Receiver<bool>,
    ) where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if !self.may_serve(shutdown.clone()).await {
            return;
        }
        let client = ClientConnection::new(listener, peer, self.next_id.fetch_add(1, Ordering::Relaxed));
        let _counted = Counted::new(&self.metrics);
        Connection::new(
            Arc::clone(&self.dispatcher),
            self.settings.clone(),
            Arc::clone(&self.metrics),
            client,
        )
        .run(source, sink, shutdown)
        .await;
    }

    /// Waits until clients are served (LISTEN-1); false when that takes longer than a connection may be idle, or never comes.
    async fn may_serve(&self, mut shutdown: watch::Receiver<bool>) -> bool {
        let mut serving = self.serving.clone();
        tokio::select! {
            served = timeout(self.settings.max_idle, serving.wait_for(|serving| *serving)) => matches!(served, Ok(Ok(_))),
            () = stopped(&mut shutdown) => false,
        }
    }

    /// Whether the peer begins with HTTP/2's preface; `None` when it says nothing. A first byte `P` alone decides: as a
    /// frame's size it would be more than a gigabyte.
    async fn speaks_http2(&self, stream: &TcpStream, mut shutdown: watch::Receiver<bool>) -> Option<bool> {
        let mut start = [0; PREFACE.len()];
        let peeked = tokio::select! {
            peeked = timeout(self.settings.max_idle, stream.peek(&mut start)) => peeked.ok()?.ok()?,
            () = stopped(&mut shutdown) => return None,
        };
        let start = start.get(..peeked)?;
        (!start.is_empty()).then(|| PREFACE.starts_with(start))
    }
}

/// Waits until the peer has closed its half. What it has sent stays unread, so readiness tells, and not a read.
async fn has_gone(stream: &TcpStream) {
    loop {
        sleep(GONE_ROUND).await;
        match stream.ready(Interest::READABLE).now_or_never() {
            Some(Ok(ready)) if ready.is_read_closed() => return,
            Some(Err(_)) => return,
            Some(Ok(_)) | None => {}
        }
    }
}

/// A connection that isn't told apart yet.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    slot: ConnectionSlot,
    name: Arc<str>,
}

/// Counts an open connection, however it ends.
struct Counted(Gauge);

impl Counted {
    fn new(metrics: &BrokerMetrics) -> Self {
        metrics.connections.inc();
        Self(metrics.connections.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use metadata::proto::{ClientQuota, Config, QuotaEntityPart};
    use metadata::{ConfigResource, MetadataImage};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::apis::fixture::LoneBroker;

    async fn listening() -> (ListenerSocket, SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let listener = ListenerSocket {
            name: "PLAINTEXT".to_owned(),
            socket,
            grpc: None,
            protected: false,
        };
        (listener, address)
    }

    #[tokio::test]
    async fn a_client_of_the_future_gets_the_fallback_and_the_server_stops_when_told() {
        let lone = LoneBroker::with_topics(&["a"]).await;
        let (listener, address) = listening().await;
        let (stop, stopping) = watch::channel(false);
        let (unfence, unfenced) = watch::channel(false);
        let server = KafkaServer::new(lone.context(), unfenced);
        let serving = tokio::spawn(Arc::clone(&server).serve(listener, stopping));

        let mut client = TcpStream::connect(address).await.unwrap();
        // ApiVersions version 99, correlation id 7.
        client.write_all(&[0, 0, 0, 8, 0, 18, 0, 99, 0, 0, 0, 7]).await.unwrap();
        let mut answer = [0; 20];
        // LISTEN-1: nobody is answered while the broker is fenced.
        let early = timeout(Duration::from_millis(20), client.read(&mut answer)).await;
        assert!(early.is_err());
        assert_eq!(server.metrics.connections.get(), 0);
        // One that gives up is let go.
        let mut impatient = TcpStream::connect(address).await.unwrap();
        impatient.write_all(&[0, 0, 0, 8]).await.unwrap();
        impatient.shutdown().await.unwrap();
        let end = impatient.read(&mut answer).await;
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        unfence.send(true).unwrap();
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[..10], [0, 0, 0, 16, 0, 0, 0, 7, 0, 35]);
        assert_eq!(server.metrics.connections.get(), 1);

        // Produce version 2 isn't served: the connection is closed, others go on.
        client
            .write_all(&[0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 8, 255, 255])
            .await
            .unwrap();
        assert_eq!(client.read(&mut answer).await.unwrap(), 0);
        let _other = TcpStream::connect(address).await.unwrap();
        stop.send(true).unwrap();
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
        assert_eq!(server.metrics.connections.get(), 0);
    }

    #[tokio::test]
    async fn limits_may_be_set_while_the_broker_runs() {
        let lone = LoneBroker::with_topics(&["a"]).await;
        let mut image = MetadataImage::clone(&lone.context().host.image.load());
        let limit = |image: &mut MetadataImage, value: Option<&str>| {
            let limit = Config {
                resource_type: ConfigResource::DefaultBroker.resource_type().into(),
                resource_name: ConfigResource::DefaultBroker.name(),
                key: "max.connections".to_owned(),
                value: value.map(str::to_owned),
            };
            image.replay(&limit.into()).unwrap();
        };
        let (listener, address) = listening().await;
        let (stop, stopping) = watch::channel(false);
        let (_unfenced, serving) = watch::channel(true);
        let server = KafkaServer::new(lone.context(), serving);
        let served = tokio::spawn(Arc::clone(&server).serve(listener, stopping));
        let ask = async || {
            let mut client = TcpStream::connect(address).await.unwrap();
            let mut answer = [0; 20];
            let asked = client.write_all(&[0, 0, 0, 8, 0, 18, 0, 99, 0, 0, 0, 7]).await;
            let answered = asked.is_ok() && client.read_exact(&mut answer).await.is_ok();
            answered.then_some(client)
        };
        let _first = ask().await.unwrap();
        limit(&mut image, Some("1"));
        lone.context().publisher.publish_snapshot(image.clone()).await;
        assert!(ask().await.is_none());
        limit(&mut image, None);
        lone.context().publisher.publish_snapshot(image).await;
        assert!(ask().await.is_some());
        stop.send(true).unwrap();
        served.await.unwrap();
    }

    #[tokio::test]
    async fn an_address_that_connects_too_often_is_closed_without_an_answer() {
        let lone = LoneBroker::with_topics(&["a"]).await;
        let mut image = MetadataImage::clone(&lone.context().host.image.load());
        let part = QuotaEntityPart {
            kind: "ip".to_owned(),
            name: Some("127.0.0.1".to_owned()),
        };
        let quota = ClientQuota {
            entity: vec![part],
            key: "connection_creation_rate".to_owned(),
            // Of ten seconds: two connections.
            value: Some(0.2),
        };
        image.replay(&quota.into()).unwrap();
        lone.context().publisher.publish_snapshot(image).await;
        let (listener, address) = listening().await;
        let (stop, stopping) = watch::channel(false);
        let (_unfenced, serving) = watch::channel(true);
        let server = KafkaServer::new(lone.context(), serving);
        let served = tokio::spawn(Arc::clone(&server).serve(listener, stopping));

        let mut clients = Vec::new();
        for number in 0..3 {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(&[0, 0, 0, 8, 0, 18, 0, 99, 0, 0, 0, 7]).await.unwrap();
            let mut answer = [0; 20];
            let end = client.read(&mut answer).await;
            if number < 2 {
                assert_eq!(end.unwrap(), 20);
            } else {
                assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
            }
            clients.push(client);
        }
        assert_eq!(server.metrics.connections.get(), 2);
        stop.send(true).unwrap();
        served.await.unwrap();
    }
}
