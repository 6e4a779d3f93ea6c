//! From segment files to a log end that can be vouched for.
//!
//! - REC-1: everything below the recovery point is taken as it is; everything above is read, its CRC and order checked, and
//!   the log ends before the first batch that fails. Nothing is ever evidence but the batches themselves.
//! - REC-2: past the recovery point segments must join: a missing piece between two of them is a hole that a power cut
//!   left, and everything behind it goes. (So compaction, which makes gaps, must stay below the recovery point.)
//! - REC-3: cost is in bytes past the recovery point, not in bytes stored.

use std::sync::Arc;

use types::{Offset, TimestampMs};

use crate::file_names::{LOG, TXN_INDEX, segment_file};
use crate::log::Log;
use crate::log::open::{OpenInput, remove_segment};
use crate::log::producers::{aborted_transaction, load_snapshot, note_batch};
use crate::log::read_outcome::ReadRequest;
use crate::log_error::{LogError, StorageContext};
use crate::segment::scan::SegmentScan;
use crate::segment::{AbortedTransaction, ActiveSegment, ClosedSegment, aborted_transactions};

/// How far a segment's content is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    /// It was closed in good order.
    Headers,
    /// Anything may have happened to it.
    Everything,
}

impl Log {
    /// Fills in the segments of `bases` (not empty). `derive_epochs`: the epoch file is of no use. False when something
    /// had to be cut off.
    pub(crate) fn load_segments(
        &mut self,
        bases: &[Offset],
        input: &OpenInput,
        derive_epochs: bool,
    ) -> Result<bool, LogError> {
        let last = bases.len() - 1;
        if input.clean_shutdown {
            if self.load_from(bases, last, Offset(i64::MAX), derive_epochs, Check::Headers, input.now)? {
                return Ok(true);
            }
            tracing::warn!(
                directory = %self.directory.display(),
                "log was closed in good order but its end is damaged, checking the last segment"
            );
        }
        let trusted = if input.clean_shutdown {
            *bases.last().unwrap_or(&Offset::ZERO)
        } else {
            input.recovery_point
        };
        let first = bases.partition_point(|base| *base <= trusted).saturating_sub(1);
        self.epochs.truncate_from_end(trusted);
        self.load_from(bases, first, trusted, derive_epochs, Check::Everything, input.now)
    }

