//! A file of which only what is in memory can be read: for threads that must not wait for a disk.

use std::io::{self, IoSlice};
use std::sync::Arc;

use crate::file_system::File;

/// See the module. Nothing is written through it.
#[derive(Debug)]
pub(crate) struct CachedFile(pub(crate) Arc<dyn File>);

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::PermissionDenied.into())
}

impl File for CachedFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_cached_at(buffer, position)
    }

    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_cached_at(buffer, position)
    }

    fn write_all_at(&self, _bytes: &[u8], _position: u64) -> io::Result<()> {
        read_only()
    }

    fn write_all_vectored_at(&self, _slices: &[IoSlice<'_>], _position: u64) -> io::Result<()> {
        read_only()
    }

    fn sync_data(&self) -> io::Result<()> {
        read_only()
    }

    fn set_len(&self, _length: u64) -> io::Result<()> {
        read_only()
    }

    fn allocate(&self, _length: u64) -> io::Result<()> {
        read_only()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}
