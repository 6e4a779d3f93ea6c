//! A file system in memory: ends of processes and power cuts on request, faults on request, room on request.
//!
//! Stricter than any real one: a file's bytes say nothing about its name and the other way round, so who forgets to sync
//! either loses it at a power cut. Names in one directory become durable in their order, as a journal has it.

mod file;

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use self::file::MemoryFile;
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

fn stopped() -> io::Error {
    io::Error::other("the process was stopped")
}

fn name_of(path: &Path) -> io::Result<&str> {
    path.file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

impl State {
    fn check(&mut self, operation: Operation, path: &Path) -> io::Result<()> {
        if self.calls_left == Some(0) {
            return Err(stopped());
        }
        if operation.changes() {
            self.calls_made += 1;
            self.calls_left = self.calls_left.map(|left| left - 1);
            if self.calls_left == Some(0) {
                return Err(stopped());
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
                return if after { Ok(()) } else { Err(stopped()) };
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
mod tests;
