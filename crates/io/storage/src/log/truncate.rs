//! Cutting the log: a follower gives up what its leader doesn't have, or starts over at the leader's log start.
//!
//! TRUNC-1: whatever moment a crash picks, the log that opens afterwards is a prefix of the old one, or the new one: later
//! segments go first, newest first. TRUNC-2: the cut, the epochs and the names are synced before the call returns, for
//! offsets below an older recovery point may now be written again. For the same reason the owner has to checkpoint
//! the recovery point before the next append when it was lowered.

use std::path::PathBuf;
use std::sync::Arc;

use types::{Offset, TimestampMs};

use crate::atomic_file::write_file_atomically;
use crate::file_names::{DELETED, INDEX, LEADER_EPOCH_CHECKPOINT, LOG, SNAPSHOT, TIME_INDEX, TXN_INDEX, segment_file};
use crate::log::Log;
use crate::log::retention::DeletionTask;
use crate::log_error::{LogError, StorageContext};
use crate::room::is_full;
use crate::segment::ActiveSegment;
use crate::segment::scan::SegmentScan;

/// There while a truncation is under way; see `note_pending_truncation`.
const PENDING_TRUNCATION: &str = "truncation.pending";

/// What a truncation did.
#[derive(Debug)]
#[must_use = "the files are removed, and a lowered recovery point is checkpointed, by the owner"]
pub struct TruncateOutcome {
    /// The log end now; below the offset asked for when that lay within a batch or a gap.
    pub log_end_offset: Offset,
    /// Whether the recovery point went back: write the recovery-point checkpoint before the next append.
    pub recovery_point_lowered: bool,
    /// Removes the files of segments that are gone; `None` when there are none.
    pub deletion: Option<DeletionTask>,
}

impl Log {
    /// Removes everything at `offset` and above. Nothing happens at or above the log end.
    ///
    /// # Errors
    /// `Storage`, `Poisoned`; `Corrupt` when the place of the cut can't be found.
    pub fn truncate_to(&mut self, offset: Offset, now: TimestampMs) -> Result<TruncateOutcome, LogError> {
        self.check_not_poisoned()?;
        if offset >= self.log_end_offset {
            self.forget_epochs_without_records();
            let log_end_offset = self.log_end_offset;
            return Ok(TruncateOutcome {
                log_end_offset,
                recovery_point_lowered: false,
                deletion: None,
            });
        }
        if offset < self.first_base_offset() {
            return self.truncate_fully_and_start_at(offset, now);
        }
        let cut = self.cut(offset, now);
        self.poisoning(cut)
    }

    fn cut(&mut self, offset: Offset, now: TimestampMs) -> Result<TruncateOutcome, LogError> {
        let state = Arc::clone(&self.flush);
        let mut progress = state.exclusive();
        progress.generation += 1;
        self.generation = progress.generation;
        self.forget_reads();
        self.note_pending_truncation()?;

        let kept = self.closed.partition_point(|segment| segment.base_offset <= offset);
        let mut removed = Vec::new();
        if offset < self.active.base_offset {
            removed.push(self.active.base_offset);
            removed.extend(self.closed.drain(kept..).rev().map(|segment| segment.base_offset));
        }
        let deletion = self.retire_files(&removed)?;
        let (base_offset, created) = match self.closed.pop_if(|_| !removed.is_empty()) {
            Some(segment) => (segment.base_offset, segment.created),
            None => (self.active.base_offset, self.active.created),
        };
        if !removed.is_empty() {
            // Before the cut: else a power cut could bring segments back behind a shorter one.
            self.file_system
                .sync_dir(&self.directory)
                .during("sync", &self.directory)?;
        }
        let log_end_offset = self.cut_segment(base_offset, offset)?;
        self.rebuild_active(base_offset, log_end_offset, created)?;

        let recovery_point_lowered = log_end_offset < self.recovery_point;
        self.recovery_point = self.recovery_point.min(log_end_offset);
        self.log_end_offset = log_end_offset;
        self.log_start_offset = self.log_start_offset.min(log_end_offset);
        self.first_dirty = self.first_dirty.min(log_end_offset);
        self.tail.clear(log_end_offset);
        self.epochs.truncate_from_end(log_end_offset);
        self.reload_producers(log_end_offset, None, now)?;
        self.write_epochs_durably(&mut progress.epochs_written)?;
        self.forget_pending_truncation()?;
        Ok(TruncateOutcome {
            log_end_offset,
            recovery_point_lowered,
            deletion,
        })
    }

