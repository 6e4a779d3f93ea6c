//! What clients are told.

use bytes::Bytes;
use types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicName};

use crate::record::{Assignment, MemberSubscription};
use crate::{ConsumerGroupState, GroupState};

/// An answer to one request, of that request's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To JoinGroup.
    JoinGroup(JoinGroupResponse),
    /// To SyncGroup.
    SyncGroup(SyncGroupResponse),
    /// To Heartbeat.
    Heartbeat(HeartbeatResponse),
    /// To LeaveGroup.
    LeaveGroup(LeaveGroupResponse),
    /// To OffsetCommit.
    OffsetCommit(OffsetCommitResponse),
    /// To OffsetFetch, one group.
    OffsetFetch(OffsetFetchResponse),
    /// To OffsetDelete.
    OffsetDelete(OffsetDeleteResponse),
    /// To DescribeGroups, one group.
    DescribeGroup(DescribeGroupResponse),
    /// To ListGroups, this shard's part.
    ListGroups(ListGroupsResponse),
    /// To DeleteGroups, this shard's part.
    DeleteGroups(DeleteGroupsResponse),
    /// To ConsumerGroupHeartbeat.
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    /// To ConsumerGroupDescribe, one group.
    ConsumerGroupDescribe(ConsumerGroupDescribeResponse),
}

/// A member as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroupMember {
    /// The member.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
    /// Its metadata for the chosen protocol.
    pub metadata: Bytes,
}

/// JoinGroup's answer. Versions below 7 show a missing protocol name as an empty one; `skip_assignment` is v9's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroupResponse {
    /// The error.
    pub error: ErrorCode,
    /// -1 with an error.
    pub generation_id: i32,
    /// The group's.
    pub protocol_type: Option<String>,
    /// The protocol most members prefer.
    pub protocol_name: Option<String>,
    /// Empty with an error.
    pub leader: String,
    /// The leader keeps the assignment there is (KIP-814).
    pub skip_assignment: bool,
    /// The member this answer is for; with `MEMBER_ID_REQUIRED` the id to come back with.
    pub member_id: String,
    /// For the leader only.
    pub members: Vec<JoinGroupMember>,
}

impl JoinGroupResponse {
    pub(crate) fn error(error: ErrorCode, member_id: &str) -> Self {
        Self {
            error,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        }
    }
}

/// SyncGroup's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroupResponse {
    /// The error.
    pub error: ErrorCode,
    /// From v5.
    pub protocol_type: Option<String>,
    /// From v5.
    pub protocol_name: Option<String>,
    /// Opaque; empty with an error.
    pub assignment: Bytes,
}

impl SyncGroupResponse {
    pub(crate) fn error(error: ErrorCode) -> Self {
        Self {
            error,
            protocol_type: None,
            protocol_name: None,
            assignment: Bytes::new(),
        }
    }
}

/// Heartbeat's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatResponse {
    /// `REBALANCE_IN_PROGRESS` asks the member to join again.
    pub error: ErrorCode,
}

/// A member that was asked to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftMember {
    /// As asked.
    pub member_id: String,
    /// As asked.
    pub group_instance_id: Option<String>,
    /// Why it wasn't removed.
    pub error: ErrorCode,
}

/// LeaveGroup's answer. Before v3: `error`, or else the only member's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveGroupResponse {
    /// The request's error.
    pub error: ErrorCode,
    /// In the order asked.
    pub members: Vec<LeftMember>,
}

/// One partition's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionResult {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// Its error.
    pub error: ErrorCode,
}

/// OffsetCommit's answer, in the order asked; the shell groups it by topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitResponse {
    /// Every partition asked for; an error of the whole request is repeated in each.
    pub partitions: Vec<PartitionResult>,
}

/// A committed position, or its absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedOffset {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// -1 where nothing is committed.
    pub offset: Offset,
    /// `LeaderEpoch::NONE` where unknown.
    pub leader_epoch: LeaderEpoch,
    /// Empty where nothing is committed.
    pub metadata: String,
    /// Its error.
    pub error: ErrorCode,
}

/// OffsetFetch's answer for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetFetchResponse {
    /// The group.
    pub group_id: String,
    /// The group's error.
    pub error: ErrorCode,
    /// By topic, in the order asked.
    pub offsets: Vec<FetchedOffset>,
}

/// OffsetDelete's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetDeleteResponse {
    /// The request's error; then there are no partitions.
    pub error: ErrorCode,
    /// In the order asked.
    pub partitions: Vec<PartitionResult>,
}

/// A member as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// The member.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
    /// From its JoinGroup.
    pub client_id: String,
    /// As Kafka shows it.
    pub client_host: String,
    /// Empty unless the group is Stable.
    pub metadata: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}

/// DescribeGroups' answer for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeGroupResponse {
    /// The group.
    pub group_id: String,
    /// See [`crate::DescribeGroupRequest::api_version`].
    pub error: ErrorCode,
    /// `Dead` if it doesn't exist.
    pub state: GroupState,
    /// Empty for a simple group.
    pub protocol_type: String,
    /// The protocol's name; empty unless Stable.
    pub protocol_data: String,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: String,
    /// Empty for a simple group.
    pub protocol_type: String,
    /// Its state's name.
    pub state: &'static str,
    /// `Classic` or `Consumer`.
    pub group_type: &'static str,
}

