//! What the log does to its files, one operation after the other: the only code that writes them.
//!
//! Appends in a row are written, synced once and then acknowledged together (group commit). After the first error
//! nothing is tried again: every later operation fails, and the process exits (RAFT-1).
//!
//! Lack of room is no error but a state (requirement 25): a write takes the reserve, then it waits, and everything behind it
//! in its order, until there is room. Nothing is answered meanwhile, so nobody counts on this node; and a node that is
//! started on a full disk starts. Every operation that may find no room can be done again from its beginning: it writes
//! the same bytes to the same place, and no sync of it has failed (ROOM-1).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use openraft::storage::IOFlushed;
use parking_lot::Mutex;
use storage::{File, FileSystem, OpenMode, Reserve, is_full};
use tokio::sync::{oneshot, watch};

use super::frame::segment_header;
use crate::raft::FatalError;
use crate::raft::slot_file::SlotFile;
use crate::raft::type_config::TypeConfig;

/// Held back for the metadata log: tens of thousands of changes while others have filled the disk.
pub(super) const METADATA_RESERVE_BYTES: u64 = 4 << 20;

/// Told when an operation is durable, or that it failed.
pub(super) type Done = oneshot::Sender<io::Result<()>>;

/// One operation on the files, in the order in which Raft asked.
pub(super) enum Operation {
    /// Start a segment.
    Create {
        segment: u64,
    },
    /// Write frames; the log is then `end` long (index after its last entry).
    Append {
        segment: u64,
        position: u64,
        frames: Vec<Bytes>,
        end: u64,
        flushed: IOFlushed<TypeConfig>,
    },
    /// Write frames of an append that goes on in the next operation (a segment was full).
    Part {
        segment: u64,
        position: u64,
        frames: Vec<Bytes>,
    },
    /// Cut the log's end: whole segments, newest first, then a part of one. It is then `end` long.
    Truncate {
        remove: Vec<u64>,
        cut: Option<(u64, u64)>,
        end: u64,
        done: Done,
    },
    /// Forget the log's start: remember up to where, then remove segments, oldest first.
    Purge {
        purged: Vec<u8>,
        remove: Vec<u64>,
        end: u64,
        done: Done,
    },
    Vote {
        vote: Vec<u8>,
        done: Done,
    },
    /// Written after everything before it was synced, and itself not synced: it may be older after a power cut.
    Committed {
        committed: Vec<u8>,
    },
    /// Everything so far, the committed index included.
    Flush {
        done: Done,
    },
}

/// Open segments by number; shared with readers.
pub(super) type SegmentFiles = Arc<Mutex<BTreeMap<u64, Arc<dyn File>>>>;

/// The files, and what is written but not yet synced.
pub(super) struct Disk {
    pub(super) file_system: Arc<dyn FileSystem>,
    pub(super) directory: PathBuf,
    pub(super) segments: SegmentFiles,
    pub(super) vote: SlotFile,
    pub(super) purged: SlotFile,
    pub(super) committed: SlotFile,
    /// Index after the last synced entry.
    pub(super) durable: Arc<AtomicU64>,
    pub(super) fatal: watch::Sender<Option<FatalError>>,
    pub(super) unsynced: Unsynced,
    pub(super) broken: Option<String>,
    pub(super) room: Room,
}

/// What is done about lack of room.
pub(super) struct Room {
    reserve: Reserve,
    /// The reserve isn't held.
    short: bool,
    /// The operator was told that this node waits.
    told: bool,
    /// What waits for room, and everything behind it.
    waiting: VecDeque<Operation>,
}

impl Room {
    pub(super) fn new(file_system: Arc<dyn FileSystem>, directory: &Path) -> Self {
        let reserve = Reserve::new(file_system, directory, METADATA_RESERVE_BYTES);
        let short = reserve.hold().is_err();
        Self {
            reserve,
            short,
            told: false,
            waiting: VecDeque::new(),
        }
    }
}

