//! The checkpoints of a log directory, in Kafka's text: `topic partition offset` a line.
//!
//! They are replaced as a whole, durably, some seconds apart: too old a value only costs time at the next start.

use std::fmt;

use types::{Offset, PartitionIndex, TopicName, TopicPartition};

use crate::atomic_file::{read_text, write_file_atomically};
use crate::checkpoint_file;
use crate::directory::directory_error::DirectoryContext;
use crate::directory::{DirectoryError, LogDirectory};

/// Which checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoint {
    /// Below it everything was synced.
    RecoveryPoint,
    /// High watermarks.
    HighWatermark,
    /// Log starts that DeleteRecords or retention raised.
    LogStartOffset,
    /// Below it the log is compacted.
    Cleaner,
}

impl Checkpoint {
    /// Kafka's file name.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::RecoveryPoint => "recovery-point-offset-checkpoint",
            Self::HighWatermark => "replication-offset-checkpoint",
            Self::LogStartOffset => "log-start-offset-checkpoint",
            Self::Cleaner => "cleaner-offset-checkpoint",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointEntry {
    /// Whose.
    pub partition: TopicPartition,
    /// The offset.
    pub offset: Offset,
}

impl fmt::Display for CheckpointEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.partition.topic, self.partition.partition, self.offset
        )
    }
}

fn parse(line: &str) -> Option<CheckpointEntry> {
    let mut fields = line.split_whitespace();
    let topic = TopicName::new(fields.next()?);
    let partition = PartitionIndex(fields.next()?.parse().ok()?);
    let offset = Offset(fields.next()?.parse().ok().filter(|offset| *offset >= 0)?);
    fields.next().is_none().then_some(CheckpointEntry {
        partition: TopicPartition { topic, partition },
        offset,
    })
}

impl LogDirectory {
    /// A checkpoint's entries; none when the file is missing, or odd (with a warning): all of them can be done without.
    ///
    /// # Errors
    /// `Storage`.
    pub fn read_checkpoint(&self, checkpoint: Checkpoint) -> Result<Vec<CheckpointEntry>, DirectoryError> {
        let path = self.path().join(checkpoint.file_name());
        let text = match read_text(self.file_system(), &path) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Some(String::new()),
            other => other.during("read", &path)?,
        };
        let Some(text) = text else { return Ok(Vec::new()) };
        Ok(checkpoint_file::decode(&text, parse).unwrap_or_else(|| {
            tracing::warn!(path = %path.display(), "checkpoint can't be read, going on without");
            Vec::new()
        }))
    }

    /// Replaces a checkpoint, durably.
    ///
    /// # Errors
    /// `Storage`.
    pub fn write_checkpoint(&self, checkpoint: Checkpoint, entries: &[CheckpointEntry]) -> Result<(), DirectoryError> {
        let path = self.path().join(checkpoint.file_name());
        write_file_atomically(
            self.file_system(),
            &path,
            checkpoint_file::encode(entries.iter()).as_bytes(),
        )
        .during("write", &path)
    }
}
