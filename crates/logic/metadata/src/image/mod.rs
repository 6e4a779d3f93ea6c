//! The metadata image: what a prefix of the metadata log replays into.
//!
//! The same type is the controllers' state machine, the brokers' cache and the scratch copy on which decisions
//! are tried. A clone shares everything (persistent maps), a record costs O(log n). Every map is ordered, so that
//! two nodes, and two runs of a simulation, iterate in the same order.
//!
//! META-7: the indexes (broker to partitions, leaderless partitions, names) always agree with the topics.
//! Called by the controller's state machine and writer, by brokers when they publish, by the simulator's checks.

mod broker;
mod configs;
mod effective;
mod partition;
mod quotas;
mod replay;
mod snapshot;
mod topic;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use broker::{BrokerListener, BrokerRegistration, security_protocol_code, security_protocol_from_code};
pub use configs::{ConfigMap, ConfigResource};
pub(crate) use effective::MIN_INSYNC_REPLICAS;
use imbl::{OrdMap, OrdSet};
pub use partition::{LeaderRecovery, PartitionRegistration};
pub(crate) use partition::{broker_ids, numbers};
pub(crate) use quotas::quota_record;
pub use quotas::{CLIENT_ID, EntityName, IP, QuotaEntity, QuotaMap, QuotaValue, USER};
pub(crate) use snapshot::config_record;
pub use topic::TopicImage;
use types::{BrokerId, ClusterId, MetadataOffset, ProducerId, TopicId, TopicIdPartition, TopicName};

static NO_CONFIGS: ConfigMap = BTreeMap::new();

/// The cluster's metadata at one offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataImage {
    offset: MetadataOffset,
    cluster_id: Option<ClusterId>,
    brokers: OrdMap<BrokerId, Arc<BrokerRegistration>>,
    topics: OrdMap<TopicId, Arc<TopicImage>>,
    names: OrdMap<TopicName, TopicId>,
    /// Names with `.` written as `_`, of the topics that have either: what a new name may collide with.
    collision_names: OrdMap<TopicName, TopicId>,
    replicas_of: OrdMap<BrokerId, OrdSet<TopicIdPartition>>,
    leaderless: OrdSet<TopicIdPartition>,
    partition_count: usize,
    configs: OrdMap<ConfigResource, Arc<ConfigMap>>,
    next_producer_id: ProducerId,
    features: OrdMap<String, u16>,
    quotas: OrdMap<QuotaEntity, Arc<QuotaMap>>,
}

