//! The shards of the partitions of `__consumer_offsets` led here, and the way to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use coordinator::{Answer, AssignorKind, GroupConfig, ListGroupsRequest, group_partition};
use metadata::{ImageDelta, MetadataImage};
use parking_lot::RwLock;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot};
use types::{ErrorCode, LeaderEpoch, PartitionIndex, TopicId, TopicIdPartition, TopicName};

use super::OFFSETS_TOPIC;
use super::group_log::GroupLog;
use super::partition_log::PartitionLog;
use super::request::GroupRequest;
use super::shard_clock::ShardClock;
use super::shard_task::{Operation, Phase, QUEUED_OPERATIONS, ShardSettings, ShardState, ShardTask};
use crate::metadata::ImageListener;
use crate::partition::PartitionHost;
use crate::replica_manager::ReplicaManager;

/// A shard led here. Dropping it ends its task.
#[derive(Debug)]
struct ShardHandle {
    topic_id: TopicId,
    leader_epoch: LeaderEpoch,
    operations: mpsc::Sender<Operation>,
    state: Arc<ShardState>,
}

/// The coordinator of the groups whose partition this broker leads.
///
/// Made once a broker, and registered as an [`ImageListener`] after the replicas.
#[derive(Debug)]
pub struct GroupCoordinator {
    replicas: Arc<ReplicaManager>,
    settings: ShardSettings,
    /// Held while `__consumer_offsets` is being made, so that one request makes it however many clients ask.
    creation: tokio::sync::Mutex<()>,
    shards: RwLock<HashMap<PartitionIndex, ShardHandle>>,
}

impl GroupCoordinator {
    /// Coordinates nothing until the first image.
    #[must_use]
    pub fn new(replicas: Arc<ReplicaManager>, config: &config::GroupConfig) -> Arc<Self> {
        let settings = ShardSettings {
            group: group_config(config),
            commit_timeout: config.offsets_commit_timeout,
            metrics: Arc::clone(&replicas.host().metrics),
        };
        Arc::new(Self {
            replicas,
            settings,
            creation: tokio::sync::Mutex::new(()),
            shards: RwLock::default(),
        })
    }

    /// Asks the shard of a group and waits for its answer, which may take as long as a rebalance.
    ///
    /// # Errors
    /// NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS or COORDINATOR_NOT_AVAILABLE: a client looks for the coordinator
    /// again, or tries again.
    pub(crate) async fn ask(&self, group_id: &str, request: GroupRequest) -> Result<Answer, ErrorCode> {
        self.ask_partition(self.partition_of(group_id)?, request).await
    }

    /// The turn to make `__consumer_offsets`.
    pub(crate) fn creation(&self) -> &tokio::sync::Mutex<()> {
        &self.creation
    }

    /// Which partition of `__consumer_offsets` holds a group.
    ///
    /// # Errors
    /// NOT_COORDINATOR while there is no such topic: FindCoordinator makes it.
    pub(crate) fn partition_of(&self, group_id: &str) -> Result<PartitionIndex, ErrorCode> {
        let image = self.host().image.load();
        let topic = image.topic(OFFSETS_TOPIC).ok_or(ErrorCode::NotCoordinator)?;
        Ok(group_partition(group_id, topic.partition_count()))
    }

    /// Asks the shard of one partition.
    ///
    /// # Errors
    /// As [`GroupCoordinator::ask`].
    pub(crate) async fn ask_partition(
        &self,
        partition: PartitionIndex,
        request: GroupRequest,
    ) -> Result<Answer, ErrorCode> {
        let operations = {
            let shards = self.shards.read();
            let shard = shards.get(&partition).ok_or(ErrorCode::NotCoordinator)?;
            match shard.state.phase() {
                Phase::Active => shard.operations.clone(),
                Phase::Loading => return Err(ErrorCode::CoordinatorLoadInProgress),
                Phase::Over => return Err(ErrorCode::NotCoordinator),
            }
        };
        let (answer, answered) = oneshot::channel();
        match operations
            .send_timeout(Operation { request, answer }, self.settings.commit_timeout)
            .await
        {
            Ok(()) => {}
            Err(SendTimeoutError::Timeout(_)) => return Err(ErrorCode::CoordinatorNotAvailable),
            Err(SendTimeoutError::Closed(_)) => return Err(ErrorCode::NotCoordinator),
        }
        drop(operations);
        answered.await.map_err(|_| ErrorCode::NotCoordinator)
    }

