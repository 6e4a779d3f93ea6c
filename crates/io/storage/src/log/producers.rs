//! Producer states on disk: Kafka's `<offset>.snapshot` files and the replay of what follows one.
//!
//! A snapshot is written at every roll, with a flush now and then, and at a clean close; the newest three are kept. A torn
//! or wrong one is removed and the one before it taken: snapshots only shorten the replay.

use std::path::Path;

use bytes::Bytes;
use partition::producer_state::{CompletedTransaction, ProducerStates, decode_snapshot, encode_snapshot};
use records::{Batch, BatchHeader};
use types::{Offset, ProducerId, TimestampMs};

use crate::atomic_file::{ignore_not_found, read_file};
use crate::file_names::{SNAPSHOT, parse_segment_file, segment_file};
use crate::file_system::{FileSystem, OpenMode};
use crate::log::Log;
use crate::log_error::{LogError, StorageContext};
use crate::segment::AbortedTransaction;

/// A truncation below the oldest one replays the whole log, so more than one; each costs 46 bytes a batch of a producer.
const SNAPSHOTS_KEPT: usize = 3;

/// Tells the states of an appended batch; returns the transaction that it ended.
pub(crate) fn note_batch(
    states: &mut ProducerStates,
    header: &BatchHeader,
    bytes: &Bytes,
    now: TimestampMs,
) -> Option<CompletedTransaction> {
    if !header.has_producer_id() {
        return None;
    }
    if !header.is_control() {
        states.on_append(header, now);
        return None;
    }
    let marker = Batch {
        header: *header,
        bytes: bytes.clone(),
    }
    .end_transaction_marker()
    .ok()
    .flatten()?;
    states.on_marker(header, &marker, now)
}

/// The index entry for a transaction that has just been aborted.
pub(crate) fn aborted_transaction(states: &ProducerStates, ended: &CompletedTransaction) -> AbortedTransaction {
    AbortedTransaction {
        producer_id: ended.producer_id,
        first_offset: ended.first_offset,
        last_offset: ended.last_offset,
        last_stable_offset: states
            .first_undecided_offset()
            .unwrap_or_else(|| ended.last_offset.next()),
    }
}

/// Offsets of the snapshot files among `names`, ascending.
pub(crate) fn snapshot_offsets(names: &[String]) -> Vec<Offset> {
    let mut offsets: Vec<Offset> = names
        .iter()
        .filter_map(|name| parse_segment_file(name, SNAPSHOT))
        .collect();
    offsets.sort_unstable();
    offsets
}

/// Loads the newest good snapshot at or below `at_most`; returns its offset. Snapshots above `end`, and bad ones, are
/// removed.
pub(crate) fn load_snapshot(
    file_system: &dyn FileSystem,
    directory: &Path,
    states: &mut ProducerStates,
    (at_most, end): (Offset, Offset),
    now: TimestampMs,
) -> Result<Option<Offset>, LogError> {
    states.clear();
    let names = file_system.read_dir(directory).during("list", directory)?;
    for offset in snapshot_offsets(&names).into_iter().rev() {
        let path = segment_file(directory, offset, SNAPSHOT);
        if offset <= at_most {
            let content = read_file(file_system, &path).during("read", &path)?.unwrap_or_default();
            match decode_snapshot(&content) {
                Ok(entries) => {
                    states.load(entries, now);
                    return Ok(Some(offset));
                }
                Err(error) => tracing::warn!(path = %path.display(), %error, "producer snapshot is removed"),
            }
        }
        if offset <= at_most || offset > end {
            ignore_not_found(file_system.remove_file(&path)).during("remove", &path)?;
        }
    }
    Ok(None)
}

/// Removes all snapshots but the newest few.
pub(crate) fn prune_snapshots(file_system: &dyn FileSystem, directory: &Path) -> Result<(), LogError> {
    let names = file_system.read_dir(directory).during("list", directory)?;
    let offsets = snapshot_offsets(&names);
    for offset in offsets.iter().take(offsets.len().saturating_sub(SNAPSHOTS_KEPT)) {
        let path = segment_file(directory, *offset, SNAPSHOT);
        ignore_not_found(file_system.remove_file(&path)).during("remove", &path)?;
    }
    Ok(())
}

/// Writes a snapshot file; its CRC stands in for a sync.
pub(crate) fn write_snapshot(
    file_system: &dyn FileSystem,
    directory: &Path,
    offset: Offset,
    content: &[u8],
) -> Result<(), LogError> {
    let path = segment_file(directory, offset, SNAPSHOT);
    let file = file_system.open(&path, OpenMode::CREATE).during("open", &path)?;
    file.set_len(0).during("truncate", &path)?;
    file.write_all_at(content, 0).during("write", &path)
}

impl Log {
    /// See [`ProducerStates::may_have_forgotten_below`].
    pub fn may_have_forgotten_producers_below(&mut self, next: ProducerId) {
        self.producers.may_have_forgotten_below(next);
    }

    /// Writes the snapshot of the log end.
    pub(crate) fn write_producer_snapshot(&mut self) -> Result<(), LogError> {
        let content = encode_snapshot(&self.producers);
        write_snapshot(&*self.file_system, &self.directory, self.log_end_offset, &content)?;
        self.bytes_since_snapshot = 0;
        prune_snapshots(&*self.file_system, &self.directory)
    }
}
