//! Reads: from the tail in memory, else from a segment file.
//!
//! READ-1: only whole batches, in offset order, all of them below the bound. The file part needs no lock: it is prepared
//! under the owner's lock (a handle, a bound, a place to start) and may run after it. A truncation meanwhile can only
//! make it shorter, for what is below the bound is never truncated.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use records::BatchHeader;
use types::Offset;

use crate::file_names::{self, INDEX, LOG};
use crate::file_system::{File, FileSystem};
use crate::log::Log;
use crate::log::cached_file::CachedFile;
use crate::log::read_outcome::{ReadOutcome, ReadRequest};
use crate::log_error::{LogError, StorageContext};
use crate::segment::scan::{Located, SegmentScan};
use crate::segment::sparse_index::lookup_file;
use crate::segment::{IndexEntry, OffsetEntry};

/// Where sequential readers stopped, so that the next read needs no index: a few consumers read one log at a time.
const MAX_HINTS: usize = 4;

/// "The batch after offset `next_offset - 1` starts at `position`." Checked when it is used.
#[derive(Debug, Clone, Copy)]
struct Hint {
    segment: Offset,
    next_offset: Offset,
    position: u64,
}

/// What reads leave for later reads of the same log.
#[derive(Debug, Default)]
pub(crate) struct ReadState {
    hints: Vec<Hint>,
    /// The closed segment that was read last.
    handle: Option<(Offset, Arc<dyn File>)>,
}

/// What a read found without asking the disk.
#[derive(Debug)]
pub enum CachedRead {
    /// This.
    Found(ReadOutcome),
    /// The disk has to be asked: [`FileRead::run`], outside the lock. Its outcome may say to read on elsewhere.
    Cold(FileRead),
}

/// A read that has been decided on under the log's lock.
#[derive(Debug)]
#[must_use = "nothing is read until it runs"]
pub enum PreparedRead {
    /// Served from memory, or nothing to read.
    Ready(ReadOutcome),
    /// To be read from a file, outside the lock; may block on the disk.
    File(FileRead),
}

impl PreparedRead {
    /// Does what is left to do.
    ///
    /// # Errors
    /// As [`FileRead::run`].
    pub fn run(self) -> Result<ReadOutcome, LogError> {
        match self {
            Self::Ready(outcome) => Ok(outcome),
            Self::File(read) => read.run(),
        }
    }
}

/// A read from one segment file.
#[derive(Debug, Clone)]
pub struct FileRead {
    file_system: Arc<dyn FileSystem>,
    state: Arc<Mutex<ReadState>>,
    file: Arc<dyn File>,
    directory: PathBuf,
    segment: Offset,
    size_bytes: u64,
    /// From the part of the active segment's index that is still in memory.
    known: Option<OffsetEntry>,
    /// Entries in the index file that count; all of them for a closed segment.
    index_entries: Option<u64>,
    next_segment: Option<Offset>,
    request: ReadRequest,
    /// Only what is in memory may be read.
    cached_only: bool,
}

