//! The disk as this crate sees it: a small object-safe seam with the real disk or a simulated one behind it.
//!
//! What a caller may rely on, and what the conformance suite in `testing` checks of every implementation:
//! - FS-1: bytes written are read back by everybody at once; they survive the death of the process, not a power cut.
//! - FS-2: bytes of a file survive a power cut once `sync_data` returned `Ok`; after an `Err` nothing is known of them.
//! - FS-3: names (created, renamed, removed) survive a power cut once `sync_dir` of their directory returned `Ok`.
//! - FS-4: a rename replaces its target in one step.
//!
//! Called by the whole crate and by the simulator; nothing here knows logs.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

/// How a file is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenMode {
    /// Make an empty file when there is none; needs `write`.
    pub create: bool,
    /// Reads are allowed.
    pub read: bool,
    /// Writes are allowed; never truncates.
    pub write: bool,
}

impl OpenMode {
    /// An existing file, to be read.
    pub const READ: Self = Self {
        create: false,
        read: true,
        write: false,
    };
    /// An existing file, to be read and written.
    pub const READ_WRITE: Self = Self {
        create: false,
        read: true,
        write: true,
    };
    /// A file that is made when it is missing, to be read and written.
    pub const CREATE: Self = Self {
        create: true,
        read: true,
        write: true,
    };
}

/// One open file with positional reads and writes; closed when the last handle is dropped.
pub trait File: Debug + Send + Sync {
    /// Reads up to `buffer.len()` bytes at `position`; fewer only at the end of the file, 0 at or past it.
    ///
    /// # Errors
    /// What the disk reports.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    /// As [`File::read_at`], but never waits for the disk.
    ///
    /// # Errors
    /// `WouldBlock` when not all of it is in memory, or nobody can tell; else what the disk reports.
    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `position`, extending the file where needed.
    ///
    /// # Errors
    /// What the disk reports; then any prefix may have been written.
    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;

    /// Writes all slices, one after the other, from `position` on, in as few calls as the disk allows.
    ///
    /// # Errors
    /// What the disk reports; then any prefix may have been written.
    fn write_all_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()>;

    /// Makes the file's content and length durable (FS-2).
    ///
    /// # Errors
    /// What the disk reports, lack of room never by its own kind (ROOM-1); a second call that succeeds proves nothing about the first one's bytes.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts or extends (with zeroes) the file to `length` bytes.
    ///
    /// # Errors
    /// What the disk reports.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Extends the file to `length` bytes that the disk has set aside: later writes within find room.
    ///
    /// # Errors
    /// What the disk reports; then a part may be set aside.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// The file's length in bytes.
    ///
    /// # Errors
    /// What the disk reports.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// What the disk reports.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// A lock on a file that keeps other processes out; released when dropped or when the process dies.
pub trait FileLock: Debug + Send + Sync {}

/// A tree of directories and files.
pub trait FileSystem: Debug + Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound` when it is missing and not to be created, else what the disk reports.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Makes a directory and its missing ancestors; nothing happens when it exists.
    ///
    /// # Errors
    /// What the disk reports.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted; names that aren't UTF-8 are left out.
    ///
    /// # Errors
    /// `NotFound` when it is missing, else what the disk reports.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Renames a file or directory in one step; a file at `to` is replaced (FS-4).
    ///
    /// # Errors
    /// `NotFound` when `from` is missing, else what the disk reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; open handles stay usable.
    ///
    /// # Errors
    /// `NotFound` when it is missing, else what the disk reports.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with everything in it.
    ///
    /// # Errors
    /// `NotFound` when it is missing, else what the disk reports.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory's names durable (FS-3).
    ///
    /// # Errors
    /// What the disk reports.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Whether there is a file or directory.
    ///
    /// # Errors
    /// What the disk reports.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Whether there is a directory.
    ///
    /// # Errors
    /// What the disk reports.
    fn is_dir(&self, path: &Path) -> io::Result<bool>;

    /// A file's length in bytes.
    ///
    /// # Errors
    /// `NotFound` when it is missing, else what the disk reports.
    fn file_len(&self, path: &Path) -> io::Result<u64>;

    /// Locks a file (made when missing) against every other process and every other caller.
    ///
    /// # Errors
    /// `WouldBlock` when somebody else holds it, else what the disk reports.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>>;

    /// The bytes that can still be written beneath `path`.
    ///
    /// # Errors
    /// What the disk reports.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;

    /// The bytes of the volume that `path` lies on.
    ///
    /// # Errors
    /// What the disk reports.
    fn total_bytes(&self, path: &Path) -> io::Result<u64>;
}
