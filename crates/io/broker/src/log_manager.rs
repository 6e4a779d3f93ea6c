//! The log directories of a broker: which logs lie where, how they are opened, what their last end looked like.
//!
//! UNCLEAN-1 (design, "Registration"): a directory stores (boot id, broker epoch), rewritten only after the controller has
//! committed the registration. Another boot id without the clean-shutdown marker means that unsynced writes are gone, so
//! every partition there is unclean but those whose every acknowledged batch was synced. A log that ends below its
//! checkpointed high watermark has lost something whatever the rest says.

mod moves;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use storage::{
    Checkpoint, CheckpointEntry, DirectoryHealth, DirectoryRemoval, FileSystem, Incarnation, Log, LogConfig,
    LogDirectory, LogError, MetaProperties, OpenInput, RetiredPartition,
};
use tokio::time::Instant;
use types::{
    BootId, BrokerEpoch, BrokerId, ClusterId, DirectoryId, Offset, TimestampMs, TopicId, TopicIdPartition, TopicName,
    TopicPartition, Uuid,
};

use crate::data_directory::{DataDirectory, UseError};
use crate::log_manager_error::LogManagerError;

/// A directory in which a write or sync hangs for so long is offline (design, "Broker sessions").
const STALLED: Duration = Duration::from_secs(10);

/// A log found at start.
#[derive(Debug)]
pub struct FoundLog {
    /// The open log.
    pub log: Log,
    /// Its topic's name.
    pub topic: TopicName,
    /// Checkpointed high watermark.
    pub high_watermark: Offset,
    /// In which directory.
    pub directory: usize,
}

/// What was found at start.
#[derive(Debug, Default)]
pub struct FoundLogs {
    /// By identity.
    pub logs: HashMap<TopicIdPartition, FoundLog>,
    /// Every directory is unclean as a whole.
    pub unclean: bool,
    /// Or only these.
    pub unclean_partitions: Vec<TopicIdPartition>,
    /// The broker epoch that the directories remember, if they agree on one.
    pub previous_epoch: Option<BrokerEpoch>,
}

/// All log directories.
#[derive(Debug)]
pub struct LogManager {
    node: BrokerId,
    directories: Vec<DataDirectory>,
    /// Holds the metadata log of this node: it can't go on without.
    metadata: Option<usize>,
    partitions: Mutex<Vec<usize>>,
    /// The oldest call under way in each directory, and since when it was seen.
    pending: Mutex<Vec<Option<(u64, Instant)>>>,
    /// This incarnation, once it is registered.
    incarnation: Mutex<Option<Incarnation>>,
}

