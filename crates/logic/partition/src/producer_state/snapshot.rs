//! Kafka's `<offset>.snapshot` file: the producers as they were before that offset, without I/O.
//!
//! ```text
//! version i16 = 1 | crc u32: CRC-32C of what follows | count i32 | entry * count                   all big-endian
//! entry (46 bytes): producer id i64 | epoch i16 | last sequence i32 | last offset i64 | offset delta i32
//!                   | timestamp i64 | coordinator epoch i32 | first offset of the open transaction i64
//! ```
//! -1 stands for none. Kafka keeps each producer's last batch only, so that after a restart a client that has five in
//! flight and sends them again is told that they are out of order, and gives up. Here a producer has a row for each batch
//! that is remembered, oldest first: Kafka's reader takes the last of them, which is what it would have written.

use records::NO_SEQUENCE;
use thiserror::Error;
use types::{Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::{BatchMetadata, ProducerEntry, ProducerStates};

const VERSION: i16 = 1;
const CRC_AT: usize = 2;
const COUNT_AT: usize = 6;
const ENTRIES_AT: usize = 10;
const ENTRY_BYTES: usize = 46;

/// Why a file is no snapshot. The caller deletes it and takes an older one, or replays the whole log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Shorter or longer than its count of entries says.
    #[error("producer snapshot of {0} bytes has another length than its entries")]
    Length(usize),
    /// A version that this code doesn't know.
    #[error("producer snapshot has the unknown version {0}")]
    Version(i16),
    /// Not the bytes that were written.
    #[error("producer snapshot is corrupt: stored crc {stored:08x}, computed crc {computed:08x}")]
    Crc {
        /// In the file.
        stored: u32,
        /// Of the file.
        computed: u32,
    },
}

/// The file's bytes, entries by producer id.
#[must_use]
pub fn encode_snapshot(states: &ProducerStates) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENTRIES_AT + states.len() * ENTRY_BYTES);
    out.extend(VERSION.to_be_bytes());
    out.extend([0; 4]);
    out.extend([0; 4]);
    // `MAX_PRODUCERS` or the open transactions bound the count far below i32::MAX.
    let mut count = 0_i32;
    for entry in states.entries() {
        let mut rows = 0;
        let mut batches = entry.batches().peekable();
        while let Some(batch) = batches.next() {
            let timestamp = if batches.peek().is_some() {
                batch.timestamp
            } else {
                entry.last_timestamp
            };
            encode_row(&mut out, entry, Some(batch), timestamp);
            rows += 1;
        }
        if rows == 0 {
            encode_row(&mut out, entry, None, entry.last_timestamp);
            rows = 1;
        }
        count = count.saturating_add(rows);
    }
    out[COUNT_AT..ENTRIES_AT].copy_from_slice(&count.to_be_bytes());
    let crc = crc32c::crc32c(&out[COUNT_AT..]);
    out[CRC_AT..COUNT_AT].copy_from_slice(&crc.to_be_bytes());
    out
}

fn encode_row(out: &mut Vec<u8>, entry: &ProducerEntry, batch: Option<&BatchMetadata>, timestamp: TimestampMs) {
    out.extend(entry.producer_id.0.to_be_bytes());
    out.extend(entry.producer_epoch.0.to_be_bytes());
    out.extend(batch.map_or(NO_SEQUENCE, |batch| batch.last_sequence).to_be_bytes());
    out.extend(batch.map_or(-1, |batch| batch.last_offset.0).to_be_bytes());
    out.extend(batch.map_or(0, |batch| batch.offset_delta).to_be_bytes());
    out.extend(timestamp.0.to_be_bytes());
    out.extend(entry.coordinator_epoch.to_be_bytes());
    out.extend(
        entry
            .current_txn_first_offset
            .map_or(-1, |offset| offset.0)
            .to_be_bytes(),
    );
}

/// The entries of a file, for [`ProducerStates::load`].
///
/// # Errors
/// Whatever makes it no snapshot.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Vec<ProducerEntry>, SnapshotError> {
    let length = || SnapshotError::Length(bytes.len());
    let version = i16::from_be_bytes(field(bytes, 0).ok_or_else(length)?);
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let stored = u32::from_be_bytes(field(bytes, CRC_AT).ok_or_else(length)?);
    let computed = crc32c::crc32c(bytes.get(COUNT_AT..).ok_or_else(length)?);
    if stored != computed {
        return Err(SnapshotError::Crc { stored, computed });
    }
    let count =
        usize::try_from(i32::from_be_bytes(field(bytes, COUNT_AT).ok_or_else(length)?)).map_err(|_| length())?;
    let entries = bytes.get(ENTRIES_AT..).ok_or_else(length)?;
    if count.checked_mul(ENTRY_BYTES) != Some(entries.len()) {
        return Err(length());
    }
    let mut decoded: Vec<ProducerEntry> = Vec::new();
    for raw in entries.chunks_exact(ENTRY_BYTES) {
        let row = decode_entry(raw).ok_or_else(length)?;
        match decoded.last_mut() {
            Some(entry) if is_same_producer(entry, &row) => entry.push_row(&row),
            _ => decoded.push(row),
        }
    }
    Ok(decoded)
}

fn is_same_producer(entry: &ProducerEntry, row: &ProducerEntry) -> bool {
    entry.producer_id == row.producer_id && entry.producer_epoch == row.producer_epoch
}

fn decode_entry(raw: &[u8]) -> Option<ProducerEntry> {
    let mut entry = ProducerEntry::new(ProducerId(i64::from_be_bytes(field(raw, 0)?)));
    entry.producer_epoch = ProducerEpoch(i16::from_be_bytes(field(raw, 8)?));
    let last_sequence = i32::from_be_bytes(field(raw, 10)?);
    let last_offset = Offset(i64::from_be_bytes(field(raw, 14)?));
    let offset_delta = i32::from_be_bytes(field(raw, 22)?);
    let timestamp = TimestampMs(i64::from_be_bytes(field(raw, 26)?));
    entry.last_timestamp = timestamp;
    entry.coordinator_epoch = i32::from_be_bytes(field(raw, 34)?);
    let first_offset = Offset(i64::from_be_bytes(field(raw, 38)?));
    entry.current_txn_first_offset = (first_offset >= Offset::ZERO).then_some(first_offset);
    if last_offset >= Offset::ZERO {
        entry.push(BatchMetadata {
            last_sequence,
            last_offset,
            offset_delta,
            timestamp,
        });
    }
    Some(entry)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
