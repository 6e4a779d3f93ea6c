//! An index file of the active segment (entries on disk, the newest few in memory) and the search in any index file.
//!
//! Entries go to the file some at a time and are never synced for an acknowledgement (requirement 46): after an unclean
//! end the index past the recovery point is built anew from the log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::file_system::{File, FileSystem, OpenMode};
use crate::log::cached_file::CachedFile;
use crate::log_error::{LogError, StorageContext};
use crate::segment::index_entry::IndexEntry;

/// So many entries wait in memory (half a KiB; 256 KiB of log at Kafka's interval).
const MAX_PENDING: usize = 64;

/// The index of the segment that is written to.
#[derive(Debug)]
pub(crate) struct SparseIndex<E> {
    path: PathBuf,
    /// Entries in the file.
    written: u64,
    pending: Vec<E>,
    last: Option<E>,
}

impl<E: IndexEntry> SparseIndex<E> {
    /// An index whose file is to be empty, or is missing.
    pub(crate) fn empty(path: PathBuf) -> Self {
        Self {
            path,
            written: 0,
            pending: Vec::new(),
            last: None,
        }
    }

    /// The file lies elsewhere now.
    pub(crate) fn relocate(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Goes on with an index file, keeping the leading entries that `keep` accepts; they must rise strictly, so nothing
    /// of an odd file is kept beyond the first odd entry. The file is cut to what is kept.
    pub(crate) fn reopen(
        file_system: &dyn FileSystem,
        path: PathBuf,
        mut keep: impl FnMut(E) -> bool,
    ) -> Result<(Self, Vec<E>), LogError> {
        let content = crate::atomic_file::read_file(file_system, &path)
            .during("read", &path)?
            .unwrap_or_default();
        let mut entries: Vec<E> = Vec::new();
        for chunk in content.chunks_exact(E::BYTES) {
            let Some(entry) = E::decode(chunk) else { break };
            if entries.last().is_some_and(|last| last.key() >= entry.key()) || !keep(entry) {
                break;
            }
            entries.push(entry);
        }
        let mut index = Self {
            path,
            written: 0,
            pending: Vec::new(),
            last: None,
        };
        index.cut(file_system, &entries, content.len())?;
        Ok((index, entries))
    }

    fn cut(&mut self, file_system: &dyn FileSystem, entries: &[E], file_bytes: usize) -> Result<(), LogError> {
        self.written = entries.len() as u64;
        self.last = entries.last().copied();
        self.pending.clear();
        let kept_bytes = entries.len() * E::BYTES;
        if kept_bytes != file_bytes {
            let file = file_system
                .open(&self.path, OpenMode::CREATE)
                .during("open", &self.path)?;
            file.set_len(kept_bytes as u64).during("truncate", &self.path)?;
        }
        Ok(())
    }

    /// Drops everything, the file's content included.
    pub(crate) fn reset(&mut self, file_system: &dyn FileSystem) -> Result<(), LogError> {
        self.cut(file_system, &[], usize::MAX)
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        (self.written + self.pending.len() as u64) * E::BYTES as u64
    }

    /// Adds an entry unless its key doesn't rise.
    pub(crate) fn append(&mut self, file_system: &dyn FileSystem, entry: E) -> Result<(), LogError> {
        if self.last.is_some_and(|last| last.key() >= entry.key()) {
            return Ok(());
        }
        self.pending.push(entry);
        self.last = Some(entry);
        if self.pending.len() >= MAX_PENDING {
            return match self.write_pending(file_system) {
                // The entries stay in memory, and what was torn is overwritten: a batch isn't refused for its index.
                Err(error) if error.is_full() => Ok(()),
                written => written,
            };
        }
        Ok(())
    }

    /// Writes what waits; makes the file even when there is nothing.
    pub(crate) fn write_pending(&mut self, file_system: &dyn FileSystem) -> Result<(), LogError> {
        if self.pending.is_empty() && self.written > 0 {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.pending.len() * E::BYTES);
        for entry in &self.pending {
            entry.encode(&mut bytes);
        }
        let file = file_system
            .open(&self.path, OpenMode::CREATE)
            .during("open", &self.path)?;
        file.write_all_at(&bytes, self.written * E::BYTES as u64)
            .during("write", &self.path)?;
        self.written += self.pending.len() as u64;
        self.pending = Vec::new();
        Ok(())
    }

    /// The last entry in memory with a key of at most `key`; `None` says to look into the file's first `written` entries.
    pub(crate) fn lookup_pending(&self, key: i64) -> Option<E> {
        let above = self.pending.partition_point(|entry| entry.key() <= key);
        self.pending.get(above.checked_sub(1)?).copied()
    }

    /// Entries in the file.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The last entry with a key of at most `key`.
    pub(crate) fn lookup(&self, file_system: &dyn FileSystem, key: i64) -> Result<Option<E>, LogError> {
        match self.lookup_pending(key) {
            Some(entry) => Ok(Some(entry)),
            None => lookup_file(file_system, &self.path, Some(self.written), key, false),
        }
    }
}

/// The last entry with a key of at most `key` among the first `entries` of an index file (all of them for `None`).
/// A missing file has no entries; what an odd one leads to is checked by the caller. With `cached_only` it fails with
/// `WouldBlock` where the disk would have to be asked.
pub(crate) fn lookup_file<E: IndexEntry>(
    file_system: &dyn FileSystem,
    path: &Path,
    entries: Option<u64>,
    key: i64,
    cached_only: bool,
) -> Result<Option<E>, LogError> {
    if entries == Some(0) {
        return Ok(None);
    }
    let file = match file_system.open(path, OpenMode::READ) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).during("open", path),
    };
    let file = if cached_only { Arc::new(CachedFile(file)) } else { file };
    let in_file = file.len().during("stat", path)? / E::BYTES as u64;
    search(
        file.as_ref(),
        entries.map_or(in_file, |entries| entries.min(in_file)),
        key,
    )
    .during("read", path)
}

/// The last entry of an index file.
pub(crate) fn last_in_file<E: IndexEntry>(file_system: &dyn FileSystem, path: &Path) -> Result<Option<E>, LogError> {
    lookup_file(file_system, path, None, i64::MAX, false)
}

fn search<E: IndexEntry>(file: &dyn File, entries: u64, key: i64) -> io::Result<Option<E>> {
    let mut buffer = [0_u8; 16];
    let mut entry_at = |at: u64| -> io::Result<Option<E>> {
        let Some(slot) = buffer.get_mut(..E::BYTES) else {
            return Ok(None);
        };
        let read = file.read_at(slot, at * E::BYTES as u64)?;
        Ok(if read == E::BYTES { E::decode(slot) } else { None })
    };
    let (mut low, mut high) = (0, entries);
    let mut found = None;
    while low < high {
        let middle = low + (high - low) / 2;
        match entry_at(middle)? {
            Some(entry) if entry.key() <= key => {
                found = Some(entry);
                low = middle + 1;
            }
            _ => high = middle,
        }
    }
    Ok(found)
}
