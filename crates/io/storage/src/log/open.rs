//! Opening a log: from what lies in its directory to a [`Log`] that keeps its invariants.
//!
//! After a clean shutdown only the last segment's end is read; else everything past the recovery point is checked
//! (`recovery.rs`). Leftovers of interrupted deletions are removed. What is derived (indexes, epochs, producer states) is
//! read where it can be trusted and built anew where not.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use partition::producer_state::ProducerStates;
use types::{Offset, TimestampMs, TopicId};

use crate::atomic_file::{ignore_not_found, read_text};
use crate::file_names::{
    CLEANED, DELETED, INDEX, LEADER_EPOCH_CHECKPOINT, LOG, TIME_INDEX, TXN_INDEX, parse_segment_file, segment_file,
};
use crate::file_system::FileSystem;
use crate::log::Log;
use crate::log::TailBudget;
use crate::log::cleaned_group::finish_swaps;
use crate::log::epoch_cache::EpochCache;
use crate::log::flush::FlushState;
use crate::log::partition_metadata;
use crate::log::read::ReadState;
use crate::log::tail_cache::TailCache;
use crate::log_config::LogConfig;
use crate::log_error::{LogError, StorageContext};
use crate::segment::ActiveSegment;

/// What the log directory's checkpoints say of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenInput {
    /// Everything below was synced (`recovery-point-offset-checkpoint`); zero when it isn't known.
    pub recovery_point: Offset,
    /// Whether the log directory was closed in good order (its marker was there, and has been removed since).
    pub clean_shutdown: bool,
    /// `log-start-offset-checkpoint`; zero when it isn't known.
    pub log_start_offset: Offset,
    /// The time.
    pub now: TimestampMs,
}

impl Log {
    /// Opens the log in `directory`, making it when it is missing. Blocks on the disk; run it on a pool.
    ///
    /// When [`Log::recovery_point`] is then below `input.recovery_point` (the log is shorter than its checkpoint says: a
    /// truncation was interrupted), checkpoint it before the first append: what is written there anew isn't synced.
    ///
    /// Damage past the recovery point is cut off at the first batch that isn't whole, valid and in order.
    ///
    /// # Errors
    /// `InconsistentTopicId` when the directory belongs to another topic of that name; `Storage`.
    pub fn open(
        file_system: Arc<dyn FileSystem>,
        directory: &Path,
        topic_id: TopicId,
        config: LogConfig,
        input: OpenInput,
    ) -> Result<Self, LogError> {
        let fs = &*file_system;
        let found = fs.exists(directory).during("stat", directory)?;
        if !found {
            fs.create_dir_all(directory).during("create", directory)?;
        }
        let (bases, epochs) = if found {
            check_topic_id(fs, directory, topic_id)?;
            (tidy(fs, directory)?, read_epochs(fs, directory)?)
        } else {
            // Of thousands of new partitions each look for what can't be there would cost as much as making them.
            partition_metadata::write(fs, directory, topic_id)?;
            (Vec::new(), None)
        };
        let unsynced_names = !found || !input.clean_shutdown;
        let log_start = input.log_start_offset.max(Offset::ZERO);
        let first = match bases.first() {
            Some(first) => ActiveSegment::bare(directory, *first, input.now),
            None if found => ActiveSegment::create(fs, directory, log_start, input.now)?,
            None => ActiveSegment::create_file(fs, directory, log_start, input.now)?,
        };
        let start = first.base_offset;
        let tail = TailCache::new(config.tail_cache_bytes, TailBudget::default(), start);
        let mut log = Self {
            file_system,
            directory: directory.to_owned(),
            topic_id,
            config,
            closed: Vec::new(),
            active: first,
            log_start_offset: start,
            log_end_offset: start,
            recovery_point: input.recovery_point,
            epochs: epochs.clone().unwrap_or_default(),
            producers: ProducerStates::new(),
            replayed: Vec::new(),
            bytes_since_snapshot: 0,
            tail,
            reads: Arc::new(Mutex::new(ReadState::default())),
            flush: Arc::new(FlushState::default()),
            names_version: u64::from(unsynced_names),
            names_synced: 0,
            first_dirty: start,
            first_dirty_names: 0,
            cleanings: 0,
            directory_synced: !unsynced_names,
            generation: 0,
        };
        let interrupted = found && log.truncation_is_pending()?;
        let intact = bases.is_empty() || log.load_segments(&bases, &input, epochs.is_none())?;
        if interrupted || !intact {
            log.make_cut_durable()?;
        }
        log.settle(&input)?;
        Ok(log)
    }

