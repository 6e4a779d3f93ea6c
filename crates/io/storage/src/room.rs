//! Room on a disk: telling its lack from a fault, and holding some of it back.
//!
//! A disk without room is a state that passes (requirement 25): nothing was lost, whoever couldn't write may write again
//! later. ROOM-1: a sync never reports it, for what a sync couldn't place is lost: that is a fault.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::file_system::{FileSystem, OpenMode};

/// Whether the disk, or the quota on it, had no room for the bytes.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// ROOM-1: a sync that found no room has lost bytes that were written.
pub(crate) fn lost_by_sync(error: io::Error) -> io::Error {
    if is_full(&error) {
        return io::Error::other(format!("the sync found no room for what was written: {error}"));
    }
    error
}

/// A file that takes up room until somebody needs it more: small writes that must not fail because others filled the disk.
#[derive(Debug)]
pub struct Reserve {
    file_system: Arc<dyn FileSystem>,
    path: PathBuf,
    bytes: u64,
    held: Mutex<bool>,
}

impl Reserve {
    /// Kafka's tools and ours ignore a file of this name.
    pub const FILE_NAME: &'static str = "klamm.reserve";

    /// A reserve of `bytes` in a directory; nothing is held yet.
    #[must_use]
    pub fn new(file_system: Arc<dyn FileSystem>, directory: &Path, bytes: u64) -> Self {
        Self {
            file_system,
            path: directory.join(Self::FILE_NAME),
            bytes,
            held: Mutex::new(false),
        }
    }

    /// Takes the room up, unless it is held already.
    ///
    /// # Errors
    /// What the disk reports, lack of room above all; nothing is held then.
    pub fn hold(&self) -> io::Result<()> {
        let mut held = self.held.lock();
        if *held {
            return Ok(());
        }
        let file = self.file_system.open(&self.path, OpenMode::CREATE)?;
        if let Err(error) = file.allocate(self.bytes) {
            // A part that was found would be kept from those who need it now.
            let _ = file.set_len(0);
            return Err(error);
        }
        *held = true;
        Ok(())
    }

    /// Gives the room up. False when there was none to give.
    pub fn release(&self) -> bool {
        let mut held = self.held.lock();
        let released = *held
            && self
                .file_system
                .open(&self.path, OpenMode::READ_WRITE)
                .and_then(|file| file.set_len(0))
                .is_ok();
        *held = false;
        released
    }

    /// Whether there is room for `more` bytes beside the reserve, which is held afterwards. Asks the disk for the bytes: free
    /// space as the disk counts it says nothing of quotas.
    ///
    /// # Errors
    /// What the disk reports; the reserve may be given up then.
    pub fn probe(&self, more: u64) -> io::Result<()> {
        let mut held = self.held.lock();
        *held = false;
        let file = self.file_system.open(&self.path, OpenMode::CREATE)?;
        if let Err(error) = file.allocate(self.bytes + more) {
            let _ = file.set_len(0);
            return Err(error);
        }
        file.set_len(self.bytes)?;
        *held = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryFileSystem;

    fn disk(capacity: u64) -> MemoryFileSystem {
        let disk = MemoryFileSystem::new();
        disk.create_dir_all(Path::new("/data")).unwrap();
        disk.set_capacity(Some(capacity));
        disk
    }

    fn write(disk: &MemoryFileSystem, bytes: usize) -> io::Result<()> {
        let file = disk.open(Path::new("/data/file"), OpenMode::CREATE)?;
        file.write_all_at(&vec![1; bytes], 0)
    }

    #[test]
    fn room_is_held_until_it_is_released() {
        let disk = disk(1000);
        let reserve = Reserve::new(Arc::new(disk.clone()), Path::new("/data"), 400);
        reserve.hold().unwrap();
        reserve.hold().unwrap();
        assert!(is_full(&write(&disk, 601).unwrap_err()));
        assert!(reserve.release());
        write(&disk, 601).unwrap();
        assert!(!reserve.release(), "there is nothing more to give");
        assert!(is_full(&reserve.hold().unwrap_err()));
        write(&disk, 1000).unwrap();
    }

    #[test]
    fn a_probe_asks_for_more_than_it_keeps() {
        let disk = disk(1000);
        let reserve = Reserve::new(Arc::new(disk.clone()), Path::new("/data"), 400);
        assert!(is_full(&reserve.probe(601).unwrap_err()));
        write(&disk, 100).unwrap();
        reserve.probe(500).unwrap();
        assert_eq!(disk.free_bytes(Path::new("/data")).unwrap(), 500);
    }

    #[test]
    fn a_sync_without_room_is_a_fault() {
        assert!(!is_full(&lost_by_sync(io::ErrorKind::StorageFull.into())));
        assert_eq!(
            lost_by_sync(io::ErrorKind::NotFound.into()).kind(),
            io::ErrorKind::NotFound
        );
    }
}
