//! A file system in memory: ends of processes and power cuts on request, faults on request, room on request.
//!
//! Stricter than any real one: a file's bytes say nothing about its name and the other way round, so who forgets to sync
//! either loses it at a power cut. Names in one directory become durable in their order, as a journal has it.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::file_system::{File, FileLock, FileSystem, OpenMode};
use crate::testing::memory_inodes::{Dice, DirectoryNode, FileNode, Node};

/// Kinds of calls, for faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Operation {
    /// Opening a file.
    Open,
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Cutting or extending a file.
    SetLen,
    /// `sync_data`.
    SyncData,
    /// Making directories.
    CreateDir,
    /// Listing a directory.
    ReadDir,
    /// Renaming.
    Rename,
    /// Removing a file or a directory.
    Remove,
    /// `sync_dir`.
    SyncDir,
}

impl Operation {
    fn changes(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::ReadDir)
    }
}

/// A call at which the process ends: before or after which of them, see [`MemoryFileSystem::stop_at`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What is called.
    pub operation: Operation,
    /// On paths that contain this.
    pub path_part: &'static str,
    /// So many such calls are let through.
    pub skip: u32,
    /// The call is done; otherwise it isn't, and a write by half.
    pub after: bool,
}

#[derive(Debug)]
struct Fault {
    operation: Operation,
    path_part: String,
    kind: io::ErrorKind,
}

#[derive(Debug, Default)]
struct State {
    root: DirectoryNode,
    /// Counts ends of the process: handles of an earlier life are dead.
    life: u64,
    /// Changing calls that still succeed; `None` for all.
    calls_left: Option<u64>,
    calls_made: u64,
    /// Where the process is to end.
    step: Option<Step>,
    faults: Vec<Fault>,
    capacity_bytes: Option<u64>,
    locks: BTreeSet<PathBuf>,
}

/// See the module. Clones share the same disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryFileSystem {
    state: Arc<Mutex<State>>,
}

impl MemoryFileSystem {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The process dies: handles and locks of before are dead, everything written stays, injected faults end.
    pub fn kill(&self) {
        let mut state = self.state.lock();
        state.life += 1;
        state.locks.clear();
        state.calls_left = None;
        state.step = None;
        state.faults.clear();
    }

    /// The power fails: as [`MemoryFileSystem::kill`], and of what wasn't synced only a part that `seed` picks stays.
    pub fn power_cut(&self, seed: u64) {
        self.kill();
        self.state.lock().root.power_cut(&mut Dice(seed));
    }

    /// After `calls` more changing calls everything fails, as if the process had been stopped there; a write that falls on
    /// the limit is done by half. Ends with [`MemoryFileSystem::kill`] or [`MemoryFileSystem::power_cut`].
    pub fn stop_after(&self, calls: u64) {
        self.state.lock().calls_left = Some(calls);
    }

    /// At this step everything begins to fail, as if the process had been stopped there. Ends as [`MemoryFileSystem::stop_after`] does;
    /// another one, or none, takes its place.
    pub fn stop_at(&self, step: Option<Step>) {
        self.state.lock().step = step;
    }

    /// Whether the process got as far as it was meant to.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state.lock().calls_left == Some(0)
    }

    /// Changing calls made so far: to pick a place for [`MemoryFileSystem::stop_after`].
    #[must_use]
    pub fn calls_made(&self) -> u64 {
        self.state.lock().calls_made
    }

    /// From now on `operation` fails on paths that contain `path_part`.
    pub fn fail(&self, operation: Operation, path_part: &str, kind: io::ErrorKind) {
        self.state.lock().faults.push(Fault {
            operation,
            path_part: path_part.to_owned(),
            kind,
        });
    }

    /// Ends the faults of [`MemoryFileSystem::fail`].
    pub fn heal(&self) {
        self.state.lock().faults.clear();
    }

    /// Bounds the bytes of all files; writes beyond fail with `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity_bytes = bytes;
    }

    /// Bytes of all files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.state.lock().root.size_bytes()
    }

    fn begin(&self, operation: Operation, path: &Path) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock();
        state.check(operation, path)?;
        Ok(state)
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
}

