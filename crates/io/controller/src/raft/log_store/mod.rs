//! The Raft log and vote: a synced log of our own, made for openraft's storage interface.
//!
//! Segmented files with a checksum per entry; the vote, the purged and the committed log id in small files of two slots.
//! All writes go through one ordered writer, so that a vote is never durable before what Raft asked for earlier. Reads
//! come from memory while an entry is recent, else from the segment, checked again.

mod disk;
mod frame;
mod index;
mod load;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use prost::Message;
use storage::{File, FileSystem};
use tokio::sync::{oneshot, watch};

use self::disk::{Disk, Operation, Room, SegmentFiles, Unsynced};
use self::frame::{SEGMENT_HEADER_BYTES, decode_entry, encode_frame, read_frame};
use self::index::{LogIndex, Slot};
use self::load::{Evidence, load};
use self::writer::LogWriter;
use super::codec::{log_id_from, log_id_to, vote_from, vote_to};
use super::runtime::handed_over;
use super::slot_file::SlotFile;
use super::type_config::{Entry, LogId, TypeConfig, Vote};
use super::{FatalError, QuorumConfig, proto};

/// How many bytes of entries one read for replication returns, if more than one entry is due (O6: openraft bounds a
/// request by the number of its entries only).
const MAX_READ_BYTES: u64 = 1 << 20;

/// The log; clones share it.
#[derive(Debug, Clone)]
pub(super) struct LogStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    segment_bytes: u64,
    cache_bytes: u64,
    index: Mutex<LogIndex>,
    segments: SegmentFiles,
    durable: Arc<AtomicU64>,
    writer: LogWriter,
}

/// What is to be read, taken under the lock.
enum Found {
    Cached(Entry),
    Stored {
        file: Option<Arc<dyn File>>,
        segment: u64,
        position: u64,
        frame_bytes: u64,
        index: u64,
    },
}

impl LogStore {
    /// Opens the log in `config.directory`; cuts an unsynced tail, refuses damage with file and offset (RAFT-4).
    pub(super) fn open(
        config: &QuorumConfig,
        file_system: Arc<dyn FileSystem>,
        fatal: watch::Sender<Option<FatalError>>,
    ) -> io::Result<Self> {
        let files = file_system.as_ref();
        let directory = config.directory.clone();
        let (vote_file, vote) = SlotFile::open(files, &directory.join("vote"), true)?;
        let (purged_file, purged) = SlotFile::open(files, &directory.join("purged"), true)?;
        let (committed_file, committed) = SlotFile::open(files, &directory.join("committed"), false)?;
        let purged = purged
            .map(proto::LogId::decode)
            .transpose()
            .map_err(invalid)?
            .map(log_id_from);
        let committed = committed
            .map(proto::StoredCommitted::decode)
            .transpose()
            .map_err(invalid)?
            .unwrap_or_default();
        let loaded = load(
            files,
            &directory,
            &Evidence {
                purged,
                synced_end: committed.synced_end,
            },
        )?;
        let mut index = loaded.index;
        index.vote = match vote {
            Some(bytes) => Some(vote_from(Some(proto::Vote::decode(bytes).map_err(invalid)?))?),
            None => None,
        };
        index.committed = committed.committed.map(log_id_from);
        let durable = Arc::new(AtomicU64::new(index.end()));
        let segments: SegmentFiles = Arc::new(Mutex::new(loaded.files.into_iter().collect::<BTreeMap<_, _>>()));
        let disk = Disk {
            file_system: Arc::clone(&file_system),
            directory,
            segments: Arc::clone(&segments),
            vote: vote_file,
            purged: purged_file,
            committed: committed_file,
            durable: Arc::clone(&durable),
            fatal,
            unsynced: Unsynced::default(),
            broken: None,
            room: Room::new(Arc::clone(&file_system), &config.directory),
        };
        Ok(Self(Arc::new(Shared {
            segment_bytes: config.segment_bytes,
            cache_bytes: config.recent_bytes as u64,
            index: Mutex::new(index),
            segments,
            durable,
            writer: LogWriter::start(config.log_io, disk)?,
        })))
    }

