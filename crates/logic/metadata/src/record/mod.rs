//! Metadata records: building them, reading their ids, and their bytes.

mod codec;
mod replay_error;
mod wrap;

pub use codec::{
    DecodeError, MAX_BATCH_BYTES, MAX_ENTRY_BYTES, decode_batch, encode_batch, encoded_len, split_records,
};
pub use replay_error::ReplayError;

use bytes::Bytes;
use types::{PartitionIndex, TopicId, TopicIdPartition, Uuid};

use crate::proto;

/// The 16 bytes of a UUID as records carry them.
#[must_use]
pub fn uuid_bytes(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

/// Reads a UUID.
///
/// # Errors
/// When it hasn't 16 bytes.
pub fn uuid_from(bytes: &[u8]) -> Result<Uuid, ReplayError> {
    Uuid::from_slice(bytes).map_err(|_| ReplayError::InvalidUuid(bytes.len()))
}

impl From<TopicIdPartition> for proto::PartitionId {
    fn from(id: TopicIdPartition) -> Self {
        Self {
            topic_id: uuid_bytes(id.topic_id.0),
            index: id.partition.0,
        }
    }
}

impl TryFrom<&proto::PartitionId> for TopicIdPartition {
    type Error = ReplayError;

    fn try_from(id: &proto::PartitionId) -> Result<Self, ReplayError> {
        Ok(Self {
            topic_id: TopicId(uuid_from(&id.topic_id)?),
            partition: PartitionIndex(id.index),
        })
    }
}