/// Written, not synced, not acknowledged.
#[derive(Default)]
pub(super) struct Unsynced {
    segments: BTreeSet<u64>,
    end: Option<u64>,
    flushed: Vec<IOFlushed<TypeConfig>>,
    committed: Option<Vec<u8>>,
}

/// The file of a segment.
pub(super) fn segment_path(directory: &Path, segment: u64) -> PathBuf {
    directory.join(format!("{segment:020}.raft"))
}

impl Disk {
    /// Runs operations in order, then syncs and acknowledges what is left. False when some wait for room: run again, with
    /// nothing new if need be.
    #[must_use]
    pub(super) fn run(&mut self, operations: Vec<Operation>) -> bool {
        self.room.waiting.extend(operations);
        while let Some(operation) = self.room.waiting.pop_front() {
            let Err(operation) = self.apply(operation) else {
                continue;
            };
            self.room.waiting.push_front(*operation);
            self.room.short = true;
            if self.room.reserve.release() {
                tracing::warn!(directory = %self.directory.display(), "no room for the metadata log: it takes what was held back");
                continue;
            }
            if !std::mem::replace(&mut self.room.told, true) {
                tracing::error!(directory = %self.directory.display(),
                    "no room for the metadata log: this node votes and acknowledges nothing until there is");
            }
            break;
        }
        let _ = self.sync();
        if self.room.short && self.room.waiting.is_empty() && self.room.reserve.hold().is_ok() {
            self.room.short = false;
            self.room.told = false;
            tracing::info!(directory = %self.directory.display(), "there is room for the metadata log again");
        }
        self.room.waiting.is_empty()
    }

    /// Hands the operation back when there was no room for it.
    fn apply(&mut self, operation: Operation) -> Result<(), Box<Operation>> {
        match operation {
            Operation::Create { segment } => {
                let created = self.sync().and_then(|()| self.attempt(|disk| disk.create(segment)));
                if no_room(&created) {
                    return Err(Box::new(Operation::Create { segment }));
                }
            }
            Operation::Append {
                segment,
                position,
                frames,
                end,
                flushed,
            } => match self.attempt(|disk| disk.write(segment, position, &frames)) {
                Ok(()) => {
                    self.unsynced.end = Some(end);
                    self.unsynced.flushed.push(flushed);
                }
                Err(error) if is_full(&error) => {
                    return Err(Box::new(Operation::Append {
                        segment,
                        position,
                        frames,
                        end,
                        flushed,
                    }));
                }
                Err(error) => flushed.io_completed(Err(error)),
            },
            Operation::Part {
                segment,
                position,
                frames,
            } => {
                if no_room(&self.attempt(|disk| disk.write(segment, position, &frames))) {
                    return Err(Box::new(Operation::Part {
                        segment,
                        position,
                        frames,
                    }));
                }
            }
            Operation::Truncate { remove, cut, end, done } => {
                let result = self
                    .sync()
                    .and_then(|()| self.attempt(|disk| disk.truncate(&remove, cut)));
                if result.is_ok() {
                    self.durable.fetch_min(end, Ordering::SeqCst);
                }
                let _ = done.send(result);
            }
            Operation::Purge {
                purged,
                remove,
                end,
                done,
            } => {
                let result = self
                    .sync()
                    .and_then(|()| self.attempt(|disk| disk.purge(&purged, &remove)));
                if no_room(&result) {
                    return Err(Box::new(Operation::Purge {
                        purged,
                        remove,
                        end,
                        done,
                    }));
                }
                if result.is_ok() {
                    self.durable.fetch_max(end, Ordering::SeqCst);
                }
                let _ = done.send(result);
            }
            Operation::Vote { vote, done } => {
                let write = SlotFile::write_durably;
                #[cfg(feature = "bugs")]
                let write = if bugs::is_planted(bugs::Bug::VoteWithoutSync) {
                    SlotFile::write_soon
                } else {
                    write
                };
                let result = self
                    .sync()
                    .and_then(|()| self.attempt(|disk| write(&mut disk.vote, &vote)));
                if no_room(&result) {
                    return Err(Box::new(Operation::Vote { vote, done }));
                }
                let _ = done.send(result);
            }
            Operation::Committed { committed } => self.unsynced.committed = Some(committed),
            Operation::Flush { done } => {
                let result = self.sync().and_then(|()| self.attempt(|disk| disk.committed.sync()));
                let _ = done.send(result);
            }
        }
        Ok(())
    }

