//! One client: its connections, and the metadata that it goes by.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;
use types::{ErrorCode, Uuid};
use wire::messages::metadata_request::MetadataRequestTopic;
use wire::messages::{MetadataRequest, MetadataResponse, TopicName};
use wire::protocol::{Encodable, Request, StrBytes};

use super::connection::{Connection, Gone};
use super::{Clients, TOPIC};
use crate::fabric::NodeId;

/// A connection comes about within this.
const CONNECT: Duration = Duration::from_millis(1_000);
/// How long a client waits for an answer that needs nothing.
const ANSWER: Duration = Duration::from_millis(1_500);
/// The version in which metadata is asked for: the last one that both name and id are in.
const METADATA_VERSION: i16 = 12;

/// Who leads a partition, as far as the client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) node: NodeId,
    pub(crate) epoch: i32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) clients: Clients,
    pub(crate) dice: StdRng,
    connections: BTreeMap<NodeId, Arc<Connection>>,
    leaders: BTreeMap<i32, Leader>,
    topic_id: Option<Uuid>,
    brokers: Vec<NodeId>,
}

impl Client {
    pub(crate) fn new(clients: Clients, seed: u64) -> Self {
        Self {
            brokers: (1..=clients.nodes).collect(),
            clients,
            dice: StdRng::seed_from_u64(seed),
            connections: BTreeMap::new(),
            leaders: BTreeMap::new(),
            topic_id: None,
        }
    }

    /// The topic's id, once metadata told it.
    pub(crate) fn topic_id(&self) -> Option<Uuid> {
        self.topic_id
    }

    /// Whom to ask about a partition.
    pub(crate) fn leader(&self, partition: i32) -> Option<Leader> {
        self.leaders.get(&partition).copied()
    }

    /// Partitions of the topic, as far as metadata told.
    pub(crate) fn partitions(&self) -> Vec<i32> {
        self.leaders.keys().copied().collect()
    }

    /// Some broker that metadata named.
    pub(crate) fn any_broker(&mut self) -> NodeId {
        let at = self.dice.random_range(0..self.brokers.len().max(1));
        self.brokers.get(at).copied().unwrap_or(1)
    }

    /// The connection to a broker, made if there is none.
    pub(crate) async fn connection(&mut self, node: NodeId) -> Result<Arc<Connection>, Gone> {
        if let Some(connection) = self.connections.get(&node).filter(|open| !open.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        self.connections.remove(&node);
        let (link, wire) = self
            .clients
            .network
            .connect_client(node, CONNECT)
            .await
            .map_err(|_| Gone)?;
        let connection = Arc::new(Connection::new(link, wire, node, self.clients.history.clone()));
        self.connections.insert(node, Arc::clone(&connection));
        Ok(connection)
    }

    /// Lets a connection go after it failed.
    pub(crate) fn drop_connection(&mut self, node: NodeId) {
        self.connections.remove(&node);
    }

    /// One request and its answer; a connection that fails is let go.
    pub(crate) async fn call<R: Request + Encodable>(
        &mut self,
        node: NodeId,
        version: i16,
        request: &R,
        within: Duration,
    ) -> Result<R::Response, Gone> {
        let connection = self.connection(node).await?;
        let answer = match connection.send(version, request).await {
            Ok(due) => due.answer(within).await,
            Err(gone) => Err(gone),
        };
        if answer.is_err() {
            self.drop_connection(node);
        }
        answer
    }

    /// Asks any broker for the topic's metadata.
    pub(crate) async fn refresh(&mut self) {
        let node = self.any_broker();
        let topic = MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_static_str(TOPIC))));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(false);
        if let Ok(answer) = self.call(node, METADATA_VERSION, &request, ANSWER).await {
            self.learn(node, &answer);
        }
    }

    fn learn(&mut self, node: NodeId, answer: &MetadataResponse) {
        if answer.brokers.is_empty() {
            // librdkafka, told so, forgets all that it knew and never comes back (LISTEN-1).
            self.clients
                .history
                .odd("LISTEN-1", format!("node {node}'s metadata names no broker"));
            return;
        }
        self.brokers = answer.brokers.iter().map(|broker| broker.node_id.0).collect();
        for topic in &answer.topics {
            match ErrorCode::from_code(topic.error_code) {
                ErrorCode::None => {}
                // Not there yet as far as that broker knows.
                ErrorCode::UnknownTopicOrPartition | ErrorCode::LeaderNotAvailable => continue,
                other => {
                    self.clients
                        .history
                        .odd("META", format!("node {node} answered Metadata with {other}"));
                    continue;
                }
            }
            self.topic_id = Some(topic.topic_id);
            for partition in &topic.partitions {
                let known = self.leaders.get(&partition.partition_index).copied();
                // An older answer than what is known is no news.
                if known.is_some_and(|known| known.epoch > partition.leader_epoch) {
                    continue;
                }
                let leader = Leader {
                    node: partition.leader_id.0,
                    epoch: partition.leader_epoch,
                };
                self.leaders.insert(partition.partition_index, leader);
            }
        }
    }

    /// A pause between attempts.
    pub(crate) async fn back_off(&mut self) {
        let ms = self.dice.random_range(5..60);
        sleep(Duration::from_millis(ms)).await;
    }

    /// A pause of so many milliseconds, more or less.
    pub(crate) async fn rest(&mut self, ms: std::ops::Range<u64>) {
        let ms = self.dice.random_range(ms);
        sleep(Duration::from_millis(ms)).await;
    }

    /// The leader of a partition; asks for metadata while none is known.
    pub(crate) async fn find_leader(&mut self, partition: i32) -> Option<Leader> {
        if let Some(leader) = self.leader(partition).filter(|leader| leader.node > 0) {
            return Some(leader);
        }
        self.refresh().await;
        self.leader(partition).filter(|leader| leader.node > 0)
    }
}
