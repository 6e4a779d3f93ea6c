//! The replicas that this broker hosts: made, changed and removed as the metadata says.
//!
//! RM-1: a hosted replica is of the topic id that the image holds under its name; a log of another id is removed when it
//! is found (recreated topics never show old data).

mod directories;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use config::BrokerDefaults;
use metadata::{ConfigResource, ImageDelta, MetadataImage, PartitionRegistration};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use types::{BrokerId, ErrorCode, Offset, PartitionIndex, TopicIdPartition, TopicName, TopicPartition};

use crate::blocking::BlockingPool;
use crate::log_manager::{FoundLog, LogManager};
use crate::partition::{Partition, PartitionHost, ReplicaDisk, RoleChange};
use crate::replication::ReplicaFetchers;
use crate::topic_settings::{PartitionSettings, resolve};

#[derive(Debug, Clone)]
struct Hosted {
    partition: Arc<Partition>,
    directory: usize,
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
    checkpoints: Vec<Mutex<()>>,
    /// Held while replicas are made and removed: one image at a time.
    applying: tokio::sync::Mutex<()>,
    /// Replicas whose log couldn't be made for lack of room.
    missing: Mutex<BTreeSet<TopicIdPartition>>,
    /// Replicas whose directory is offline.
    offline: Mutex<BTreeSet<TopicIdPartition>>,
    offline_changed: watch::Sender<u64>,
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
        let checkpoints = (0..logs.directory_count()).map(|_| Mutex::new(())).collect();
        let pools = (0..logs.directory_count()).map(|_| pool.another()).collect();
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
            applying: tokio::sync::Mutex::default(),
            missing: Mutex::default(),
            offline: Mutex::default(),
            offline_changed: watch::Sender::new(0),
        });
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
            .filter(|hosted| hosted.directory == directory)
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
        let defaults = self
            .defaults
            .with_dynamic(image.broker_config(None), image.broker_config(Some(self.host.local)));
        resolve(image.topic_config(topic), &defaults)
    }

    /// Makes the replicas what the image says.
    pub async fn apply(self: &Arc<Self>, image: &Arc<MetadataImage>, delta: &ImageDelta) {
        let _one = self.applying.lock().await;
        for (topic_id, name) in &delta.topics_deleted {
            self.offline.lock().retain(|id| id.topic_id != *topic_id);
            let hosted: Vec<TopicIdPartition> = self
                .hosted
                .read()
                .keys()
                .filter(|id| id.topic_id == *topic_id)
                .copied()
                .collect();
            for id in hosted {
                self.remove(id, name).await;
            }
        }
        let broker_defaults = delta.configs_changed.iter().any(|resource| match resource {
            ConfigResource::DefaultBroker => true,
            ConfigResource::Broker(id) => *id == self.host.local,
            ConfigResource::Topic(_) | ConfigResource::Group(_) | ConfigResource::ClientMetrics(_) => false,
        });
        if !delta.configs_changed.is_empty() {
            for partition in self.partitions() {
                let resource = ConfigResource::Topic(partition.topic().clone());
                if broker_defaults || delta.configs_changed.contains(&resource) {
                    partition.apply_settings(self.settings(image, partition.topic()));
                }
            }
        }
        // After the settings: an ISR that is small under the new min ISR must not be judged by the old one.
        for id in &delta.partitions_changed {
            self.apply_partition(image, *id).await;
        }
        if !delta.brokers_changed.is_empty() {
            // Replicas that were waiting for their broker to be unfenced may join now.
            for partition in self.partitions() {
                partition.tick();
            }
        }
        self.remove_strays(image).await;
        self.count();
    }

    async fn apply_partition(self: &Arc<Self>, image: &Arc<MetadataImage>, id: TopicIdPartition) {
        let Some(registration) = image.partition(id) else {
            return;
        };
        let Some(topic) = image.topic_by_id(id.topic_id) else {
            return;
        };
        if !registration.replicas.contains(&self.host.local) {
            self.offline.lock().remove(&id);
            if self.partition(id).is_some() {
                self.remove(id, &topic.name).await;
            }
            return;
        }
        if self.offline.lock().contains(&id) {
            return;
        }
        let partition = match self.partition(id) {
            Some(partition) => partition,
            None => match self.make(image, id, registration, &topic.name).await {
                Some(partition) => partition,
                None => return,
            },
        };
        match partition.apply_registration(registration) {
            RoleChange::Leads { newly: false } | RoleChange::Follows { unchanged: true, .. } => {}
            RoleChange::Leads { newly: true } | RoleChange::Leaderless => self.fetchers.unfollow(id),
            RoleChange::Follows {
                leader,
                leader_epoch,
                unchanged: false,
            } => {
                self.fetchers.follow(&partition, leader, leader_epoch);
            }
        }
    }

    async fn make(
        self: &Arc<Self>,
        image: &Arc<MetadataImage>,
        id: TopicIdPartition,
        registration: &PartitionRegistration,
        topic: &TopicName,
    ) -> Option<Arc<Partition>> {
        let settings = self.settings(image, topic);
        let found = {
            let mut found = self.found.lock();
            // A log of another topic id under this name is of a topic that was deleted: closed here, its directory makes
            // way below. Left as a stray it would later take the new partition's directory with it (RM-1).
            found.retain(|other, log| *other == id || log.topic != *topic || other.partition != id.partition);
            found.remove(&id)
        };
        let (log, directory, high_watermark) = match found {
            Some(mut found) => {
                found.log.set_config(settings.log.clone());
                (found.log, found.directory, found.high_watermark)
            }
            // Its log may lie in the directory that can't be read: an empty one in its place would stand for what it held.
            None if self.logs.any_offline() && !registration.is_new() => {
                self.mark_offline(vec![id]);
                return None;
            }
            None => {
                let name = TopicPartition {
                    topic: topic.clone(),
                    partition: id.partition,
                };
                let (logs, config, now) = (Arc::clone(&self.logs), settings.log.clone(), self.host.clock.now());
                let directory = self.logs.choose();
                let created = self
                    .pool_of(directory)
                    .run(move || logs.create(directory, &name, id, config, now));
                match self.unless_offline(directory, created).await {
                    Some(Ok(log)) => (log, directory, Offset::ZERO),
                    None => {
                        self.mark_offline(vec![id]);
                        return None;
                    }
                    Some(Err(error)) => {
                        tracing::warn!(%id, topic = %topic, %error, "the replica's log can't be made");
                        if error.is_full() {
                            self.missing.lock().insert(id);
                        } else {
                            self.mark_offline(vec![id]);
                        }
                        return None;
                    }
                }
            }
        };
        let partition = Partition::new(
            id,
            topic.clone(),
            Arc::clone(&self.host),
            ReplicaDisk {
                log,
                directory,
                health: Arc::clone(self.logs.health(directory)),
            },
            settings,
            high_watermark,
        );
        self.hosted.write().insert(
            id,
            Hosted {
                partition: Arc::clone(&partition),
                directory,
            },
        );
        Some(partition)
    }

    async fn remove(self: &Arc<Self>, id: TopicIdPartition, topic: &TopicName) {
        self.fetchers.unfollow(id);
        let Some(hosted) = self.hosted.write().remove(&id) else {
            return;
        };
        hosted.partition.retire();
        let ending = Some(hosted.partition);
        self.retire_directory(hosted.directory, id, topic, ending).await;
    }

    /// `ending` may still be flushed by somebody.
    async fn retire_directory(
        self: &Arc<Self>,
        directory: usize,
        id: TopicIdPartition,
        topic: &TopicName,
        ending: Option<Arc<Partition>>,
    ) {
        let name = TopicPartition {
            topic: topic.clone(),
            partition: id.partition,
        };
        let logs = Arc::clone(&self.logs);
        let retiring = self.pool_of(directory).run(move || {
            if let Some(partition) = ending {
                partition.end_flushes();
            }
            logs.retire(directory, &name, id)
        });
        let retired = self.unless_offline(directory, retiring).await;
        match retired {
            Some(Ok(removal)) => {
                let pool = self.pool_of(directory).clone();
                tokio::spawn(async move {
                    if let Some(Err(error)) = pool.run(move || removal.run()).await {
                        tracing::warn!(%error, "a deleted partition's directory stays until the next start");
                    }
                });
            }
            Some(Err(error)) => tracing::warn!(%id, %error, "a deleted partition's directory could not be renamed"),
            None => {}
        }
    }

    /// Once, with the first image that holds this broker's registration: logs of no replica of ours are removed.
    async fn remove_strays(self: &Arc<Self>, image: &Arc<MetadataImage>) {
        if image
            .broker(self.host.local)
            .is_none_or(|broker| broker.epoch != self.host.broker_epoch())
        {
            return;
        }
        if std::mem::replace(&mut *self.sorted_out.lock(), true) {
            return;
        }
        let strays: Vec<(TopicIdPartition, FoundLog)> = self.found.lock().drain().collect();
        for (id, stray) in strays {
            tracing::info!(topic = %stray.topic, partition = %id.partition, "removes a replica that is no longer assigned here");
            drop(stray.log);
            self.retire_directory(stray.directory, id, &stray.topic, None).await;
        }
    }

    /// Updates the gauges.
    pub fn count(&self) {
        let (mut leaders, mut under_replicated, mut under_min_isr, mut waiting) = (0, 0, 0, 0);
        let partitions = self.partitions();
        for partition in &partitions {
            let status = partition.status();
            leaders += i64::from(status.is_leader);
            under_replicated += i64::from(status.under_replicated);
            under_min_isr += i64::from(status.under_min_isr);
            waiting += status.waiting;
        }
        let metrics = &self.host.metrics;
        metrics
            .partition_count
            .set(i64::try_from(partitions.len()).unwrap_or(i64::MAX));
        metrics.leader_count.set(leaders);
        metrics.under_replicated_partitions.set(under_replicated);
        metrics.under_min_isr_partitions.set(under_min_isr);
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