    /// Nothing has ever been voted, written or purged here.
    pub(super) fn is_blank(&self) -> bool {
        let index = self.0.index.lock();
        index.vote.is_none() && index.last_log_id().is_none()
    }

    /// Waits until everything so far is on stable storage, the committed log id included.
    pub(super) async fn flush(&self) -> io::Result<()> {
        self.submit_and_wait(|done| Operation::Flush { done }).await
    }

    /// The last entry, or the last purged one.
    pub(super) fn last_log_id(&self) -> Option<LogId> {
        self.0.index.lock().last_log_id()
    }

    /// The term that was voted in last; 0 before the first.
    pub(super) fn vote_term(&self) -> u64 {
        self.0.index.lock().vote.map_or(0, |vote| vote.leader_id.term)
    }

    /// Entries of a range, checked, however large.
    pub(super) fn entries(&self, range: (u64, u64)) -> io::Result<Vec<Entry>> {
        self.read(range, u64::MAX)
    }

    /// The last purged entry.
    pub(super) fn purged(&self) -> Option<LogId> {
        self.0.index.lock().purged
    }

    /// The log id of an entry that is still in the log, or was the last one purged.
    pub(super) fn log_id_at(&self, at: u64) -> Option<LogId> {
        let index = self.0.index.lock();
        if let Some(purged) = index.purged.filter(|purged| purged.index == at) {
            return Some(purged);
        }
        index.slot(at).map(|slot| super::type_config::log_id(slot.term, at))
    }

    async fn submit_and_wait(&self, operation: impl FnOnce(disk::Done) -> Operation) -> io::Result<()> {
        let (done, finished) = oneshot::channel();
        self.0.writer.submit(vec![operation(done)]);
        finished
            .await
            .map_err(|_| io::Error::other("the log's writer is gone"))?
    }

    /// Finds entries of a range; with `limit_bytes`, at least one and then as many as fit.
    fn find(&self, range: (u64, u64), limit_bytes: u64) -> Vec<Found> {
        let index = self.0.index.lock();
        // Taken under the index's lock: what the index still holds isn't removed before it is read.
        let files = self.0.segments.lock();
        let (start, end) = (range.0.max(index.first), range.1.min(index.end()));
        let mut found = Vec::new();
        let mut bytes = 0;
        for at in start..end {
            let Some(slot) = index.slot(at) else { break };
            bytes += slot.frame_bytes;
            if bytes > limit_bytes && !found.is_empty() {
                break;
            }
            found.push(match &slot.cached {
                Some(entry) => Found::Cached(entry.clone()),
                None => Found::Stored {
                    file: files.get(&slot.segment).cloned(),
                    segment: slot.segment,
                    position: slot.position,
                    frame_bytes: slot.frame_bytes,
                    index: at,
                },
            });
        }
        found
    }

    fn read(&self, range: (u64, u64), limit_bytes: u64) -> io::Result<Vec<Entry>> {
        let found = self.find(range, limit_bytes);
        let stored = found.iter().any(|found| matches!(found, Found::Stored { .. }));
        let read = || found.into_iter().map(Self::read_found).collect();
        if stored { handed_over(read) } else { read() }
    }

    fn read_found(found: Found) -> io::Result<Entry> {
        match found {
            Found::Cached(entry) => Ok(entry),
            Found::Stored {
                file,
                segment,
                position,
                frame_bytes,
                index,
            } => {
                let file = file.ok_or_else(|| io::Error::other(format!("segment {segment} is not open")))?;
                read_stored(file.as_ref(), segment, position, frame_bytes, index)
            }
        }
    }

