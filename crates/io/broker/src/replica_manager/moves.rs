//! Replicas move between the directories of this broker (KIP-113): copied in the background one at a time, then continued there.
//!
//! A move ends with the process: what was copied is removed after the next start, and whoever asked for it asks again.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use storage::{FlushesEnd, LogCopy};
use tokio::time::sleep;
use types::{ErrorCode, PartitionIndex, TopicIdPartition, TopicName, TopicPartition};

use super::ReplicaManager;
use super::removal::name_of;
use crate::log_manager_error::LogManagerError;
use crate::partition::{Adoption, NewPlace, Partition, RelocationError};

/// Copied by one call to the disk's threads.
const CHUNK_BYTES: u64 = 4 << 20;
/// With so little left the log may go on in the copy.
const NEAR_BYTES: u64 = 1 << 20;
/// Preferences that are remembered for replicas that aren't here yet.
const PREFERENCES_MAX: usize = 100_000;
/// How long a stop waits for a log that is just taking its new place.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// Moves that were asked for, and where replicas that aren't here yet shall come to.
#[derive(Debug, Default)]
pub(super) struct Moves {
    asked: Mutex<Asked>,
    preferred: Mutex<BTreeMap<TopicIdPartition, usize>>,
    stopped: AtomicBool,
    /// Held while a log takes its new place.
    taking_place: Mutex<()>,
}

#[derive(Debug, Default)]
struct Asked {
    moves: BTreeMap<TopicIdPartition, Arc<Move>>,
    /// One task carries them out, one after the other: a disk copies two logs no faster.
    is_worked_on: bool,
}

#[derive(Debug)]
struct Move {
    partition: Arc<Partition>,
    to: usize,
    cancelled: AtomicBool,
    copied: AtomicU64,
    lag: AtomicU64,
}

/// A replica that is on its way into a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FutureReplica {
    /// Which.
    pub(crate) id: TopicIdPartition,
    /// Its topic.
    pub(crate) topic: TopicName,
    /// Bytes that are there.
    pub(crate) size_bytes: u64,
    /// Offsets that aren't.
    pub(crate) offset_lag: u64,
}

impl ReplicaManager {
    /// Has a replica move to the directory at `to`; in place of another move that is under way. Returns at once.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR when one of the directories is offline, REPLICA_NOT_AVAILABLE when the replica isn't here (it is made there
    /// when it comes), UNKNOWN_TOPIC_OR_PARTITION when nobody has it.
    pub fn alter_directory(
        self: &Arc<Self>,
        topic: &str,
        partition: PartitionIndex,
        to: usize,
    ) -> Result<(), ErrorCode> {
        if self.logs.health(to).is_offline() {
            return Err(ErrorCode::KafkaStorageError);
        }
        let partition = match self.partition_by_name(topic, partition) {
            Ok(partition) => partition,
            Err(ErrorCode::NotLeaderOrFollower) => {
                self.prefer(topic, partition, to);
                return Err(ErrorCode::ReplicaNotAvailable);
            }
            Err(error) => return Err(error),
        };
        let id = partition.id();
        let mut asked = self.moves.asked.lock();
        if let Some(before) = asked.moves.get(&id) {
            if before.to == to {
                return Ok(());
            }
            before.cancelled.store(true, Ordering::Release);
            asked.moves.remove(&id);
        }
        if partition.directory() == to {
            return Ok(());
        }
        let moving = Arc::new(Move {
            partition,
            to,
            cancelled: AtomicBool::new(false),
            copied: AtomicU64::new(0),
            lag: AtomicU64::new(0),
        });
        asked.moves.insert(id, moving);
        if !std::mem::replace(&mut asked.is_worked_on, true) {
            let replicas = Arc::clone(self);
            tokio::spawn(async move { replicas.carry_out_all().await });
        }
        Ok(())
    }

    /// Whether a replica moves to another directory.
    pub(crate) fn is_moving(&self, id: TopicIdPartition) -> bool {
        self.moves.asked.lock().moves.contains_key(&id)
    }

    /// Replicas on their way into a directory.
    pub(crate) fn future_replicas_in(&self, directory: usize) -> Vec<FutureReplica> {
        let asked = self.moves.asked.lock();
        let here = asked.moves.iter().filter(|(_, moving)| moving.to == directory);
        here.map(|(id, moving)| FutureReplica {
            id: *id,
            topic: moving.partition.topic().clone(),
            size_bytes: moving.copied.load(Ordering::Acquire),
            offset_lag: moving.lag.load(Ordering::Acquire),
        })
        .collect()
    }

    fn prefer(&self, topic: &str, partition: PartitionIndex, to: usize) {
        let image = self.host.image.load();
        let Some(topic) = image.topic(topic) else { return };
        let mut preferred = self.moves.preferred.lock();
        if preferred.len() < PREFERENCES_MAX {
            let topic_id = topic.id;
            preferred.insert(TopicIdPartition { topic_id, partition }, to);
        }
    }

