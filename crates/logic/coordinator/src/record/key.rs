//! What a record is about.

use bytes::Bytes;
use types::{PartitionIndex, TopicName};

use super::{Reader, RecordError, Writer};

/// A record's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordKey {
    /// `OffsetCommitKey`, v0 and v1 (alike); written as v1.
    OffsetCommit {
        /// The group.
        group_id: String,
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
    },
    /// `GroupMetadataKey`, v2.
    GroupMetadata {
        /// The group.
        group_id: String,
    },
    /// A kind that isn't ours; to be skipped.
    Unknown {
        /// The key's version.
        version: i16,
    },
}

impl RecordKey {
    /// Reads a key.
    ///
    /// # Errors
    /// The key has a version of ours but isn't whole.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        match reader.i16()? {
            0 | 1 => Ok(Self::OffsetCommit {
                group_id: reader.string()?.to_owned(),
                topic: TopicName::new(reader.string()?),
                partition: PartitionIndex(reader.i32()?),
            }),
            2 => Ok(Self::GroupMetadata {
                group_id: reader.string()?.to_owned(),
            }),
            version => Ok(Self::Unknown { version }),
        }
    }

    /// The key of a partition's committed offset.
    #[must_use]
    pub fn encode_offset_commit(group_id: &str, topic: &TopicName, partition: PartitionIndex) -> Bytes {
        Writer::new(1)
            .string(group_id)
            .string(topic.as_str())
            .i32(partition.0)
            .finish()
    }

    /// The key of a group's metadata.
    #[must_use]
    pub fn encode_group_metadata(group_id: &str) -> Bytes {
        Writer::new(2).string(group_id).finish()
    }
}