impl MetadataImage {
    /// The image of an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self {
            next_producer_id: ProducerId(0),
            ..Self::default()
        }
    }

    /// How many records were applied: the offset after the last one.
    #[must_use]
    pub fn offset(&self) -> MetadataOffset {
        self.offset
    }

    /// Whether both have the same topics with the same partitions. Asked of two images of one log, and cheap: it may say no where
    /// nothing differs, but never yes where something does.
    #[must_use]
    pub fn has_same_topics(&self, other: &Self) -> bool {
        // Partitions are only added, and a topic takes its own with it.
        self.names.ptr_eq(&other.names) && self.partition_count == other.partition_count
    }

    /// The cluster's id, none before the quorum was formed.
    #[must_use]
    pub fn cluster_id(&self) -> Option<&ClusterId> {
        self.cluster_id.as_ref()
    }

    /// A registered broker.
    #[must_use]
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }

    /// The registered brokers by id.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values()
    }

    /// Whether the broker may lead and join ISRs: registered, not fenced, not in controlled shutdown.
    #[must_use]
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.brokers.get(&id).is_some_and(|broker| broker.is_active())
    }

    /// Whether the broker can't serve its replica of the partition: its log directory is offline.
    #[must_use]
    pub fn is_replica_offline(&self, id: TopicIdPartition, broker: BrokerId) -> bool {
        self.brokers
            .get(&broker)
            .is_some_and(|broker| broker.offline_replicas.contains(&id))
    }

    /// A topic by name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.names.get(name).and_then(|id| self.topics.get(id))
    }

    /// A topic by id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(&id)
    }

    /// The topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.names.values().filter_map(|id| self.topics.get(id))
    }

    /// How many topics there are.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// How many partitions there are in all topics.
    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// How many replicas the partitions have in all.
    #[must_use]
    pub fn replica_count(&self) -> usize {
        self.replicas_of.values().map(OrdSet::len).sum()
    }

    /// An existing topic whose name differs only by `.` and `_`.
    #[must_use]
    pub fn colliding_topic(&self, name: &TopicName) -> Option<&Arc<TopicImage>> {
        let found = self
            .collision_names
            .get(collision_name(name)?.as_str())
            .and_then(|id| self.topics.get(id))?;
        found.name.collides_with(name).then_some(found)
    }

    /// One partition.
    #[must_use]
    pub fn partition(&self, id: TopicIdPartition) -> Option<&Arc<PartitionRegistration>> {
        self.topics
            .get(&id.topic_id)
            .and_then(|topic| topic.partition(id.partition))
    }

    /// The partitions that the broker is a replica of, registered or not.
    pub fn partitions_of(&self, broker: BrokerId) -> impl Iterator<Item = TopicIdPartition> {
        self.replicas_of
            .get(&broker)
            .into_iter()
            .flat_map(|ids| ids.iter().copied())
    }

    /// The partitions that the broker leads.
    pub fn partitions_led_by(&self, broker: BrokerId) -> impl Iterator<Item = TopicIdPartition> {
        self.partitions_of(broker).filter(move |id| {
            self.partition(*id)
                .is_some_and(|partition| partition.leader == Some(broker))
        })
    }

    /// The partitions that nobody leads.
    pub fn leaderless_partitions(&self) -> impl Iterator<Item = TopicIdPartition> {
        self.leaderless.iter().copied()
    }

    /// The dynamic configuration of a resource, empty if there is none.
    #[must_use]
    pub fn config(&self, resource: &ConfigResource) -> &ConfigMap {
        self.configs.get(resource).map_or(&NO_CONFIGS, |map| map)
    }

    /// The resources that have dynamic configuration, with it.
    pub fn configs(&self) -> impl Iterator<Item = (&ConfigResource, &ConfigMap)> {
        self.configs.iter().map(|(resource, map)| (resource, &**map))
    }

    /// The subscriptions to clients' metrics (KIP-714).
    pub fn client_metrics(&self) -> impl Iterator<Item = &Arc<ConfigMap>> {
        let from = ConfigResource::ClientMetrics(String::new());
        let range = self.configs.range(from..);
        range
            .take_while(|(resource, _)| matches!(resource, ConfigResource::ClientMetrics(_)))
            .map(|(_, map)| map)
    }

    /// The dynamic configuration of a topic, without defaults.
    #[must_use]
    pub fn topic_config(&self, name: &TopicName) -> &ConfigMap {
        self.config(&ConfigResource::Topic(name.clone()))
    }

    /// The dynamic configuration of one broker, or with none, of all of them.
    #[must_use]
    pub fn broker_config(&self, broker: Option<BrokerId>) -> &ConfigMap {
        self.config(&broker.map_or(ConfigResource::DefaultBroker, ConfigResource::Broker))
    }

    /// The first producer id that no broker has got yet.
    #[must_use]
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// The finalised level of a feature, if one was ever set; 0 is off.
    #[must_use]
    pub fn finalized_level(&self, name: &str) -> Option<u16> {
        self.features.get(name).copied()
    }

    /// The finalised features.
    pub fn features(&self) -> impl Iterator<Item = (&str, u16)> {
        self.features.iter().map(|(name, level)| (name.as_str(), *level))
    }
}

/// What two colliding names have in common; none for a name that can't collide.
fn collision_name(name: &TopicName) -> Option<TopicName> {
    name.as_str()
        .contains(['.', '_'])
        .then(|| TopicName::new(&name.as_str().replace('.', "_")))
}