    /// The directory that was asked for, for a replica that is made now; its place there is taken.
    pub(super) fn preferred_directory(&self, id: TopicIdPartition) -> Option<usize> {
        let to = self.moves.preferred.lock().remove(&id)?;
        if self.logs.health(to).is_offline() {
            return None;
        }
        self.logs.take_place(to);
        Some(to)
    }

    /// No log takes a new place from now on. Waits for one that is just doing so, unless its disk hangs.
    pub(super) fn stop_moves(&self) {
        self.moves.stopped.store(true, Ordering::Release);
        drop(self.moves.taking_place.try_lock_for(STOP_WAIT));
    }

    async fn carry_out_all(self: &Arc<Self>) {
        loop {
            let next = {
                let mut asked = self.moves.asked.lock();
                let next = asked
                    .moves
                    .first_key_value()
                    .map(|(id, moving)| (*id, Arc::clone(moving)));
                asked.is_worked_on = next.is_some();
                next
            };
            let Some((id, moving)) = next else { return };
            self.carry_out(&moving).await;
            let mut asked = self.moves.asked.lock();
            if asked.moves.get(&id).is_some_and(|now| Arc::ptr_eq(now, &moving)) {
                asked.moves.remove(&id);
            }
        }
    }

    fn still_moves(&self, moving: &Move) -> bool {
        let hosted = self.partition(moving.partition.id());
        let is_here = hosted.is_some_and(|hosted| Arc::ptr_eq(&hosted, &moving.partition));
        let health = self.logs.health(moving.to);
        let is_welcome = !health.is_offline() && !health.is_full();
        is_here && is_welcome && !moving.is_cancelled(self)
    }

    /// Waits for work on both directories, unless one of them goes offline first.
    async fn unless_either_offline<T>(
        &self,
        from: usize,
        to: usize,
        work: impl Future<Output = Option<T>>,
    ) -> Option<T> {
        self.unless_offline(from, self.unless_offline(to, work)).await
    }

    async fn carry_out(self: &Arc<Self>, moving: &Arc<Move>) {
        let partition = &moving.partition;
        let (from, name) = (
            partition.directory(),
            name_of(partition.id(), partition.topic().clone()),
        );
        let Some(mut copy) = self.begin(moving, from, &name).await else {
            return;
        };
        loop {
            if !self.still_moves(moving) {
                return self.abandon(moving, copy).await;
            }
            let content = partition.content();
            let work = {
                let content = content.clone();
                move || {
                    let copied = copy.copy(&content, CHUNK_BYTES);
                    (copy, copied)
                }
            };
            let copied = self.pool_of(moving.to).run(work);
            let Some((back, copied)) = self.unless_either_offline(from, moving.to, copied).await else {
                return;
            };
            copy = back;
            let (copied, left) = match copied {
                Ok(copied) => copied,
                // Compaction has replaced what was to be copied: from the beginning.
                Err(_) if !partition.content().is_same_log(&content) => continue,
                Err(error) => {
                    tracing::warn!(partition = %name, %error, "a replica's log wasn't copied");
                    return self.abandon(moving, copy).await;
                }
            };
            moving.copied.store(copy.copied_bytes(), Ordering::Release);
            let end = partition.status().log_end_offset;
            let there = copy.copied_up_to(&content).unwrap_or(end);
            let lag = end.0.saturating_sub(there.0);
            moving.lag.store(u64::try_from(lag).unwrap_or(0), Ordering::Release);
            if left > NEAR_BYTES {
                self.throttle(moving, copied).await;
                continue;
            }
            // Nothing is made, removed or given another role meanwhile.
            let _one = self.applying.lock().await;
            if !self.still_moves(moving) {
                continue;
            }
            match self.take_place(moving, copy, from, &name).await {
                Some((back, Err(RelocationError::Behind))) => copy = back,
                Some((_, Ok(flushes))) => return self.leave(moving, from, name, flushes).await,
                Some((back, Err(RelocationError::NotWanted))) => return self.abandon(moving, back).await,
                Some((back, Err(error))) => {
                    tracing::warn!(partition = %name, %error, "a replica's log didn't move");
                    if matches!(error, RelocationError::Unknown(_)) {
                        return self.give_up_replica(moving);
                    }
                    return self.abandon(moving, back).await;
                }
                // Whether it took its place, nobody knows: it must not go on here either.
                None => return self.give_up_replica(moving),
            }
        }
    }

