//! An open file of the disk in memory.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{MemoryFileSystem, Operation, State};
use crate::file_system::{File, OpenMode};
use crate::testing::memory_inodes::FileNode;

/// A handle; dead when the process that opened it has ended.
#[derive(Debug)]
pub(super) struct MemoryFile {
    pub(super) disk: MemoryFileSystem,
    pub(super) path: PathBuf,
    pub(super) node: Arc<Mutex<FileNode>>,
    pub(super) mode: OpenMode,
    pub(super) life: u64,
}

impl MemoryFile {
    fn begin(&self, operation: Operation) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.disk.state.lock();
        if state.life != self.life {
            return Err(io::Error::other("a handle of a process that has ended"));
        }
        state.check(operation, &self.path)?;
        Ok(state)
    }
}

impl File for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let _state = self.begin(Operation::Read)?;
        if !self.mode.read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let node = self.node.lock();
        let from = usize::try_from(position).unwrap_or(usize::MAX);
        let rest = node.current.get(from..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.read_at(buffer, position)
    }

    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        if !self.mode.write {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let position = usize::try_from(position).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let was_running = self.disk.state.lock().calls_left != Some(0);
        match self.begin(Operation::Write) {
            Ok(state) => {
                let length = usize::try_from(self.node.lock().len()).unwrap_or(usize::MAX);
                let growth = (position + bytes.len()).saturating_sub(length);
                let lacking = state.lacking_room(growth as u64);
                // As a disk does it: what fits is written.
                let fits = bytes.len() - usize::try_from(lacking).unwrap_or(usize::MAX).min(bytes.len());
                self.node.lock().write(position, &bytes[..fits]);
                if lacking > 0 {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                Ok(())
            }
            Err(error) => {
                let state = self.disk.state.lock();
                if was_running && state.life == self.life && state.calls_left == Some(0) {
                    self.node.lock().write(position, &bytes[..bytes.len() / 2]);
                }
                Err(error)
            }
        }
    }

    fn write_all_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let whole: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.write_all_at(&whole, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        let _state = self.begin(Operation::SyncData)?;
        self.node.lock().sync();
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if !self.mode.write {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let _state = self.begin(Operation::SetLen)?;
        self.node
            .lock()
            .set_len(usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?);
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        if !self.mode.write {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let state = self.begin(Operation::SetLen)?;
        let growth = length.saturating_sub(self.node.lock().len());
        if state.lacking_room(growth) > 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.node.lock().allocate(length);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let _state = self.begin(Operation::Read)?;
        Ok(self.node.lock().len())
    }
}
