//! A data directory's file system: every call goes through the directory's health.
//!
//! - GUARD-1: nothing is read or written in a directory that is offline.
//! - GUARD-2: a fault of the disk takes the directory offline where it happens, whoever called.
//! - GUARD-3: without room, records (`.log` files) are refused; every other write takes the reserve and is tried once more,
//!   which is no retry of something that was taken for written: the call had failed, and it writes the same bytes to the
//!   same place.
//! - GUARD-4: calls that change the disk are watched while they last, removals apart: those may take long.

use std::io::{self, ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;

use crate::directory_health::DirectoryHealth;
use crate::file_names::{CLEANED, LOG};
use crate::file_system::{File, FileLock, FileSystem, OpenMode};
use crate::room::is_full;

/// See the module.
#[derive(Debug)]
pub(crate) struct GuardedFileSystem {
    inner: Arc<dyn FileSystem>,
    health: Arc<DirectoryHealth>,
}

#[derive(Debug)]
struct GuardedFile {
    inner: Arc<dyn File>,
    health: Arc<DirectoryHealth>,
    /// Holds records: has no part in the reserve.
    records: bool,
}

impl GuardedFileSystem {
    pub(crate) fn new(inner: Arc<dyn FileSystem>, health: Arc<DirectoryHealth>) -> Self {
        Self { inner, health }
    }
}

impl DirectoryHealth {
    fn check(&self) -> io::Result<()> {
        if self.is_offline() {
            return Err(io::Error::other(format!(
                "the data directory is offline: {}",
                self.reason()
            )));
        }
        Ok(())
    }

    fn observe<T>(&self, what: &str, path: Option<&Path>, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            if is_full(error) {
                self.note_full();
            } else if is_disk_fault(error) {
                let path = path.unwrap_or(self.path()).display();
                self.fail(&format!("{what} {path}: {error}"));
            }
        })
    }

    fn read<T>(&self, what: &str, path: Option<&Path>, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.check()?;
        self.observe(what, path, call())
    }

    /// A change that needs no room.
    fn change<T>(&self, what: &str, path: Option<&Path>, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.check()?;
        let _pending = self.begin();
        self.observe(what, path, call())
    }

    /// A change that may have the reserve (GUARD-3).
    fn small_change<T>(&self, what: &str, path: Option<&Path>, call: impl Fn() -> io::Result<T>) -> io::Result<T> {
        self.check()?;
        let _pending = self.begin();
        match call() {
            Err(error) if is_full(&error) && self.release_reserve() => self.observe(what, path, call()),
            other => self.observe(what, path, other),
        }
    }
}

/// A segment's `.log`, or one that compaction makes.
fn holds_records(path: &Path) -> bool {
    let cleaned = path.extension().is_some_and(|extension| extension == CLEANED);
    let name = if cleaned {
        path.with_extension("")
    } else {
        path.to_owned()
    };
    name.extension().is_some_and(|extension| extension == LOG)
}

/// Whether the disk is at fault, rather than who called it, or the process.
fn is_disk_fault(error: &io::Error) -> bool {
    let caller = matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::WouldBlock
            | ErrorKind::AlreadyExists
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidData
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
            | ErrorKind::DirectoryNotEmpty
            | ErrorKind::InvalidFilename
            | ErrorKind::Interrupted
            | ErrorKind::Unsupported
    );
    !caller && !is_process_limit(error)
}

/// Whether the process or the system has run out of files or memory: no disk has failed.
pub(crate) fn is_process_limit(error: &io::Error) -> bool {
    /// Too many open files, in the system or in the process.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    error.kind() == ErrorKind::OutOfMemory || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

impl File for GuardedFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.health
            .read("read in", None, || self.inner.read_at(buffer, position))
    }

    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.health
            .read("read in", None, || self.inner.read_cached_at(buffer, position))
    }

    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let write = || self.inner.write_all_at(bytes, position);
        if self.records {
            self.health.change("write in", None, write)
        } else {
            self.health.small_change("write in", None, write)
        }
    }

    fn write_all_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let write = || self.inner.write_all_vectored_at(slices, position);
        if self.records {
            self.health.change("write in", None, write)
        } else {
            self.health.small_change("write in", None, write)
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.health.change("sync in", None, || self.inner.sync_data())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.health
            .small_change("truncate in", None, || self.inner.set_len(length))
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.health.change("allocate in", None, || self.inner.allocate(length))
    }

    fn len(&self) -> io::Result<u64> {
        self.health.read("stat in", None, || self.inner.len())
    }
}

