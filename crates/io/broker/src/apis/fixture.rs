//! A lone broker for tests of the APIs: real logs in a temporary directory, no controller, metadata as the test gives it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::metadata::MetadataImage;
use ::metadata::proto::{ClusterIdentity, Listener, MetadataRecord, Partition, RegisterBroker, Topic};
use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use config::{Properties, ServerConfig};
use rpc::proto::{
    BrokerToController, ChangeVotersCall, ChangeVotersReply, ControlCall, ControlReply, ControllerToBroker,
    FollowerToLeader, Lane, LeaderToFollower, QuorumStatusCall, QuorumStatusReply, RaftCall, RaftReply,
};
use rpc::{DialOutcome, Link, Network, NetworkError, PeerAddress, PeerIdentity};
use tempfile::TempDir;
use types::{BootId, BrokerId, TopicId, Uuid};
use wire::protocol::{Decodable, Encodable, Message, Request};
use wire::{RequestHeader, response_header_version};

use super::{Handled, Handling, dispatch};
use crate::{
    ApiRequest, BlockingPool, Broker, BrokerContext, BrokerEnvironment, ClientConnection, NewUuid, SystemClock,
};

/// The topics' id is their name's first byte, sixteen times.
pub(super) fn topic_id_of(name: &str) -> TopicId {
    TopicId(Uuid::from_bytes([name.as_bytes()[0]; 16]))
}

/// A lone broker, node 1.
pub(crate) struct LoneBroker {
    pub(super) broker: Broker,
    client: Arc<ClientConnection>,
    _directory: TempDir,
}

impl LoneBroker {
    /// Leads partition 0 of each of `topics`; broker 2 leads partition 1. Node 2 listens only on PLAINTEXT.
    pub(crate) async fn with_topics(topics: &[&str]) -> Self {
        Self::with_directories(topics, 1).await
    }

    /// The same, on so many data directories.
    pub(crate) async fn with_directories(topics: &[&str], count: usize) -> Self {
        let directory = TempDir::new().unwrap();
        let paths = (0..count).map(|at| directory.path().join(at.to_string()).display().to_string());
        let paths: Vec<String> = paths.collect();
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:9093\n\
             listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n\
             controller.listener.names=CONTROLLER\nlog.dirs={}\n",
            paths.join(",")
        );
        let (config, _) = ServerConfig::from_properties(&Properties::parse(&text)).unwrap();
        let environment = BrokerEnvironment {
            config: Arc::new(config),
            file_system: Arc::new(storage::RealFileSystem),
            network: Arc::new(NoNetwork),
            identity: PeerIdentity::new(BrokerId(1), None),
            clock: Arc::new(SystemClock),
            boot_id: BootId("boot".to_owned()),
            pool: BlockingPool::Inline,
            new_uuid: Arc::new(Counter::default()),
            controllers: Vec::new(),
            advertised: Vec::new(),
            inter_broker_listener: "PLAINTEXT".to_owned(),
        };
        let (broker, _session) = Broker::open(environment).await.unwrap();
        let lone = Self {
            broker,
            client: connection("PLAINTEXT"),
            _directory: directory,
        };
        // As if the controller had accepted its session: nothing is acted on before (PUB-1).
        let host = &lone.context().host;
        host.broker_epoch
            .store(i64::from(host.local.0), std::sync::atomic::Ordering::Release);
        lone.context().publisher.publish_snapshot(image(topics)).await;
        lone
    }

    pub(crate) fn context(&self) -> &Arc<BrokerContext> {
        self.broker.context()
    }

    /// Comes from now on through that listener.
    pub(super) fn through(&mut self, listener: &str) {
        self.client = connection(listener);
    }

    /// A request as it comes in.
    pub(super) fn incoming<T: Request + Encodable>(&self, version: i16, request: &T) -> ApiRequest {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).unwrap();
        let header = RequestHeader {
            api_key: T::KEY,
            api_version: version,
            correlation_id: 7,
            client_id: None,
        };
        ApiRequest {
            header,
            body: body.freeze(),
            client: Arc::clone(&self.client),
        }
    }

    /// Hands a request to the table.
    pub(super) fn send<T: Request + Encodable>(&self, version: i16, request: &T) -> Handling {
        dispatch(self.context(), self.incoming(version, request))
    }

    /// Asks and reads the answer.
    pub(super) async fn ask<T: Request + Encodable>(&self, version: i16, request: &T) -> T::Response
    where
        T::Response: Decodable + Message,
    {
        answer::<T>(version, self.send(version, request).await)
    }
}

