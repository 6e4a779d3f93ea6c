//! The segment that is written to.
//!
//! SEG-1: `size_bytes` is the end of the last whole batch; bytes of a failed write may lie behind it, and are never read.
//! SEG-2: an index entry points at the start of a batch whose last offset is the entry's.
//! Called by the log's append, recovery and truncation; knows nothing of other segments.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use records::BatchHeader;
use types::{Offset, TimestampMs};

use crate::file_names::{self, CLEANED, INDEX, LOG, TIME_INDEX, TXN_INDEX};
use crate::file_system::{File, FileSystem, OpenMode};
use crate::log_config::LogConfig;
use crate::log_error::{LogError, StorageContext};
use crate::segment::aborted_transactions::{self, AbortedTransaction};
use crate::segment::closed::MaxTimestamp;
use crate::segment::scan::SegmentScan;
use crate::segment::sparse_index::SparseIndex;
use crate::segment::{ClosedSegment, IndexEntry, OffsetEntry, TimeEntry};

/// What an append is about to add, as the decision to roll sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RollLimits {
    pub(crate) bytes: u64,
    pub(crate) last_offset: Offset,
    pub(crate) max_timestamp: TimestampMs,
    pub(crate) now: TimestampMs,
}

/// The active segment.
#[derive(Debug)]
pub(crate) struct ActiveSegment {
    pub(crate) base_offset: Offset,
    pub(crate) size_bytes: u64,
    pub(crate) created: TimestampMs,
    path: PathBuf,
    file: OnceLock<Arc<dyn File>>,
    /// The first batch's largest timestamp: `segment.ms` counts from it when there is one.
    rolling_timestamp: Option<TimestampMs>,
    max_timestamp: Option<MaxTimestamp>,
    /// The same of batches that have records: what the time index tells, as Kafka's tools check it. Others are left by compaction.
    max_record_timestamp: Option<MaxTimestamp>,
    bytes_since_index_entry: u64,
    pub(crate) offset_index: SparseIndex<OffsetEntry>,
    pub(crate) time_index: SparseIndex<TimeEntry>,
    pub(crate) aborted: Vec<AbortedTransaction>,
}

impl ActiveSegment {
    /// A new segment with an empty `.log`; index files follow when there is something to write. What an earlier life left
    /// under its names is cut.
    pub(crate) fn create(
        file_system: &dyn FileSystem,
        directory: &Path,
        base_offset: Offset,
        now: TimestampMs,
    ) -> Result<Self, LogError> {
        for suffix in [INDEX, TIME_INDEX, TXN_INDEX] {
            let derived = file_names::segment_file(directory, base_offset, suffix);
            crate::atomic_file::ignore_not_found(file_system.remove_file(&derived)).during("remove", &derived)?;
        }
        // Last of what may find no room: an empty segment that the log knows nothing of would end it for a restart.
        Self::create_file(file_system, directory, base_offset, now)
    }

    /// A new segment's file where nothing of another one can be.
    pub(crate) fn create_file(
        file_system: &dyn FileSystem,
        directory: &Path,
        base_offset: Offset,
        now: TimestampMs,
    ) -> Result<Self, LogError> {
        let path = file_names::segment_file(directory, base_offset, LOG);
        let file = file_system.open(&path, OpenMode::CREATE).during("create", &path)?;
        if !file.is_empty().during("stat", &path)? {
            file.set_len(0).during("truncate", &path)?;
        }
        let segment = Self::bare(directory, base_offset, now);
        let _ = segment.file.set(file);
        Ok(segment)
    }

    /// A segment that touches no file yet.
    pub(crate) fn bare(directory: &Path, base_offset: Offset, created: TimestampMs) -> Self {
        Self::named(base_offset, created, |suffix| {
            file_names::segment_file(directory, base_offset, suffix)
        })
    }

    /// A segment in the making, under names that are no segment's, and its empty `.log`.
    pub(crate) fn create_cleaned(
        file_system: &dyn FileSystem,
        directory: &Path,
        base_offset: Offset,
        created: TimestampMs,
    ) -> Result<Self, LogError> {
        for suffix in [INDEX, TIME_INDEX, LOG] {
            let left = cleaned_file(directory, base_offset, suffix);
            crate::atomic_file::ignore_not_found(file_system.remove_file(&left)).during("remove", &left)?;
        }
        let segment = Self::named(base_offset, created, |suffix| {
            cleaned_file(directory, base_offset, suffix)
        });
        let path = segment.path();
        let file = file_system.open(path, OpenMode::CREATE).during("create", path)?;
        let _ = segment.file.set(file);
        Ok(segment)
    }

