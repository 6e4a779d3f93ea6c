//! What may be asked of a shard.

use coordinator::{
    ClusterView, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DescribeGroupRequest, Effects,
    GroupShard, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest, ReplyToken, SyncGroupRequest,
};
use types::TimestampMs;

/// One request; the answer is of the same kind.
#[derive(Debug, Clone)]
pub(crate) enum GroupRequest {
    /// JoinGroup.
    JoinGroup(Box<JoinGroupRequest>),
    /// SyncGroup.
    SyncGroup(SyncGroupRequest),
    /// Heartbeat.
    Heartbeat(HeartbeatRequest),
    /// LeaveGroup.
    LeaveGroup(LeaveGroupRequest),
    /// OffsetCommit.
    OffsetCommit(OffsetCommitRequest),
    /// OffsetFetch of one group.
    OffsetFetch(OffsetFetchRequest),
    /// OffsetDelete.
    OffsetDelete(OffsetDeleteRequest),
    /// DescribeGroups of one group.
    DescribeGroup(DescribeGroupRequest),
    /// ListGroups of one shard.
    ListGroups(ListGroupsRequest),
    /// DeleteGroups of one shard.
    DeleteGroups(Vec<String>),
    /// ConsumerGroupHeartbeat.
    ConsumerGroupHeartbeat(Box<ConsumerGroupHeartbeatRequest>),
    /// ConsumerGroupDescribe of one group.
    ConsumerGroupDescribe(ConsumerGroupDescribeRequest),
}

impl GroupRequest {
    /// Lets the shard decide.
    pub(super) fn decide(
        self,
        shard: &mut GroupShard,
        now: TimestampMs,
        token: ReplyToken,
        cluster: &dyn ClusterView,
    ) -> Effects {
        match self {
            Self::JoinGroup(request) => shard.join_group(now, token, *request, cluster),
            Self::SyncGroup(request) => shard.sync_group(now, token, request, cluster),
            Self::Heartbeat(request) => shard.heartbeat(now, token, &request, cluster),
            Self::LeaveGroup(request) => shard.leave_group(now, token, request, cluster),
            Self::OffsetCommit(request) => shard.offset_commit(now, token, request),
            Self::OffsetFetch(request) => shard.offset_fetch(token, request),
            Self::OffsetDelete(request) => shard.offset_delete(token, request),
            Self::DescribeGroup(request) => shard.describe_group(token, request),
            Self::ListGroups(request) => shard.list_groups(token, &request),
            Self::DeleteGroups(groups) => shard.delete_groups(token, groups),
            Self::ConsumerGroupHeartbeat(request) => shard.consumer_group_heartbeat(now, token, &request, cluster),
            Self::ConsumerGroupDescribe(request) => shard.consumer_group_describe(token, request),
        }
    }
}
