//! What happens to a whole data directory: checkpoints, lack of room, the end of the process.

use std::sync::Arc;

use parking_lot::Mutex;
use storage::{Checkpoint, CheckpointEntry, DirectoryStatus};
use types::{Offset, TopicPartition};

use super::ReplicaManager;
use crate::log_manager::LogManagerError;

impl ReplicaManager {
    /// Writes a directory's checkpoints; blocks on the disk. A directory without room for them is full.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_checkpoints(&self, directory: usize) -> Result<(), LogManagerError> {
        let _one = self.checkpoints.get(directory).map(Mutex::lock);
        let (mut recovery, mut high, mut start) = (Vec::new(), Vec::new(), Vec::new());
        for partition in self.partitions_in(directory) {
            let name = TopicPartition {
                topic: partition.topic().clone(),
                partition: partition.id().partition,
            };
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
        }
        // Those that no image has given a role yet keep what they had.
        for (id, found) in self
            .found
            .lock()
            .iter()
            .filter(|(_, found)| found.directory == directory)
        {
            let name = TopicPartition {
                topic: found.topic.clone(),
                partition: id.partition,
            };
            let entry = |offset| CheckpointEntry {
                partition: name.clone(),
                offset,
            };
            recovery.push(entry(found.log.recovery_point()));
            high.push(entry(found.high_watermark));
            if found.log.log_start_offset() > Offset::ZERO {
                start.push(entry(found.log.log_start_offset()));
            }
        }
        self.logs
            .write_checkpoint(directory, Checkpoint::RecoveryPoint, &recovery)?;
        self.logs
            .write_checkpoint(directory, Checkpoint::HighWatermark, &high)?;
        self.logs
            .write_checkpoint(directory, Checkpoint::LogStartOffset, &start)?;
        Ok(())
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
        for id in missing {
            self.apply_partition(&image, id).await;
        }
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