    /// Brings offsets, epochs and producer states in line with the segments that are there.
    fn settle(&mut self, input: &OpenInput) -> Result<(), LogError> {
        let trusted = if input.clean_shutdown {
            self.log_end_offset
        } else {
            input.recovery_point
        };
        // Not raised to the first segment: until names are synced a power cut may bring retired segments back.
        self.recovery_point = trusted.min(self.log_end_offset);
        self.log_start_offset = self.first_base_offset().max(input.log_start_offset);
        if self.log_start_offset > self.log_end_offset {
            tracing::warn!(
                directory = %self.directory.display(), log_start_offset = %self.log_start_offset,
                log_end_offset = %self.log_end_offset, "log ends below its log start, starting over"
            );
            let outcome = self.truncate_fully_and_start_at(self.log_start_offset, input.now)?;
            return outcome.deletion.map_or(Ok(()), crate::DeletionTask::run);
        }
        self.tail.clear(self.log_end_offset);
        self.epochs.truncate_from_end(self.log_end_offset);
        self.epochs.truncate_from_start(self.log_start_offset);
        let reindex_from = (!input.clean_shutdown).then_some(self.recovery_point);
        self.reload_producers(self.recovery_point, reindex_from, input.now)?;
        if self.recovery_point >= self.log_end_offset {
            self.active.release_file();
        }
        self.reads.lock().clear();
        Ok(())
    }
}

fn check_topic_id(fs: &dyn FileSystem, directory: &Path, topic_id: TopicId) -> Result<(), LogError> {
    match partition_metadata::read_topic_id(fs, directory)? {
        Some(found) if found == topic_id => Ok(()),
        Some(found) => Err(LogError::InconsistentTopicId {
            path: directory.to_owned(),
            expected: topic_id,
            found,
        }),
        None => partition_metadata::write(fs, directory, topic_id),
    }
}

/// Removes what interrupted work left and returns the segments' base offsets, ascending.
fn tidy(fs: &dyn FileSystem, directory: &Path) -> Result<Vec<Offset>, LogError> {
    let names = finish_swaps(fs, directory)?;
    let mut bases: Vec<Offset> = names.iter().filter_map(|name| parse_segment_file(name, LOG)).collect();
    bases.sort_unstable();
    for name in &names {
        let interrupted = [DELETED, "tmp", CLEANED, "swap"]
            .iter()
            .any(|suffix| name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')));
        let orphan = [INDEX, TIME_INDEX, TXN_INDEX]
            .iter()
            .find_map(|suffix| parse_segment_file(name, suffix))
            .is_some_and(|base_offset| bases.binary_search(&base_offset).is_err());
        if interrupted || orphan {
            let path = directory.join(name);
            ignore_not_found(fs.remove_file(&path)).during("remove", &path)?;
        }
    }
    Ok(bases)
}

/// `None` when the file is missing or odd: then the epochs are derived from the whole log.
fn read_epochs(fs: &dyn FileSystem, directory: &Path) -> Result<Option<EpochCache>, LogError> {
    let path = directory.join(LEADER_EPOCH_CHECKPOINT);
    match read_text(fs, &path) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(None),
        other => Ok(other.during("read", &path)?.as_deref().and_then(EpochCache::decode)),
    }
}

/// Removes a segment's files.
pub(crate) fn remove_segment(fs: &dyn FileSystem, directory: &Path, base_offset: Offset) -> Result<(), LogError> {
    for suffix in [LOG, INDEX, TIME_INDEX, TXN_INDEX] {
        let path = segment_file(directory, base_offset, suffix);
        ignore_not_found(fs.remove_file(&path)).during("remove", &path)?;
    }
    Ok(())
}
