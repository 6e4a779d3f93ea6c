//! Segments give way to the one that compaction made of them.
//!
//! SWAP-1: wherever that is interrupted, a start finds the old segments or the new one, never both or a part. The new one, synced,
//! is renamed to `.log.swap`; from then on it counts for all that it reaches over. Those are renamed out of the way, then it gets
//! the name of the first. A start that finds the `.swap` does the rest. Names become durable in the order in which they are
//! changed, as journals have it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::{Offset, TimestampMs};

use crate::atomic_file::ignore_not_found;
use crate::file_names::{INDEX, LOG, LOG_SWAP, TIME_INDEX, TXN_INDEX, parse_segment_file, segment_file};
use crate::file_system::{FileSystem, OpenMode};
use crate::log::Log;
use crate::log::flush::FlushState;
use crate::log::open::remove_segment;
use crate::log::retention::DeletionTask;
use crate::log_config::LogConfig;
use crate::log_error::{LogError, StorageContext};
use crate::segment::scan::SegmentScan;
use crate::segment::{ActiveSegment, ClosedSegment, cleaned_file};

/// A segment that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) base_offset: Offset,
    pub(crate) size_bytes: u64,
}

/// A compacted segment, to stand in the place of those that it was made of.
#[derive(Debug)]
#[must_use = "it counts once it is installed"]
pub struct CleanedGroup {
    pub(crate) file_system: Arc<dyn FileSystem>,
    pub(crate) directory: PathBuf,
    pub(crate) flush: Arc<FlushState>,
    pub(crate) generation: u64,
    /// Oldest first; never empty.
    pub(crate) replaced: Vec<Replaced>,
    pub(crate) closed: ClosedSegment,
}

impl CleanedGroup {
    /// Bytes of the segments before, and of the one that stands for them.
    #[must_use]
    pub fn size_bytes(&self) -> (u64, u64) {
        let before = self.replaced.iter().map(|segment| segment.size_bytes).sum();
        (before, self.closed.size_bytes)
    }

    /// Gives it up: its files are removed, or left to the next start.
    pub fn abandon(self) {
        Self::remove_files(&*self.file_system, &self.directory, self.closed.base_offset);
    }

    pub(crate) fn remove_files(file_system: &dyn FileSystem, directory: &Path, base_offset: Offset) {
        for suffix in [INDEX, TIME_INDEX, LOG] {
            let path = cleaned_file(directory, base_offset, suffix);
            if let Err(error) = ignore_not_found(file_system.remove_file(&path)) {
                tracing::debug!(path = %path.display(), %error, "what compaction left stays until the next start");
            }
        }
    }

    /// Makes content durable, before any name says that it counts.
    pub(crate) fn sync_files(
        file_system: &dyn FileSystem,
        directory: &Path,
        output: &ActiveSegment,
    ) -> Result<(), LogError> {
        output.file(file_system)?.sync_data().during("sync", output.path())?;
        for suffix in [INDEX, TIME_INDEX] {
            let path = cleaned_file(directory, output.base_offset, suffix);
            let file = file_system.open(&path, OpenMode::READ_WRITE).during("open", &path)?;
            file.sync_data().during("sync", &path)?;
        }
        Ok(())
    }
}

impl Log {
    /// Puts a compacted segment in the place of those that it was made of. Renames only. False when they aren't there any more, as
    /// they were: the group is to be abandoned. The task removes what is left of them.
    ///
    /// # Errors
    /// `Storage`, `Poisoned`.
    pub fn install_cleaned(&mut self, group: &CleanedGroup) -> Result<(bool, Option<DeletionTask>), LogError> {
        self.check_not_poisoned()?;
        let Some(first) = self.place_of(group) else {
            return Ok((false, None));
        };
        // As long as this hasn't happened nothing has, and it may be tried again.
        let (cleaned, swap) = (
            cleaned_file(&self.directory, group.closed.base_offset, LOG),
            segment_file(&self.directory, group.closed.base_offset, LOG_SWAP),
        );
        self.file_system.rename(&cleaned, &swap).during("rename", &cleaned)?;
        let installed = self.swap(group, first);
        self.poisoning(installed).map(|deletion| (true, deletion))
    }