    /// Runs one step unless an earlier one failed; the first failure is final, lack of room is none.
    fn attempt(&mut self, step: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if let Some(reason) = &self.broken {
            return Err(io::Error::other(format!("the metadata log failed before: {reason}")));
        }
        step(self).inspect_err(|error| {
            if is_full(error) {
                return;
            }
            let reason = format!("metadata log in {}: {error}", self.directory.display());
            tracing::error!(directory = %self.directory.display(), %error, "the metadata log failed; this node must stop");
            self.broken = Some(reason.clone());
            self.fatal.send_if_modified(|fatal| {
                let first = fatal.is_none();
                fatal.get_or_insert(FatalError(reason));
                first
            });
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let Unsynced {
            segments,
            end,
            flushed,
            committed,
        } = std::mem::take(&mut self.unsynced);
        let mut result = self.attempt(|disk| segments.iter().try_for_each(|&segment| disk.file(segment)?.sync_data()));
        if result.is_ok() {
            if let Some(end) = end {
                self.durable.store(end, Ordering::SeqCst);
            }
            if let Some(committed) = committed {
                result = self.attempt(|disk| disk.committed.write_soon(&committed));
                if no_room(&result) {
                    // It may be older after a power cut anyway; the entries before it are synced, and that is told.
                    self.unsynced.committed = Some(committed);
                    result = Ok(());
                }
            }
        }
        for callback in flushed {
            callback.io_completed(duplicate(&result));
        }
        result
    }

    fn file(&self, segment: u64) -> io::Result<Arc<dyn File>> {
        let files = self.segments.lock();
        files
            .get(&segment)
            .cloned()
            .ok_or_else(|| io::Error::other(format!("segment {segment} is not open")))
    }

    fn create(&mut self, segment: u64) -> io::Result<()> {
        let file = self
            .file_system
            .open(&segment_path(&self.directory, segment), OpenMode::CREATE)?;
        file.set_len(0)?;
        file.write_all_at(&segment_header(), 0)?;
        file.sync_data()?;
        self.file_system.sync_dir(&self.directory)?;
        self.segments.lock().insert(segment, file);
        Ok(())
    }

    fn write(&mut self, segment: u64, position: u64, frames: &[Bytes]) -> io::Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        let slices: Vec<IoSlice<'_>> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
        self.file(segment)?.write_all_vectored_at(&slices, position)?;
        self.unsynced.segments.insert(segment);
        Ok(())
    }

    fn truncate(&mut self, remove: &[u64], cut: Option<(u64, u64)>) -> io::Result<()> {
        // From the end backwards, each step durable: whatever survives a crash is the start of the log.
        for &segment in remove {
            self.remove(segment)?;
        }
        if let Some((segment, length)) = cut {
            let file = self.file(segment)?;
            file.set_len(length)?;
            file.sync_data()?;
        }
        Ok(())
    }

    fn purge(&mut self, purged: &[u8], remove: &[u64]) -> io::Result<()> {
        self.purged.write_durably(purged)?;
        remove.iter().try_for_each(|&segment| self.remove(segment))
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        self.segments.lock().remove(&segment);
        self.file_system.remove_file(&segment_path(&self.directory, segment))?;
        self.file_system.sync_dir(&self.directory)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The writer thread is gone with its queue: nobody would ever be answered again.
        if std::thread::panicking() {
            self.fatal
                .send_replace(Some(FatalError("the metadata log's writer panicked".to_owned())));
        }
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk")
            .field("directory", &self.directory)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

fn no_room(result: &io::Result<()>) -> bool {
    result.as_ref().is_err_and(is_full)
}

fn duplicate(result: &io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}
