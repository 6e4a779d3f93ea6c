//! All of a broker's following: which partition follows whom, on which lane.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use rpc::proto::{Lane, Push};
use rpc::{Network, PeerIdentity};
use tokio::sync::mpsc;
use types::{BrokerId, FollowId, LeaderEpoch, Offset, TopicIdPartition};

use super::lane::{FollowTurn, LaneCommand, LaneTask};
use crate::partition::{Partition, PartitionHost};
use crate::replica_manager::ReplicaManager;

/// Commands that may wait for a lane's task. Publishing an image never waits for a lane: more than this means that the
/// task is stuck on its disk, and then the image is applied without it and the follow is asked for again later.
const COMMAND_DEPTH: usize = 65_536;

/// What the lanes share.
#[derive(Debug)]
pub(crate) struct FetcherShared {
    pub(crate) host: Arc<PartitionHost>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) identity: PeerIdentity,
    pub(crate) inter_broker_listener: String,
    follow_ids: AtomicU64,
    turns: AtomicU64,
    /// Where lanes run, whoever publishes the image that asks for them.
    runtime: tokio::runtime::Handle,
    /// By leader, lane and log directory: a task that hangs in a write keeps its own directory's replicas back only.
    lanes: Mutex<HashMap<(BrokerId, bool, usize), mpsc::Sender<LaneCommand>>>,
    this: OnceLock<std::sync::Weak<FetcherShared>>,
    replicas: OnceLock<std::sync::Weak<ReplicaManager>>,
}

impl FetcherShared {
    /// Writes a directory's checkpoints. One that can't has failed, or takes no records before they are written.
    pub(crate) async fn write_checkpoints(&self, directory: usize) {
        let Some(replicas) = self.replicas.get().and_then(std::sync::Weak::upgrade) else {
            return;
        };
        let pool = replicas.pool_of(directory).clone();
        pool.run(move || {
            let _ = replicas.write_checkpoints(directory);
        })
        .await;
    }

    /// See [`ReplicaManager::must_wait`].
    pub(crate) fn must_wait(&self, partition: &Partition) -> Option<Duration> {
        self.replicas.get()?.upgrade()?.must_wait(partition)
    }

    /// See [`ReplicaManager::taken`].
    pub(crate) fn taken(&self, partition: &Partition, push: &Push, log_end: Offset) -> Option<Duration> {
        self.replicas.get()?.upgrade()?.taken(partition, push, log_end)
    }

    pub(crate) fn next_follow_id(&self) -> FollowId {
        FollowId(self.follow_ids.fetch_add(1, Ordering::Relaxed))
    }

    fn lane(&self, leader: BrokerId, lane: Lane, directory: usize) -> Option<mpsc::Sender<LaneCommand>> {
        let shared = self.this.get()?.upgrade()?;
        let mut lanes = self.lanes.lock();
        let tx = lanes.entry((leader, lane == Lane::Tail, directory)).or_insert_with(|| {
            let (tx, rx) = mpsc::channel(COMMAND_DEPTH);
            self.runtime.spawn(LaneTask::new(shared, leader, lane).run(rx));
            tx
        });
        Some(tx.clone())
    }

    /// Moves a partition to another lane of the same leader.
    pub(crate) fn hand_over(&self, leader: BrokerId, lane: Lane, turn: FollowTurn) {
        if let Some(tx) = self.lane(leader, lane, turn.partition.directory()) {
            let _ = tx.try_send(LaneCommand::Follow(turn));
        }
    }
}

/// Follows leaders.
#[derive(Debug)]
pub struct ReplicaFetchers {
    shared: Arc<FetcherShared>,
    /// Whom, and into which directory.
    following: Mutex<HashMap<TopicIdPartition, (BrokerId, usize)>>,
}

impl ReplicaFetchers {
    /// Follows nobody yet. `inter_broker_listener` names the listener of the leaders' brokers to dial.
    #[must_use]
    pub fn new(
        host: Arc<PartitionHost>,
        network: Arc<dyn Network>,
        identity: PeerIdentity,
        inter_broker_listener: String,
    ) -> Self {
        let first_follow_id = u64::try_from(host.clock.now().0).unwrap_or(0) << 20;
        let shared = Arc::new(FetcherShared {
            host,
            network,
            identity,
            inter_broker_listener,
            // Other numbers than the incarnation before: a stream of its may still be open.
            follow_ids: AtomicU64::new(first_follow_id),
            turns: AtomicU64::new(1),
            runtime: tokio::runtime::Handle::current(),
            lanes: Mutex::new(HashMap::new()),
            this: OnceLock::new(),
            replicas: OnceLock::new(),
        });
        let _ = shared.this.set(Arc::downgrade(&shared));
        Self {
            shared,
            following: Mutex::new(HashMap::new()),
        }
    }

    /// Whose replicas these are; once, before the first follow.
    pub(crate) fn belong_to(&self, replicas: &Arc<ReplicaManager>) {
        let _ = self.shared.replicas.set(Arc::downgrade(replicas));
    }

    /// Follows a leadership, in place of whatever was followed before.
    pub fn follow(&self, partition: &Arc<Partition>, leader: BrokerId, leader_epoch: LeaderEpoch) {
        let id = partition.id();
        let directory = partition.directory();
        let turn = FollowTurn {
            partition: Arc::clone(partition),
            leader_epoch,
            number: self.shared.turns.fetch_add(1, Ordering::Relaxed),
        };
        partition.begin_turn(&turn);
        let before = self.following.lock().insert(id, (leader, directory));
        if let Some(before) = before {
            // It may be on either lane.
            self.command(before, Lane::CatchUp, LaneCommand::Unfollow(id));
            if before != (leader, directory) {
                self.command(before, Lane::Tail, LaneCommand::Unfollow(id));
            }
        }
        self.command((leader, directory), Lane::Tail, LaneCommand::Follow(turn));
    }

    /// Follows it no more.
    pub fn unfollow(&self, id: TopicIdPartition) {
        if let Some(before) = self.following.lock().remove(&id) {
            self.command(before, Lane::CatchUp, LaneCommand::Unfollow(id));
            self.command(before, Lane::Tail, LaneCommand::Unfollow(id));
        }
    }

    /// Stops following: the node is going down.
    pub fn stop(&self) {
        self.following.lock().clear();
        self.shared.lanes.lock().clear();
    }

    fn command(&self, (leader, directory): (BrokerId, usize), lane: Lane, command: LaneCommand) {
        let is_unfollow = matches!(command, LaneCommand::Unfollow(_));
        if is_unfollow
            && !self
                .shared
                .lanes
                .lock()
                .contains_key(&(leader, lane == Lane::Tail, directory))
        {
            return;
        }
        if let Some(tx) = self.shared.lane(leader, lane, directory)
            && tx.try_send(command).is_err()
        {
            tracing::warn!(%leader, "a replication lane takes no commands");
        }
    }
}
