//! Appending stamped batches: one vectored write, then everything that is derived from their headers.
//!
//! APPEND-1: nothing of a segment's share of a call is visible unless all of its bytes were written. APPEND-2: after a failed
//! write the log takes no more changes; what the disk holds behind the log end is for recovery to judge. APPEND-3: without
//! room, what was torn is cut off again and the log goes on as it was. No sync and no call that touches file names happens
//! here, but for a roll.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use partition::producer_state::CompletedTransaction;
use records::BatchHeader;
use types::{Offset, TimestampMs};

use crate::file_system::File;
use crate::log::Log;
use crate::log::producers::{aborted_transaction, note_batch};
use crate::log_error::{LogError, StorageContext};
use crate::segment::{ActiveSegment, RollLimits};

/// Where an append landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendOutcome {
    /// The first record's offset; the log end when there was nothing to append.
    pub first_offset: Offset,
    /// The last record's offset; one below `first_offset` when there was nothing to append.
    pub last_offset: Offset,
    /// The log end after the append.
    pub log_end_offset: Offset,
    /// Bytes that were appended.
    pub size_bytes: u64,
    /// Whether a segment was begun: a good moment for a flush.
    pub rolled: bool,
    /// Transactions that markers of this append ended: they hold the last stable offset back until the high watermark
    /// has passed their `last_offset`.
    pub completed: Vec<CompletedTransaction>,
}

/// An append whose bytes are yet to be written: without the owner's lock, so that only who appends waits for the disk.
///
/// APPEND-4: from [`Log::begin_append`] to [`Log::finish_append`] or [`Log::abandon_append`] nothing else changes the log; its
/// owner sees to it. Readers, syncs and epochs go on: they know nothing of what isn't finished.
#[derive(Debug)]
#[must_use = "nothing is appended before it is finished"]
pub struct PendingAppend {
    file: Arc<dyn File>,
    path: PathBuf,
    position: u64,
    headers: Vec<BatchHeader>,
    batches: Vec<Bytes>,
    now: TimestampMs,
}

impl PendingAppend {
    /// Writes the bytes; may block on the disk.
    ///
    /// # Errors
    /// `Storage`; to be handed to [`Log::finish_append`].
    pub fn write(&self) -> Result<(), LogError> {
        write_batches(&*self.file, self.position, &self.batches).during("write", &self.path)
    }
}

/// How an append goes on.
#[derive(Debug)]
pub enum BegunAppend {
    /// It needed a new segment, or there was nothing to write: done.
    Done(AppendOutcome),
    /// To be written.
    Pending(PendingAppend),
}

