//! The log goes on in another directory of this broker (KIP-113). Its role, its waiters and its followers notice nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use storage::{DirectoryHealth, FileSystem, FlushesEnd, LogContent, LogCopy, LogError};
use thiserror::Error;

use super::Partition;
use crate::log_manager_error::LogManagerError;

/// So much may be copied while writers wait.
const REST_BYTES: u64 = 4 << 20;

/// Where a log goes on.
#[derive(Debug)]
pub(crate) struct NewPlace {
    /// Which of the log directories.
    pub(crate) directory: usize,
    /// How that stands.
    pub(crate) health: Arc<DirectoryHealth>,
}

/// What gives a finished copy its place, in this order.
pub(crate) trait Adoption {
    /// Whether it may still be done; asked when nobody changes the log any more.
    fn is_wanted(&self) -> bool;
    /// Before: the new directory's checkpoints tell of the log.
    ///
    /// # Errors
    /// The disk's.
    fn announce(&self) -> Result<(), LogManagerError>;
    /// The copy gets the partition's name. Returns its directory.
    ///
    /// # Errors
    /// The disk's: it has it not.
    fn rename(&self, copy: &LogCopy) -> Result<PathBuf, LogManagerError>;
    /// The name is durable.
    ///
    /// # Errors
    /// The disk's: nobody knows.
    fn sync(&self) -> Result<(), LogManagerError>;
}

/// Why a log didn't move.
#[derive(Debug, Error)]
pub(crate) enum RelocationError {
    /// The replica isn't served any more, or shall stay.
    #[error("it isn't wanted any more")]
    NotWanted,
    /// Too much is left to keep writers waiting for it.
    #[error("the copy is behind")]
    Behind,
    /// It stays where it is.
    #[error(transparent)]
    Copy(#[from] LogError),
    /// It stays where it is.
    #[error(transparent)]
    Place(LogManagerError),
    /// Nobody knows which of the two directories goes on: the replica must not.
    #[error("the copy's place is unknown: {0}")]
    Unknown(String),
}

impl Partition {
    /// What there is to be copied.
    pub(crate) fn content(&self) -> LogContent {
        self.lock().log.content()
    }

    /// Begins a copy of the log elsewhere.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn begin_copy(&self, file_system: Arc<dyn FileSystem>, path: PathBuf) -> Result<LogCopy, LogError> {
        self.lock().log.begin_copy(file_system, path)
    }

    /// Copies the rest while nobody changes the log, gives the copy its place, and goes on there. Blocks on the disks; of those who
    /// use the partition only writers wait. What is returned ends the flushes of the old directory: to be run where that may block.
    ///
    /// # Errors
    /// Why it is where it was; after `Unknown` it is retired.
    pub(crate) fn relocate(
        &self,
        copy: &mut LogCopy,
        place: NewPlace,
        adoption: &dyn Adoption,
    ) -> Result<FlushesEnd, RelocationError> {
        let _writer = self.writer_or_offline()?;
        let content = {
            let mut state = self.lock();
            if state.retired || !adoption.is_wanted() {
                return Err(RelocationError::NotWanted);
            }
            match state.log.write_derived() {
                // What isn't written is derived anew at the next start.
                Err(error) if error.is_full() => {}
                written => written?,
            }
            state.log.content()
        };
        if !copy.is_near(&content, REST_BYTES) {
            return Err(RelocationError::Behind);
        }
        copy.finish(&content)?;
        adoption.announce().map_err(RelocationError::Place)?;
        if !adoption.is_wanted() {
            return Err(RelocationError::NotWanted);
        }
        let path = self.take_place(copy, adoption)?;
        let flushes = {
            let mut state = self.lock();
            let flushes = state.log.end_flushes();
            state.log.continue_in(copy.file_system(), path);
            state.health = Arc::clone(&place.health);
            self.health.store(place.health);
            self.directory.store(place.directory, Ordering::Release);
            flushes
        };
        // Everything is synced there: whoever waited for a sync has it.
        self.tell_synced();
        Ok(flushes)
    }

    /// MOVE-3 of `storage`: the old log is marked before the new one has its name.
    fn take_place(&self, copy: &LogCopy, adoption: &dyn Adoption) -> Result<PathBuf, RelocationError> {
        let stay = |error| match copy.stay() {
            Ok(()) => Err(error),
            Err(second) => {
                self.retire();
                Err(RelocationError::Unknown(second.to_string()))
            }
        };
        if let Err(error) = copy.leave() {
            return stay(error.into());
        }
        let path = match adoption.rename(copy) {
            Ok(path) => path,
            Err(error) => return stay(RelocationError::Place(error)),
        };
        adoption.sync().map_err(|error| {
            self.retire();
            RelocationError::Unknown(error.to_string())
        })?;
        Ok(path)
    }
}
