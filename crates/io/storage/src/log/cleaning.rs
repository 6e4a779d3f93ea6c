//! Compaction: closed segments are written anew without the records that later ones of the same key have replaced.
//!
//! A pass ([`Cleaning`]) is planned under the owner's lock, works outside it, piece by piece, and hands out one group of
//! neighbouring segments after the other, each rewritten into one ([`CleanedGroup`]), to be installed under the lock.
//!
//! - CLEAN-1: only segments below the high watermark and the checkpointed recovery point are touched, never the active one: what a
//!   start has to scan, for epochs above all, is as it was appended.
//! - CLEAN-2: a rewritten segment keeps its base offset and ends where its group ended, so that segments go on joining (REC-2).
//! - CLEAN-3: a pass that fails, or that retention or a truncation overtakes, has changed whole groups or nothing.
//! - CLEAN-4: what isn't understood is kept: a damaged batch, or one of a transaction, ends the pass.
//! - CLEAN-5: it never takes the last room.
//! - CLEAN-6: that something is compacted is written down when no power cut can bring back what was: else a later pass would take old
//!   records for compacted ones, and drop the tombstone that hides them.

use std::collections::HashMap;
use std::hash::RandomState;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use partition::compaction::{Compacted, CompactionPass};
use records::Batch;
use types::{Offset, ProducerId, TimestampMs};

use crate::directory_health::RESUME_BYTES;
use crate::file_names::{LOG, segment_file};
use crate::file_system::{FileSystem, OpenMode};
use crate::log::cleaned_group::{CleanedGroup, Replaced};
use crate::log::flush::FlushState;
use crate::log_config::LogConfig;
use crate::log_error::{LogError, StorageContext};
use crate::segment::scan::{Located, SegmentScan};
use crate::segment::{ActiveSegment, ClosedSegment};

/// So much is written at a time.
const WRITE_BYTES: usize = 256 << 10;
/// So much is synced at a time: a sync of a whole segment could take so long that the disk looks hung.
const SYNC_BYTES: u64 = 8 << 20;

/// A pass over a log. See the module for its invariants.
#[derive(Debug)]
#[must_use = "nothing is compacted until it is stepped through"]
pub struct Cleaning {
    pub(super) file_system: Arc<dyn FileSystem>,
    pub(super) directory: PathBuf,
    pub(super) flush: Arc<FlushState>,
    pub(super) generation: u64,
    pub(super) config: LogConfig,
    pub(super) first_dirty: Offset,
    pub(super) pass: CompactionPass<RandomState>,
    /// The batches that tell their producers' last sequences.
    pub(super) last_of_producers: HashMap<ProducerId, Offset>,
    /// All of the log below the pass's end, oldest first.
    pub(super) segments: Vec<Source>,
    /// Segments that are done with in this stage.
    pub(super) done: usize,
    pub(super) stage: Stage,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) base_offset: Offset,
    pub(super) end: Offset,
    pub(super) size_bytes: u64,
    pub(super) created: TimestampMs,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Keys are noted.
    Note(Option<SegmentScan>),
    /// A group is written.
    Write(Option<Box<Writing>>),
}

#[derive(Debug)]
pub(super) struct Writing {
    /// Segments from `done` on.
    count: usize,
    /// Which of them is read.
    at: usize,
    scan: SegmentScan,
    output: ActiveSegment,
    unwritten: Vec<u8>,
    unsynced: u64,
    changed: bool,
}

/// What a step has led to.
#[derive(Debug)]
#[must_use = "a group counts once it is installed"]
pub enum CleaningStep {
    /// So many bytes were read and written; go on.
    More(u64),
    /// This is to be installed before the next step.
    Group(Box<CleanedGroup>),
    /// Segments are gone that were to be read: the pass is over.
    Overtaken,
    /// The pass is over: everything below is compacted.
    Done(Offset),
}