    /// Segments below `first` are taken as closed; the others are scanned in turn. False when the log was found damaged:
    /// under `Check::Everything` it has been cut there.
    fn load_from(
        &mut self,
        bases: &[Offset],
        first: usize,
        trusted_below: Offset,
        derive_epochs: bool,
        check: Check,
        now: TimestampMs,
    ) -> Result<bool, LogError> {
        self.closed.clear();
        for base_offset in bases.iter().take(first) {
            let path = segment_file(&self.directory, *base_offset, LOG);
            let size_bytes = self.file_system.file_len(&path).during("stat", &path)?;
            self.closed.push(ClosedSegment::found(*base_offset, size_bytes, now));
        }
        if derive_epochs {
            self.epochs.clear();
            self.derive_closed_epochs()?;
        }
        for (at, base_offset) in bases.iter().enumerate().skip(first) {
            if at > first {
                if *base_offset != self.log_end_offset {
                    self.drop_segments(bases.get(at..).unwrap_or_default())?;
                    return Ok(false);
                }
                self.close_scanned()?;
            }
            let trusted = if at == first { trusted_below } else { *base_offset };
            self.active = ActiveSegment::reopen(&*self.file_system, &self.directory, *base_offset, trusted, now)?;
            if derive_epochs && at == first {
                self.derive_head_epochs()?;
            }
            if !self.scan_active(check)? {
                if check == Check::Everything {
                    self.drop_segments(bases.get(at + 1..).unwrap_or_default())?;
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The scanned segment turns out not to be the last one.
    fn close_scanned(&mut self) -> Result<(), LogError> {
        match self.active.write_indexes(&*self.file_system) {
            // A start succeeds on a full disk; a short index only makes reads scan.
            Err(error) if error.is_full() => {}
            written => written?,
        }
        let (directory, base_offset) = (self.directory.clone(), self.active.base_offset);
        // A stand-in that touches no file; the caller opens the next segment at once.
        let next = ActiveSegment::bare(&directory, base_offset, self.active.created);
        self.closed
            .push(std::mem::replace(&mut self.active, next).into_closed());
        Ok(())
    }

    /// Scans from where the indexes can be trusted to the end; false when the end is damaged, and cut unless only headers
    /// are checked.
    fn scan_active(&mut self, check: Check) -> Result<bool, LogError> {
        let file = self.active.file(&*self.file_system)?;
        let path = self.active.path().to_owned();
        let length = file.len().during("stat", &path)?;
        let base_offset = self.active.base_offset;
        self.log_end_offset = base_offset;
        let mut scan = SegmentScan::new(
            Arc::clone(&file),
            path.clone(),
            self.active.size_bytes,
            length,
            base_offset,
        );
        if check == Check::Everything {
            scan = scan.sequential();
        }
        let (mut first, mut joins) = (true, self.active.size_bytes == 0);
        loop {
            let next = if check == Check::Everything {
                scan.next_checked()
            } else {
                scan.next_header()
            };
            match next {
                Ok(None) => return Ok(true),
                Ok(Some(located)) if self.active.reaches(located.header.last_offset()) => {
                    self.active
                        .note_batch(&*self.file_system, &self.config, &located.header)?;
                    if std::mem::take(&mut first) {
                        // What the scan sees it derives; a later epoch that is known already would be contradicted.
                        self.epochs.truncate_from_end(located.header.base_offset);
                    }
                    let start = if std::mem::replace(&mut joins, true) {
                        self.log_end_offset
                    } else {
                        located.header.base_offset
                    };
                    self.epochs.assign(located.header.leader_epoch, start);
                    self.log_end_offset = located.header.next_offset();
                    continue;
                }
                Ok(Some(_)) => {}
                Err(LogError::Corrupt { position, reason, .. }) => {
                    tracing::warn!(path = %path.display(), position, length, reason, "log ends in a damaged batch");
                }
                Err(error) => return Err(error),
            }
            if check == Check::Everything {
                file.set_len(self.active.size_bytes).during("truncate", &path)?;
            }
            return Ok(false);
        }
    }

    fn drop_segments(&mut self, bases: &[Offset]) -> Result<(), LogError> {
        // Newest first, so that a crash in between leaves no hole.
        for base_offset in bases.iter().rev() {
            tracing::warn!(
                directory = %self.directory.display(), segment = %base_offset, log_end_offset = %self.log_end_offset,
                "segment behind a damaged one is dropped"
            );
            remove_segment(&*self.file_system, &self.directory, *base_offset)?;
        }
        Ok(())
    }

    /// Epochs from the headers of the closed segments; those of the scanned ones follow with the scan.
    fn derive_closed_epochs(&mut self) -> Result<(), LogError> {
        for segment in &self.closed {
            let path = segment_file(&self.directory, segment.base_offset, LOG);
            let file = self.closed_file(segment)?;
            let mut scan = SegmentScan::new(file, path, 0, segment.size_bytes, segment.base_offset);
            let mut end = segment.base_offset;
            while let Some(located) = skip_corrupt(scan.next_header())? {
                self.epochs.assign(located.header.leader_epoch, end);
                end = located.header.next_offset();
            }
        }
        Ok(())
    }

    /// Epochs of the part of the active segment that its scan leaves out.
    fn derive_head_epochs(&mut self) -> Result<(), LogError> {
        let (file, path) = (self.active.file(&*self.file_system)?, self.active.path().to_owned());
        let mut scan = SegmentScan::new(file, path, 0, self.active.size_bytes, self.active.base_offset);
        let mut end = self.active.base_offset;
        while let Some(located) = skip_corrupt(scan.next_header())? {
            self.epochs.assign(located.header.leader_epoch, end);
            end = located.header.next_offset();
        }
        Ok(())
    }

    /// Producer states as of the log end: the newest snapshot at or below `at_most`, and a replay of what follows.
    /// Transactions found aborted at `reindex_from` or above are added to the transaction indexes.
    pub(crate) fn reload_producers(
        &mut self,
        at_most: Offset,
        reindex_from: Option<Offset>,
        now: TimestampMs,
    ) -> Result<(), LogError> {
        let bounds = (at_most, self.log_end_offset);
        let loaded = load_snapshot(&*self.file_system, &self.directory, &mut self.producers, bounds, now)?;
        self.replayed = Vec::new();
        let mut from = loaded.unwrap_or(Offset::ZERO).max(self.first_base_offset());
        self.bytes_since_snapshot = 0;
        while from < self.log_end_offset {
            from = self.replay_segment(from, reindex_from, now)?;
        }
        Ok(())
    }

    /// Replays from `from` to the end of its segment; returns where the next one starts.
    fn replay_segment(
        &mut self,
        from: Offset,
        reindex_from: Option<Offset>,
        now: TimestampMs,
    ) -> Result<Offset, LogError> {
        let request = ReadRequest {
            from,
            max_bytes: 0,
            up_to: self.log_end_offset,
            min_one_batch: false,
        };
        let read = self.file_read(request)?;
        let next = read.next_segment().unwrap_or(self.log_end_offset);
        let Some(first) = skip_corrupt(read.locate())? else {
            return Ok(next);
        };
        let mut scan = read.scan(first.position, read.segment());
        while let Some(located) = skip_corrupt(scan.next_header())? {
            let header = &located.header;
            self.bytes_since_snapshot += header.size_bytes() as u64;
            if header.base_offset < from || !header.has_producer_id() {
                continue;
            }
            let bytes = if header.is_control() {
                scan.batch_bytes(&located)?
            } else {
                bytes::Bytes::new()
            };
            let Some(ended) = note_batch(&mut self.producers, header, &bytes, now) else {
                continue;
            };
            self.replayed.push(ended);
            if ended.aborted && reindex_from.is_some_and(|reindex_from| ended.last_offset >= reindex_from) {
                let aborted = aborted_transaction(&self.producers, &ended);
                self.reindex_aborted(read.segment(), aborted)?;
            }
        }
        Ok(next)
    }

    fn reindex_aborted(&mut self, segment: Offset, aborted: AbortedTransaction) -> Result<(), LogError> {
        if segment == self.active.base_offset {
            return self.active.note_aborted(&*self.file_system, &self.directory, aborted);
        }
        let path = segment_file(&self.directory, segment, TXN_INDEX);
        let existing = aborted_transactions::read(&*self.file_system, &path)?.len();
        aborted_transactions::append(&*self.file_system, &path, existing, &aborted)
    }
}

/// Damage below the recovery point (bit rot) must not keep a partition from opening: what can't be read ends the walk
/// through its segment, with a warning; whoever reads the batches themselves gets the error.
fn skip_corrupt<T>(result: Result<Option<T>, LogError>) -> Result<Option<T>, LogError> {
    match result {
        Err(LogError::Corrupt { path, position, reason }) => {
            tracing::warn!(path = %path.display(), position, reason, "damaged batch below the recovery point");
            Ok(None)
        }
        other => other,
    }
}
