//! `OffsetCommitValue`: what a group has read of a partition.

use bytes::Bytes;
use types::{LeaderEpoch, Offset, TimestampMs, TopicId, Uuid};

use super::{Reader, RecordError, Writer};

/// A committed position. Written as v3, or as v1 (without a leader epoch) where an expiry is set, as Kafka does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// Of the last record read; `LeaderEpoch::NONE` if unknown.
    pub leader_epoch: LeaderEpoch,
    /// The client's note.
    pub metadata: String,
    /// When it was committed.
    pub commit_timestamp: TimestampMs,
    /// When it expires, where an old client said so (OffsetCommit v2 to v4).
    pub expire_timestamp: Option<TimestampMs>,
    /// The topic's id, if a newer Kafka wrote it (v4, tag 0). We don't write it.
    pub topic_id: Option<TopicId>,
}

impl CommittedOffset {
    /// Reads a value, v0 to v4.
    ///
    /// # Errors
    /// An unknown version, or bytes that don't fit it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        if !(0..=4).contains(&version) {
            return Err(RecordError::UnknownVersion(version));
        }
        reader.flexible = version >= 4;
        let offset = Offset(reader.i64()?);
        let leader_epoch = if version >= 3 {
            LeaderEpoch(reader.i32()?)
        } else {
            LeaderEpoch::NONE
        };
        let metadata = reader.string()?.to_owned();
        let commit_timestamp = TimestampMs(reader.i64()?);
        let expire_timestamp = if version == 1 {
            Some(reader.i64()?).filter(|&at| at != -1)
        } else {
            None
        };
        let mut topic_id = None;
        reader.tags(|tag, field| {
            if tag == 0 {
                topic_id = field
                    .uuid()
                    .ok()
                    .map(|id| TopicId(Uuid::from_bytes(id)))
                    .filter(|&id| id != TopicId::ZERO);
            }
        })?;
        let expire_timestamp = expire_timestamp.map(TimestampMs);
        Ok(Self {
            offset,
            leader_epoch,
            metadata,
            commit_timestamp,
            expire_timestamp,
            topic_id,
        })
    }

    /// Writes the value.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self.expire_timestamp {
            Some(expires) => Writer::new(1)
                .i64(self.offset.0)
                .string(&self.metadata)
                .i64(self.commit_timestamp.0)
                .i64(expires.0)
                .finish(),
            None => Writer::new(3)
                .i64(self.offset.0)
                .i32(self.leader_epoch.0)
                .string(&self.metadata)
                .i64(self.commit_timestamp.0)
                .finish(),
        }
    }
}