impl Cleaning {
    /// Reads about so many bytes. Blocks on the disk.
    ///
    /// # Errors
    /// `Storage`, also without room; `Corrupt`, `Uncleanable`. The pass is over then; what it has installed stays.
    pub fn step(&mut self, bytes: u64) -> Result<CleaningStep, LogError> {
        let step = match &self.stage {
            Stage::Note(_) => self.note(bytes),
            Stage::Write(_) => self.write(bytes),
        };
        match step {
            Err(LogError::Storage { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(CleaningStep::Overtaken)
            }
            step => step,
        }
    }

    /// Removes what a pass that ended early has left. Blocks on the disk; a failure leaves it to the next start.
    pub fn abandon(self) {
        if let Stage::Write(Some(writing)) = &self.stage {
            CleanedGroup::remove_files(&*self.file_system, &self.directory, writing.output.base_offset);
        }
    }

    fn open(&self, segment: &Source) -> Result<SegmentScan, LogError> {
        let path = segment_file(&self.directory, segment.base_offset, LOG);
        let file = self.file_system.open(&path, OpenMode::READ).during("open", &path)?;
        Ok(SegmentScan::new(file, path, 0, segment.size_bytes, segment.base_offset).sequential())
    }

    /// Notes the keys of the dirty segments.
    fn note(&mut self, bytes: u64) -> Result<CleaningStep, LogError> {
        let mut read = 0;
        while let Some(segment) = self.segments.get(self.done).copied() {
            let mut scan = match std::mem::replace(&mut self.stage, Stage::Note(None)) {
                Stage::Note(Some(scan)) => scan,
                Stage::Note(None) | Stage::Write(_) => self.open(&segment)?,
            };
            while let Some(batch) = next_batch(&mut scan)? {
                read += batch.bytes.len() as u64;
                if batch.header.last_offset() >= self.first_dirty && !self.note_batch(&batch)? {
                    // No more keys fit: the pass goes so far only.
                    self.pass.end = batch.header.base_offset;
                    let end = self
                        .segments
                        .partition_point(|segment| segment.base_offset < self.pass.end);
                    self.segments.truncate(end);
                    return Ok(self.begin_writing(read));
                }
                if read >= bytes {
                    self.stage = Stage::Note(Some(scan));
                    return Ok(CleaningStep::More(read));
                }
            }
            self.done += 1;
        }
        Ok(self.begin_writing(read))
    }

    /// False when it doesn't fit.
    fn note_batch(&mut self, batch: &Batch) -> Result<bool, LogError> {
        if batch.header.is_control() || batch.header.is_transactional() {
            return Err(self.uncleanable("it holds a transaction"));
        }
        for record in batch.records()? {
            let record = record?;
            let Some(key) = &record.key else { continue };
            if !self.pass.last.note(key, record.offset) {
                return if batch.header.base_offset > self.first_dirty {
                    Ok(false)
                } else {
                    Err(self.uncleanable("log.cleaner.dedupe.buffer.size has no room for the keys of one batch"))
                };
            }
        }
        Ok(true)
    }

    fn uncleanable(&self, reason: &str) -> LogError {
        LogError::Uncleanable {
            path: self.directory.clone(),
            reason: reason.to_owned(),
        }
    }

    fn begin_writing(&mut self, read: u64) -> CleaningStep {
        self.done = 0;
        self.stage = Stage::Write(None);
        CleaningStep::More(read)
    }

    /// How many segments from `done` on go into one.
    fn group(&self) -> usize {
        let rest = self.segments.get(self.done..).unwrap_or_default();
        let Some(first) = rest.first() else { return 0 };
        let mut bytes = 0_u64;
        let together = rest.iter().take_while(|segment| {
            bytes = bytes.saturating_add(segment.size_bytes);
            let spans = segment.end.0.saturating_sub(first.base_offset.0);
            bytes <= u64::from(self.config.segment_bytes) && spans <= i64::from(i32::MAX)
        });
        together.count().max(1)
    }

    fn begin_group(&self, first: &Source) -> Result<Box<Writing>, LogError> {
        let count = self.group();
        self.check_room(count)?;
        Ok(Box::new(Writing {
            count,
            at: 0,
            scan: self.open(first)?,
            output: ActiveSegment::create_cleaned(
                &*self.file_system,
                &self.directory,
                first.base_offset,
                first.created,
            )?,
            unwritten: Vec::new(),
            unsynced: 0,
            changed: false,
        }))
    }

    /// CLEAN-5: old and new lie beside each other for a while. That isn't begun where it would leave no room for what clients write.
    fn check_room(&self, count: usize) -> Result<(), LogError> {
        let group = self.segments.iter().skip(self.done).take(count);
        let needed = group
            .map(|segment| segment.size_bytes)
            .sum::<u64>()
            .saturating_add(RESUME_BYTES);
        let free = self
            .file_system
            .free_bytes(&self.directory)
            .during("stat", &self.directory)?;
        if free < needed {
            let reason = format!("compaction wants {needed} bytes, {free} are free");
            return Err(io::Error::new(io::ErrorKind::StorageFull, reason)).during("write", &self.directory);
        }
        Ok(())
    }

    /// Writes groups.
    fn write(&mut self, bytes: u64) -> Result<CleaningStep, LogError> {
        let Some(first) = self.segments.get(self.done).copied() else {
            return Ok(CleaningStep::Done(self.pass.end));
        };
        let mut writing = match std::mem::replace(&mut self.stage, Stage::Write(None)) {
            Stage::Write(Some(writing)) => writing,
            Stage::Write(None) | Stage::Note(_) => self.begin_group(&first)?,
        };
        let written = self.write_group(&mut writing, bytes);
        if !matches!(written, Ok(None)) {
            // Also after a failure: `abandon` finds what is to be removed.
            self.stage = Stage::Write(Some(writing));
            return written.map(|read| CleaningStep::More(read.unwrap_or(0)));
        }
        let group = self.finish_group(*writing)?;
        Ok(group.map_or(CleaningStep::More(0), |group| CleaningStep::Group(Box::new(group))))
    }

    /// How much was read and written when that was enough for this step; `None` at the end of the group.
    fn write_group(&self, writing: &mut Writing, bytes: u64) -> Result<Option<u64>, LogError> {
        let mut read = 0;
        loop {
            while let Some(batch) = next_batch(&mut writing.scan)? {
                read += batch.bytes.len() as u64;
                read += self.write_batch(writing, &batch)?;
                if read >= bytes {
                    return Ok(Some(read));
                }
            }
            writing.at += 1;
            match self.segments.get(self.done + writing.at) {
                Some(next) if writing.at < writing.count => writing.scan = self.open(next)?,
                _ => return Ok(None),
            }
        }
    }

    /// How many bytes it makes.
    fn write_batch(&self, writing: &mut Writing, batch: &Batch) -> Result<u64, LogError> {
        let header = &batch.header;
        if header.is_control() || header.is_transactional() {
            return Err(self.uncleanable("it holds a transaction"));
        }
        let ends_group = writing.at + 1 == writing.count && writing.scan.is_at_end();
        let ends_sequence = self.last_of_producers.get(&header.producer_id) == Some(&header.last_offset());
        let kept = match self.pass.compact(batch, ends_group || ends_sequence)? {
            Compacted::Kept => batch.clone(),
            Compacted::Gone => {
                writing.changed = true;
                return Ok(0);
            }
            Compacted::Rewritten(bytes) => {
                writing.changed = true;
                Batch::parse(&bytes)?
            }
        };
        writing.unwritten.extend_from_slice(&kept.bytes);
        writing
            .output
            .note_batch(&*self.file_system, &self.config, &kept.header)?;
        if writing.unwritten.len() >= WRITE_BYTES {
            self.write_out(writing)?;
        }
        Ok(kept.bytes.len() as u64)
    }

    fn write_out(&self, writing: &mut Writing) -> Result<(), LogError> {
        let (output, path) = (&writing.output, writing.output.path());
        let at = output.size_bytes.saturating_sub(writing.unwritten.len() as u64);
        let file = output.file(&*self.file_system)?;
        file.write_all_at(&writing.unwritten, at).during("write", path)?;
        writing.unsynced += writing.unwritten.len() as u64;
        if writing.unsynced >= SYNC_BYTES {
            file.sync_data().during("sync", path)?;
            writing.unsynced = 0;
        }
        writing.unwritten.clear();
        Ok(())
    }

    /// Nothing when the group is as it was.
    fn finish_group(&mut self, mut writing: Writing) -> Result<Option<CleanedGroup>, LogError> {
        let base_offset = writing.output.base_offset;
        let sources = self
            .segments
            .get(self.done..self.done + writing.count)
            .unwrap_or_default();
        let replaced = sources.iter().map(|segment| Replaced {
            base_offset: segment.base_offset,
            size_bytes: segment.size_bytes,
        });
        let replaced: Vec<_> = replaced.collect();
        self.done += writing.count;
        if writing.count == 1 && !writing.changed {
            CleanedGroup::remove_files(&*self.file_system, &self.directory, base_offset);
            return Ok(None);
        }
        let finished = self.write_out(&mut writing).and_then(|()| {
            writing.output.write_indexes(&*self.file_system)?;
            CleanedGroup::sync_files(&*self.file_system, &self.directory, &writing.output)
        });
        if let Err(error) = finished {
            CleanedGroup::remove_files(&*self.file_system, &self.directory, base_offset);
            return Err(error);
        }
        let closed = ClosedSegment {
            unsynced: None,
            ..writing.output.into_closed()
        };
        Ok(Some(CleanedGroup {
            file_system: Arc::clone(&self.file_system),
            directory: self.directory.clone(),
            flush: Arc::clone(&self.flush),
            generation: self.generation,
            replaced,
            closed,
        }))
    }
}

/// The next batch, its CRC checked: damage isn't passed on.
fn next_batch(scan: &mut SegmentScan) -> Result<Option<Batch>, LogError> {
    let Some(located): Option<Located> = scan.next_checked()? else {
        return Ok(None);
    };
    Ok(Some(Batch {
        header: located.header,
        bytes: scan.batch_bytes(&located)?,
    }))
}