    fn named(base_offset: Offset, created: TimestampMs, name: impl Fn(&str) -> PathBuf) -> Self {
        Self {
            base_offset,
            size_bytes: 0,
            created,
            path: name(LOG),
            file: OnceLock::new(),
            rolling_timestamp: None,
            max_timestamp: None,
            max_record_timestamp: None,
            bytes_since_index_entry: 0,
            offset_index: SparseIndex::empty(name(INDEX)),
            time_index: SparseIndex::empty(name(TIME_INDEX)),
            aborted: Vec::new(),
        }
    }

    /// Goes on with a segment found on disk: trusts the indexes below `trusted_below` as far as the batch at their last
    /// entry is really there, and leaves `size_bytes` at that batch's start. The caller scans on from there and
    /// [`notes`](Self::note_batch) what it finds.
    pub(crate) fn reopen(
        file_system: &dyn FileSystem,
        directory: &Path,
        base_offset: Offset,
        trusted_below: Offset,
        created: TimestampMs,
    ) -> Result<Self, LogError> {
        let mut segment = Self::bare(directory, base_offset, created);
        let file = segment.file(file_system)?;
        let length = file.len().during("stat", &segment.path)?;
        let relative_bound = trusted_below.0.saturating_sub(base_offset.0);
        let mut position = None;
        let (offset_index, entries) = SparseIndex::<OffsetEntry>::reopen(
            file_system,
            file_names::segment_file(directory, base_offset, INDEX),
            |entry| {
                let rises = entry.key() >= 0
                    && entry.key() < relative_bound
                    && position.is_none_or(|last| entry.position > last)
                    && u64::from(entry.position) < length;
                position = Some(entry.position);
                rises
            },
        )?;
        segment.offset_index = offset_index;
        let last = entries.last().copied();
        let trusted = match last {
            Some(entry) => batch_is_at(&file, &segment.path, length, base_offset, entry)?,
            None => false,
        };
        let last = last.filter(|_| trusted);
        let last_relative = last.map_or(-1, |entry| entry.relative_offset);
        let (time_index, times) = SparseIndex::<TimeEntry>::reopen(
            file_system,
            file_names::segment_file(directory, base_offset, TIME_INDEX),
            |entry| entry.relative_offset >= 0 && entry.relative_offset <= last_relative,
        )?;
        segment.time_index = time_index;
        if last.is_none() {
            segment.offset_index.reset(file_system)?;
            segment.time_index.reset(file_system)?;
        }
        segment.size_bytes = last.map_or(0, |entry| u64::from(entry.position));
        segment.max_timestamp = times.last().filter(|_| last.is_some()).map(|entry| {
            (
                TimestampMs(entry.timestamp),
                base_offset.plus(i64::from(entry.relative_offset)),
            )
        });
        segment.max_record_timestamp = segment.max_timestamp;
        if segment.size_bytes > 0 {
            let mut scan = SegmentScan::new(Arc::clone(&file), segment.path.clone(), 0, length, base_offset);
            let first = scan.next_header().ok().flatten();
            segment.rolling_timestamp = first
                .map(|first| first.header.max_timestamp)
                .filter(|first| first.0 >= 0);
        }
        let txn_index = file_names::segment_file(directory, base_offset, TXN_INDEX);
        segment.aborted = aborted_transactions::truncate(file_system, &txn_index, trusted_below)?;
        Ok(segment)
    }

    /// The segment's file; opened when it is first needed, so that idle partitions hold no handle.
    pub(crate) fn file(&self, file_system: &dyn FileSystem) -> Result<Arc<dyn File>, LogError> {
        if let Some(file) = self.file.get() {
            return Ok(Arc::clone(file));
        }
        let file = file_system
            .open(&self.path, OpenMode::READ_WRITE)
            .during("open", &self.path)?;
        Ok(Arc::clone(self.file.get_or_init(|| file)))
    }

    /// The handle, if anybody needed it yet: without one, nothing was written.
    pub(crate) fn opened_file(&self) -> Option<&Arc<dyn File>> {
        self.file.get()
    }

    /// Closes the file until it is needed again; only right when everything is synced.
    pub(crate) fn release_file(&mut self) {
        self.file.take();
    }