    /// Adds entries to the index and says what is to be written where.
    fn place(&self, entries: impl IntoIterator<Item = Entry>, flushed: IOFlushed<TypeConfig>) -> Vec<Operation> {
        let durable = self.0.durable.load(Ordering::SeqCst);
        let mut index = self.0.index.lock();
        let mut operations = Vec::new();
        let mut frames: Vec<Bytes> = Vec::new();
        let (mut segment, mut start, mut length) = match index.active {
            Some((segment, length)) => (segment, length, length),
            None => (0, 0, u64::MAX),
        };
        for entry in entries {
            let frame = encode_frame(&entry, durable);
            if length >= self.0.segment_bytes {
                if !frames.is_empty() {
                    operations.push(Operation::Part {
                        segment,
                        position: start,
                        frames: std::mem::take(&mut frames),
                    });
                }
                segment = index.next_segment;
                index.next_segment += 1;
                operations.push(Operation::Create { segment });
                (start, length) = (SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
            }
            if index.slots.is_empty() && index.purged.is_none() {
                index.first = entry.log_id.index;
            }
            index.push(Slot {
                term: entry.log_id.leader_id.term,
                segment,
                position: length,
                frame_bytes: frame.len() as u64,
                cached: Some(entry),
            });
            length += frame.len() as u64;
            frames.push(frame);
        }
        if !frames.is_empty() {
            index.active = Some((segment, length));
        }
        let end = index.end();
        index.evict(self.0.cache_bytes, durable);
        operations.push(Operation::Append {
            segment,
            position: start,
            frames,
            end,
            flushed,
        });
        operations
    }
}

fn read_stored(file: &dyn File, segment: u64, position: u64, frame_bytes: u64, index: u64) -> io::Result<Entry> {
    let mut bytes = vec![0; usize::try_from(frame_bytes).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, position)?;
    bytes.truncate(read);
    let damage = |what: &str| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("metadata log segment {segment:020}.raft at offset {position}: {what}"),
        )
    };
    let frame = read_frame(&Bytes::from(bytes)).map_err(damage)?;
    if frame.index != index {
        return Err(damage("holds another entry"));
    }
    decode_entry(frame.entry)
}

fn invalid(error: prost::DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(&at) => at,
        Bound::Excluded(&at) => at.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&at) => at.saturating_add(1),
        Bound::Excluded(&at) => at,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        self.read(bounds(&range), u64::MAX)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.0.index.lock().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read((start, end), MAX_READ_BYTES)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let index = self.0.index.lock();
        Ok(LogState {
            last_purged_log_id: index.purged,
            last_log_id: index.last_log_id(),
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let encoded = vote_to(vote).encode_to_vec();
        self.submit_and_wait(|done| Operation::Vote { vote: encoded, done })
            .await?;
        self.0.index.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let Some(committed) = committed else { return Ok(()) };
        let operation = {
            let mut index = self.0.index.lock();
            index.committed = Some(committed);
            let stored = proto::StoredCommitted {
                committed: Some(log_id_to(&committed)),
                synced_end: index.end().min(committed.index + 1),
            };
            Operation::Committed {
                committed: stored.encode_to_vec(),
            }
        };
        self.0.writer.submit(vec![operation]);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        let index = self.0.index.lock();
        // Beyond the log's end it speaks of a snapshot that may not have been installed before the crash.
        Ok(index
            .committed
            .filter(|committed| Some(*committed) <= index.last_log_id()))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let operations = self.place(entries, callback);
        self.0.writer.submit(operations);
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let (remove, cut, end) = {
            let mut index = self.0.index.lock();
            let end = last_log_id.map_or(0, |last| last.index + 1);
            let (remove, cut) = index.truncate(end);
            (remove, cut, index.end())
        };
        self.submit_and_wait(|done| Operation::Truncate { remove, cut, end, done })
            .await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        let (remove, end) = {
            let mut index = self.0.index.lock();
            if index.purged >= Some(log_id) {
                return Ok(());
            }
            (index.purge(log_id), index.first)
        };
        let purged = log_id_to(&log_id).encode_to_vec();
        self.submit_and_wait(|done| Operation::Purge {
            purged,
            remove,
            end,
            done,
        })
        .await
    }
}