    fn place_of(&self, group: &CleanedGroup) -> Option<usize> {
        let of_this_log = Arc::ptr_eq(&self.flush, &group.flush) && self.generation == group.generation;
        let base_offset = group.replaced.first().filter(|_| of_this_log)?.base_offset;
        let first = self
            .closed
            .iter()
            .position(|segment| segment.base_offset == base_offset)?;
        let there = self.closed.get(first..first + group.replaced.len())?.iter();
        let there = there.map(|segment| Replaced {
            base_offset: segment.base_offset,
            size_bytes: segment.size_bytes,
        });
        there.eq(group.replaced.iter().copied()).then_some(first)
    }

    fn swap(&mut self, group: &CleanedGroup, first: usize) -> Result<Option<DeletionTask>, LogError> {
        let (fs, base_offset) = (Arc::clone(&self.file_system), group.closed.base_offset);
        let rename = |from: PathBuf, to: PathBuf| fs.rename(&from, &to).during("rename", &from);
        let place = |suffix| segment_file(&self.directory, base_offset, suffix);
        let cleaned = |suffix| cleaned_file(&self.directory, base_offset, suffix);
        rename(cleaned(INDEX), place(INDEX))?;
        rename(cleaned(TIME_INDEX), place(TIME_INDEX))?;
        let transactions = place(TXN_INDEX);
        ignore_not_found(fs.remove_file(&transactions)).during("remove", &transactions)?;
        let (swap, log) = (place(LOG_SWAP), place(LOG));
        let others: Vec<Offset> = group
            .replaced
            .iter()
            .skip(1)
            .map(|segment| segment.base_offset)
            .collect();
        let deletion = self.retire_files(&others)?;
        rename(swap, log)?;
        let installed = ClosedSegment {
            base_offset,
            size_bytes: group.closed.size_bytes,
            created: group.closed.created,
            max_timestamp: group.closed.max_timestamp.clone(),
            unsynced: None,
        };
        self.closed
            .splice(first..first + group.replaced.len(), std::iter::once(installed));
        // Places in the old files mean nothing in the new one.
        self.forget_reads();
        self.names_version += 1;
        self.cleanings += 1;
        Ok(deletion)
    }
}

/// Does what is left of interrupted swaps (SWAP-1); returns the names in the directory.
pub(crate) fn finish_swaps(fs: &dyn FileSystem, directory: &Path) -> Result<Vec<String>, LogError> {
    let names = || fs.read_dir(directory).during("list", directory);
    let found = names()?;
    let swaps: Vec<Offset> = found
        .iter()
        .filter_map(|name| parse_segment_file(name, LOG_SWAP))
        .collect();
    if swaps.is_empty() {
        return Ok(found);
    }
    for base_offset in swaps {
        let segment = indexed(fs, directory, base_offset)?;
        let replaced = found.iter().filter_map(|name| parse_segment_file(name, LOG));
        for old in replaced.filter(|old| *old > base_offset && *old < segment) {
            remove_segment(fs, directory, old)?;
        }
        let swap = segment_file(directory, base_offset, LOG_SWAP);
        let place = segment_file(directory, base_offset, LOG);
        fs.rename(&swap, &place).during("rename", &swap)?;
        tracing::info!(path = %place.display(), "an interrupted compaction of this segment is complete");
    }
    fs.sync_dir(directory).during("sync", directory)?;
    names()
}

/// Writes the indexes of a `.swap` anew; returns the offset after it.
fn indexed(fs: &dyn FileSystem, directory: &Path, base_offset: Offset) -> Result<Offset, LogError> {
    for suffix in [INDEX, TIME_INDEX, TXN_INDEX] {
        let path = segment_file(directory, base_offset, suffix);
        ignore_not_found(fs.remove_file(&path)).during("remove", &path)?;
    }
    let path = segment_file(directory, base_offset, LOG_SWAP);
    let file = fs.open(&path, OpenMode::READ).during("open", &path)?;
    let length = file.len().during("stat", &path)?;
    let mut scan = SegmentScan::new(file, path.clone(), 0, length, base_offset);
    let mut segment = ActiveSegment::bare(directory, base_offset, TimestampMs(0));
    let mut end = base_offset;
    loop {
        match scan.next_header() {
            Ok(Some(located)) => {
                segment.note_batch(fs, &LogConfig::default(), &located.header)?;
                end = located.header.next_offset();
            }
            Ok(None) => break,
            Err(LogError::Corrupt { position, reason, .. }) => {
                tracing::warn!(path = %path.display(), position, reason, "a compacted segment is damaged");
                break;
            }
            Err(error) => return Err(error),
        }
    }
    match segment.write_indexes(fs) {
        // A start succeeds on a full disk; without an index reads scan.
        Err(error) if error.is_full() => {}
        written => written?,
    }
    Ok(end)
}