impl Log {
    /// As [`Log::append`], in two steps: whatever may wait for the disk is left to [`PendingAppend::write`], but for the roll of
    /// a segment.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn begin_append(&mut self, batches: &[Bytes], now: TimestampMs) -> Result<BegunAppend, LogError> {
        self.check_not_poisoned()?;
        let headers = self.check_batches(batches)?;
        let limits = roll_limits(&headers, now);
        let plain = !headers.is_empty()
            && self.group_len(&headers) == headers.len()
            && !self.active.should_roll(&self.config, &limits)
            && self.active.reaches(limits.last_offset);
        if !plain {
            return self.append(batches, now).map(BegunAppend::Done);
        }
        Ok(BegunAppend::Pending(PendingAppend {
            file: self.active.file(&*self.file_system)?,
            path: self.active.path().to_owned(),
            position: self.active.size_bytes,
            headers,
            batches: batches.to_vec(),
            now,
        }))
    }

    /// Takes what was written, or what failed.
    ///
    /// # Errors
    /// `Storage` as `written`, and `Poisoned` ever after; without room the log is as it was (APPEND-3).
    pub fn finish_append(
        &mut self,
        pending: PendingAppend,
        written: Result<(), LogError>,
    ) -> Result<AppendOutcome, LogError> {
        self.check_not_poisoned()?;
        match written {
            Err(error) if error.is_full() => {
                let undone = self.undo_torn_write();
                self.poisoning(undone)?;
                return Err(error);
            }
            written => self.poisoning(written)?,
        }
        let mut outcome = AppendOutcome {
            first_offset: pending
                .headers
                .first()
                .map_or(self.log_end_offset, |first| first.base_offset),
            last_offset: pending
                .headers
                .last()
                .map_or(self.log_end_offset, BatchHeader::last_offset),
            log_end_offset: self.log_end_offset,
            size_bytes: pending.batches.iter().map(|batch| batch.len() as u64).sum(),
            rolled: false,
            completed: Vec::new(),
        };
        for (header, bytes) in pending.headers.iter().zip(&pending.batches) {
            let noted = self.note_appended(header, bytes, pending.now);
            outcome.completed.extend(self.poisoning(noted)?);
        }
        outcome.log_end_offset = self.log_end_offset;
        Ok(outcome)
    }

    /// What was written doesn't count after all: another leadership began meanwhile.
    ///
    /// # Errors
    /// `Storage` when it can't be cut off again; the log is poisoned then.
    pub fn abandon_append(&mut self, pending: PendingAppend) -> Result<(), LogError> {
        drop(pending);
        let undone = self.undo_torn_write();
        self.poisoning(undone)
    }

    /// Appends batches, each whole, stamped with its base offset and leader epoch, its CRC checked by the caller. Offsets
    /// start at the log end or above (a follower of a compacted log sees gaps).
    ///
    /// # Errors
    /// `InvalidBatch`, `BatchSize`, `OutOfOrder` before anything was written; `Storage` when the disk failed, and
    /// `Poisoned` ever after.
    pub fn append(&mut self, batches: &[Bytes], now: TimestampMs) -> Result<AppendOutcome, LogError> {
        self.check_not_poisoned()?;
        let headers = self.check_batches(batches)?;
        let mut outcome = AppendOutcome {
            first_offset: headers.first().map_or(self.log_end_offset, |first| first.base_offset),
            last_offset: headers
                .last()
                .map_or(self.log_end_offset.plus(-1), BatchHeader::last_offset),
            log_end_offset: self.log_end_offset,
            size_bytes: batches.iter().map(|batch| batch.len() as u64).sum(),
            rolled: false,
            completed: Vec::new(),
        };
        match self.append_groups(&headers, batches, now) {
            Err(error) if error.is_full() => {
                let undone = self.undo_torn_write();
                self.poisoning(undone)?;
                return Err(error);
            }
            appended => (outcome.rolled, outcome.completed) = self.poisoning(appended)?,
        }
        outcome.log_end_offset = self.log_end_offset;
        Ok(outcome)
    }

    fn check_batches(&self, batches: &[Bytes]) -> Result<Vec<BatchHeader>, LogError> {
        let mut headers = Vec::with_capacity(batches.len());
        let mut expected = self.log_end_offset;
        for bytes in batches {
            let header = BatchHeader::parse(bytes)?;
            if header.size_bytes() != bytes.len() {
                return Err(LogError::BatchSize {
                    expected: header.size_bytes(),
                    actual: bytes.len(),
                });
            }
            if header.base_offset < expected {
                return Err(LogError::OutOfOrder {
                    base_offset: header.base_offset,
                    log_end_offset: expected,
                });
            }
            expected = header.next_offset();
            headers.push(header);
        }
        Ok(headers)
    }

    /// Ordinarily one group, hence one write; more only where a segment can't take all.
    fn append_groups(
        &mut self,
        headers: &[BatchHeader],
        batches: &[Bytes],
        now: TimestampMs,
    ) -> Result<(bool, Vec<CompletedTransaction>), LogError> {
        let mut rolled = false;
        let mut completed = Vec::new();
        let mut start = 0;
        while let (Some(headers), Some(batches)) = (headers.get(start..), batches.get(start..)) {
            let Some(first) = headers.first() else { break };
            let count = self.group_len(headers);
            let (headers, batches) = (
                headers.get(..count).unwrap_or(headers),
                batches.get(..count).unwrap_or(batches),
            );
            let limits = roll_limits(headers, now);
            if self.active.should_roll(&self.config, &limits) {
                // At the log end, gap or not: recovery tells a hole from a gap by segments that join (REC-2).
                let joined = limits.last_offset.0.saturating_sub(self.log_end_offset.0) <= i64::from(i32::MAX);
                self.roll_at(if joined { self.log_end_offset } else { first.base_offset }, now)?;
                rolled = true;
            } else if self.active.size_bytes == 0 && !self.active.reaches(limits.last_offset) {
                self.replace_empty_active(first.base_offset, now)?;
            }
            self.write_group(batches)?;
            for (header, bytes) in headers.iter().zip(batches) {
                completed.extend(self.note_appended(header, bytes, now)?);
            }
            start += count;
        }
        Ok((rolled, completed))
    }

    /// How many of the batches go into one segment together: at least one.
    fn group_len(&self, headers: &[BatchHeader]) -> usize {
        let Some(first) = headers.first() else { return 0 };
        let mut bytes = 0_u64;
        let fits = headers.iter().take_while(|header| {
            bytes += header.size_bytes() as u64;
            let spans = header.last_offset().0.saturating_sub(first.base_offset.0);
            bytes <= u64::from(self.config.segment_bytes) && spans <= i64::from(i32::MAX)
        });
        fits.count().max(1)
    }

    fn write_group(&mut self, batches: &[Bytes]) -> Result<(), LogError> {
        let file = self.active.file(&*self.file_system)?;
        write_batches(&*file, self.active.size_bytes, batches).during("write", self.active.path())
    }

    /// APPEND-3. Cutting needs no room; if it fails, nobody knows what the file holds.
    fn undo_torn_write(&self) -> Result<(), LogError> {
        let file = self.active.file(&*self.file_system)?;
        if file.len().during("stat", self.active.path())? > self.active.size_bytes {
            file.set_len(self.active.size_bytes)
                .during("truncate", self.active.path())?;
        }
        Ok(())
    }

    fn note_appended(
        &mut self,
        header: &BatchHeader,
        bytes: &Bytes,
        now: TimestampMs,
    ) -> Result<Option<CompletedTransaction>, LogError> {
        self.active.note_batch(&*self.file_system, &self.config, header)?;
        // Where the batches before end: what lay in a gap may have been of either epoch (EPOCH-2).
        self.epochs.assign(header.leader_epoch, self.log_end_offset);
        let completed = note_batch(&mut self.producers, header, bytes, now);
        if let Some(transaction) = completed.filter(|transaction| transaction.aborted) {
            let aborted = aborted_transaction(&self.producers, &transaction);
            let noted = self.active.note_aborted(&*self.file_system, &self.directory, aborted);
            // Half of the batch's consequences are noted by now: not even lack of room can be undone.
            self.poisoning(noted)?;
        }
        self.tail.push(header.base_offset, header.next_offset(), bytes);
        self.bytes_since_snapshot += bytes.len() as u64;
        self.log_end_offset = header.next_offset();
        Ok(completed)
    }

    /// Closes the active segment and begins one at the log end.
    ///
    /// # Errors
    /// `Storage`, `Poisoned`.
    pub fn roll(&mut self, now: TimestampMs) -> Result<(), LogError> {
        self.check_not_poisoned()?;
        if self.active.size_bytes == 0 {
            return Ok(());
        }
        match self.roll_at(self.log_end_offset, now) {
            // Everything is as it was.
            Err(error) if error.is_full() => Err(error),
            rolled => self.poisoning(rolled),
        }
    }

    fn roll_at(&mut self, base_offset: Offset, now: TimestampMs) -> Result<(), LogError> {
        self.active.write_indexes(&*self.file_system)?;
        self.write_producer_snapshot()?;
        let next = ActiveSegment::create(&*self.file_system, &self.directory, base_offset, now)?;
        let closed = std::mem::replace(&mut self.active, next).into_closed();
        self.closed.push(closed);
        self.names_version += 1;
        Ok(())
    }

    /// An empty segment whose offsets can't reach the next batch gives way to one that can.
    fn replace_empty_active(&mut self, base_offset: Offset, now: TimestampMs) -> Result<(), LogError> {
        let old = self.active.path().to_owned();
        self.active = ActiveSegment::create(&*self.file_system, &self.directory, base_offset, now)?;
        crate::atomic_file::ignore_not_found(self.file_system.remove_file(&old)).during("remove", &old)?;
        self.names_version += 1;
        Ok(())
    }
}

fn write_batches(file: &dyn File, position: u64, batches: &[Bytes]) -> io::Result<()> {
    if let [only] = batches {
        return file.write_all_at(only, position);
    }
    let slices: Vec<IoSlice<'_>> = batches.iter().map(|batch| IoSlice::new(batch)).collect();
    file.write_all_vectored_at(&slices, position)
}

fn roll_limits(headers: &[BatchHeader], now: TimestampMs) -> RollLimits {
    RollLimits {
        bytes: headers.iter().map(|header| header.size_bytes() as u64).sum(),
        last_offset: headers.last().map_or(Offset::ZERO, BatchHeader::last_offset),
        max_timestamp: headers.iter().map(|header| header.max_timestamp).max().unwrap_or(now),
        now,
    }
}
