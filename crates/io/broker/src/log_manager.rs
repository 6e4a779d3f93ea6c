//! The log directories of a broker: which logs lie where, how they are opened, what their last end looked like.
//!
//! UNCLEAN-1 (design, "Registration"): a directory stores (boot id, broker epoch), rewritten only after the controller has
//! committed the registration. Another boot id without the clean-shutdown marker means that unsynced writes are gone, so
//! every partition there is unclean but those whose every acknowledged batch was synced. A log that ends below its
//! checkpointed high watermark has lost something whatever the rest says.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use storage::{
    Checkpoint, CheckpointEntry, DirectoryError, FileSystem, Incarnation, Log, LogConfig, LogDirectory, LogError,
    MetaProperties, OpenInput,
};
use thiserror::Error;
use types::{
    BootId, BrokerEpoch, BrokerId, ClusterId, DirectoryId, Offset, TimestampMs, TopicIdPartition, TopicName,
    TopicPartition, Uuid,
};

/// The quorum's own directory lies among the partitions', as in Kafka.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// One `log.dirs` entry in use.
#[derive(Debug)]
pub struct DataDirectory {
    /// Its files.
    pub directory: LogDirectory,
    /// Its identity.
    pub id: DirectoryId,
}

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

/// Why the directories can't be used.
#[derive(Debug, Error)]
pub enum LogManagerError {
    /// A directory's own files.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Another node's data.
    #[error(
        "{path} belongs to node {found}, this is node {ours}: give each node a log.dirs of its own, or set node.id={found}"
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// By its meta.properties.
        found: BrokerId,
        /// Configured.
        ours: BrokerId,
    },
    /// Another cluster's data.
    #[error(
        "{path} belongs to cluster {found}, this is cluster {ours}: use the directory with its own cluster, or an empty one here (file {path}/meta.properties)"
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// By its meta.properties.
        found: ClusterId,
        /// Ours.
        ours: ClusterId,
    },
}

/// All log directories.
#[derive(Debug)]
pub struct LogManager {
    node: BrokerId,
    directories: Vec<DataDirectory>,
    partitions: Mutex<Vec<usize>>,
}

