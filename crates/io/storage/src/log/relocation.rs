//! A log moves to another log directory while it is used (KIP-113): copied in the background, then continued there.
//!
//! MOVE-1: what is copied beside the appends only counts while no truncation and no compaction came between; after one it begins anew.
//! MOVE-2: the copy gets the partition's name only when every byte and name of it is durable. Until then it lies under a name that is
//! no partition's, and is removed after the next start. MOVE-3: before that the log that is left is marked, durably: of two logs of a
//! partition the one without the mark goes on, and a marked one alone only when every directory can be read, so that no other is
//! anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::{Offset, TopicId};

use crate::atomic_file::{ignore_not_found, write_file_atomically};
use crate::file_names::{
    INDEX, LEADER_EPOCH_CHECKPOINT, LEFT, LOG, PARTITION_METADATA, SNAPSHOT, TIME_INDEX, TXN_INDEX, parse_segment_file,
    segment_file,
};
use crate::file_system::{FileSystem, OpenMode};
use crate::log::flush::FlushState;
use crate::log::partition_metadata;
use crate::log::{Log, SegmentInfo};
use crate::log_error::{LogError, StorageContext};

/// Read and written at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// What a log holds at some moment, to be copied.
#[derive(Debug, Clone)]
pub struct LogContent {
    generation: (u64, u64),
    segments: Vec<SegmentInfo>,
    /// As in the file, which may lack the newest.
    epochs: String,
}

impl LogContent {
    /// Whether only appends and retention lie between the two.
    #[must_use]
    pub fn is_same_log(&self, other: &Self) -> bool {
        self.generation == other.generation
    }
}

/// A log's copy in the making. See the module for its invariants.
#[derive(Debug)]
pub struct LogCopy {
    from: (Arc<dyn FileSystem>, PathBuf),
    to: (Arc<dyn FileSystem>, PathBuf),
    topic_id: TopicId,
    generation: (u64, u64),
    /// Bytes of each segment's `.log` that are there.
    copied: BTreeMap<Offset, u64>,
    /// Closed segments that are there with their indexes, synced.
    complete: BTreeSet<Offset>,
}

impl Log {
    /// What is there to be copied now. Cheap.
    #[must_use]
    pub fn content(&self) -> LogContent {
        LogContent {
            generation: (self.generation, self.cleanings),
            segments: self.segments().collect(),
            epochs: self.epochs.encode(),
        }
    }

    /// Writes what is otherwise written when a log is closed, so that its files say all that it knows. Nothing is synced.
    ///
    /// # Errors
    /// `Storage`, also where there is no room; `Poisoned`.
    pub fn write_derived(&mut self) -> Result<(), LogError> {
        self.check_not_poisoned()?;
        let written = self.active.write_indexes(&*self.file_system);
        let written = written.and_then(|()| self.write_producer_snapshot());
        match written {
            Err(error) if error.is_full() => Err(error),
            written => self.poisoning(written),
        }
    }

    /// Begins a copy in `directory`, which is made; nothing of it counts as a log (MOVE-2).
    ///
    /// # Errors
    /// `Storage`, of the disk that is copied to.
    pub fn begin_copy(&self, file_system: Arc<dyn FileSystem>, directory: PathBuf) -> Result<LogCopy, LogError> {
        file_system.create_dir_all(&directory).during("create", &directory)?;
        Ok(LogCopy {
            from: (Arc::clone(&self.file_system), self.directory.clone()),
            to: (file_system, directory),
            topic_id: self.topic_id,
            generation: (self.generation, self.cleanings),
            copied: BTreeMap::new(),
            complete: BTreeSet::new(),
        })
    }

    /// Goes on in `directory`, where a finished copy lies: [`LogCopy::finish`]. Nothing may have changed the log since. Reads that
    /// were prepared before read the old files.
    pub fn continue_in(&mut self, file_system: Arc<dyn FileSystem>, directory: PathBuf) {
        self.file_system = file_system;
        self.active.relocate(&directory);
        self.directory = directory;
        for segment in &mut self.closed {
            segment.unsynced = None;
        }
        self.recovery_point = self.log_end_offset;
        self.names_synced = self.names_version;
        self.directory_synced = true;
        self.reads.lock().clear();
        // Flushes that were planned before belong to the old directory.
        self.flush = Arc::new(FlushState::of_generation(self.generation));
    }
}

