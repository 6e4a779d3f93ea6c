//! One `log.dirs` entry: taken into use, identified, and its logs opened.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use storage::{
    Checkpoint, CheckpointEntry, DirectoryError, DirectoryHealth, DirectoryRemoval, FileSystem, Log, LogConfig,
    LogDirectory, LogError, OpenInput, PartitionDirectory,
};
use types::{
    BootId, BrokerEpoch, BrokerId, DirectoryId, Offset, TimestampMs, TopicId, TopicIdPartition, TopicPartition, Uuid,
};

use crate::log_manager::FoundLog;
use crate::log_manager_error::LogManagerError;

/// The quorum's own directory lies among the partitions', as in Kafka.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// One entry, in use or offline.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    /// How it stands.
    pub(crate) health: Arc<DirectoryHealth>,
    /// Absent when it couldn't be taken into use.
    pub(crate) open: Option<OpenDirectory>,
}

/// One that could be taken into use.
#[derive(Debug)]
pub(crate) struct OpenDirectory {
    /// Its files.
    pub(crate) directory: LogDirectory,
    /// Its identity.
    pub(crate) id: DirectoryId,
    /// What the process before this one did not get round to remove.
    pub(crate) leftovers: Mutex<Vec<DirectoryRemoval>>,
}

/// Why a directory isn't taken into use.
#[derive(Debug)]
pub(crate) enum UseError {
    /// It is somebody else's: only the operator can say what is wrong.
    Foreign(LogManagerError),
    /// It can't be read, or isn't what it should be: the others go on without.
    Broken(DirectoryError),
}

impl From<DirectoryError> for UseError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Locked { .. } => Self::Foreign(error.into()),
            DirectoryError::Storage { .. } | DirectoryError::Invalid { .. } => Self::Broken(error),
        }
    }
}

