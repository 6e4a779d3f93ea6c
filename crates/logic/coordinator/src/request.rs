//! What clients ask, free of wire versions except where Kafka's behaviour depends on the version.

use bytes::Bytes;
use types::{LeaderEpoch, Offset, PartitionIndex, TopicName, Uuid};

use crate::record::Assignment;

/// An id for a new member, as Kafka builds it: the instance id or else the client id, `-`, a random UUID.
#[must_use]
pub fn new_member_id(client_id: &str, group_instance_id: Option<&str>, random: Uuid) -> String {
    format!("{}-{}", group_instance_id.unwrap_or(client_id), random.hyphenated())
}

/// One protocol a member offers, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinProtocol {
    /// `range`, `cooperative-sticky`, …
    pub name: String,
    /// Opaque, but for consumers' subscriptions.
    pub metadata: Bytes,
}

/// JoinGroup (key 11), v0 to v9.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroupRequest {
    /// The request's version: from v4 a new member must know its id (KIP-394), from v9 assignment can be skipped (KIP-814).
    pub api_version: i16,
    /// The group.
    pub group_id: String,
    /// Empty for a new member.
    pub member_id: String,
    /// `group.instance.id` of a static member (KIP-345).
    pub group_instance_id: Option<String>,
    /// From [`new_member_id`]: the id this member gets if it is new.
    pub fresh_member_id: String,
    /// From the request's header.
    pub client_id: String,
    /// As Kafka shows it, `/127.0.0.1`.
    pub client_host: String,
    /// Milliseconds.
    pub session_timeout_ms: i32,
    /// Milliseconds; the session timeout holds for v0.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, …
    pub protocol_type: String,
    /// Best first.
    pub protocols: Vec<JoinProtocol>,
}

/// What the leader assigned to one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberAssignment {
    /// The member.
    pub member_id: String,
    /// Opaque.
    pub assignment: Bytes,
}

/// SyncGroup (key 14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroupRequest {
    /// The group.
    pub group_id: String,
    /// The generation that JoinGroup answered.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
    /// From v5.
    pub protocol_type: Option<String>,
    /// From v5.
    pub protocol_name: Option<String>,
    /// From the leader only.
    pub assignments: Vec<MemberAssignment>,
}

/// Heartbeat (key 12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// The group.
    pub group_id: String,
    /// The generation.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
}

/// A member to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingMember {
    /// Empty when an administrator removes by instance id.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
}

/// LeaveGroup (key 13); before v3 it has one member, and the shell shows that member's error as the request's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveGroupRequest {
    /// The group.
    pub group_id: String,
    /// Whom to remove.
    pub members: Vec<LeavingMember>,
}

/// One partition's position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// The next offset to read.
    pub offset: Offset,
    /// Of the last record read; `LeaderEpoch::NONE` if unknown (KIP-320).
    pub leader_epoch: LeaderEpoch,
    /// The client's note.
    pub metadata: Option<String>,
}

/// OffsetCommit (key 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitRequest {
    /// The request's version: from v9 an unknown group is `GROUP_ID_NOT_FOUND`, before `ILLEGAL_GENERATION`.
    pub api_version: i16,
    /// The group; may be empty.
    pub group_id: String,
    /// -1 for standalone consumers and administrators.
    pub generation_id: i32,
    /// Empty for standalone consumers and administrators.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
    /// v2 to v4; -1 leaves it to the broker.
    pub retention_time_ms: i64,
    /// What to commit. The answer keeps the order.
    pub offsets: Vec<OffsetToCommit>,
}

/// Some partitions of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPartitions {
    /// The topic.
    pub topic: TopicName,
    /// Its partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// OffsetFetch (key 9) for one group; a request for several groups becomes several of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetFetchRequest {
    /// The group.
    pub group_id: String,
    /// `None` asks for everything committed.
    pub topics: Option<Vec<TopicPartitions>>,
    /// The member that asks, and its epoch (v9, KIP-848); `None` for administrators and classic members.
    pub member: Option<(String, i32)>,
}

/// OffsetDelete (key 47).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetDeleteRequest {
    /// The group.
    pub group_id: String,
    /// Whose offsets to forget.
    pub topics: Vec<TopicPartitions>,
}

/// DescribeGroups (key 15) for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeGroupRequest {
    /// The request's version: from v6 an unknown group is `GROUP_ID_NOT_FOUND`, before it was a dead group without error.
    pub api_version: i16,
    /// The group.
    pub group_id: String,
}

/// ListGroups (key 16).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListGroupsRequest {
    /// State names in any case; empty for all (KIP-518).
    pub states: Vec<String>,
    /// Group types in any case; empty for all (KIP-848). Ours are all `classic`.
    pub types: Vec<String>,
}

/// ConsumerGroupHeartbeat (key 68): what isn't given stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupHeartbeatRequest {
    /// The request's version: from v1 the client chooses its member id.
    pub api_version: i16,
    /// The group.
    pub group_id: String,
    /// Empty for a new member before v1.
    pub member_id: String,
    /// The id that such a member gets.
    pub fresh_member_id: String,
    /// 0 joins, -1 leaves, -2 is away for a while (static members).
    pub member_epoch: i32,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.rack`
    pub rack_id: Option<String>,
    /// Milliseconds; -1 where it isn't given.
    pub rebalance_timeout_ms: i32,
    /// The topics it wants.
    pub topics: Option<Vec<TopicName>>,
    /// A pattern for topics; an empty one for none.
    pub pattern: Option<String>,
    /// The assignor it asks for.
    pub assignor: Option<String>,
    /// What it holds.
    pub owned: Option<Assignment>,
    /// From the request's header.
    pub client_id: String,
    /// As Kafka shows it, `/127.0.0.1`.
    pub client_host: String,
}

/// ConsumerGroupDescribe (key 69) for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupDescribeRequest {
    /// The group.
    pub group_id: String,
}
