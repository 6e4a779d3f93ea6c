//! Why a record can't be replayed: a broken invariant, never an ordinary error.

use thiserror::Error;
use types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, TopicId, TopicIdPartition};

/// A record that doesn't fit the image. Committed records always fit, so a shell that sees one must stop.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// A record without content: of a newer version, or damaged.
    #[error("a metadata record of an unknown kind")]
    UnknownRecord,
    /// An id that isn't a UUID.
    #[error("an id of {0} bytes, 16 are due")]
    InvalidUuid(usize),
    /// A listener with an impossible port or protocol.
    #[error("listener {0} has an impossible port or security protocol")]
    InvalidListener(String),
    /// A negative id of a broker.
    #[error("broker id {0} is negative")]
    InvalidBrokerId(BrokerId),
    /// The cluster has another id already.
    #[error("the cluster is {present}, the record says {record}")]
    ClusterId {
        /// The image's.
        present: String,
        /// The record's.
        record: String,
    },
    /// A change of a broker that isn't registered.
    #[error("broker {0} isn't registered")]
    UnknownBroker(BrokerId),
    /// A change of another incarnation of the broker.
    #[error("broker {id} is registered with epoch {present:?}, the record says {record:?}")]
    BrokerEpoch {
        /// The broker.
        id: BrokerId,
        /// The image's epoch.
        present: BrokerEpoch,
        /// The record's epoch.
        record: BrokerEpoch,
    },
    /// A topic whose id or name exists.
    #[error("topic {0} exists, by its id or by its name")]
    TopicExists(TopicId),
    /// A record about a topic that doesn't exist.
    #[error("topic {0} doesn't exist")]
    UnknownTopic(TopicId),
    /// A change of a partition that doesn't exist.
    #[error("partition {0} doesn't exist")]
    UnknownPartition(TopicIdPartition),
    /// A new partition whose index isn't the next one.
    #[error("partition {0} isn't the next of its topic")]
    PartitionOutOfOrder(TopicIdPartition),
    /// META-2: decided on another state of the partition.
    #[error("the partition's epoch is {present}, the record says {record}")]
    PartitionEpoch {
        /// The image's epoch.
        present: PartitionEpoch,
        /// The record's epoch.
        record: PartitionEpoch,
    },
    /// META-2: decided on another leadership of the partition.
    #[error("the leader's epoch is {present}, the record says {record}")]
    LeaderEpoch {
        /// The image's epoch.
        present: LeaderEpoch,
        /// The record's epoch.
        record: LeaderEpoch,
    },
    /// A leader that isn't among the replicas.
    #[error("leader {0} is no replica")]
    LeaderIsNoReplica(BrokerId),
    /// A configuration of an unknown kind of resource.
    #[error("configuration of an unknown resource (type {0})")]
    UnknownResource(i32),
    /// Producer ids never go back.
    #[error("the next producer id is {present}, the record says {record}")]
    ProducerId {
        /// The image's.
        present: i64,
        /// The record's.
        record: i64,
    },
    /// No part, one twice, or one of an unknown kind.
    #[error("an entity of quotas that can't be")]
    InvalidQuotaEntity,
    /// A feature level out of Kafka's range.
    #[error("feature level {0} is out of range")]
    InvalidFeatureLevel(i32),
}