impl LogManager {
    /// Takes the directories into use: locked, identified, checked against the node id.
    ///
    /// # Errors
    /// When one can't be used.
    pub fn open(
        file_system: &Arc<dyn FileSystem>,
        paths: &[PathBuf],
        node: BrokerId,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Result<Self, LogManagerError> {
        let mut directories = Vec::new();
        for path in paths {
            let directory = LogDirectory::open(Arc::clone(file_system), path)?;
            let mut properties = directory.meta_properties()?.unwrap_or_default();
            if let Some(found) = properties.node_id.filter(|found| *found != node) {
                return Err(LogManagerError::OtherNode {
                    path: path.clone(),
                    found,
                    ours: node,
                });
            }
            let id = properties.directory_id.unwrap_or_else(|| DirectoryId(new_id()));
            if properties.directory_id.is_none() || properties.node_id.is_none() {
                properties.directory_id = Some(id);
                properties.node_id = Some(node);
                directory.write_meta_properties(&properties)?;
            }
            for leftover in directory.leftovers()? {
                leftover.run()?;
            }
            directories.push(DataDirectory { directory, id });
        }
        let partitions = Mutex::new(vec![0; directories.len()]);
        Ok(Self {
            node,
            directories,
            partitions,
        })
    }

    /// The directories' ids.
    #[must_use]
    pub fn directory_ids(&self) -> Vec<DirectoryId> {
        self.directories.iter().map(|directory| directory.id).collect()
    }

    /// The cluster that the directories remember.
    ///
    /// # Errors
    /// The disk's.
    pub fn cluster_id(&self) -> Result<Option<ClusterId>, LogManagerError> {
        for data in &self.directories {
            if let Some(found) = data
                .directory
                .meta_properties()?
                .and_then(|properties| properties.cluster_id)
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Writes the cluster id where it is missing.
    ///
    /// # Errors
    /// When a directory belongs to another cluster.
    pub fn join_cluster(&self, cluster: &ClusterId) -> Result<(), LogManagerError> {
        for data in &self.directories {
            let properties = data.directory.meta_properties()?.unwrap_or_default();
            match &properties.cluster_id {
                Some(found) if found == cluster => {}
                Some(found) => {
                    return Err(LogManagerError::OtherCluster {
                        path: data.directory.path().to_owned(),
                        found: found.clone(),
                        ours: cluster.clone(),
                    });
                }
                None => {
                    let joined = MetaProperties {
                        cluster_id: Some(cluster.clone()),
                        node_id: Some(self.node),
                        directory_id: Some(data.id),
                    };
                    data.directory.write_meta_properties(&joined)?;
                }
            }
        }
        Ok(())
    }

    /// Opens every log that lies here, recovering what isn't clean, and judges the last end (UNCLEAN-1). Blocks on the
    /// disk. Settings come later, with the metadata; until then a log keeps everything.
    ///
    /// # Errors
    /// When a log can't be opened.
    pub fn load(&self, boot: &BootId, now: TimestampMs) -> Result<FoundLogs, LogManagerError> {
        let mut found = FoundLogs::default();
        let mut epochs = Vec::new();
        for (at, data) in self.directories.iter().enumerate() {
            let directory = &data.directory;
            let clean = directory.clean_shutdown()?.is_some();
            let incarnation = directory.read_incarnation()?;
            let synced_only = !clean && incarnation.as_ref().is_none_or(|last| last.boot_id != *boot);
            // After a power cut a directory doesn't even know what it has lost: a partition's whole directory may be gone. The
            // same holds for one that never was registered, or lost its mark.
            found.unclean |= synced_only;
            epochs.push(incarnation.map(|last| last.broker_epoch));
            let recovery = by_partition(directory.read_checkpoint(Checkpoint::RecoveryPoint)?);
            let high_watermarks = by_partition(directory.read_checkpoint(Checkpoint::HighWatermark)?);
            let log_starts = by_partition(directory.read_checkpoint(Checkpoint::LogStartOffset)?);
            let partitions = directory.partitions()?;
            let mut recovered = Vec::new();
            for place in partitions {
                if place.partition.topic.as_str() == METADATA_TOPIC {
                    continue;
                }
                let Some(topic_id) = place.topic_id else {
                    tracing::warn!(path = %place.path.display(), "no topic id, left alone");
                    continue;
                };
                let of = |checkpoint: &HashMap<TopicPartition, Offset>| {
                    checkpoint.get(&place.partition).copied().unwrap_or(Offset::ZERO)
                };
                let input = OpenInput {
                    recovery_point: of(&recovery),
                    clean_shutdown: clean,
                    log_start_offset: of(&log_starts),
                    now,
                };
                let keep = LogConfig {
                    retention_ms: None,
                    delete: false,
                    ..LogConfig::default()
                };
                let log = Log::open(directory.shared_file_system(), &place.path, topic_id, keep, input)?;
                let id = TopicIdPartition {
                    topic_id,
                    partition: place.partition.partition,
                };
                let high_watermark = of(&high_watermarks);
                recovered.push(CheckpointEntry {
                    partition: place.partition.clone(),
                    offset: log.recovery_point(),
                });
                if synced_only || log.log_end_offset() < high_watermark {
                    found.unclean_partitions.push(id);
                }
                found.logs.insert(
                    id,
                    FoundLog {
                        log,
                        topic: place.partition.topic,
                        high_watermark,
                        directory: at,
                    },
                );
                if let Some(count) = self.partitions.lock().get_mut(at) {
                    *count += 1;
                }
            }
            // A recovery point that went back must be known before the next append; and from here on this directory is
            // in use: a kill must not look clean.
            directory.write_checkpoint(Checkpoint::RecoveryPoint, &recovered)?;
            directory.remove_clean_shutdown()?;
        }
        // Directories that remember different incarnations were swapped, or restored from another time.
        found.unclean |= epochs.windows(2).any(|pair| pair.first() != pair.last());
        found.previous_epoch = epochs
            .first()
            .copied()
            .flatten()
            .filter(|first| epochs.iter().all(|e| *e == Some(*first)));
        Ok(found)
    }

    /// The controller has committed this incarnation's registration: from now on the directories are of this boot.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_incarnation(&self, boot: &BootId, epoch: BrokerEpoch) -> Result<(), LogManagerError> {
        let incarnation = Incarnation {
            boot_id: boot.clone(),
            broker_epoch: epoch,
        };
        for data in &self.directories {
            data.directory.write_incarnation(&incarnation)?;
        }
        Ok(())
    }

    /// Opens or makes a partition's log, in the directory with the fewest partitions.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(
        &self,
        partition: &TopicPartition,
        id: TopicIdPartition,
        config: LogConfig,
        now: TimestampMs,
    ) -> Result<(Log, usize), LogManagerError> {
        let at = {
            let mut counts = self.partitions.lock();
            let at = counts
                .iter()
                .enumerate()
                .min_by_key(|(_, count)| **count)
                .map_or(0, |(at, _)| at);
            if let Some(count) = counts.get_mut(at) {
                *count += 1;
            }
            at
        };
        let directory = &self.directories[at].directory;
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
                directory.retire_partition(partition, found.0)?.run()?;
                Log::open(directory.shared_file_system(), &path, id.topic_id, config, input)?
            }
            other => other?,
        };
        Ok((log, at))
    }

    /// Takes a partition's directory out of use; the returned work removes it.
    ///
    /// # Errors
    /// The disk's.
    pub fn retire(
        &self,
        at: usize,
        partition: &TopicPartition,
        id: TopicIdPartition,
    ) -> Result<storage::DirectoryRemoval, LogManagerError> {
        if let Some(count) = self.partitions.lock().get_mut(at) {
            *count = count.saturating_sub(1);
        }
        Ok(self.directories[at]
            .directory
            .retire_partition(partition, id.topic_id.0)?)
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
        Ok(self.directories[at].directory.write_checkpoint(checkpoint, entries)?)
    }

    /// How many directories there are.
    #[must_use]
    pub fn directory_count(&self) -> usize {
        self.directories.len()
    }

    /// A directory's path.
    #[must_use]
    pub fn path(&self, at: usize) -> &Path {
        self.directories[at].directory.path()
    }

    /// All logs are closed in good order.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_clean_shutdown(&self, epoch: BrokerEpoch) -> Result<(), LogManagerError> {
        for data in &self.directories {
            data.directory.write_clean_shutdown(epoch)?;
        }
        Ok(())
    }
}

fn by_partition(entries: Vec<CheckpointEntry>) -> HashMap<TopicPartition, Offset> {
    entries
        .into_iter()
        .map(|entry| (entry.partition, entry.offset))
        .collect()
}