/// Reads an answer.
pub(super) fn answer<T: Request>(version: i16, handled: Handled) -> T::Response
where
    T::Response: Decodable,
{
    let mut frame: Bytes = handled.unwrap().unwrap().to_bytes();
    assert_eq!(frame.get_i32() as usize, frame.len());
    assert_eq!(frame.get_i32(), 7);
    if response_header_version(T::KEY, version) == Some(1) {
        assert_eq!(frame.get_u8(), 0);
    }
    let response = T::Response::decode(&mut frame, version).unwrap();
    assert!(frame.is_empty());
    response
}

fn connection(listener: &str) -> Arc<ClientConnection> {
    let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
    Arc::new(ClientConnection::new(listener, peer, 0))
}

/// Two brokers, both unfenced, and the topics.
pub(crate) fn image(topics: &[&str]) -> MetadataImage {
    let listener = |name: &str, port| Listener {
        name: name.to_owned(),
        host: "host".to_owned(),
        port,
        security_protocol: 0,
    };
    let broker = |broker_id: i32, listeners| RegisterBroker {
        broker_id,
        broker_epoch: i64::from(broker_id),
        incarnation_id: vec![1; 16].into(),
        listeners,
        rack: Some("rack".to_owned()),
        directory_ids: Vec::new(),
        fenced: false,
        in_controlled_shutdown: false,
        features: Vec::new(),
        offline_replicas: Vec::new(),
    };
    let mut records: Vec<MetadataRecord> = vec![
        ClusterIdentity {
            cluster_id: "cluster".to_owned(),
        }
        .into(),
        broker(1, vec![listener("PLAINTEXT", 9092), listener("OTHER", 9192)]).into(),
        broker(2, vec![listener("PLAINTEXT", 9094)]).into(),
    ];
    for name in topics {
        let topic_id = Bytes::copy_from_slice(topic_id_of(name).0.as_bytes());
        records.push(
            Topic {
                topic_id: topic_id.clone(),
                name: (*name).to_owned(),
            }
            .into(),
        );
        for (index, leader) in [(0, 1), (1, 2), (2, -1)] {
            let replicas = vec![leader.max(1)];
            let partition = Partition {
                topic_id: topic_id.clone(),
                index,
                isr: replicas.clone(),
                replicas,
                leader,
                ..Partition::default()
            };
            records.push(partition.into());
        }
    }
    let mut image = MetadataImage::new();
    image.replay_all(&records).unwrap();
    image
}

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl NewUuid for Counter {
    fn new_uuid(&self) -> Uuid {
        let next = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Uuid::from_u64_pair(next << 32, next)
    }
}

#[derive(Debug)]
struct NoNetwork;

fn nobody<T>(to: &PeerAddress) -> Result<T, NetworkError> {
    Err(NetworkError::Unreachable {
        to: to.clone(),
        reason: "a lone broker".to_owned(),
    })
}

#[async_trait]
impl Network for NoNetwork {
    async fn raft(&self, to: &PeerAddress, _: RaftCall, _: Duration) -> Result<RaftReply, NetworkError> {
        nobody(to)
    }
    async fn control(&self, to: &PeerAddress, _: ControlCall, _: Duration) -> Result<ControlReply, NetworkError> {
        nobody(to)
    }
    async fn quorum_status(
        &self,
        to: &PeerAddress,
        _: QuorumStatusCall,
        _: Duration,
    ) -> Result<QuorumStatusReply, NetworkError> {
        nobody(to)
    }
    async fn change_voters(
        &self,
        to: &PeerAddress,
        _: ChangeVotersCall,
        _: Duration,
    ) -> Result<ChangeVotersReply, NetworkError> {
        nobody(to)
    }
    async fn session(
        &self,
        to: &PeerAddress,
        _: Duration,
    ) -> Result<Link<BrokerToController, ControllerToBroker>, NetworkError> {
        nobody(to)
    }
    async fn replication(
        &self,
        to: &PeerAddress,
        _: Lane,
        _: Duration,
    ) -> Result<Link<FollowerToLeader, LeaderToFollower>, NetworkError> {
        nobody(to)
    }
    async fn dial(&self, _: &PeerAddress, _: Duration) -> DialOutcome {
        DialOutcome::Silent
    }
}