impl FileSystem for GuardedFileSystem {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let open = || self.inner.open(path, mode);
        let inner = if mode.create {
            self.health.small_change("create", Some(path), open)?
        } else {
            self.health.read("open", Some(path), open)?
        };
        Ok(Arc::new(GuardedFile {
            inner,
            health: Arc::clone(&self.health),
            records: holds_records(path),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.health
            .small_change("create", Some(path), || self.inner.create_dir_all(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<String>> {
        self.health.read("list", Some(path), || self.inner.read_dir(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.health
            .small_change("rename", Some(from), || self.inner.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.health.read("remove", Some(path), || self.inner.remove_file(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.health
            .read("remove", Some(path), || self.inner.remove_dir_all(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.health.change("sync", Some(path), || self.inner.sync_dir(path))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.health.read("stat", Some(path), || self.inner.exists(path))
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        self.health.read("stat", Some(path), || self.inner.is_dir(path))
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        self.health.read("stat", Some(path), || self.inner.file_len(path))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.health.read("lock", Some(path), || self.inner.lock(path))
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.health.read("stat", Some(path), || self.inner.free_bytes(path))
    }

    fn total_bytes(&self, path: &Path) -> io::Result<u64> {
        self.health.read("stat", Some(path), || self.inner.total_bytes(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory_health::{DATA_RESERVE_BYTES, DirectoryStatus};
    use crate::testing::{MemoryFileSystem, Operation};

    fn guarded() -> (MemoryFileSystem, GuardedFileSystem) {
        let disk = MemoryFileSystem::new();
        disk.create_dir_all(Path::new("/data")).unwrap();
        let inner: Arc<dyn FileSystem> = Arc::new(disk.clone());
        let health = DirectoryHealth::new(Arc::clone(&inner), Path::new("/data"));
        (disk, GuardedFileSystem::new(inner, health))
    }

    fn write(files: &GuardedFileSystem, name: &str, bytes: usize) -> io::Result<()> {
        let path = Path::new("/data").join(name);
        files.open(&path, OpenMode::CREATE)?.write_all_at(&vec![7; bytes], 0)
    }

    #[test]
    fn records_leave_the_reserve_to_others() {
        let (disk, files) = guarded();
        disk.set_capacity(Some(DATA_RESERVE_BYTES + 100));
        files.health.hold_reserve();
        assert!(is_full(&write(&files, "1.log", 200).unwrap_err()));
        assert!(is_full(&write(&files, "1.log.cleaned", 200).unwrap_err()));
        assert!(files.health.is_full());
        write(&files, "checkpoint", 200).unwrap();
        assert!(files.health.is_full(), "full is no fault");
    }

    #[test]
    fn a_fault_takes_the_directory_offline() {
        for operation in [Operation::Write, Operation::SyncData, Operation::Read] {
            let (disk, files) = guarded();
            write(&files, "1.log", 10).unwrap();
            let file = files.open(Path::new("/data/1.log"), OpenMode::READ_WRITE).unwrap();
            disk.fail(operation, "1.log", ErrorKind::Other);
            let _ = file.write_all_at(b"x", 0);
            let _ = file.sync_data();
            let _ = file.read_at(&mut [0], 0);
            assert!(files.health.is_offline(), "{operation:?}");
            disk.heal();
            assert!(file.sync_data().is_err(), "a failed sync is never retried");
            assert!(file.read_at(&mut [0], 0).is_err());
        }
    }

    #[test]
    fn who_calls_wrongly_is_no_fault_of_the_disk() {
        let (_, files) = guarded();
        assert!(files.open(Path::new("/data/none"), OpenMode::READ).is_err());
        assert!(files.remove_file(Path::new("/data/none")).is_err());
        assert_eq!(files.health.status(), DirectoryStatus::Online);
    }
}