    /// Cuts the file before the first batch that ends at `offset` or above; returns the log end.
    fn cut_segment(&mut self, base_offset: Offset, offset: Offset) -> Result<Offset, LogError> {
        let path = segment_file(&self.directory, base_offset, LOG);
        let file = self
            .file_system
            .open(&path, crate::OpenMode::READ_WRITE)
            .during("open", &path)?;
        let length = file.len().during("stat", &path)?;
        let mut scan = SegmentScan::new(Arc::clone(&file), path.clone(), 0, length, base_offset).sequential();
        // The log ends with the last batch kept, also where `offset` lies in a gap: so it does after a restart.
        let (mut position, mut log_end_offset) = (0, base_offset);
        loop {
            match scan.next_header() {
                Ok(Some(located)) if located.header.last_offset() < offset => {
                    position = scan.position();
                    log_end_offset = located.header.next_offset();
                }
                // The end; or bytes of a failed write behind the last batch, which go as well.
                Ok(_) | Err(LogError::Corrupt { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        file.set_len(position).during("truncate", &path)?;
        file.sync_data().during("sync", &path)?;
        Ok(log_end_offset)
    }

    fn rebuild_active(
        &mut self,
        base_offset: Offset,
        log_end_offset: Offset,
        created: TimestampMs,
    ) -> Result<(), LogError> {
        // Entries in memory first: they belong to the log as much as those on disk.
        if base_offset == self.active.base_offset {
            match self.active.write_indexes(&*self.file_system) {
                // What isn't in the file is found by scanning.
                Err(error) if error.is_full() => {}
                written => written?,
            }
        }
        let mut active = ActiveSegment::reopen(
            &*self.file_system,
            &self.directory,
            base_offset,
            log_end_offset,
            created,
        )?;
        let file = active.file(&*self.file_system)?;
        let length = file.len().during("stat", active.path())?;
        let mut scan = SegmentScan::new(file, active.path().to_owned(), active.size_bytes, length, base_offset);
        while let Some(located) = scan.next_header()? {
            active.note_batch(&*self.file_system, &self.config, &located.header)?;
        }
        self.active = active;
        Ok(())
    }

    fn write_epochs_durably(&mut self, epochs_written: &mut u64) -> Result<(), LogError> {
        let path = self.directory.join(LEADER_EPOCH_CHECKPOINT);
        match write_file_atomically(&*self.file_system, &path, self.epochs.encode().as_bytes()) {
            // The old file names too many epochs. A start drops those above the recovery point, which was lowered, and the
            // next flush writes them before it raises that.
            Err(error) if is_full(&error) => {}
            written => {
                written.during("write", &path)?;
                *epochs_written = self.epochs.version();
            }
        }
        self.file_system
            .sync_dir(&self.directory)
            .during("sync", &self.directory)
    }

    /// Drops everything; the log is empty and goes on at `offset`.
    ///
    /// # Errors
    /// `Storage`, `Poisoned`.
    pub fn truncate_fully_and_start_at(
        &mut self,
        offset: Offset,
        now: TimestampMs,
    ) -> Result<TruncateOutcome, LogError> {
        self.check_not_poisoned()?;
        let started = self.start_over(offset, now);
        self.poisoning(started)
    }

    fn start_over(&mut self, offset: Offset, now: TimestampMs) -> Result<TruncateOutcome, LogError> {
        let state = Arc::clone(&self.flush);
        let mut progress = state.exclusive();
        progress.generation += 1;
        self.generation = progress.generation;
        self.forget_reads();
        self.note_pending_truncation()?;

        let mut removed = vec![self.active.base_offset];
        removed.extend(self.closed.drain(..).rev().map(|segment| segment.base_offset));
        let deletion = self.retire_files(&removed)?;
        self.active = ActiveSegment::create(&*self.file_system, &self.directory, offset, now)?;
        self.names_version += 1;

        let recovery_point_lowered = offset < self.recovery_point;
        self.recovery_point = offset;
        self.log_start_offset = offset;
        self.log_end_offset = offset;
        self.first_dirty = offset;
        self.tail.clear(offset);
        self.epochs.clear();
        self.producers.clear();
        self.replayed = Vec::new();
        self.remove_snapshots()?;
        self.write_epochs_durably(&mut progress.epochs_written)?;
        self.forget_pending_truncation()?;
        Ok(TruncateOutcome {
            log_end_offset: offset,
            recovery_point_lowered,
            deletion,
        })
    }

    /// A read that is under way outside the owner's lock may have seen bytes that are cut now: what it remembers must not
    /// reach the reads of what is written in their place, which would skip records.
    pub(crate) fn forget_reads(&mut self) {
        self.reads = Arc::default();
    }

    fn pending_truncation(&self) -> PathBuf {
        self.directory.join(PENDING_TRUNCATION)
    }

    /// A process that is killed during a truncation leaves cuts that every reader sees and a power cut undoes: appended to
    /// without a sync, the log could later join batches of both histories. The marker makes the next open sync first. It
    /// needs no sync itself: a power cut that loses it leaves only what is durable.
    fn note_pending_truncation(&self) -> Result<(), LogError> {
        let path = self.pending_truncation();
        self.file_system
            .open(&path, crate::OpenMode::CREATE)
            .during("create", &path)
            .map(drop)
    }

    fn forget_pending_truncation(&self) -> Result<(), LogError> {
        let path = self.pending_truncation();
        crate::atomic_file::ignore_not_found(self.file_system.remove_file(&path)).during("remove", &path)
    }

    pub(crate) fn truncation_is_pending(&self) -> Result<bool, LogError> {
        let path = self.pending_truncation();
        self.file_system.exists(&path).during("stat", &path)
    }

    /// At open, after something was cut off: what is gone stays gone before anything is appended in its place.
    pub(crate) fn make_cut_durable(&mut self) -> Result<(), LogError> {
        let active = self.active.file(&*self.file_system)?;
        active.sync_data().during("sync", self.active.path())?;
        for file in self.closed.iter().filter_map(|segment| segment.unsynced.as_ref()) {
            file.sync_data().during("sync", &self.directory)?;
        }
        self.file_system
            .sync_dir(&self.directory)
            .during("sync", &self.directory)?;
        self.forget_pending_truncation()
    }

    fn remove_snapshots(&self) -> Result<(), LogError> {
        let names = self
            .file_system
            .read_dir(&self.directory)
            .during("list", &self.directory)?;
        for offset in crate::log::producers::snapshot_offsets(&names) {
            let path = segment_file(&self.directory, offset, SNAPSHOT);
            crate::atomic_file::ignore_not_found(self.file_system.remove_file(&path)).during("remove", &path)?;
        }
        Ok(())
    }

    /// Renames the files of segments, in the order given, so that nothing takes them for segments any more; the task
    /// removes them later. The `.log` goes first: without it the indexes are leftovers.
    pub(crate) fn retire_files(&mut self, segments: &[Offset]) -> Result<Option<DeletionTask>, LogError> {
        let mut retired = Vec::new();
        for base_offset in segments {
            for suffix in [LOG, INDEX, TIME_INDEX, TXN_INDEX] {
                let from = segment_file(&self.directory, *base_offset, suffix);
                let to = segment_file(&self.directory, *base_offset, &format!("{suffix}.{DELETED}"));
                match self.file_system.rename(&from, &to) {
                    Ok(()) => retired.push(to),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound && suffix != LOG => {}
                    Err(error) => return Err(error).during("rename", &from),
                }
            }
        }
        if retired.is_empty() {
            return Ok(None);
        }
        self.names_version += 1;
        let delay = self.config.file_delete_delay;
        Ok(Some(DeletionTask::new(
            Arc::clone(&self.file_system),
            self.directory.clone(),
            retired,
            delay,
        )))
    }
}