impl LogCopy {
    /// Copies at most `bytes`, oldest first. Returns how many were copied, and how many of `content` are left.
    ///
    /// # Errors
    /// `Storage`; the path tells which disk.
    pub fn copy(&mut self, content: &LogContent, bytes: u64) -> Result<(u64, u64), LogError> {
        if content.generation != self.generation {
            self.begin_anew(content.generation)?;
        }
        let kept: Vec<Offset> = content.segments.iter().map(|segment| segment.base_offset).collect();
        let gone: Vec<Offset> = self
            .copied
            .keys()
            .filter(|base| kept.binary_search(base).is_err())
            .copied()
            .collect();
        for base_offset in gone {
            self.forget(base_offset)?;
        }
        let mut budget = bytes;
        for segment in &content.segments {
            let there = self.copied_of(segment);
            let end = segment.size_bytes.min(there.saturating_add(budget));
            if there < end {
                budget = budget.saturating_sub(end.saturating_sub(there));
                if !self.copy_log(segment.base_offset, there, end)? {
                    // Retention was faster: the next content is without it.
                    self.forget(segment.base_offset)?;
                    continue;
                }
                self.copied.insert(segment.base_offset, end);
            }
            let is_whole = end == segment.size_bytes && !segment.active;
            if is_whole && !self.complete.contains(&segment.base_offset) {
                self.complete_segment(segment.base_offset)?;
                self.complete.insert(segment.base_offset);
            }
        }
        let left = content.segments.iter();
        let left = left.map(|segment| segment.size_bytes.saturating_sub(self.copied_of(segment)));
        Ok((bytes.saturating_sub(budget), left.sum()))
    }

    /// The offset below which all is copied.
    #[must_use]
    pub fn copied_up_to(&self, content: &LogContent) -> Option<Offset> {
        let unfinished = content
            .segments
            .iter()
            .find(|segment| self.copied_of(segment) < segment.size_bytes);
        unfinished.map(|segment| segment.base_offset)
    }

    /// Bytes that are copied.
    #[must_use]
    pub fn copied_bytes(&self) -> u64 {
        self.copied.values().sum()
    }

    /// Copies what is left of a log that changes no more, after [`Log::write_derived`], and makes all of it durable (MOVE-2). The
    /// directory is to be given the partition's name then.
    ///
    /// # Errors
    /// As [`LogCopy::copy`].
    pub fn finish(&mut self, content: &LogContent) -> Result<(), LogError> {
        let (_, left) = self.copy(content, u64::MAX)?;
        if left > 0 {
            let gone = io::Error::new(io::ErrorKind::NotFound, "a segment is missing");
            return Err(gone).during("copy", &self.from.1);
        }
        if let Some(last) = content.segments.last() {
            // Made also where it is empty.
            self.copy_log(last.base_offset, last.size_bytes, last.size_bytes)?;
            self.complete_segment(last.base_offset)?;
        }
        let (from, directory) = &self.from;
        for name in from.read_dir(directory).during("list", directory)? {
            if parse_segment_file(&name, SNAPSHOT).is_some() {
                self.copy_file(&name)?;
            }
        }
        partition_metadata::write(&*self.to.0, &self.to.1, self.topic_id)?;
        let metadata = self.to.1.join(PARTITION_METADATA);
        let file = self
            .to
            .0
            .open(&metadata, OpenMode::READ_WRITE)
            .during("open", &metadata)?;
        file.sync_data().during("sync", &metadata)?;
        let epochs = self.to.1.join(LEADER_EPOCH_CHECKPOINT);
        write_file_atomically(&*self.to.0, &epochs, content.epochs.as_bytes()).during("write", &epochs)?;
        self.to.0.sync_dir(&self.to.1).during("sync", &self.to.1)
    }

    /// Whether so little of `content` is left that writers may wait for it.
    #[must_use]
    pub fn is_near(&self, content: &LogContent, bytes: u64) -> bool {
        let left = content.segments.iter();
        let left = left.map(|segment| segment.size_bytes.saturating_sub(self.copied_of(segment)));
        content.generation == self.generation && left.sum::<u64>() <= bytes
    }

    /// Marks the log that was copied as left (MOVE-3), durably.
    ///
    /// # Errors
    /// `Storage`, of the disk that is left.
    pub fn leave(&self) -> Result<(), LogError> {
        let mark = self.from.1.join(LEFT);
        write_file_atomically(&*self.from.0, &mark, b"").during("write", &mark)
    }