fn name_of(path: &Path) -> io::Result<&str> {
    path.file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

impl State {
    fn check(&mut self, operation: Operation, path: &Path) -> io::Result<()> {
        if self.calls_left == Some(0) {
            return Err(io::Error::other("the process was stopped"));
        }
        if operation.changes() {
            self.calls_made += 1;
            self.calls_left = self.calls_left.map(|left| left - 1);
            if self.calls_left == Some(0) {
                return Err(io::Error::other("the process was stopped"));
            }
        }
        let text = path.to_string_lossy();
        if let Some(step) = &mut self.step
            && step.operation == operation
            && text.contains(step.path_part)
        {
            if step.skip == 0 {
                let after = step.after;
                self.step = None;
                self.calls_left = Some(0);
                return if after {
                    Ok(())
                } else {
                    Err(io::Error::other("the process was stopped"))
                };
            }
            step.skip -= 1;
        }
        let hit = self
            .faults
            .iter()
            .find(|fault| fault.operation == operation && text.contains(&fault.path_part));
        hit.map_or(Ok(()), |fault| Err(fault.kind.into()))
    }

    /// Runs `f` on a directory.
    fn with_directory<T>(&mut self, path: &Path, f: impl FnOnce(&mut DirectoryNode) -> io::Result<T>) -> io::Result<T> {
        let mut at: Option<Arc<Mutex<DirectoryNode>>> = None;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
            let next = match &at {
                None => self.root.current.get(name).cloned(),
                Some(directory) => directory.lock().current.get(name).cloned(),
            };
            match next {
                Some(Node::Directory(directory)) => at = Some(directory),
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => return Err(not_found(path)),
            }
        }
        match at {
            None => f(&mut self.root),
            Some(directory) => f(&mut directory.lock()),
        }
    }

    fn with_parent<T>(
        &mut self,
        path: &Path,
        f: impl FnOnce(&mut DirectoryNode, &str) -> io::Result<T>,
    ) -> io::Result<T> {
        let name = name_of(path)?;
        self.with_directory(path.parent().unwrap_or(Path::new("/")), |directory| f(directory, name))
    }

    fn node(&mut self, path: &Path) -> io::Result<Node> {
        self.with_parent(path, |parent, name| {
            parent.current.get(name).cloned().ok_or_else(|| not_found(path))
        })
    }

    /// How many of `more` bytes find no room.
    fn lacking_room(&self, more: u64) -> u64 {
        match self.capacity_bytes {
            Some(capacity) if more > 0 => (self.root.size_bytes() + more).saturating_sub(capacity).min(more),
            _ => 0,
        }
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryFileSystem,
    path: PathBuf,
    node: Arc<Mutex<FileNode>>,
    mode: OpenMode,
    life: u64,
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

#[derive(Debug)]
struct MemoryLock {
    disk: MemoryFileSystem,
    path: PathBuf,
    life: u64,
}

impl FileLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

impl FileSystem for MemoryFileSystem {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.begin(Operation::Open, path)?;
        let life = state.life;
        let node = match state.node(path) {
            Ok(Node::File(node)) => node,
            Ok(Node::Directory(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && mode.create && mode.write => {
                // Making a name is a change like any other.
                state.check(Operation::Write, path)?;
                let node = Arc::new(Mutex::new(FileNode::default()));
                let linked = Node::File(Arc::clone(&node));
                state.with_parent(path, |parent, name| {
                    parent.link(name, linked);
                    Ok(())
                })?;
                node
            }
            Err(error) => return Err(error),
        };
        Ok(Arc::new(MemoryFile {
            disk: self.clone(),
            path: path.to_owned(),
            node,
            mode,
            life,
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::CreateDir, path)?;
        let mut at = PathBuf::from("/");
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
            state.with_directory(&at, |directory| {
                if !directory.current.contains_key(name) {
                    directory.link(name, Node::Directory(Arc::default()));
                }
                Ok(())
            })?;
            at.push(name);
        }
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut state = self.begin(Operation::ReadDir, path)?;
        state.with_directory(path, |directory| Ok(directory.current.keys().cloned().collect()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::Rename, from)?;
        let node = state.node(from)?;
        if matches!(state.node(to), Ok(Node::Directory(_))) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let target = name_of(to)?;
        if from.parent() == to.parent() {
            return state.with_parent(from, |parent, name| {
                parent.rename(name, target);
                Ok(())
            });
        }
        state.with_parent(to, |parent, name| {
            parent.link(name, node);
            Ok(())
        })?;
        state.with_parent(from, |parent, name| {
            parent.unlink(name);
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::Remove, path)?;
        state.with_parent(path, |parent, name| match parent.current.get(name) {
            Some(Node::File(_)) => {
                parent.unlink(name);
                Ok(())
            }
            Some(Node::Directory(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(not_found(path)),
        })
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::Remove, path)?;
        state.with_parent(path, |parent, name| match parent.current.get(name) {
            Some(Node::Directory(_)) => {
                parent.unlink(name);
                Ok(())
            }
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(not_found(path)),
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::SyncDir, path)?;
        state.with_directory(path, |directory| {
            directory.sync();
            Ok(())
        })
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.begin(Operation::ReadDir, path)?;
        if path.file_name().is_none() {
            return Ok(true);
        }
        match state.node(path) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        if !self.exists(path)? {
            return Ok(false);
        }
        let mut state = self.state.lock();
        Ok(path.file_name().is_none() || matches!(state.node(path), Ok(Node::Directory(_))))
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.begin(Operation::ReadDir, path)?;
        match state.node(path)? {
            Node::File(file) => Ok(file.lock().len()),
            Node::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.open(path, OpenMode::CREATE)?;
        let mut state = self.state.lock();
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock {
            disk: self.clone(),
            path: path.to_owned(),
            life: state.life,
        }))
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let state = self.state.lock();
        Ok(state.capacity_bytes.map_or(u64::MAX / 2, |capacity| {
            capacity.saturating_sub(state.root.size_bytes())
        }))
    }

    fn total_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.state.lock().capacity_bytes.unwrap_or(u64::MAX / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::file_system_conformance;

    #[test]
    fn the_disk_in_memory_conforms() {
        file_system_conformance(&MemoryFileSystem::new(), Path::new("/disk"));
    }

    fn read(disk: &MemoryFileSystem, path: &str) -> Option<Vec<u8>> {
        crate::read_file(disk, Path::new(path)).unwrap()
    }

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_a_kill_keeps_everything() {
        for seed in 0..64 {
            let disk = MemoryFileSystem::new();
            let file = disk.open(Path::new("/a"), OpenMode::CREATE).unwrap();
            file.write_all_at(b"durable", 0).unwrap();
            file.sync_data().unwrap();
            disk.sync_dir(Path::new("/")).unwrap();
            file.write_all_at(b" and not", 7).unwrap();
            disk.open(Path::new("/b"), OpenMode::CREATE).unwrap();
            disk.kill();
            assert!(file.write_all_at(b"x", 0).is_err(), "handles die with their process");
            assert_eq!(read(&disk, "/a").unwrap(), b"durable and not");
            disk.power_cut(seed);
            let left = read(&disk, "/a").unwrap();
            assert!(left.starts_with(b"durable") && left.len() <= 15, "{left:?}");
        }
    }

    #[test]
    fn a_process_ends_at_the_step_it_is_told_to_end_at() {
        let written = |after| {
            let disk = MemoryFileSystem::new();
            let file = disk.open(Path::new("/a"), OpenMode::CREATE).unwrap();
            disk.stop_at(Some(Step {
                operation: Operation::Write,
                path_part: "a",
                skip: 1,
                after,
            }));
            file.write_all_at(b"one", 0).unwrap();
            assert!(!disk.is_stopped());
            assert_eq!(file.write_all_at(b"four", 3).is_ok(), after);
            assert!(disk.is_stopped());
            assert!(file.sync_data().is_err());
            disk.kill();
            assert!(!disk.is_stopped());
            read(&disk, "/a").unwrap()
        };
        assert_eq!(written(true), b"onefour");
        assert_eq!(written(false), b"onefo");
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_lost() {
        let lost = (0..64).filter(|seed| {
            let disk = MemoryFileSystem::new();
            disk.open(Path::new("/a"), OpenMode::CREATE)
                .unwrap()
                .sync_data()
                .unwrap();
            disk.power_cut(*seed);
            read(&disk, "/a").is_none()
        });
        assert!((1..64).contains(&lost.count()));
    }
}
