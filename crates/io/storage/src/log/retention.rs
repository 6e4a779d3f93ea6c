//! Giving up the oldest segments: by time, by size, below the log start.
//!
//! RET-1: only whole segments below the high watermark go, oldest first, and never the last empty one. RET-2: files are
//! renamed under the lock (cheap, and at once invisible to a restart) and removed by a task outside it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use types::{Offset, TimestampMs};

use crate::atomic_file::ignore_not_found;
use crate::file_system::FileSystem;
use crate::log::Log;
use crate::log_error::{LogError, StorageContext};

/// Removes renamed files. Run it after [`DeletionTask::delay`], outside the log's lock, or leave it to the next start.
#[derive(Debug)]
#[must_use = "the space is freed when it runs"]
pub struct DeletionTask {
    file_system: Arc<dyn FileSystem>,
    directory: PathBuf,
    files: Vec<PathBuf>,
    delay: Duration,
}

impl DeletionTask {
    pub(crate) fn new(
        file_system: Arc<dyn FileSystem>,
        directory: PathBuf,
        files: Vec<PathBuf>,
        delay: Duration,
    ) -> Self {
        Self {
            file_system,
            directory,
            files,
            delay,
        }
    }

    /// How long to wait first (`file.delete.delay.ms`): readers that hold a name may still open it.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Removes the files, after making their new names durable, so that no power cut brings a part of them back.
    ///
    /// # Errors
    /// `Storage`. Files that are gone already are no error.
    pub fn run(self) -> Result<(), LogError> {
        match self.file_system.sync_dir(&self.directory) {
            // The whole partition was removed meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.during("sync", &self.directory)?,
        }
        for path in &self.files {
            ignore_not_found(self.file_system.remove_file(path)).during("remove", path)?;
        }
        Ok(())
    }
}

/// What retention did.
#[derive(Debug, Default)]
#[must_use = "the files are removed by the task"]
pub struct Retired {
    /// Segments that went.
    pub segments: usize,
    /// Their bytes.
    pub size_bytes: u64,
    /// Removes their files; `None` when none went.
    pub deletion: Option<DeletionTask>,
}

impl Log {
    /// Deletes segments that `retention.ms`, `retention.bytes` or the log start no longer keep.
    ///
    /// # Errors
    /// `Storage`, `Poisoned`.
    pub fn delete_retired_segments(&mut self, now: TimestampMs, high_watermark: Offset) -> Result<Retired, LogError> {
        self.check_not_poisoned()?;
        let count = self.retired_count(now, high_watermark)?;
        self.delete_oldest(count, now)
    }

    /// Raises the log start (DeleteRecords); segments wholly below it go. The caller bounds `offset` by the high
    /// watermark, and checkpoints the log start.
    ///
    /// # Errors
    /// `OffsetOutOfRange` above the log end; `Storage`, `Poisoned`.
    pub fn advance_log_start(&mut self, offset: Offset, now: TimestampMs) -> Result<Retired, LogError> {
        self.check_not_poisoned()?;
        if offset <= self.log_start_offset {
            return Ok(Retired::default());
        }
        self.check_range(offset)?;
        self.log_start_offset = offset;
        self.epochs.truncate_from_start(offset);
        let count = (0..self.closed.len())
            .take_while(|at| self.end_of_closed(*at) <= offset)
            .count();
        self.delete_oldest(count, now)
    }

    pub(crate) fn end_of_closed(&self, at: usize) -> Offset {
        self.closed
            .get(at + 1)
            .map_or(self.active.base_offset, |next| next.base_offset)
    }

    /// How many of the oldest segments (the active one counts last) may and must go.
    fn retired_count(&self, now: TimestampMs, high_watermark: Offset) -> Result<usize, LogError> {
        let mut excess = match self.config.retention_bytes {
            Some(limit) if self.config.delete => self.size_bytes().saturating_sub(limit),
            _ => 0,
        };
        let retention_ms = self
            .config
            .retention_ms
            .filter(|limit| self.config.delete && *limit >= 0);
        for (at, segment) in self.closed.iter().enumerate() {
            let end = self.end_of_closed(at);
            let below_start = end <= self.log_start_offset;
            let by_size = excess > 0 && segment.size_bytes <= excess;
            let by_time = match retention_ms {
                Some(limit) if !below_start && !by_size => {
                    now.0.saturating_sub(self.largest_timestamp(segment)?.0) > limit
                }
                _ => false,
            };
            if end > high_watermark || !(below_start || by_size || by_time) {
                return Ok(at);
            }
            excess = excess.saturating_sub(segment.size_bytes);
        }
        let active = &self.active;
        let newest = active
            .max_timestamp()
            .map_or(active.created, |(timestamp, _)| timestamp);
        let by_time = retention_ms.is_some_and(|limit| now.0.saturating_sub(newest.0) > limit);
        let by_size = excess > 0 && active.size_bytes <= excess;
        let active_goes = active.size_bytes > 0 && high_watermark >= self.log_end_offset && (by_time || by_size);
        Ok(self.closed.len() + usize::from(active_goes))
    }

    fn delete_oldest(&mut self, count: usize, now: TimestampMs) -> Result<Retired, LogError> {
        if count > self.closed.len() {
            self.roll(now)?;
        }
        let segments: Vec<_> = self.closed.drain(..count.min(self.closed.len())).collect();
        let bases: Vec<Offset> = segments.iter().map(|segment| segment.base_offset).collect();
        let renamed = self.retire_files(&bases);
        let deletion = self.poisoning(renamed)?;
        if deletion.is_some() {
            self.log_start_offset = self.log_start_offset.max(self.first_base_offset());
            self.epochs.truncate_from_start(self.log_start_offset);
            self.reads.lock().clear();
        }
        Ok(Retired {
            segments: segments.len(),
            size_bytes: segments.iter().map(|segment| segment.size_bytes).sum(),
            deletion,
        })
    }
}
