//! The log of one partition.
//!
//! ```text
//! segments:   | closed | closed | closed |     active        |
//! offsets:        log start ^                recovery point ^     ^ log end (exclusive)
//! ```
//! - LOG-1: the batches between log start and log end are whole, CRC-valid as appended, ascending in offset.
//! - LOG-2: everything below the recovery point survives a power cut; everything below the log end survives `kill -9`.
//! - LOG-3: after a failed write or sync nothing is changed any more (promise DISK); lack of room alone is undone.
//! - LOG-4: indexes, epochs and producer states are derived from the batches; a wrong file of theirs costs time only.
//!
//! Not locked inside: the owner holds a mutex per partition. What may take long is handed out as a value to be run outside
//! it: [`PreparedRead`](crate::PreparedRead), [`FlushTask`](crate::FlushTask), [`DeletionTask`](crate::DeletionTask).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use partition::producer_state::{CompletedTransaction, ProducerStates};
use types::{EpochEnd, LeaderEpoch, Offset, TimestampMs, TopicId};

use crate::file_names::{self, LOG, TXN_INDEX};
use crate::file_system::{File, FileSystem, OpenMode};
use crate::log::EpochEntry;
use crate::log::TailBudget;
use crate::log::epoch_cache::EpochCache;
use crate::log::flush::FlushState;
use crate::log::read::ReadState;
use crate::log::tail_cache::TailCache;
use crate::log_config::LogConfig;
use crate::log_error::{LogError, StorageContext};
use crate::segment::{AbortedTransaction, ActiveSegment, ClosedSegment, aborted_transactions};

/// What metrics and tools want to know of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The first offset that may be in it.
    pub base_offset: Offset,
    /// Bytes of its `.log`.
    pub size_bytes: u64,
    /// Whether it is written to.
    pub active: bool,
}

/// One partition's log. See the module for its invariants.
#[derive(Debug)]
pub struct Log {
    pub(crate) file_system: Arc<dyn FileSystem>,
    pub(crate) directory: PathBuf,
    pub(crate) topic_id: TopicId,
    pub(crate) config: LogConfig,
    /// Oldest first.
    pub(crate) closed: Vec<ClosedSegment>,
    pub(crate) active: ActiveSegment,
    pub(crate) log_start_offset: Offset,
    pub(crate) log_end_offset: Offset,
    pub(crate) recovery_point: Offset,
    pub(crate) epochs: EpochCache,
    pub(crate) producers: ProducerStates,
    pub(crate) replayed: Vec<CompletedTransaction>,
    pub(crate) bytes_since_snapshot: u64,
    pub(crate) tail: TailCache,
    pub(crate) reads: Arc<Mutex<ReadState>>,
    pub(crate) flush: Arc<FlushState>,
    /// Counts changes of file names; `names_synced` is how many of them are durable.
    pub(crate) names_version: u64,
    pub(crate) names_synced: u64,
    /// Below it every key stands once at most; above, nothing was compacted yet.
    pub(crate) first_dirty: Offset,
    /// The version of the names that has to be durable before `first_dirty` may be written down.
    pub(crate) first_dirty_names: u64,
    /// Counts changes of closed segments, for those who copy them.
    pub(crate) cleanings: u64,
    /// Counts truncations, as in `FlushProgress`.
    pub(crate) generation: u64,
    /// Whether the partition's directory is itself durable in its log directory.
    pub(crate) directory_synced: bool,
}

impl Log {
    /// The partition's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The topic's identity.
    #[must_use]
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// The limits in force.
    #[must_use]
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Takes other limits (a topic config changed); they hold from the next operation on.
    pub fn set_config(&mut self, config: LogConfig) {
        if config.tail_cache_bytes != self.config.tail_cache_bytes {
            let budget = self.tail.budget().clone();
            self.tail = TailCache::new(config.tail_cache_bytes, budget, self.log_end_offset);
        }
        self.config = config;
    }