    /// Asks every shard led here for its groups.
    pub(crate) async fn list_groups(&self, request: &ListGroupsRequest) -> Vec<Result<Answer, ErrorCode>> {
        let mut partitions: Vec<PartitionIndex> = self.shards.read().keys().copied().collect();
        partitions.sort_unstable();
        let asked = partitions
            .into_iter()
            .map(|partition| self.ask_partition(partition, GroupRequest::ListGroups(request.clone())));
        futures::future::join_all(asked).await
    }

    fn host(&self) -> &Arc<PartitionHost> {
        self.replicas.host()
    }

    /// Starts and ends shards so that they are those that this broker leads.
    fn follow_leadership(&self, image: &MetadataImage) {
        let topic = image.topic(OFFSETS_TOPIC);
        let mut shards = self.shards.write();
        shards.retain(|partition, shard| {
            topic.is_some_and(|topic| {
                topic.id == shard.topic_id
                    && topic.partition(*partition).is_some_and(|registration| {
                        registration.leader == Some(self.host().local)
                            && registration.leader_epoch == shard.leader_epoch
                    })
            })
        });
        let Some(topic) = topic else { return };
        for (index, registration) in topic.partitions() {
            if registration.leader != Some(self.host().local) || shards.contains_key(&index) {
                continue;
            }
            let id = TopicIdPartition {
                topic_id: topic.id,
                partition: index,
            };
            let Some(partition) = self.replicas.partition(id) else {
                tracing::error!(partition = %id, "this broker leads a partition of the offsets topic that it doesn't host");
                continue;
            };
            let leader_epoch = registration.leader_epoch;
            let log = PartitionLog::new(partition, leader_epoch, self.replicas.pool().clone());
            shards.insert(index, self.start(id, leader_epoch, Arc::new(log)));
        }
    }

    fn start(&self, id: TopicIdPartition, leader_epoch: LeaderEpoch, log: Arc<dyn GroupLog>) -> ShardHandle {
        let (operations, queued) = mpsc::channel(QUEUED_OPERATIONS);
        let state = Arc::new(ShardState::default());
        let clock = ShardClock::new(&*self.host().clock);
        let name = format!("{OFFSETS_TOPIC}-{}", id.partition);
        let images = Arc::clone(self.replicas.host());
        let task = ShardTask::new(
            name,
            log,
            images,
            clock,
            self.settings.clone(),
            queued,
            Arc::clone(&state),
        );
        tokio::spawn(task.run());
        ShardHandle {
            topic_id: id.topic_id,
            leader_epoch,
            operations,
            state,
        }
    }
}

impl ImageListener for GroupCoordinator {
    fn on_image(&self, image: &Arc<MetadataImage>, delta: &ImageDelta) {
        // A topic made again under the same name has a new id: its old offsets go all the same.
        let deleted: Vec<TopicName> = delta.topics_deleted.values().cloned().collect();
        let offsets_topic = image.topic(OFFSETS_TOPIC).map(|topic| topic.id);
        if deleted.iter().any(|name| name.as_str() == OFFSETS_TOPIC)
            || delta
                .partitions_changed
                .iter()
                .any(|id| Some(id.topic_id) == offsets_topic)
        {
            self.follow_leadership(image);
        }
        if !deleted.is_empty() {
            for shard in self.shards.read().values() {
                shard.state.on_topics_deleted(&deleted);
            }
        }
    }
}

fn group_config(config: &config::GroupConfig) -> GroupConfig {
    GroupConfig {
        min_session_timeout_ms: milliseconds(config.min_session_timeout),
        max_session_timeout_ms: milliseconds(config.max_session_timeout),
        initial_rebalance_delay_ms: milliseconds(config.initial_rebalance_delay),
        max_size: i32::try_from(config.max_size).unwrap_or(i32::MAX),
        offsets_retention_ms: i64::try_from(config.offsets_retention.as_millis()).unwrap_or(i64::MAX),
        offsets_retention_check_interval_ms: i64::try_from(config.offsets_retention_check_interval.as_millis())
            .unwrap_or(i64::MAX),
        offset_metadata_max_bytes: i32::try_from(config.offset_metadata_max_bytes).unwrap_or(i32::MAX),
        offset_commit_timeout_ms: milliseconds(config.offsets_commit_timeout),
        consumer_session_timeout_ms: milliseconds(config.consumer_session_timeout),
        consumer_heartbeat_interval_ms: milliseconds(config.consumer_heartbeat_interval),
        consumer_assignment_interval_ms: milliseconds(config.consumer_assignment_interval),
        consumer_max_size: i32::try_from(config.consumer_max_size).unwrap_or(i32::MAX),
        consumer_upgrade: config.consumer_upgrade,
        consumer_downgrade: config.consumer_downgrade,
        consumer_default_assignor: AssignorKind::from_name(config.consumer_default_assignor)
            .unwrap_or(AssignorKind::Uniform),
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
