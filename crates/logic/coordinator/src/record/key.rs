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
    /// `ConsumerGroupMetadataKey`, v3: a group of the consumer protocol (KIP-848), and its epoch.
    ConsumerGroup {
        /// The group.
        group_id: String,
    },
    /// `ConsumerGroupMemberMetadataKey`, v5: what a member wants.
    ConsumerMember {
        /// The group.
        group_id: String,
        /// The member.
        member_id: String,
    },
    /// `ConsumerGroupTargetAssignmentMetadataKey`, v6: the epoch of the target assignment.
    TargetAssignment {
        /// The group.
        group_id: String,
    },
    /// `ConsumerGroupTargetAssignmentMemberKey`, v7: what a member is to have.
    TargetMember {
        /// The group.
        group_id: String,
        /// The member.
        member_id: String,
    },
    /// `ConsumerGroupCurrentMemberAssignmentKey`, v8: what a member has.
    CurrentAssignment {
        /// The group.
        group_id: String,
        /// The member.
        member_id: String,
    },
    /// `ConsumerGroupRegularExpressionKey`, v16: the topics that a pattern stands for.
    RegularExpression {
        /// The group.
        group_id: String,
        /// The pattern.
        pattern: String,
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
            3 => Ok(Self::ConsumerGroup {
                group_id: reader.string()?.to_owned(),
            }),
            5 => Ok(Self::ConsumerMember {
                group_id: reader.string()?.to_owned(),
                member_id: reader.string()?.to_owned(),
            }),
            6 => Ok(Self::TargetAssignment {
                group_id: reader.string()?.to_owned(),
            }),
            7 => Ok(Self::TargetMember {
                group_id: reader.string()?.to_owned(),
                member_id: reader.string()?.to_owned(),
            }),
            8 => Ok(Self::CurrentAssignment {
                group_id: reader.string()?.to_owned(),
                member_id: reader.string()?.to_owned(),
            }),
            16 => Ok(Self::RegularExpression {
                group_id: reader.string()?.to_owned(),
                pattern: reader.string()?.to_owned(),
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

    /// The key of a consumer group.
    #[must_use]
    pub fn encode_consumer_group(group_id: &str) -> Bytes {
        Writer::new(3).string(group_id).finish()
    }

    /// The key of a consumer group's member.
    #[must_use]
    pub fn encode_consumer_member(group_id: &str, member_id: &str) -> Bytes {
        Writer::new(5).string(group_id).string(member_id).finish()
    }

    /// The key of a group's target assignment.
    #[must_use]
    pub fn encode_target_assignment(group_id: &str) -> Bytes {
        Writer::new(6).string(group_id).finish()
    }

    /// The key of a member's target.
    #[must_use]
    pub fn encode_target_member(group_id: &str, member_id: &str) -> Bytes {
        Writer::new(7).string(group_id).string(member_id).finish()
    }

    /// The key of what a member has.
    #[must_use]
    pub fn encode_current_assignment(group_id: &str, member_id: &str) -> Bytes {
        Writer::new(8).string(group_id).string(member_id).finish()
    }

    /// The key of a pattern's topics.
    #[must_use]
    pub fn encode_regular_expression(group_id: &str, pattern: &str) -> Bytes {
        Writer::new(16).string(group_id).string(pattern).finish()
    }
}