    /// The first offset that may be read.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// The offset after the last record.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.log_end_offset
    }

    /// Everything below survives a power cut (LOG-2): the recovery point, to be checkpointed, and the synced end, to be
    /// acknowledged on topics with `flush.messages` or `flush.ms`.
    #[must_use]
    pub fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    /// [`Log::recovery_point`] under the name that replication uses.
    #[must_use]
    pub fn synced_end(&self) -> Offset {
        self.recovery_point
    }

    /// The epoch of the last record, or of the leadership that began at the log end.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.latest().map(|entry| entry.epoch)
    }

    /// Where the latest epoch begins.
    #[must_use]
    pub fn start_offset_of_latest_epoch(&self) -> Option<Offset> {
        self.epochs.latest().map(|entry| entry.start_offset)
    }

    /// Every epoch known, oldest first.
    #[must_use]
    pub fn epochs(&self) -> &[EpochEntry] {
        self.epochs.entries()
    }

    /// A new leader's epoch begins here. It reaches the disk with its first flushed records.
    pub fn assign_epoch_start(&mut self, epoch: LeaderEpoch, start_offset: Offset) {
        self.epochs.assign(epoch, start_offset);
    }

    /// Forgets epochs that began at the log end and never got a record: a leader's that was deposed at once. A follower
    /// must, before it compares its log with a leader's: such an epoch stands for nothing, and the leader may never have
    /// heard of it.
    pub fn forget_epochs_without_records(&mut self) {
        self.epochs.truncate_from_end(self.log_end_offset);
    }

    /// The largest epoch that is not above `epoch`, and where it ends: the log end for the latest one (KIP-101, KIP-279).
    /// For an epoch below all known ones: that epoch, and the first known start. `None` when no epoch is known.
    #[must_use]
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        self.epochs.end_offset_for(epoch, self.log_end_offset)
    }

    /// The epoch of the record at `offset`.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.epoch_at(offset)
    }

    /// What is known of idempotent and transactional producers.
    #[must_use]
    pub fn producers(&self) -> &ProducerStates {
        &self.producers
    }

    /// The same, to let producers expire.
    pub fn producers_mut(&mut self) -> &mut ProducerStates {
        &mut self.producers
    }

    /// Transactions whose end was seen while producer states were replayed (at open, after a truncation), once: those at
    /// or above the high watermark hold the last stable offset back.
    pub fn take_replayed_transactions(&mut self) -> Vec<CompletedTransaction> {
        std::mem::take(&mut self.replayed)
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.closed.iter().map(|segment| segment.size_bytes).sum::<u64>() + self.active.size_bytes
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = SegmentInfo> + '_ {
        let closed = self.closed.iter().map(|segment| SegmentInfo {
            base_offset: segment.base_offset,
            size_bytes: segment.size_bytes,
            active: false,
        });
        let active = SegmentInfo {
            base_offset: self.active.base_offset,
            size_bytes: self.active.size_bytes,
            active: true,
        };
        closed.chain(std::iter::once(active))
    }

    /// Bytes that the tail in memory holds (of the slices; a slice keeps the buffer that it was cut from).
    #[must_use]
    pub fn tail_bytes(&self) -> usize {
        self.tail.size_bytes()
    }

    /// From now on the tail counts against this budget, too.
    pub fn share_tail_budget(&mut self, budget: &TailBudget) {
        self.tail = TailCache::new(self.config.tail_cache_bytes, budget.clone(), self.log_end_offset);
    }

    /// The next append leaves in the tail what begins here or later, as far as there is room: a follower wasn't sent it yet.
    pub fn unsent_from(&mut self, offset: Option<Offset>) {
        self.tail.unsent_from(offset);
    }

    /// Forgets what the tail holds below `offset`.
    pub fn release_tail_below(&mut self, offset: Offset) {
        self.tail.release_below(offset);
    }

    /// Gives back what an idle partition doesn't need: the tail, handles of closed segments, remembered places.
    pub fn release_idle(&mut self) {
        self.tail.clear(self.log_end_offset);
        self.reads.lock().clear();
    }

    /// The aborted transactions that overlap `from..up_to`, for a `read_committed` consumer, by their first offset.
    ///
    /// # Errors
    /// `Storage`.
    pub fn aborted_transactions(&self, from: Offset, up_to: Offset) -> Result<Vec<AbortedTransaction>, LogError> {
        let mut found: Vec<AbortedTransaction> = Vec::new();
        // False once a marker is met at whose time everything below `up_to` was decided: later ones can't reach below it.
        let mut collect = |entries: &[AbortedTransaction]| {
            let overlapping = entries
                .iter()
                .filter(|entry| entry.last_offset >= from && entry.first_offset < up_to);
            found.extend(overlapping.copied());
            !entries.iter().any(|entry| entry.last_stable_offset >= up_to)
        };
        let first = self
            .closed
            .partition_point(|segment| segment.base_offset <= from)
            .saturating_sub(1);
        let mut go_on = true;
        for segment in self.closed.get(first..).unwrap_or_default() {
            let path = file_names::segment_file(&self.directory, segment.base_offset, TXN_INDEX);
            go_on = collect(&aborted_transactions::read(&*self.file_system, &path)?);
            if !go_on {
                break;
            }
        }
        if go_on {
            collect(&self.active.aborted);
        }
        found.sort_by_key(|entry| entry.first_offset);
        Ok(found)
    }

    /// Whether an earlier write or sync failed.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.flush.is_poisoned()
    }

    pub(crate) fn check_not_poisoned(&self) -> Result<(), LogError> {
        if self.is_poisoned() {
            return Err(LogError::Poisoned {
                path: self.directory.clone(),
            });
        }
        Ok(())
    }

    /// LOG-3: whatever failed during a change, the log takes no other.
    pub(crate) fn poisoning<T>(&self, result: Result<T, LogError>) -> Result<T, LogError> {
        if result.is_err() {
            self.flush.poison();
        }
        result
    }

    pub(crate) fn closed_file(&self, segment: &ClosedSegment) -> Result<Arc<dyn File>, LogError> {
        if let Some(file) = &segment.unsynced {
            return Ok(Arc::clone(file));
        }
        let mut reads = self.reads.lock();
        if let Some(file) = reads.handle_of(segment.base_offset) {
            return Ok(file);
        }
        let path = file_names::segment_file(&self.directory, segment.base_offset, LOG);
        let file = self.file_system.open(&path, OpenMode::READ).during("open", &path)?;
        reads.keep_handle(segment.base_offset, &file);
        Ok(file)
    }

    /// The end of a segment in offsets: the base of the next one, the log end for the active one.
    pub(crate) fn first_base_offset(&self) -> Offset {
        self.closed
            .first()
            .map_or(self.active.base_offset, |first| first.base_offset)
    }

    /// Milliseconds that decide `retention.ms` for a closed segment: its largest timestamp, or when it was made.
    pub(crate) fn largest_timestamp(&self, segment: &ClosedSegment) -> Result<TimestampMs, LogError> {
        let known = segment.max_timestamp(&*self.file_system, &self.directory, || self.closed_file(segment))?;
        Ok(known.map_or(segment.created, |(timestamp, _)| timestamp))
    }
}
