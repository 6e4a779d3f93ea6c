//! `.txnindex`: the aborted transactions whose marker stands in the segment, in Kafka's 34-byte entries.
//!
//! A `read_committed` consumer is told those that overlap what it fetched. Few segments have any, so the file is made with
//! the first entry. Like the other indexes it is derived: recovery builds it anew past the recovery point.

use std::path::Path;

use types::{Offset, ProducerId};

use crate::atomic_file::read_file;
use crate::file_system::{FileSystem, OpenMode};
use crate::log_error::{LogError, StorageContext};

const ENTRY_BYTES: usize = 34;

/// One aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose it was.
    pub producer_id: ProducerId,
    /// Its first record.
    pub first_offset: Offset,
    /// Its marker.
    pub last_offset: Offset,
    /// The last stable offset once the marker was written.
    pub last_stable_offset: Offset,
}

impl AbortedTransaction {
    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let fields = [
            self.producer_id.0,
            self.first_offset.0,
            self.last_offset.0,
            self.last_stable_offset.0,
        ];
        for (slot, field) in bytes[2..].chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<2>()?;
        let mut fields = rest
            .chunks_exact(8)
            .filter_map(|field| field.try_into().ok().map(i64::from_be_bytes));
        if i16::from_be_bytes(*version) != 0 {
            return None;
        }
        Some(Self {
            producer_id: ProducerId(fields.next()?),
            first_offset: Offset(fields.next()?),
            last_offset: Offset(fields.next()?),
            last_stable_offset: Offset(fields.next()?),
        })
    }
}

/// The entries of a `.txnindex`, up to the first odd one; none when there is no file.
pub(crate) fn read(file_system: &dyn FileSystem, path: &Path) -> Result<Vec<AbortedTransaction>, LogError> {
    let content = read_file(file_system, path).during("read", path)?.unwrap_or_default();
    Ok(content
        .chunks_exact(ENTRY_BYTES)
        .map_while(AbortedTransaction::decode)
        .collect())
}

/// Adds an entry after `existing` others.
pub(crate) fn append(
    file_system: &dyn FileSystem,
    path: &Path,
    existing: usize,
    entry: &AbortedTransaction,
) -> Result<(), LogError> {
    let file = file_system.open(path, OpenMode::CREATE).during("open", path)?;
    file.write_all_at(&entry.encode(), (existing * ENTRY_BYTES) as u64)
        .during("write", path)
}

/// Keeps the entries whose marker stands below `end`, and returns them.
pub(crate) fn truncate(
    file_system: &dyn FileSystem,
    path: &Path,
    end: Offset,
) -> Result<Vec<AbortedTransaction>, LogError> {
    let mut entries = read(file_system, path)?;
    let kept = entries.iter().take_while(|entry| entry.last_offset < end).count();
    entries.truncate(kept);
    if file_system.exists(path).during("stat", path)? {
        let file = file_system.open(path, OpenMode::READ_WRITE).during("open", path)?;
        file.set_len((kept * ENTRY_BYTES) as u64).during("truncate", path)?;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_kafkas_bytes() {
        let entry = AbortedTransaction {
            producer_id: ProducerId(1),
            first_offset: Offset(2),
            last_offset: Offset(3),
            last_stable_offset: Offset(4),
        };
        let bytes = entry.encode();
        assert_eq!(bytes[..10], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(AbortedTransaction::decode(&bytes), Some(entry));
        assert_eq!(AbortedTransaction::decode(&bytes[..33]), None);
    }
}
