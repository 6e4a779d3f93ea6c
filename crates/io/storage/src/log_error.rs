//! Why an operation on a log failed.

use std::io;
use std::path::{Path, PathBuf};

use records::BatchError;
use thiserror::Error;
use types::{Offset, TopicId};

use crate::guarded_file_system::is_process_limit;
use crate::room;

/// Answers (`OffsetOutOfRange`), refusals of bad input (`InvalidBatch`, `OutOfOrder`, `InconsistentTopicId`) and faults of
/// the disk. After `Storage` from a change, and ever after (`Poisoned`), the log takes no more changes: the owner takes
/// the log directory offline (promise DISK). Reads below the log end go on. Lack of room is the exception: an append or a
/// flush that found none ([`LogError::is_full`]) was undone and may be tried again.
#[derive(Debug, Error)]
pub enum LogError {
    /// The disk failed.
    #[error("{operation} {path}: {source}")]
    Storage {
        /// What was attempted.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// An earlier write or sync failed; what was `Storage` then is never retried as if it had worked.
    #[error("the log {path} takes no changes: an earlier write or sync failed")]
    Poisoned {
        /// The partition's directory.
        path: PathBuf,
    },
    /// Below the log start, or above the log end.
    #[error("offset {requested} is outside {log_start_offset}..={log_end_offset}")]
    OffsetOutOfRange {
        /// What was asked for.
        requested: Offset,
        /// The first offset that the log holds.
        log_start_offset: Offset,
        /// The offset after the last one.
        log_end_offset: Offset,
    },
    /// A batch to be appended starts below the log end.
    #[error("a batch at offset {base_offset} can't follow log end offset {log_end_offset}")]
    OutOfOrder {
        /// Where the batch starts.
        base_offset: Offset,
        /// Where it would have to start, or above.
        log_end_offset: Offset,
    },
    /// A batch to be appended isn't one whole batch.
    #[error("invalid batch: {0}")]
    InvalidBatch(#[from] BatchError),
    /// The bytes handed in hold more, or less, than one batch.
    #[error("a batch of {expected} bytes came as {actual} bytes")]
    BatchSize {
        /// By its header.
        expected: usize,
        /// By its slice.
        actual: usize,
    },
    /// What is stored at this place isn't a batch.
    #[error("{path} is corrupt at byte {position}: {reason}")]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where in the segment.
        position: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Compaction can't deal with what is stored there.
    #[error("{path} can't be compacted: {reason}")]
    Uncleanable {
        /// The segment.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The directory belongs to another incarnation of the topic.
    #[error("{path} holds topic id {found}, not {expected}")]
    InconsistentTopicId {
        /// The partition's directory.
        path: PathBuf,
        /// By the metadata.
        expected: TopicId,
        /// By `partition.metadata`.
        found: TopicId,
    },
}

impl LogError {
    /// The file or directory that it is about, if it is about one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Storage { path, .. }
            | Self::Poisoned { path }
            | Self::Corrupt { path, .. }
            | Self::Uncleanable { path, .. }
            | Self::InconsistentTopicId { path, .. } => Some(path),
            Self::OffsetOutOfRange { .. }
            | Self::OutOfOrder { .. }
            | Self::InvalidBatch(_)
            | Self::BatchSize { .. } => None,
        }
    }

    /// Whether the disk is at fault, so that the log directory has to go offline.
    #[must_use]
    pub fn is_storage_fault(&self) -> bool {
        match self {
            Self::Poisoned { .. } => true,
            Self::Storage { source, .. } => !room::is_full(source) && !is_process_limit(source),
            _ => false,
        }
    }

    /// Whether the disk had no room: the log is as it was before, and the same may work later.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Storage { source, .. } if room::is_full(source))
    }
}

/// Says what was attempted on which file when the disk failed.
pub(crate) trait StorageContext<T> {
    fn during(self, operation: &'static str, path: &Path) -> Result<T, LogError>;
}

impl<T> StorageContext<T> for io::Result<T> {
    fn during(self, operation: &'static str, path: &Path) -> Result<T, LogError> {
        self.map_err(|source| LogError::Storage {
            operation,
            path: path.to_owned(),
            source,
        })
    }
}