impl LogManager {
    /// Takes the directories into use: locked, identified, checked against the node id. One that can't be read is offline.
    /// `metadata` is the directory of this node's metadata log.
    ///
    /// # Errors
    /// When one is somebody else's, or none can be used, or not the one of the metadata log.
    pub fn open(
        file_system: &Arc<dyn FileSystem>,
        paths: &[PathBuf],
        metadata: Option<&Path>,
        node: BrokerId,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Result<Self, LogManagerError> {
        let mut directories = Vec::new();
        for path in paths {
            directories.push(match DataDirectory::open(file_system, path, node, new_id) {
                Ok(directory) => directory,
                Err(UseError::Foreign(error)) => return Err(error),
                Err(UseError::Broken(error)) => DataDirectory::offline(file_system, path, &error.to_string()),
            });
        }
        let logs = Self {
            node,
            metadata: metadata.and_then(|metadata| paths.iter().position(|path| path == metadata)),
            partitions: Mutex::new(vec![0; directories.len()]),
            pending: Mutex::new(vec![None; directories.len()]),
            incarnation: Mutex::default(),
            directories,
        };
        logs.check_usable()?;
        Ok(logs)
    }

    /// Fails when this process can't go on: no directory is left, or the metadata log's is gone (promise DISK).
    ///
    /// # Errors
    /// Says which.
    pub fn check_usable(&self) -> Result<(), LogManagerError> {
        let unusable = |directory: &DataDirectory, why| LogManagerError::Unusable {
            path: directory.health.path().to_owned(),
            reason: directory.health.reason().to_owned(),
            why,
        };
        let metadata = self.metadata.and_then(|at| self.directories.get(at));
        if let Some(directory) = metadata.filter(|directory| directory.health.is_offline()) {
            return Err(unusable(directory, "it holds the metadata log"));
        }
        match self.directories.last() {
            Some(last) if self.directories.iter().all(|directory| directory.health.is_offline()) => {
                Err(unusable(last, "there is no other data directory"))
            }
            _ => Ok(()),
        }
    }

    /// The ids of the directories that are in use.
    #[must_use]
    pub fn directory_ids(&self) -> Vec<DirectoryId> {
        let online = self
            .directories
            .iter()
            .filter(|directory| !directory.health.is_offline());
        online
            .filter_map(|directory| Some(directory.open.as_ref()?.id))
            .collect()
    }

    /// How the directories stand.
    pub fn healths(&self) -> impl Iterator<Item = &Arc<DirectoryHealth>> {
        self.directories.iter().map(|directory| &directory.health)
    }

    /// How one stands.
    #[must_use]
    pub fn health(&self, at: usize) -> &Arc<DirectoryHealth> {
        &self.directories[at].health
    }

    /// The ids of the directories that failed while this process ran.
    #[must_use]
    pub fn offline_directory_ids(&self) -> Vec<DirectoryId> {
        let offline = self
            .directories
            .iter()
            .filter(|directory| directory.health.is_offline());
        offline
            .filter_map(|directory| Some(directory.open.as_ref()?.id))
            .collect()
    }

    /// Whether a directory is out of use.
    #[must_use]
    pub fn any_offline(&self) -> bool {
        self.directories.iter().any(|directory| directory.health.is_offline())
    }

    /// For how long the oldest write or sync has been under way, as far as was seen; one that hangs takes its directory
    /// offline. To be called several times a second, by somebody who waits for no disk.
    pub fn watch_pending(&self, now: Instant) -> Duration {
        let mut pending = self.pending.lock();
        let mut oldest = Duration::ZERO;
        for (seen, directory) in pending.iter_mut().zip(&self.directories) {
            let ticket = directory.health.oldest_pending();
            *seen = match (ticket, *seen) {
                (Some(ticket), Some((before, since))) if ticket == before => Some((ticket, since)),
                (ticket, _) => ticket.map(|ticket| (ticket, now)),
            };
            let Some((_, since)) = *seen else { continue };
            let age = now.saturating_duration_since(since);
            if age >= STALLED {
                directory
                    .health
                    .fail(&format!("a write or sync hangs for {} s", age.as_secs()));
            } else if !directory.health.is_offline() {
                oldest = oldest.max(age);
            }
        }
        oldest
    }

    /// Does something in every directory in use; one that fails at it is offline, and the others go on.
    fn in_each(
        &self,
        mut work: impl FnMut(usize, &LogDirectory, DirectoryId) -> Result<(), LogManagerError>,
    ) -> Result<(), LogManagerError> {
        for (at, data) in self.directories.iter().enumerate() {
            let Some(open) = data.open.as_ref().filter(|_| !data.health.is_offline()) else {
                continue;
            };
            match work(at, &open.directory, open.id) {
                Err(LogManagerError::Directory(_) | LogManagerError::Log(_)) if data.health.is_offline() => {}
                other => other?,
            }
        }
        self.check_usable()
    }

    /// The cluster that the directories remember.
    ///
    /// # Errors
    /// The disk's.
    pub fn cluster_id(&self) -> Result<Option<ClusterId>, LogManagerError> {
        let mut found = None;
        self.in_each(|_, directory, _| {
            if found.is_none() {
                found = directory
                    .meta_properties()?
                    .and_then(|properties| properties.cluster_id);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Writes the cluster id where it is missing.
    ///
    /// # Errors
    /// When a directory belongs to another cluster.
    pub fn join_cluster(&self, cluster: &ClusterId) -> Result<(), LogManagerError> {
        self.in_each(|_, directory, id| {
            let properties = directory.meta_properties()?.unwrap_or_default();
            match &properties.cluster_id {
                Some(found) if found == cluster => Ok(()),
                Some(found) => Err(LogManagerError::OtherCluster {
                    path: directory.path().to_owned(),
                    found: found.clone(),
                    ours: cluster.clone(),
                }),
                None => {
                    let joined = MetaProperties {
                        cluster_id: Some(cluster.clone()),
                        node_id: Some(self.node),
                        directory_id: Some(id),
                    };
                    Ok(directory.write_meta_properties(&joined)?)
                }
            }
        })
    }

    /// Opens every log that lies here, recovering what isn't clean, and judges the last end (UNCLEAN-1). Blocks on the
    /// disk. Settings come later, with the metadata; until then a log keeps everything.
    ///
    /// # Errors
    /// When no directory is left.
    pub fn load(&self, boot: &BootId, now: TimestampMs) -> Result<FoundLogs, LogManagerError> {
        self.settle_moves()?;
        let mut found = FoundLogs::default();
        let mut epochs = Vec::new();
        self.in_each(|at, directory, _| {
            let loaded = crate::data_directory::load(directory, boot, now)?;
            // After a power cut a directory doesn't even know what it has lost: a partition's whole directory may be gone. The
            // same holds for one that never was registered, or lost its mark.
            found.unclean |= loaded.synced_only;
            epochs.push(loaded.previous_epoch);
            found.unclean_partitions.extend(loaded.unclean_partitions);
            if let Some(count) = self.partitions.lock().get_mut(at) {
                *count += loaded.logs.len();
            }
            for (id, log) in loaded.logs {
                found.logs.insert(id, FoundLog { directory: at, ..log });
            }
            Ok(())
        })?;
        // Directories that remember different incarnations were swapped, or restored from another time.
        found.unclean |= epochs.windows(2).any(|pair| pair.first() != pair.last());
        found.previous_epoch = epochs
            .first()
            .copied()
            .flatten()
            .filter(|first| epochs.iter().all(|e| *e == Some(*first)));
        Ok(found)
    }

    /// The controller has committed this incarnation's registration: from now on the directories are of this boot. A
    /// directory without room gets the mark when it has some: until then it only looks less clean than it is.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_incarnation(&self, boot: &BootId, epoch: BrokerEpoch) -> Result<(), LogManagerError> {
        let incarnation = Incarnation {
            boot_id: boot.clone(),
            broker_epoch: epoch,
        };
        *self.incarnation.lock() = Some(incarnation.clone());
        self.in_each(|_, directory, _| match directory.write_incarnation(&incarnation) {
            Err(error) if error.is_full() => Ok(()),
            written => Ok(written?),
        })
    }

    /// There is room again: what couldn't be written of the directory's own is.
    ///
    /// # Errors
    /// The disk's.
    pub fn catch_up(&self, at: usize) -> Result<(), LogManagerError> {
        let incarnation = self.incarnation.lock().clone();
        match (incarnation, self.open_directory(at)) {
            (Some(incarnation), Ok(directory)) => Ok(directory.write_incarnation(&incarnation)?),
            _ => Ok(()),
        }
    }

    /// The directory for one partition more: the one with the fewest, those with room first.
    #[must_use]
    pub fn choose(&self) -> usize {
        let mut counts = self.partitions.lock();
        let online = counts
            .iter()
            .zip(&self.directories)
            .enumerate()
            .filter(|(_, (_, data))| !data.health.is_offline());
        let at = online
            .min_by_key(|(_, (count, data))| (data.health.is_full(), **count))
            .map(|(at, _)| at);
        if let Some(count) = at.and_then(|at| counts.get_mut(at)) {
            *count += 1;
        }
        at.unwrap_or(0)
    }

    /// Opens or makes a partition's log in the directory that was chosen for it.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(
        &self,
        chosen: usize,
        partition: &TopicPartition,
        id: TopicIdPartition,
        config: LogConfig,
        now: TimestampMs,
    ) -> Result<Log, LogManagerError> {
        let created = self.create_in(chosen, partition, id, config, now);
        if created.is_err() {
            self.forget(chosen);
        }
        created
    }

    fn create_in(
        &self,
        at: usize,
        partition: &TopicPartition,
        id: TopicIdPartition,
        config: LogConfig,
        now: TimestampMs,
    ) -> Result<Log, LogManagerError> {
        let directory = self.open_directory(at)?;
        let input = OpenInput {
            recovery_point: Offset::ZERO,
            clean_shutdown: false,
            log_start_offset: Offset::ZERO,
            now,
        };
        let path = directory.partition_path(partition);
        let log = match Log::open(
            directory.shared_file_system(),
            &path,
            id.topic_id,
            config.clone(),
            input,
        ) {
            Err(LogError::InconsistentTopicId { found, .. }) => {
                // A topic of that name was deleted while this broker was away.
                tracing::info!(%partition, %found, "removes the log of a deleted topic of the same name");
                let retired = directory.retire_partitions(&[(partition, found.0)])?;
                for removal in retired {
                    removal?.map_or(Ok(()), DirectoryRemoval::run)?;
                }
                Log::open(directory.shared_file_system(), &path, id.topic_id, config, input)?
            }
            other => other?,
        };
        Ok(log)
    }

    /// A place in this directory for one partition more.
    pub fn take_place(&self, at: usize) {
        if let Some(count) = self.partitions.lock().get_mut(at) {
            *count += 1;
        }
    }

    fn forget(&self, at: usize) {
        if let Some(count) = self.partitions.lock().get_mut(at) {
            *count = count.saturating_sub(1);
        }
    }

    fn open_directory(&self, at: usize) -> Result<&LogDirectory, LogManagerError> {
        let data = &self.directories[at];
        let open = data.open.as_ref().filter(|_| !data.health.is_offline());
        open.map(|open| &open.directory)
            .ok_or_else(|| LogManagerError::Unusable {
                path: data.health.path().to_owned(),
                reason: data.health.reason().to_owned(),
                why: "the partition lies there",
            })
    }

    /// Takes partitions' directories out of use; the returned work removes them.
    ///
    /// # Errors
    /// The disk's; then nothing may be removed.
    pub fn retire(
        &self,
        at: usize,
        partitions: &[(TopicPartition, TopicId)],
    ) -> Result<Vec<RetiredPartition>, LogManagerError> {
        partitions.iter().for_each(|_| self.forget(at));
        let names: Vec<(&TopicPartition, Uuid)> = partitions.iter().map(|(name, id)| (name, id.0)).collect();
        Ok(self.open_directory(at)?.retire_partitions(&names)?)
    }

    /// What was taken out of use by the process before this one and is still there; to be removed while this one serves.
    #[must_use]
    pub fn take_leftovers(&self, at: usize) -> Vec<DirectoryRemoval> {
        let open = self.directories.get(at).and_then(|data| data.open.as_ref());
        open.map(|open| std::mem::take(&mut *open.leftovers.lock()))
            .unwrap_or_default()
    }

    /// Writes one checkpoint of one directory.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_checkpoint(
        &self,
        at: usize,
        checkpoint: Checkpoint,
        entries: &[CheckpointEntry],
    ) -> Result<(), LogManagerError> {
        Ok(self.open_directory(at)?.write_checkpoint(checkpoint, entries)?)
    }

    /// How many directories there are.
    #[must_use]
    pub fn directory_count(&self) -> usize {
        self.directories.len()
    }

    /// A directory's path.
    #[must_use]
    pub fn path(&self, at: usize) -> &Path {
        self.directories[at].health.path()
    }

    /// The bytes of a directory's volume, and how many of them can be written; none where the disk doesn't say.
    #[must_use]
    pub fn volume(&self, at: usize) -> Option<(u64, u64)> {
        let directory = self.open_directory(at).ok()?;
        Some((directory.total_bytes().ok()?, directory.free_bytes().ok()?))
    }

    /// All logs of a directory are closed in good order. One of a process that was never registered isn't marked: what was
    /// found unclean at its start would look clean at the next.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_clean_shutdown(&self, at: usize, epoch: BrokerEpoch) -> Result<(), LogManagerError> {
        if self.incarnation.lock().is_none() {
            return Ok(());
        }
        Ok(self.open_directory(at)?.write_clean_shutdown(epoch)?)
    }
}

#[cfg(test)]
#[path = "log_manager/tests.rs"]
mod tests;
