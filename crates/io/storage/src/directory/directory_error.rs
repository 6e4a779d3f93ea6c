//! Why a log directory can't be used.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Errors of a log directory; each names the file and what to do.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// Another process (or another entry of `log.dirs`) has it.
    #[error("{path} is in use: another process holds its lock file; stop that one or give this node another directory")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
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
    /// A file that only an operator can mend.
    #[error("{path} is not as expected: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl DirectoryError {
    /// Whether the disk had no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Storage { source, .. } if crate::room::is_full(source))
    }
}

pub(crate) trait DirectoryContext<T> {
    fn during(self, operation: &'static str, path: &Path) -> Result<T, DirectoryError>;
}

impl<T> DirectoryContext<T> for io::Result<T> {
    fn during(self, operation: &'static str, path: &Path) -> Result<T, DirectoryError> {
        self.map_err(|source| DirectoryError::Storage {
            operation,
            path: path.to_owned(),
            source,
        })
    }
}
