//! Ids, offsets, epochs and error codes: the words that every crate shares.
//!
//! Two integers that mean different things never share a type here, so that an offset can't be passed
//! where an epoch is due. The inner value is public: these are words, not guards.

mod error_code;
mod ids;
mod offsets;
mod topic;

pub use error_code::ErrorCode;
pub use ids::{
    BootId, BrokerEpoch, BrokerId, ClientInstanceId, ClusterId, DirectoryId, FollowId, LeaderEpoch, MetadataOffset,
    PartitionEpoch, ProducerEpoch, ProducerId, TopicId,
};
pub use offsets::{EpochEnd, Offset, TimestampMs};
pub use topic::{PartitionIndex, TopicIdPartition, TopicName, TopicNameError, TopicPartition};
pub use uuid::Uuid;