impl DataDirectory {
    pub(crate) fn open(
        file_system: &Arc<dyn FileSystem>,
        path: &Path,
        node: BrokerId,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Result<Self, UseError> {
        let directory = LogDirectory::open(Arc::clone(file_system), path)?;
        let mut properties = directory.meta_properties()?.unwrap_or_default();
        if let Some(found) = properties.node_id.filter(|found| *found != node) {
            return Err(UseError::Foreign(LogManagerError::OtherNode {
                path: path.to_owned(),
                found,
                ours: node,
            }));
        }
        let id = properties.directory_id.unwrap_or_else(|| DirectoryId(new_id()));
        if properties.directory_id.is_none() || properties.node_id.is_none() {
            properties.directory_id = Some(id);
            properties.node_id = Some(node);
            directory.write_meta_properties(&properties)?;
        }
        let leftovers = Mutex::new(directory.leftovers()?);
        Ok(Self {
            health: directory.health(),
            open: Some(OpenDirectory {
                directory,
                id,
                leftovers,
            }),
        })
    }

    pub(crate) fn offline(file_system: &Arc<dyn FileSystem>, path: &Path, reason: &str) -> Self {
        Self {
            health: DirectoryHealth::failed(Arc::clone(file_system), path, reason),
            open: None,
        }
    }
}

/// What one directory held at start.
#[derive(Debug, Default)]
pub(crate) struct LoadedDirectory {
    pub(crate) logs: HashMap<TopicIdPartition, FoundLog>,
    /// Only what was synced can be relied on.
    pub(crate) synced_only: bool,
    pub(crate) unclean_partitions: Vec<TopicIdPartition>,
    pub(crate) previous_epoch: Option<BrokerEpoch>,
}

/// What the checkpoints say.
struct Checkpoints {
    recovery: HashMap<TopicPartition, Offset>,
    high_watermarks: HashMap<TopicPartition, Offset>,
    log_starts: HashMap<TopicPartition, Offset>,
    cleaned: HashMap<TopicPartition, Offset>,
}

/// Opens a directory's logs and judges its last end (UNCLEAN-1). Works without room, too (requirement 25).
///
/// # Errors
/// The disk's.
pub(crate) fn load(
    directory: &LogDirectory,
    boot: &BootId,
    now: TimestampMs,
) -> Result<LoadedDirectory, LogManagerError> {
    let clean = directory.clean_shutdown()?.is_some();
    let incarnation = directory.read_incarnation()?;
    let mut loaded = LoadedDirectory {
        // The mark of a clean stop says nothing of a directory that no registration was ever told to: a wiped one that was
        // stopped before it found a controller has it, too.
        synced_only: incarnation.as_ref().is_none_or(|last| !clean && last.boot_id != *boot),
        previous_epoch: incarnation.map(|last| last.broker_epoch),
        ..LoadedDirectory::default()
    };
    let checkpoints = Checkpoints {
        recovery: by_partition(directory.read_checkpoint(Checkpoint::RecoveryPoint)?),
        high_watermarks: by_partition(directory.read_checkpoint(Checkpoint::HighWatermark)?),
        log_starts: by_partition(directory.read_checkpoint(Checkpoint::LogStartOffset)?),
        cleaned: by_partition(directory.read_checkpoint(Checkpoint::Cleaner)?),
    };
    let mut recovered = Vec::new();
    for place in directory.partitions()? {
        if place.partition.topic.as_str() == METADATA_TOPIC {
            continue;
        }
        if directory.is_left(&place.partition)? {
            // It goes on in another directory (MOVE-3 of `storage`), or that can't be said.
            tracing::warn!(path = %place.path.display(), "left for another directory");
            continue;
        }
        let Some(topic_id) = place.topic_id else {
            tracing::warn!(path = %place.path.display(), "no topic id, left alone");
            continue;
        };
        let high_watermark = offset_in(&checkpoints.high_watermarks, &place.partition);
        let log = match open_log(directory, &place, topic_id, &checkpoints, clean, now) {
            Err(error) if error.is_full() => {
                tracing::warn!(path = %place.path.display(), %error, "no room to open the log, it is opened when there is");
                continue;
            }
            log => log?,
        };
        let id = TopicIdPartition {
            topic_id,
            partition: place.partition.partition,
        };
        recovered.push(CheckpointEntry {
            partition: place.partition.clone(),
            offset: log.recovery_point(),
        });
        if loaded.synced_only || log.log_end_offset() < high_watermark {
            loaded.unclean_partitions.push(id);
        }
        let found = FoundLog {
            log,
            topic: place.partition.topic,
            high_watermark,
            directory: 0,
        };
        loaded.logs.insert(id, found);
    }
    // A recovery point that went back must be known before the next append; and from here on this directory is in use: a
    // kill must not look clean.
    match directory.write_checkpoint(Checkpoint::RecoveryPoint, &recovered) {
        // Nothing is appended before it is written (HEALTH-3).
        Err(error) if error.is_full() => directory.health().note_full(),
        written => written?,
    }
    directory.remove_clean_shutdown()?;
    Ok(loaded)
}

fn open_log(
    directory: &LogDirectory,
    place: &PartitionDirectory,
    topic_id: TopicId,
    checkpoints: &Checkpoints,
    clean: bool,
    now: TimestampMs,
) -> Result<Log, LogError> {
    let input = OpenInput {
        recovery_point: offset_in(&checkpoints.recovery, &place.partition),
        clean_shutdown: clean,
        log_start_offset: offset_in(&checkpoints.log_starts, &place.partition),
        now,
    };
    let keep = LogConfig {
        retention_ms: None,
        delete: false,
        ..LogConfig::default()
    };
    let mut log = Log::open(directory.shared_file_system(), &place.path, topic_id, keep, input)?;
    if let Some(cleaned) = checkpoints.cleaned.get(&place.partition) {
        log.set_first_dirty_offset(*cleaned);
    }
    Ok(log)
}

fn offset_in(checkpoint: &HashMap<TopicPartition, Offset>, partition: &TopicPartition) -> Offset {
    checkpoint.get(partition).copied().unwrap_or(Offset::ZERO)
}

fn by_partition(entries: Vec<CheckpointEntry>) -> HashMap<TopicPartition, Offset> {
    entries
        .into_iter()
        .map(|entry| (entry.partition, entry.offset))
        .collect()
}
