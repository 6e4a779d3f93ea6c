//! Logs that go from one directory to another (KIP-113).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{DirectoryError, FileSystem, LogDirectory, PartitionDirectory};
use types::{TopicPartition, Uuid};

use super::LogManager;
use crate::log_manager_error::LogManagerError;

impl LogManager {
    /// The directory of that path, as it is configured.
    #[must_use]
    pub fn position(&self, path: &str) -> Option<usize> {
        let path = Path::new(path);
        self.directories.iter().position(|data| data.health.path() == path)
    }

    /// Where a partition's log may be copied to: the directory's disk, and a place in it.
    ///
    /// # Errors
    /// When the directory is offline, or holds a log of the partition's name already.
    pub fn future(
        &self,
        at: usize,
        partition: &TopicPartition,
        unique: Uuid,
    ) -> Result<(Arc<dyn FileSystem>, PathBuf), LogManagerError> {
        let directory = self.open_directory(at)?;
        let file_system = directory.shared_file_system();
        let place = directory.partition_path(partition);
        if file_system.exists(&place).unwrap_or(true) {
            return Err(LogManagerError::Occupied { path: place });
        }
        Ok((file_system, directory.future_path(partition, unique)?))
    }

    /// A finished copy gets the partition's name. Returns its directory.
    ///
    /// # Errors
    /// The disk's: it has it not.
    pub fn adopt(&self, at: usize, copy: &Path, partition: &TopicPartition) -> Result<PathBuf, LogManagerError> {
        let adopted = self.open_directory(at)?.adopt(copy, partition)?;
        self.take_place(at);
        Ok(adopted)
    }

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync_names(&self, at: usize) -> Result<(), LogManagerError> {
        Ok(self.open_directory(at)?.sync_names()?)
    }

    /// What processes before this one left for other directories (MOVE-3 of `storage`): where it goes on elsewhere, it is retired;
    /// where it is nowhere else, it stays. While a directory can't be read nobody knows, and the marks keep it from being loaded.
    pub(super) fn settle_moves(&self) -> Result<(), LogManagerError> {
        self.in_each(|at, directory, _| {
            for place in directory.partitions()? {
                if directory.is_left(&place.partition)? {
                    self.settle_move(at, directory, &place)?;
                }
            }
            Ok(())
        })
    }

    fn settle_move(
        &self,
        at: usize,
        directory: &LogDirectory,
        left: &PartitionDirectory,
    ) -> Result<(), DirectoryError> {
        let Some(topic_id) = left.topic_id else { return Ok(()) };
        let mut goes_on = false;
        for (other, data) in self.directories.iter().enumerate() {
            let Some(open) = data.open.as_ref().filter(|_| other != at && !data.health.is_offline()) else {
                continue;
            };
            // A directory that fails at it is offline, and counts as one that can't be read.
            let Ok(places) = open.directory.partitions() else {
                continue;
            };
            goes_on |= places.iter().any(|place| {
                let is_same = place.partition == left.partition && place.topic_id == left.topic_id;
                is_same && open.directory.is_left(&place.partition).is_ok_and(|is_left| !is_left)
            });
        }
        if goes_on {
            // One that can't be renamed keeps its mark, and isn't loaded.
            for retired in directory.retire_partitions(&[(&left.partition, topic_id.0)])? {
                let open = self.directories.get(at).and_then(|data| data.open.as_ref());
                if let (Ok(Some(removal)), Some(open)) = (retired, open) {
                    open.leftovers.lock().push(removal);
                }
            }
        } else if !self.any_offline() {
            directory.take_back(&left.partition)?;
        }
        Ok(())
    }
}