/// ListGroups' answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListGroupsResponse {
    /// The request's error.
    pub error: ErrorCode,
    /// By name.
    pub groups: Vec<ListedGroup>,
}

/// DeleteGroups' answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteGroupsResponse {
    /// Each group asked for and its error.
    pub results: Vec<(String, ErrorCode)>,
}

/// ConsumerGroupHeartbeat's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupHeartbeatResponse {
    /// The error.
    pub error: ErrorCode,
    /// What is wrong.
    pub message: Option<String>,
    /// The member; none with an error.
    pub member_id: Option<String>,
    /// The member's epoch; 0 with an error.
    pub member_epoch: i32,
    /// When the next one is expected. Milliseconds; 0 where none is.
    pub heartbeat_interval_ms: i32,
    /// What it is to read, where that has changed or it asked.
    pub assignment: Option<Assignment>,
}

impl ConsumerGroupHeartbeatResponse {
    /// A refusal, with words for people.
    #[must_use]
    pub fn error(error: ErrorCode, message: Option<String>) -> Self {
        Self {
            error,
            message,
            member_id: None,
            member_epoch: 0,
            heartbeat_interval_ms: 0,
            assignment: None,
        }
    }
}

/// A member of a consumer group as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumer {
    /// The member.
    pub member_id: String,
    /// What it wants.
    pub subscription: MemberSubscription,
    /// Its epoch.
    pub epoch: i32,
    /// What it reads.
    pub assigned: Assignment,
    /// What it is to read.
    pub target: Assignment,
}

/// ConsumerGroupDescribe's answer for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupDescribeResponse {
    /// The group.
    pub group_id: String,
    /// The error.
    pub error: ErrorCode,
    /// What is wrong.
    pub message: Option<String>,
    /// `Dead` with an error.
    pub state: ConsumerGroupState,
    /// The group's epoch.
    pub epoch: i32,
    /// The target assignment's.
    pub target_epoch: i32,
    /// The assignor in use.
    pub assignor: String,
    /// Its members, by id.
    pub members: Vec<DescribedConsumer>,
}

macro_rules! into_answer {
    ($($kind:ident($response:ident)),+ $(,)?) => {
        $(impl From<$response> for Answer {
            fn from(response: $response) -> Self {
                Self::$kind(response)
            }
        })+
    };
}

into_answer! {
    JoinGroup(JoinGroupResponse), SyncGroup(SyncGroupResponse), Heartbeat(HeartbeatResponse),
    LeaveGroup(LeaveGroupResponse), OffsetCommit(OffsetCommitResponse), OffsetFetch(OffsetFetchResponse),
    OffsetDelete(OffsetDeleteResponse), DescribeGroup(DescribeGroupResponse), ListGroups(ListGroupsResponse),
    DeleteGroups(DeleteGroupsResponse), ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    ConsumerGroupDescribe(ConsumerGroupDescribeResponse),
}

impl Answer {
    /// The same request's answer, failed as a whole: for a refused append, a deadline, a lost leadership.
    #[must_use]
    pub fn with_error(self, error: ErrorCode) -> Self {
        match self {
            // A new static member's id must not leak: the client comes back as an unknown member and gets another.
            Self::JoinGroup(_) => Self::JoinGroup(JoinGroupResponse::error(error, "")),
            Self::SyncGroup(_) => Self::SyncGroup(SyncGroupResponse::error(error)),
            Self::Heartbeat(_) => Self::Heartbeat(HeartbeatResponse { error }),
            Self::LeaveGroup(_) => Self::LeaveGroup(LeaveGroupResponse {
                error,
                members: Vec::new(),
            }),
            Self::OffsetCommit(mut response) => {
                for partition in &mut response.partitions {
                    partition.error = error;
                }
                Self::OffsetCommit(response)
            }
            Self::OffsetFetch(response) => Self::OffsetFetch(OffsetFetchResponse {
                group_id: response.group_id,
                error,
                offsets: Vec::new(),
            }),
            Self::OffsetDelete(_) => Self::OffsetDelete(OffsetDeleteResponse {
                error,
                partitions: Vec::new(),
            }),
            Self::DescribeGroup(response) => Self::DescribeGroup(DescribeGroupResponse {
                group_id: response.group_id,
                error,
                state: GroupState::Dead,
                protocol_type: String::new(),
                protocol_data: String::new(),
                members: Vec::new(),
            }),
            Self::ListGroups(_) => Self::ListGroups(ListGroupsResponse {
                error,
                groups: Vec::new(),
            }),
            Self::DeleteGroups(response) => Self::DeleteGroups(DeleteGroupsResponse {
                results: response.results.into_iter().map(|(group, _)| (group, error)).collect(),
            }),
            Self::ConsumerGroupHeartbeat(_) => {
                Self::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse::error(error, None))
            }
            Self::ConsumerGroupDescribe(response) => {
                Self::ConsumerGroupDescribe(ConsumerGroupDescribeResponse::error(response.group_id, error, None))
            }
        }
    }
}
