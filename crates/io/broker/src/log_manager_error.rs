//! Why the log directories, or one of them, can't be used.

use std::path::PathBuf;

use storage::{DirectoryError, LogError};
use thiserror::Error;
use types::{BrokerId, ClusterId};

/// Why the directories can't be used.
#[derive(Debug, Error)]
pub enum LogManagerError {
    /// A directory's own files.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A log is to come to a place where another one lies.
    #[error("{path} is there already")]
    Occupied {
        /// The place.
        path: PathBuf,
    },
    /// Another node's data.
    #[error(
        "{path} belongs to node {found}, this is node {ours}: give each node a log.dirs of its own, or set node.id={found}"
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// By its meta.properties.
        found: BrokerId,
        /// Configured.
        ours: BrokerId,
    },
    /// Another cluster's data.
    #[error(
        "{path} belongs to cluster {found}, this is cluster {ours}: use the directory with its own cluster, or an empty one here (file {path}/meta.properties)"
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// By its meta.properties.
        found: ClusterId,
        /// Ours.
        ours: ClusterId,
    },
    /// A directory that this process can't go on without.
    #[error("{path} is offline ({reason}), and {why}")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What happened to it.
        reason: String,
        /// Why it is needed.
        why: &'static str,
    },
}

impl LogManagerError {
    /// Whether there was no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Directory(error) => error.is_full(),
            Self::Log(error) => error.is_full(),
            Self::Occupied { .. } | Self::OtherNode { .. } | Self::OtherCluster { .. } | Self::Unusable { .. } => false,
        }
    }
}