    /// Takes [`LogCopy::leave`] back: the log stays after all.
    ///
    /// # Errors
    /// `Storage`, of the disk that was to be left.
    pub fn stay(&self) -> Result<(), LogError> {
        let mark = self.from.1.join(LEFT);
        ignore_not_found(self.from.0.remove_file(&mark)).during("remove", &mark)?;
        self.from.0.sync_dir(&self.from.1).during("sync", &self.from.1)
    }

    /// Where it lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.to.1
    }

    /// The disk that it lies on.
    #[must_use]
    pub fn file_system(&self) -> Arc<dyn FileSystem> {
        Arc::clone(&self.to.0)
    }

    /// Removes what was copied.
    ///
    /// # Errors
    /// `Storage`.
    pub fn abandon(self) -> Result<(), LogError> {
        let (to, directory) = &self.to;
        ignore_not_found(to.remove_dir_all(directory)).during("remove", directory)
    }

    fn copied_of(&self, segment: &SegmentInfo) -> u64 {
        self.copied.get(&segment.base_offset).copied().unwrap_or(0)
    }

    fn begin_anew(&mut self, generation: (u64, u64)) -> Result<(), LogError> {
        let (to, directory) = &self.to;
        to.remove_dir_all(directory).during("remove", directory)?;
        to.create_dir_all(directory).during("create", directory)?;
        self.copied.clear();
        self.complete.clear();
        self.generation = generation;
        Ok(())
    }

    fn forget(&mut self, base_offset: Offset) -> Result<(), LogError> {
        self.copied.remove(&base_offset);
        self.complete.remove(&base_offset);
        crate::log::open::remove_segment(&*self.to.0, &self.to.1, base_offset)
    }

    /// A closed segment's bytes are there: its indexes follow.
    fn complete_segment(&self, base_offset: Offset) -> Result<(), LogError> {
        for suffix in [INDEX, TIME_INDEX, TXN_INDEX] {
            let path = segment_file(&self.from.1, base_offset, suffix);
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                self.copy_file(name)?;
            }
        }
        Ok(())
    }

    /// False when the segment is gone.
    fn copy_log(&self, base_offset: Offset, from: u64, to: u64) -> Result<bool, LogError> {
        let path = segment_file(&self.from.1, base_offset, LOG);
        let source = match self.from.0.open(&path, OpenMode::READ) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            source => source.during("open", &path)?,
        };
        let copy_path = segment_file(&self.to.1, base_offset, LOG);
        let copy = self
            .to
            .0
            .open(&copy_path, OpenMode::CREATE)
            .during("create", &copy_path)?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut at = from;
        while at < to {
            let wanted = usize::try_from(to - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let piece = piece.get_mut(..wanted).unwrap_or_default();
            let read = source.read_at(piece, at).during("read", &path)?;
            if read == 0 {
                let short = io::Error::new(io::ErrorKind::UnexpectedEof, "shorter than its log knows");
                return Err(short).during("read", &path);
            }
            copy.write_all_at(piece.get(..read).unwrap_or_default(), at)
                .during("write", &copy_path)?;
            at = at.saturating_add(read as u64);
        }
        // Piece by piece: a sync of a whole segment could take so long that the disk looks hung.
        copy.sync_data().during("sync", &copy_path)?;
        Ok(true)
    }

    /// Copies a small file whole and syncs it; one that is missing is none.
    fn copy_file(&self, name: &str) -> Result<(), LogError> {
        let (path, copy_path) = (self.from.1.join(name), self.to.1.join(name));
        let source = match self.from.0.open(&path, OpenMode::READ) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            source => source.during("open", &path)?,
        };
        let copy = self
            .to
            .0
            .open(&copy_path, OpenMode::CREATE)
            .during("create", &copy_path)?;
        copy.set_len(0).during("truncate", &copy_path)?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut at = 0;
        loop {
            let read = source.read_at(&mut piece, at).during("read", &path)?;
            if read == 0 {
                return copy.sync_data().during("sync", &copy_path);
            }
            copy.write_all_at(piece.get(..read).unwrap_or_default(), at)
                .during("write", &copy_path)?;
            at = at.saturating_add(read as u64);
        }
    }
}
