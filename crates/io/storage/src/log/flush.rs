//! Making the log durable outside its lock.
//!
//! FLUSH-1: the recovery point moves only after every byte, epoch and name below it was synced without an error.
//! FLUSH-2: a sync that failed poisons the log; nobody tries again as if it had worked. FLUSH-3: a truncation and a flush
//! exclude each other; a flush that was planned before a truncation does nothing. FLUSH-4: nor does one that runs when the
//! log's directory is given up: by path it would write into the directory of a successor of the same name.
//! What a flush syncs: segment files from the recovery point on by the handles that wrote them, the indexes of segments
//! closed since, new epochs, the directories. The active segment's indexes are not synced: recovery builds them anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use partition::producer_state::encode_snapshot;
use types::Offset;

use crate::atomic_file::write_file_atomically;
use crate::file_names::{INDEX, LEADER_EPOCH_CHECKPOINT, LOG, PARTITION_METADATA, TIME_INDEX, TXN_INDEX, segment_file};
use crate::file_system::{File, FileSystem, OpenMode};
use crate::log::Log;
use crate::log::producers::{prune_snapshots, write_snapshot};
use crate::log_error::{LogError, StorageContext};

/// A flush writes a producer snapshot when so much was appended since the last one: it bounds the replay after `kill -9`.
const SNAPSHOT_INTERVAL_BYTES: u64 = 16 << 20;

/// What the log and its flushes share.
#[derive(Debug, Default)]
pub(crate) struct FlushState {
    poisoned: AtomicBool,
    /// Held while a flush runs, and by truncations.
    exclusive: Mutex<FlushProgress>,
}

#[derive(Debug, Default)]
pub(crate) struct FlushProgress {
    /// Counts truncations.
    pub(crate) generation: u64,
    /// The newest version of the epochs that is in the file.
    pub(crate) epochs_written: u64,
    /// The directory is given up (FLUSH-4).
    ended: bool,
}

impl FlushState {
    /// Of a log that was truncated so often.
    pub(crate) fn of_generation(generation: u64) -> Self {
        Self {
            exclusive: Mutex::new(FlushProgress {
                generation,
                ..FlushProgress::default()
            }),
            ..Self::default()
        }
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    pub(crate) fn exclusive(&self) -> MutexGuard<'_, FlushProgress> {
        self.exclusive.lock()
    }
}

/// Ends the flushes of a log whose directory is about to be given up.
#[derive(Debug)]
#[must_use = "flushes go on until it runs"]
pub struct FlushesEnd(Arc<FlushState>);

impl FlushesEnd {
    /// Waits for a flush that is under way; none touches the directory from then on (FLUSH-4). Blocks on the disk.
    pub fn run(self) {
        self.0.exclusive().ended = true;
    }
}

/// Syncs what was appended up to its planning. Run it outside the log's lock, then tell the log: [`Log::on_flushed`].
#[derive(Debug)]
#[must_use = "nothing is durable until it runs"]
pub struct FlushTask {
    file_system: Arc<dyn FileSystem>,
    state: Arc<FlushState>,
    directory: PathBuf,
    generation: u64,
    up_to: Offset,
    names_version: u64,
    files: Vec<(PathBuf, Arc<dyn File>)>,
    /// Indexes of closed segments; synced by path, missing ones are none.
    indexes: Vec<PathBuf>,
    epochs: Option<(u64, String)>,
    snapshot: Option<Vec<u8>>,
    sync_names: bool,
    sync_directory: bool,
}

/// What a flush achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the log doesn't know before on_flushed"]
pub struct Flushed {
    /// Everything below is durable, unless the flush was overtaken by a truncation.
    pub synced_end: Offset,
    generation: u64,
    names_version: u64,
}

impl FlushTask {
    /// The offset up to which it syncs.
    #[must_use]
    pub fn up_to(&self) -> Offset {
        self.up_to
    }

    /// Syncs; blocks on the disk.
    ///
    /// # Errors
    /// `Storage`; the log is poisoned then, and its directory has to go offline, unless there was only no room. `Poisoned`
    /// when it was before.
    pub fn run(self) -> Result<Flushed, LogError> {
        let state = Arc::clone(&self.state);
        let mut progress = state.exclusive();
        if state.is_poisoned() {
            return Err(LogError::Poisoned { path: self.directory });
        }
        let flushed = Flushed {
            synced_end: self.up_to,
            generation: self.generation,
            names_version: self.names_version,
        };
        if progress.ended || progress.generation != self.generation {
            return Ok(flushed);
        }
        self.sync(&mut progress).inspect_err(|error| {
            // Without room no sync has failed (ROOM-1): a small file wasn't written, the next flush does all of it again.
            if !error.is_full() {
                state.poison();
            }
        })?;
        Ok(flushed)
    }