    /// Its files lie in another directory now.
    pub(crate) fn relocate(&mut self, directory: &Path) {
        let place = |suffix| file_names::segment_file(directory, self.base_offset, suffix);
        self.path = place(LOG);
        self.offset_index.relocate(place(INDEX));
        self.time_index.relocate(place(TIME_INDEX));
        self.file.take();
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn max_timestamp(&self) -> Option<MaxTimestamp> {
        self.max_timestamp
    }

    /// Accounts for a batch at the end of the segment: size, timestamps, and an index entry when one is due.
    pub(crate) fn note_batch(
        &mut self,
        file_system: &dyn FileSystem,
        config: &LogConfig,
        header: &BatchHeader,
    ) -> Result<(), LogError> {
        let timestamp = header.max_timestamp;
        if self.size_bytes == 0 && timestamp.0 >= 0 {
            self.rolling_timestamp = Some(timestamp);
        }
        let larger = |known: Option<MaxTimestamp>| known.is_none_or(|(known, _)| timestamp > known) && timestamp.0 >= 0;
        if larger(self.max_timestamp) {
            self.max_timestamp = Some((timestamp, header.last_offset()));
        }
        if larger(self.max_record_timestamp) && header.record_count > 0 {
            self.max_record_timestamp = Some((timestamp, header.last_offset()));
        }
        if self.bytes_since_index_entry > u64::from(config.index_interval_bytes) {
            let relative_offset = self.relative(header.last_offset());
            let position = u32::try_from(self.size_bytes).unwrap_or(u32::MAX);
            self.offset_index.append(
                file_system,
                OffsetEntry {
                    relative_offset,
                    position,
                },
            )?;
            self.note_max_timestamp(file_system)?;
            self.bytes_since_index_entry = 0;
        }
        let bytes = header.size_bytes() as u64;
        self.size_bytes += bytes;
        self.bytes_since_index_entry += bytes;
        Ok(())
    }

    fn note_max_timestamp(&mut self, file_system: &dyn FileSystem) -> Result<(), LogError> {
        if let Some((timestamp, offset)) = self.max_record_timestamp {
            let relative_offset = self.relative(offset);
            self.time_index.append(
                file_system,
                TimeEntry {
                    timestamp: timestamp.0,
                    relative_offset,
                },
            )?;
        }
        Ok(())
    }

    fn relative(&self, offset: Offset) -> i32 {
        i32::try_from(offset.0.saturating_sub(self.base_offset.0)).unwrap_or(i32::MAX)
    }

    /// Adds an aborted transaction, in memory and in `.txnindex`.
    pub(crate) fn note_aborted(
        &mut self,
        file_system: &dyn FileSystem,
        directory: &Path,
        transaction: AbortedTransaction,
    ) -> Result<(), LogError> {
        let path = file_names::segment_file(directory, self.base_offset, TXN_INDEX);
        aborted_transactions::append(file_system, &path, self.aborted.len(), &transaction)?;
        self.aborted.push(transaction);
        Ok(())
    }

    /// Whether a relative offset of this segment can name `offset`.
    pub(crate) fn reaches(&self, offset: Offset) -> bool {
        offset.0.saturating_sub(self.base_offset.0) <= i64::from(i32::MAX)
    }

    /// Whether the next append belongs into a new segment (Kafka's `LogSegment.shouldRoll`).
    pub(crate) fn should_roll(&self, config: &LogConfig, next: &RollLimits) -> bool {
        if self.size_bytes == 0 {
            return false;
        }
        let waited = match self.rolling_timestamp {
            Some(first) => next.max_timestamp.0.saturating_sub(first.0),
            None => next.now.0.saturating_sub(self.created.0),
        };
        let index_limit = u64::from(config.segment_index_bytes);
        self.size_bytes + next.bytes > u64::from(config.segment_bytes)
            || waited > config.segment_ms
            || self.offset_index.size_bytes() + OffsetEntry::BYTES as u64 > index_limit
            || self.time_index.size_bytes() + TimeEntry::BYTES as u64 > index_limit
            || !self.reaches(next.last_offset)
    }

    /// Brings the index files up to date, the largest timestamp included.
    pub(crate) fn write_indexes(&mut self, file_system: &dyn FileSystem) -> Result<(), LogError> {
        self.note_max_timestamp(file_system)?;
        self.offset_index.write_pending(file_system)?;
        self.time_index.write_pending(file_system)
    }

    /// The segment as one that isn't written to any more; its indexes must have been written.
    pub(crate) fn into_closed(self) -> ClosedSegment {
        let max_timestamp = OnceLock::new();
        let _ = max_timestamp.set(self.max_timestamp);
        ClosedSegment {
            base_offset: self.base_offset,
            size_bytes: self.size_bytes,
            created: self.created,
            max_timestamp,
            unsynced: self.file.into_inner(),
        }
    }
}

/// `<20 digits>.<suffix>.cleaned`.
pub(crate) fn cleaned_file(directory: &Path, base_offset: Offset, suffix: &str) -> PathBuf {
    file_names::segment_file(directory, base_offset, &format!("{suffix}.{CLEANED}"))
}

/// SEG-2 for one entry that the disk gave us.
fn batch_is_at(
    file: &Arc<dyn File>,
    path: &Path,
    length: u64,
    base_offset: Offset,
    entry: OffsetEntry,
) -> Result<bool, LogError> {
    let position = u64::from(entry.position);
    let mut scan = SegmentScan::new(Arc::clone(file), path.to_owned(), position, length, base_offset);
    match scan.next_header() {
        Ok(Some(located)) => Ok(located.header.last_offset() == base_offset.plus(entry.key())),
        Ok(None) | Err(LogError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
