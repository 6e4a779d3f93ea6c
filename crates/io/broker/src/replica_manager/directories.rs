//! What happens to a whole data directory: checkpoints, lack of room, its failure, the end of the process.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metadata::proto::PartitionId;
use parking_lot::Mutex;
use storage::{Checkpoint, CheckpointEntry, DirectoryStatus};
use tokio::sync::watch;
use tokio::time::sleep;
use types::{ErrorCode, Offset, TopicIdPartition};

use super::ReplicaManager;
use super::removal::name_of;
use crate::log_manager::FoundLog;
use crate::log_manager_error::LogManagerError;
use crate::partition::Partition;

/// How often those who wait for a directory look whether it is still there.
const OFFLINE_CHECK: Duration = Duration::from_millis(250);
/// Replicas told of in one heartbeat: a disk may hold thousands.
const REPORTS_MAX: usize = 1_000;

impl ReplicaManager {
    /// Writes a directory's checkpoints; blocks on the disk. A directory without room for them is full.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_checkpoints(&self, directory: usize) -> Result<(), LogManagerError> {
        self.write_checkpoints_with(directory, None)
    }

    /// Has the checkpoints tell nothing of replicas that have left. Blocks on the disk.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn forget_left(&self, directory: usize) -> Result<(), LogManagerError> {
        let Some(left) = self
            .left
            .get(directory)
            .filter(|left| left.swap(false, Ordering::AcqRel))
        else {
            return Ok(());
        };
        self.write_checkpoints(directory)
            .inspect_err(|_| left.store(true, Ordering::Release))
    }

    /// The same, and of a replica that is about to lie there, synced to its end.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn write_checkpoints_with(
        &self,
        directory: usize,
        coming: Option<&Partition>,
    ) -> Result<(), LogManagerError> {
        let mut one = self.checkpoints.get(directory).map(Mutex::lock);
        let (mut recovery, mut high, mut start) = (Vec::new(), Vec::new(), Vec::new());
        let mut cleaned = Vec::new();
        for partition in self.partitions_in(directory) {
            let name = name_of(partition.id(), partition.topic().clone());
            let status = partition.status();
            let entry = |offset| CheckpointEntry {
                partition: name.clone(),
                offset,
            };
            recovery.push(entry(partition.recovery_point()));
            high.push(entry(status.high_watermark));
            if status.log_start_offset > Offset::ZERO {
                start.push(entry(status.log_start_offset));
            }
            cleaned.extend(partition.cleaned_up_to().map(entry));
        }
        if let Some(partition) = coming {
            let name = name_of(partition.id(), partition.topic().clone());
            let status = partition.status();
            let entry = |offset| CheckpointEntry {
                partition: name.clone(),
                offset,
            };
            recovery.push(entry(status.log_end_offset));
            high.push(entry(status.high_watermark));
            start.push(entry(status.log_start_offset));
            cleaned.extend(partition.cleaned_up_to().map(entry));
        }
        // Those that no image has given a role yet keep what they had.
        for (id, found) in self
            .found
            .lock()
            .iter()
            .filter(|(_, found)| found.directory == directory)
        {
            let name = name_of(*id, found.topic.clone());
            let entry = |offset| CheckpointEntry {
                partition: name.clone(),
                offset,
            };
            recovery.push(entry(found.log.recovery_point()));
            high.push(entry(found.high_watermark));
            if found.log.log_start_offset() > Offset::ZERO {
                start.push(entry(found.log.log_start_offset()));
            }
            cleaned.extend(found.log.cleaned_up_to().map(entry));
        }
        self.logs
            .write_checkpoint(directory, Checkpoint::RecoveryPoint, &recovery)?;
        self.logs
            .write_checkpoint(directory, Checkpoint::HighWatermark, &high)?;
        self.logs
            .write_checkpoint(directory, Checkpoint::LogStartOffset, &start)?;
        // Seldom another one: most directories hold nothing that is compacted, or nothing that was since.
        if let Some(last) = &mut one
            && last.as_ref() != Some(&cleaned)
        {
            self.logs.write_checkpoint(directory, Checkpoint::Cleaner, &cleaned)?;
            **last = Some(cleaned);
        }
        Ok(())
    }

    /// Gives up the replicas of a directory that failed: nothing of it is served until the process starts anew, and the
    /// controller is told. Waits for no lock that a hung write may hold.
    pub fn take_offline(&self, directory: usize) {
        let hosted: Vec<(TopicIdPartition, Arc<Partition>)> = {
            let mut hosted = self.hosted.write();
            let gone: Vec<_> = hosted
                .iter()
                .filter(|(_, hosted)| hosted.partition.directory() == directory)
                .map(|(id, hosted)| (*id, Arc::clone(&hosted.partition)))
                .collect();
            gone.iter().for_each(|(id, _)| drop(hosted.remove(id)));
            gone
        };
        let found: Vec<(TopicIdPartition, FoundLog)> = {
            let mut found = self.found.lock();
            let gone: Vec<_> = found
                .iter()
                .filter(|(_, log)| log.directory == directory)
                .map(|(id, _)| *id)
                .collect();
            gone.into_iter().filter_map(|id| found.remove_entry(&id)).collect()
        };
        let lost = hosted.iter().map(|(id, _)| *id).chain(found.iter().map(|(id, _)| *id));
        self.mark_offline(lost.collect());
        for (id, partition) in hosted {
            self.fetchers.unfollow(id);
            partition.give_up();
        }
    }

    /// Waits for work in a directory, unless that goes offline first: work that hangs never comes back, and whoever applies
    /// the metadata must go on.
    pub async fn unless_offline<T>(&self, directory: usize, work: impl Future<Output = Option<T>>) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = sleep(OFFLINE_CHECK) => {
                    if self.logs.health(directory).is_offline() {
                        return None;
                    }
                }
            }
        }
    }

    pub(super) fn mark_offline(&self, lost: Vec<TopicIdPartition>) {
        if lost.is_empty() {
            return;
        }
        self.offline.lock().extend(lost);
        self.offline_changed.send_modify(|changes| *changes += 1);
    }

    /// Counts changes of the replicas that can't be served.
    #[must_use]
    pub fn offline_changes(&self) -> watch::Receiver<u64> {
        self.offline_changed.subscribe()
    }

    /// Replicas that can't be served for their directory, and that the metadata doesn't show as such yet; some of them where
    /// they are many.
    #[must_use]
    pub fn offline_to_report(&self) -> Vec<PartitionId> {
        let image = self.host.image.load();
        let offline = self.offline.lock();
        let local = self.host.local;
        let untold = offline.iter().filter(|id| {
            let assigned = image
                .partition(**id)
                .is_some_and(|known| known.replicas.contains(&local));
            assigned && !image.is_replica_offline(**id, local)
        });
        untold.take(REPORTS_MAX).map(|id| (*id).into()).collect()
    }

    /// Why a replica isn't served here.
    #[must_use]
    pub fn refusal(&self, id: TopicIdPartition) -> ErrorCode {
        if self.offline.lock().contains(&id) {
            ErrorCode::KafkaStorageError
        } else {
            ErrorCode::NotLeaderOrFollower
        }
    }

    /// Frees what a full directory needn't keep. Returns whether records are taken again. Blocks on the disk.
    #[must_use]
    pub fn make_room(&self, directory: usize) -> bool {
        let health = self.logs.health(directory);
        for partition in self.partitions_in(directory) {
            if let Err(error) = partition.apply_retention() {
                tracing::debug!(partition = %partition.id(), %error, "retention failed");
            }
        }
        self.host.hurry.notify_waiters();
        if !health.has_room() {
            return false;
        }
        // HEALTH-3: a recovery point that a truncation lowered has to be known before the next append.
        let written = self
            .write_checkpoints(directory)
            .and_then(|()| self.logs.catch_up(directory));
        match written {
            Ok(()) => {
                health.resume();
                true
            }
            Err(error) => {
                tracing::debug!(%error, "no checkpoints, no records");
                false
            }
        }
    }

    /// Makes the replicas that there was no room for.
    pub async fn make_missing(self: &Arc<Self>) {
        let _one = self.applying.lock().await;
        let missing = std::mem::take(&mut *self.missing.lock());
        let image = self.host.image.load_full();
        self.apply_partitions(&image, &missing).await;
    }

    /// Updates the directories' gauges.
    pub fn count_directories(&self) {
        let count = |wanted| {
            let found = self.logs.healths().filter(|health| health.status() == wanted).count();
            i64::try_from(found).unwrap_or(i64::MAX)
        };
        let metrics = &self.host.metrics;
        metrics.offline_log_directories.set(count(DirectoryStatus::Offline));
        metrics.full_log_directories.set(count(DirectoryStatus::Full));
    }

    /// The node is going down in good order: follows nobody, closes every log, marks the directories as clean. Blocks on
    /// the disk. A directory that fails at it, or has no room, isn't marked: its next start looks closer.
    pub fn close(&self) {
        self.fetchers.stop();
        self.stop_moves();
        for directory in 0..self.logs.directory_count() {
            if let Err(error) = self.close_directory(directory) {
                tracing::warn!(path = %self.logs.path(directory).display(), %error, "not closed in good order");
            }
        }
    }

    fn close_directory(&self, directory: usize) -> Result<(), LogManagerError> {
        for partition in self.partitions_in(directory) {
            partition.close()?;
        }
        self.write_checkpoints(directory)?;
        self.logs.write_clean_shutdown(directory, self.host.broker_epoch())
    }
}