    fn sync(self, progress: &mut FlushProgress) -> Result<(), LogError> {
        for (path, file) in &self.files {
            file.sync_data().during("sync", path)?;
        }
        for path in &self.indexes {
            self.sync_if_present(path)?;
        }
        if let Some((version, text)) = &self.epochs
            && *version > progress.epochs_written
        {
            let path = self.directory.join(LEADER_EPOCH_CHECKPOINT);
            write_file_atomically(&*self.file_system, &path, text.as_bytes()).during("write", &path)?;
            progress.epochs_written = *version;
        }
        if let Some(content) = &self.snapshot {
            write_snapshot(&*self.file_system, &self.directory, self.up_to, content)?;
            prune_snapshots(&*self.file_system, &self.directory)?;
        }
        if self.sync_names {
            self.sync_if_present(&self.directory.join(PARTITION_METADATA))?;
            self.file_system
                .sync_dir(&self.directory)
                .during("sync", &self.directory)?;
        }
        match self.directory.parent() {
            Some(parent) if self.sync_directory => self.file_system.sync_dir(parent).during("sync", parent),
            _ => Ok(()),
        }
    }

    fn sync_if_present(&self, path: &Path) -> Result<(), LogError> {
        match self.file_system.open(path, OpenMode::READ_WRITE) {
            Ok(file) => file.sync_data().during("sync", path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).during("open", path),
        }
    }
}

impl Log {
    /// What has to be synced for everything appended so far to be durable; `None` when it is already, or the log is
    /// poisoned.
    #[must_use]
    pub fn flush_task(&self) -> Option<FlushTask> {
        let names_behind = self.names_version > self.names_synced;
        if self.is_poisoned() || (self.recovery_point >= self.log_end_offset && !names_behind) {
            return None;
        }
        let progress = self.flush.exclusive.try_lock();
        // While another flush runs the version in the file is unknown; that flush compares versions itself.
        let epochs_written = progress.as_ref().map_or(0, |progress| progress.epochs_written);
        drop(progress);
        let unsynced = self
            .closed
            .iter()
            .filter_map(|segment| Some((segment.base_offset, segment.unsynced.as_ref()?)));
        let mut files = Vec::new();
        let mut indexes = Vec::new();
        for (base_offset, file) in unsynced {
            files.push((segment_file(&self.directory, base_offset, LOG), Arc::clone(file)));
            indexes.extend(
                [INDEX, TIME_INDEX, TXN_INDEX].map(|suffix| segment_file(&self.directory, base_offset, suffix)),
            );
        }
        if let Some(file) = self.active.opened_file() {
            files.push((self.active.path().to_owned(), Arc::clone(file)));
        }
        if !self.active.aborted.is_empty() {
            indexes.push(segment_file(&self.directory, self.active.base_offset, TXN_INDEX));
        }
        let version = self.epochs.version();
        let snapshot_due = self.bytes_since_snapshot >= SNAPSHOT_INTERVAL_BYTES;
        Some(FlushTask {
            file_system: Arc::clone(&self.file_system),
            state: Arc::clone(&self.flush),
            directory: self.directory.clone(),
            generation: self.generation,
            up_to: self.log_end_offset,
            names_version: self.names_version,
            files,
            indexes,
            epochs: (version > epochs_written).then(|| (version, self.epochs.encode())),
            snapshot: snapshot_due.then(|| encode_snapshot(&self.producers)),
            sync_names: names_behind,
            sync_directory: names_behind && !self.directory_synced,
        })
    }

    /// For a log that takes no more appends.
    pub fn end_flushes(&self) -> FlushesEnd {
        FlushesEnd(Arc::clone(&self.flush))
    }

    /// A flush has succeeded: the recovery point moves.
    pub fn on_flushed(&mut self, flushed: Flushed) {
        if flushed.generation != self.generation {
            return;
        }
        self.recovery_point = self.recovery_point.max(flushed.synced_end);
        self.names_synced = self.names_synced.max(flushed.names_version);
        self.directory_synced = true;
        for at in 0..self.closed.len() {
            let end = self
                .closed
                .get(at + 1)
                .map_or(self.active.base_offset, |next| next.base_offset);
            if let Some(segment) = self.closed.get_mut(at).filter(|_| end <= flushed.synced_end) {
                segment.unsynced = None;
            }
        }
        if self.bytes_since_snapshot >= SNAPSHOT_INTERVAL_BYTES {
            // Written by the flush; what was appended meanwhile waits for the next interval.
            self.bytes_since_snapshot = 0;
        }
    }

    /// Appends after which a sync is due: plans, runs and books a flush in one go, for callers without concurrency.
    ///
    /// # Errors
    /// As [`FlushTask::run`].
    pub fn flush_now(&mut self) -> Result<(), LogError> {
        self.check_not_poisoned()?;
        if let Some(task) = self.flush_task() {
            let flushed = task.run()?;
            self.on_flushed(flushed);
        }
        Ok(())
    }

    /// Ends this log's life in good order: indexes and producer states written, everything synced. A clean-shutdown marker
    /// may only be written after all logs of the directory returned `Ok`.
    ///
    /// # Errors
    /// `Storage`, `Poisoned`.
    pub fn close_clean(&mut self) -> Result<Offset, LogError> {
        self.write_derived()?;
        self.names_version += 1;
        self.flush_now()?;
        Ok(self.recovery_point)
    }
}