    async fn begin(&self, moving: &Arc<Move>, from: usize, name: &TopicPartition) -> Option<LogCopy> {
        let (logs, partition, to) = (Arc::clone(&self.logs), Arc::clone(&moving.partition), moving.to);
        let begin = {
            let name = name.clone();
            move || {
                let (file_system, path) = logs.future(to, &name, partition.id().topic_id.0)?;
                Ok::<_, LogManagerError>(partition.begin_copy(file_system, path)?)
            }
        };
        let begun = self.pool_of(to).run(begin);
        let begun = self.unless_either_offline(from, to, begun).await?;
        begun
            .inspect_err(|error| tracing::warn!(partition = %name, %error, "a replica's move didn't begin"))
            .ok()
    }

    async fn abandon(&self, moving: &Move, copy: LogCopy) {
        let abandoned = self.pool_of(moving.to).run(move || copy.abandon());
        if let Some(Err(error)) = self.unless_offline(moving.to, abandoned).await {
            tracing::warn!(%error, "a copy that isn't needed stays until the next start");
        }
    }

    /// The copy comes back; nothing where one of the directories went offline meanwhile.
    async fn take_place(
        self: &Arc<Self>,
        moving: &Arc<Move>,
        mut copy: LogCopy,
        from: usize,
        name: &TopicPartition,
    ) -> Option<(LogCopy, Result<FlushesEnd, RelocationError>)> {
        let taking = TakingPlace {
            replicas: Arc::clone(self),
            moving: Arc::clone(moving),
            name: name.clone(),
        };
        let work = move || {
            let replicas = Arc::clone(&taking.replicas);
            let _taking = replicas.moves.taking_place.lock();
            let place = NewPlace {
                directory: taking.moving.to,
                health: Arc::clone(replicas.logs.health(taking.moving.to)),
            };
            let moved = taking.moving.partition.relocate(&mut copy, place, &taking);
            (copy, moved)
        };
        let moved = self.pool_of(moving.to).run(work);
        self.unless_either_offline(from, moving.to, moved).await
    }

    /// The old directory goes. One that can't be renamed stays with its mark, and goes at the next start.
    async fn leave(self: &Arc<Self>, moving: &Move, from: usize, name: TopicPartition, flushes: FlushesEnd) {
        let (to, partition) = (moving.to, &moving.partition);
        let paths = (self.logs.path(from).display(), self.logs.path(to).display());
        tracing::info!(partition = %name, from = %paths.0, to = %paths.1, "a replica has moved");
        if !self.logs.health(to).is_offline() {
            let (replicas, topic_id) = (Arc::clone(self), partition.id().topic_id);
            let retire = move || {
                flushes.run();
                if let Err(error) = replicas.write_checkpoints(from) {
                    tracing::warn!(%error, "no checkpoints after a move");
                }
                replicas.logs.retire(from, &[(name, topic_id)])
            };
            if let Some(Ok(retired)) = self.unless_offline(from, self.pool_of(from).run(retire)).await {
                let delay = partition.settings().log.file_delete_delay;
                let removals = retired.into_iter().filter_map(|retired| Some((delay, retired.ok()??)));
                self.remove_later(from, removals.collect());
            }
        }
        // A follower's pushes are taken by the new directory's task.
        let image = self.host.image.load();
        if !self.moves.stopped.load(Ordering::Acquire)
            && let Some(registration) = image.partition(partition.id())
            && let Some(leader) = registration.leader.filter(|leader| *leader != self.host.local)
        {
            self.fetchers.follow(partition, leader, registration.leader_epoch);
        }
    }

    fn give_up_replica(&self, moving: &Move) {
        let id = moving.partition.id();
        self.hosted.write().remove(&id);
        self.mark_offline(vec![id]);
        self.fetchers.unfollow(id);
        moving.partition.give_up();
    }

    async fn throttle(&self, moving: &Move, copied: u64) {
        let throttle = &self.throttles.moving;
        throttle.take(usize::try_from(copied).unwrap_or(usize::MAX));
        while let Some(wait) = throttle.wait()
            && self.still_moves(moving)
        {
            sleep(wait).await;
        }
    }
}

impl Move {
    fn is_cancelled(&self, replicas: &ReplicaManager) -> bool {
        self.cancelled.load(Ordering::Acquire) || replicas.moves.stopped.load(Ordering::Acquire)
    }
}

/// A log that takes its new place.
struct TakingPlace {
    replicas: Arc<ReplicaManager>,
    moving: Arc<Move>,
    name: TopicPartition,
}

impl Adoption for TakingPlace {
    fn is_wanted(&self) -> bool {
        !self.moving.is_cancelled(&self.replicas)
    }

    fn announce(&self) -> Result<(), LogManagerError> {
        self.replicas
            .write_checkpoints_with(self.moving.to, Some(&self.moving.partition))
    }

    fn rename(&self, copy: &LogCopy) -> Result<PathBuf, LogManagerError> {
        self.replicas.logs.adopt(self.moving.to, copy.directory(), &self.name)
    }

    fn sync(&self) -> Result<(), LogManagerError> {
        self.replicas.logs.sync_names(self.moving.to)
    }
}