impl FileRead {
    /// Reads the batches if they are in memory, the page cache's; `None` when the disk would have to be asked.
    ///
    /// # Errors
    /// As [`FileRead::run`].
    pub fn run_cached(&self) -> Result<Option<ReadOutcome>, LogError> {
        let cached = Self {
            file: Arc::new(CachedFile(Arc::clone(&self.file))),
            cached_only: true,
            ..self.clone()
        };
        match cached.run() {
            Ok(outcome) => Ok(Some(outcome)),
            Err(LogError::Storage { source, .. }) if source.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the batches.
    ///
    /// # Errors
    /// `Storage` when the disk fails, `Corrupt` when no batch is where one must be.
    pub fn run(self) -> Result<ReadOutcome, LogError> {
        let Some(first) = self.locate()? else {
            let mut outcome = ReadOutcome::empty(self.request.from);
            outcome.continue_at = self.next_segment;
            return Ok(outcome);
        };
        let outcome = self.read_from(&first)?;
        if !outcome.is_empty() {
            self.remember(outcome.next_offset, first.position + outcome.size_bytes as u64);
        }
        Ok(outcome)
    }

    pub(crate) fn segment(&self) -> Offset {
        self.segment
    }

    pub(crate) fn next_segment(&self) -> Option<Offset> {
        self.next_segment
    }

    fn path(&self) -> PathBuf {
        file_names::segment_file(&self.directory, self.segment, LOG)
    }

    pub(crate) fn scan(&self, position: u64, expected: Offset) -> SegmentScan {
        SegmentScan::new(Arc::clone(&self.file), self.path(), position, self.size_bytes, expected)
    }

    /// The first batch that ends at or after the wanted offset.
    pub(crate) fn locate(&self) -> Result<Option<Located>, LogError> {
        let from = self.request.from;
        if let Some(hint) = self.hint() {
            // A batch at the hinted place that starts at the wanted offset or (after a gap) above can only be the one.
            match self.scan(hint.position, from).next_header() {
                Ok(found) => return Ok(found),
                Err(LogError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(entry) = self.index_entry()? {
            let mut scan = self.scan(u64::from(entry.position), self.segment);
            match scan.next_header() {
                Ok(Some(at)) if at.header.last_offset() == self.segment.plus(entry.key()) => {
                    return if at.header.last_offset() >= from {
                        Ok(Some(at))
                    } else {
                        first_ending_at(&mut scan, from)
                    };
                }
                Ok(_) | Err(LogError::Corrupt { .. }) => {
                    tracing::warn!(segment = %self.path().display(), "index entry leads nowhere, scanning the segment");
                }
                Err(error) => return Err(error),
            }
        }
        first_ending_at(&mut self.scan(0, self.segment), from)
    }

    fn hint(&self) -> Option<Hint> {
        let state = self.state.lock();
        state
            .hints
            .iter()
            .find(|hint| hint.segment == self.segment && hint.next_offset == self.request.from)
            .copied()
    }

    fn remember(&self, next_offset: Offset, position: u64) {
        let mut state = self.state.lock();
        state
            .hints
            .retain(|hint| hint.segment != self.segment || hint.next_offset != self.request.from);
        if state.hints.len() >= MAX_HINTS {
            state.hints.remove(0);
        }
        state.hints.push(Hint {
            segment: self.segment,
            next_offset,
            position,
        });
    }

    fn index_entry(&self) -> Result<Option<OffsetEntry>, LogError> {
        if self.known.is_some() {
            return Ok(self.known);
        }
        let path = file_names::segment_file(&self.directory, self.segment, INDEX);
        lookup_file(
            &*self.file_system,
            &path,
            self.index_entries,
            relative(self.segment, self.request.from),
            self.cached_only,
        )
    }

    fn read_from(&self, first: &Located) -> Result<ReadOutcome, LogError> {
        let request = &self.request;
        let mut outcome = ReadOutcome::empty(request.from);
        let first_bytes = first.header.size_bytes();
        if first.header.next_offset() > request.up_to || (first_bytes > request.max_bytes && !request.min_one_batch) {
            return Ok(outcome);
        }
        let left = usize::try_from(self.size_bytes.saturating_sub(first.position)).unwrap_or(usize::MAX);
        let mut buffer = vec![0; request.max_bytes.max(first_bytes).min(left)];
        let read = self
            .file
            .read_at(&mut buffer, first.position)
            .during("read", &self.path())?;
        buffer.truncate(read);
        let mut end = 0;
        while let Some(Ok(header)) = buffer
            .get(end..)
            .filter(|rest| !rest.is_empty())
            .map(BatchHeader::parse)
        {
            let next = end.saturating_add(header.size_bytes());
            // `end > 0`: the first batch was checked by `locate`.
            if next > buffer.len()
                || header.next_offset() > request.up_to
                || (end > 0 && header.base_offset < outcome.next_offset)
            {
                break;
            }
            end = next;
            outcome.next_offset = header.next_offset();
        }
        buffer.truncate(end);
        if end > 0 {
            outcome.base_offset = first.header.base_offset;
            outcome.size_bytes = end;
            outcome.slices.push(Bytes::from(buffer));
        }
        Ok(outcome)
    }
}

fn relative(segment: Offset, offset: Offset) -> i64 {
    offset.0.saturating_sub(segment.0)
}

fn first_ending_at(scan: &mut SegmentScan, offset: Offset) -> Result<Option<Located>, LogError> {
    while let Some(located) = scan.next_header()? {
        if located.header.last_offset() >= offset {
            return Ok(Some(located));
        }
    }
    Ok(None)
}

impl Log {
    /// Reads whole batches (READ-1), the disk included. Empty at the log end.
    ///
    /// # Errors
    /// `OffsetOutOfRange` below the log start or above the log end; `Storage`, `Corrupt`.
    pub fn read(&self, request: ReadRequest) -> Result<ReadOutcome, LogError> {
        let mut request = request;
        loop {
            let outcome = self.prepare_read(request)?.run()?;
            match outcome.continue_at {
                Some(next) if next > request.from && next < request.up_to => request.from = next,
                _ => return Ok(outcome),
            }
        }
    }

    /// Reads whole batches (READ-1) as far as they are in memory, the page cache's as well.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub fn read_cached(&self, request: ReadRequest) -> Result<CachedRead, LogError> {
        let mut request = request;
        loop {
            let outcome = match self.prepare_read(request)? {
                PreparedRead::Ready(outcome) => outcome,
                PreparedRead::File(read) => match read.run_cached()? {
                    Some(outcome) => outcome,
                    None => return Ok(CachedRead::Cold(read)),
                },
            };
            match outcome.continue_at {
                Some(next) if next > request.from && next < request.up_to => request.from = next,
                _ => return Ok(CachedRead::Found(outcome)),
            }
        }
    }

    /// Decides a read: from memory at once, else a [`FileRead`] to be run outside the lock.
    ///
    /// # Errors
    /// `OffsetOutOfRange` below the log start or above the log end; `Storage` when a file can't be opened.
    pub fn prepare_read(&self, request: ReadRequest) -> Result<PreparedRead, LogError> {
        self.check_range(request.from)?;
        let request = ReadRequest {
            up_to: request.up_to.min(self.log_end_offset),
            ..request
        };
        if request.from >= request.up_to {
            return Ok(PreparedRead::Ready(ReadOutcome::empty(request.from)));
        }
        if let Some(outcome) = self.tail.read(&request) {
            return Ok(PreparedRead::Ready(outcome));
        }
        self.file_read(request).map(PreparedRead::File)
    }

    pub(crate) fn check_range(&self, offset: Offset) -> Result<(), LogError> {
        if offset < self.log_start_offset || offset > self.log_end_offset {
            return Err(LogError::OffsetOutOfRange {
                requested: offset,
                log_start_offset: self.log_start_offset,
                log_end_offset: self.log_end_offset,
            });
        }
        Ok(())
    }

    pub(crate) fn file_read(&self, request: ReadRequest) -> Result<FileRead, LogError> {
        let active = &self.active;
        let closed_at = self
            .closed
            .partition_point(|segment| segment.base_offset <= request.from);
        let closed = closed_at
            .checked_sub(1)
            .and_then(|at| self.closed.get(at))
            .filter(|_| request.from < active.base_offset);
        let (segment, size_bytes, file) = match closed {
            Some(segment) => (segment.base_offset, segment.size_bytes, self.closed_file(segment)?),
            None => (active.base_offset, active.size_bytes, active.file(&*self.file_system)?),
        };
        let next_segment = closed.map(|_| {
            self.closed
                .get(closed_at)
                .map_or(active.base_offset, |next| next.base_offset)
        });
        let (known, index_entries) = match closed {
            Some(_) => (None, None),
            None => (
                active.offset_index.lookup_pending(relative(segment, request.from)),
                Some(active.offset_index.written()),
            ),
        };
        Ok(FileRead {
            file_system: Arc::clone(&self.file_system),
            state: Arc::clone(&self.reads),
            file,
            directory: self.directory.clone(),
            segment,
            size_bytes,
            known,
            index_entries,
            next_segment,
            request,
            cached_only: false,
        })
    }
}

impl ReadState {
    /// Forgets places and closes the handle.
    pub(crate) fn clear(&mut self) {
        self.hints = Vec::new();
        self.handle = None;
    }

    pub(crate) fn handle_of(&self, segment: Offset) -> Option<Arc<dyn File>> {
        self.handle
            .as_ref()
            .filter(|(base_offset, _)| *base_offset == segment)
            .map(|(_, file)| Arc::clone(file))
    }

    pub(crate) fn keep_handle(&mut self, segment: Offset, file: &Arc<dyn File>) {
        self.handle = Some((segment, Arc::clone(file)));
    }
}
