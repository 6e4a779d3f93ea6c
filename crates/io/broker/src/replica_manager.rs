//! The replicas that this broker hosts: made, changed and removed as the metadata says.
//!
//! RM-1: a hosted replica is of the topic id that the image holds under its name; a log of another id is removed when it
//! is found (recreated topics never show old data).

mod creation;
mod directories;
mod moves;
mod removal;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use config::BrokerDefaults;
use metadata::{ConfigResource, ImageDelta, MetadataImage};
use parking_lot::{Mutex, RwLock};
use storage::CheckpointEntry;
use tokio::sync::watch;
use types::{BrokerId, ErrorCode, PartitionIndex, TopicId, TopicIdPartition, TopicName};

use crate::blocking::BlockingPool;
use crate::cleaner::CleanerSettings;
use crate::coordinator::OFFSETS_TOPIC;
use crate::log_manager::{FoundLog, LogManager};
use crate::partition::{Partition, PartitionHost};
use crate::replication::{ReplicaFetchers, Throttles};
use crate::topic_settings::{PartitionSettings, resolve};

use creation::Settings;
use moves::Moves;

/// So large the active segment of a partition of the offsets topic becomes at most before it is compacted: with Kafka's segments of
/// 100 MiB, fifty of them would take gigabytes of a busy cluster's disks and of a fail-over's time.
const OFFSETS_ROLL_BYTES: u64 = 16 << 20;

#[derive(Debug, Clone)]
struct Hosted {
    partition: Arc<Partition>,
}

/// All replicas of a broker.
#[derive(Debug)]
pub struct ReplicaManager {
    host: Arc<PartitionHost>,
    logs: Arc<LogManager>,
    fetchers: ReplicaFetchers,
    defaults: BrokerDefaults,
    pool: BlockingPool,
    /// One more a directory: one that hangs keeps its own threads only.
    pools: Vec<BlockingPool>,
    hosted: RwLock<HashMap<TopicIdPartition, Hosted>>,
    found: Mutex<HashMap<TopicIdPartition, FoundLog>>,
    /// The first image tells which of the found logs are strays.
    sorted_out: Mutex<bool>,
    /// One writer of a directory's checkpoints at a time, from gathering to renaming: else an older state could be the last one written.
    /// It remembers what it has written of compaction.
    checkpoints: Vec<Mutex<Option<Vec<CheckpointEntry>>>>,
    /// Replicas left the directory since its checkpoints were written: those still name them, and a new log of the same name must not
    /// be taken for what they tell of.
    left: Vec<AtomicBool>,
    /// Held while replicas are made and removed: one image at a time.
    applying: tokio::sync::Mutex<()>,
    /// Replicas whose log couldn't be made for lack of room.
    missing: Mutex<BTreeSet<TopicIdPartition>>,
    /// Replicas whose directory is offline.
    offline: Mutex<BTreeSet<TopicIdPartition>>,
    offline_changed: watch::Sender<u64>,
    moves: Moves,
    pub(crate) throttles: Throttles,
    pub(crate) cleaner: CleanerSettings,
}

impl ReplicaManager {
    /// Hosts nothing yet; `found` are the logs that lay in the directories at start.
    #[must_use]
    pub fn new(
        host: Arc<PartitionHost>,
        logs: Arc<LogManager>,
        fetchers: ReplicaFetchers,
        defaults: BrokerDefaults,
        pool: BlockingPool,
        found: HashMap<TopicIdPartition, FoundLog>,
    ) -> Arc<Self> {
        let checkpoints = (0..logs.directory_count()).map(|_| Mutex::default()).collect();
        let pools = (0..logs.directory_count()).map(|_| pool.another()).collect();
        let left = (0..logs.directory_count()).map(|_| AtomicBool::new(true)).collect();
        let manager = Arc::new(Self {
            host,
            pools,
            logs,
            fetchers,
            defaults,
            pool,
            hosted: RwLock::default(),
            found: Mutex::new(found),
            sorted_out: Mutex::new(false),
            checkpoints,
            left,
            applying: tokio::sync::Mutex::default(),
            missing: Mutex::default(),
            offline: Mutex::default(),
            offline_changed: watch::Sender::new(0),
            moves: Moves::default(),
            throttles: Throttles::default(),
            cleaner: CleanerSettings::default(),
        });
        manager.cleaner.configure(&manager.defaults);
        manager.fetchers.belong_to(&manager);
        manager
    }

    /// What partitions share.
    #[must_use]
    pub fn host(&self) -> &Arc<PartitionHost> {
        &self.host
    }

    /// The log directories.
    #[must_use]
    pub fn logs(&self) -> &Arc<LogManager> {
        &self.logs
    }

    /// Where blocking work runs.
    #[must_use]
    pub fn pool(&self) -> &BlockingPool {
        &self.pool
    }

    /// Where work runs that blocks on one directory.
    #[must_use]
    pub fn pool_of(&self, directory: usize) -> &BlockingPool {
        self.pools.get(directory).unwrap_or(&self.pool)
    }

    /// The static defaults under which topics' settings resolve.
    #[must_use]
    pub fn defaults(&self) -> &BrokerDefaults {
        &self.defaults
    }

    /// A hosted replica.
    #[must_use]
    pub fn partition(&self, id: TopicIdPartition) -> Option<Arc<Partition>> {
        self.hosted.read().get(&id).map(|hosted| Arc::clone(&hosted.partition))
    }

