//! What every API's handler gets.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use config::ServerConfig;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use types::Uuid;
use wire::RequestHeader;

use crate::apis::ApiState;
use crate::client_quotas::ClientQuotas;
use crate::client_telemetry::ClientTelemetry;
use crate::controller_client::ControllerClient;
use crate::coordinator::GroupCoordinator;
use crate::metadata::{MetadataPublisher, SessionState};
use crate::partition::PartitionHost;
use crate::replica_manager::ReplicaManager;

/// A running broker as its handlers see it.
#[derive(Debug)]
pub struct BrokerContext {
    /// The node's configuration.
    pub config: Arc<ServerConfig>,
    /// This broker's identity, clock, image of the metadata, metrics.
    pub host: Arc<PartitionHost>,
    /// The replicas hosted here.
    pub replicas: Arc<ReplicaManager>,
    /// The way to the active controller.
    pub controllers: Arc<ControllerClient>,
    /// What is applied here.
    pub publisher: Arc<MetadataPublisher>,
    /// How the session with the controller stands.
    pub session: watch::Receiver<SessionState>,
    /// What the APIs remember between requests.
    pub apis: ApiState,
    /// The groups whose logs this broker leads.
    pub groups: Arc<GroupCoordinator>,
    /// What clients have used lately.
    pub quotas: ClientQuotas,
    /// What clients have told of themselves.
    pub telemetry: Arc<ClientTelemetry>,
    /// Fresh random ids (member ids, session ids); seeded in the simulator.
    pub new_uuid: Arc<dyn NewUuid>,
}

/// A source of random ids, passed in.
pub trait NewUuid: std::fmt::Debug + Send + Sync + 'static {
    /// A fresh one.
    fn new_uuid(&self) -> Uuid;
}

/// One request as it came from the wire.
#[derive(Debug)]
pub struct ApiRequest {
    /// Its header.
    pub header: RequestHeader,
    /// Its body, not decoded yet.
    pub body: Bytes,
    /// Over which connection it came.
    pub client: Arc<ClientConnection>,
}

/// What is known of a connection.
#[derive(Debug)]
pub struct ClientConnection {
    /// The listener's name: Metadata answers with addresses of the same listener.
    pub listener: String,
    /// The peer.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Names the connection within this process.
    pub id: u64,
    /// When it was accepted.
    pub opened: Instant,
    /// What ApiVersions told of the client's software, from version 3 on.
    pub software: OnceLock<ClientSoftware>,
    /// Until when nothing more is read from it.
    pub muted_until: Mutex<Option<Instant>>,
}

/// A client's software (KIP-511).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSoftware {
    /// `apache-kafka-java`
    pub name: String,
    /// `4.4.0`
    pub version: String,
}

impl ClientConnection {
    /// A connection that has said nothing yet.
    #[must_use]
    pub fn new(listener: &str, peer: SocketAddr, id: u64) -> Self {
        Self {
            listener: listener.to_owned(),
            address: peer.ip(),
            port: peer.port(),
            id,
            opened: Instant::now(),
            software: OnceLock::new(),
            muted_until: Mutex::default(),
        }
    }

    /// Its client waits so long from now on (KIP-219).
    pub fn mute(&self, wait: Duration) {
        if !wait.is_zero() {
            let until = Instant::now() + wait;
            let mut muted = self.muted_until.lock();
            *muted = Some(muted.map_or(until, |before| before.max(until)));
        }
    }

    /// Until when it waits, if it does.
    #[must_use]
    pub fn muted(&self) -> Option<Instant> {
        self.muted_until.lock().filter(|until| *until > Instant::now())
    }
}