    /// A hosted replica by its topic's present name.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION when there is no such partition; NOT_LEADER_OR_FOLLOWER when it isn't hosted here;
    /// KAFKA_STORAGE_ERROR when its directory is offline.
    pub fn partition_by_name(&self, topic: &str, partition: PartitionIndex) -> Result<Arc<Partition>, ErrorCode> {
        let image = self.host.image.load();
        let found = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if found.partition(partition).is_none() {
            return Err(ErrorCode::UnknownTopicOrPartition);
        }
        let id = TopicIdPartition {
            topic_id: found.id,
            partition,
        };
        self.partition(id).ok_or_else(|| self.refusal(id))
    }

    /// All hosted replicas.
    #[must_use]
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.hosted
            .read()
            .values()
            .map(|hosted| Arc::clone(&hosted.partition))
            .collect()
    }

    /// Those in one directory.
    #[must_use]
    pub fn partitions_in(&self, directory: usize) -> Vec<Arc<Partition>> {
        let hosted = self.hosted.read();
        hosted
            .values()
            .filter(|hosted| hosted.partition.directory() == directory)
            .map(|h| Arc::clone(&h.partition))
            .collect()
    }

    /// Those whose ISR proposal waits for an outcome.
    #[must_use]
    pub fn partitions_with_proposals(&self) -> Vec<TopicIdPartition> {
        let partitions = self.partitions();
        partitions
            .iter()
            .filter(|partition| partition.pending_proposal().is_some())
            .map(|p| p.id())
            .collect()
    }

    /// Settings of a topic as this broker resolves them.
    #[must_use]
    pub fn settings(&self, image: &MetadataImage, topic: &TopicName) -> PartitionSettings {
        let mut settings = resolve(image.topic_config(topic), &self.configs(image));
        if topic.as_str() == OFFSETS_TOPIC
            && let Some(compaction) = &mut settings.log.compaction
        {
            compaction.roll_bytes = Some(OFFSETS_ROLL_BYTES);
        }
        settings
    }

    /// `producer.id.expiration.ms` as it is set now.
    pub(crate) fn producer_id_expiration_ms(&self) -> i64 {
        let configs = self.configs(&self.host.image.load());
        configs.number("producer.id.expiration.ms").unwrap_or(i64::MAX)
    }

    /// This broker's configuration, with what was set while it runs.
    pub(crate) fn configs(&self, image: &MetadataImage) -> BrokerDefaults {
        let local = Some(self.host.local);
        self.defaults
            .with_dynamic(image.broker_config(None), image.broker_config(local))
    }

    /// Makes the replicas what the image says.
    pub async fn apply(self: &Arc<Self>, image: &Arc<MetadataImage>, delta: &ImageDelta) {
        let _one = self.applying.lock().await;
        let configs = self.configs(image);
        self.throttles.configure(&configs);
        self.cleaner.configure(&configs);
        if !delta.topics_deleted.is_empty() {
            self.offline
                .lock()
                .retain(|id| !delta.topics_deleted.contains_key(&id.topic_id));
            self.remove(self.hosted_of(&delta.topics_deleted)).await;
        }
        let broker_defaults = delta.configs_changed.iter().any(|resource| match resource {
            ConfigResource::DefaultBroker => true,
            ConfigResource::Broker(id) => *id == self.host.local,
            ConfigResource::Topic(_) | ConfigResource::Group(_) | ConfigResource::ClientMetrics(_) => false,
        });
        if !delta.configs_changed.is_empty() {
            let mut settings = Settings::new();
            for partition in self.partitions() {
                let resource = ConfigResource::Topic(partition.topic().clone());
                if broker_defaults || delta.configs_changed.contains(&resource) {
                    partition.apply_settings(self.settings_of(image, partition.id(), partition.topic(), &mut settings));
                }
            }
        }
        // After the settings: an ISR that is small under the new min ISR must not be judged by the old one.
        self.apply_partitions(image, &delta.partitions_changed).await;
        if !delta.brokers_changed.is_empty() {
            // Replicas that were waiting for their broker to be unfenced may join now.
            for partition in self.partitions() {
                partition.tick();
            }
        }
        self.remove_strays(image).await;
    }

    fn hosted_of(&self, topics: &BTreeMap<TopicId, TopicName>) -> Vec<(TopicIdPartition, TopicName)> {
        let hosted = self.hosted.read();
        let of_them = |id: &TopicIdPartition| Some((*id, topics.get(&id.topic_id)?.clone()));
        hosted.keys().filter_map(of_them).collect()
    }

    /// Updates the gauges that take a look at every replica, for whoever is about to read them. While a disk hangs, which somebody
    /// waits for with a replica's lock, they stay what they were.
    pub fn count(&self) {
        let (mut leaders, mut under_replicated, mut under_min_isr, mut waiting) = (0, 0, 0, 0);
        let mut uncleanable = 0;
        let partitions = self.partitions();
        for partition in &partitions {
            let Some(status) = partition.status_soon() else { return };
            leaders += i64::from(status.is_leader);
            under_replicated += i64::from(status.under_replicated);
            under_min_isr += i64::from(status.under_min_isr);
            waiting += status.waiting;
            uncleanable += i64::from(partition.is_uncleanable());
        }
        let metrics = &self.host.metrics;
        metrics
            .partition_count
            .set(i64::try_from(partitions.len()).unwrap_or(i64::MAX));
        metrics.leader_count.set(leaders);
        metrics.under_replicated_partitions.set(under_replicated);
        metrics.under_min_isr_partitions.set(under_min_isr);
        metrics.uncleanable_partitions.set(uncleanable);
        metrics
            .purgatory_produce
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Which broker leads a partition, for clients that asked the wrong one.
    #[must_use]
    pub fn leader_of(&self, id: TopicIdPartition) -> Option<(BrokerId, types::LeaderEpoch)> {
        let image = self.host.image.load();
        let registration = image.partition(id)?;
        registration.leader.map(|leader| (leader, registration.leader_epoch))
    }
}
