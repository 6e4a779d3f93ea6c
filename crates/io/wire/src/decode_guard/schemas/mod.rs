//! Request schemas, one file per family of APIs.
//!
//! They cover the versions of `crate::served_apis`; what older or newer versions have is left out.

mod configs;
mod groups;
mod node;
mod records;
mod topics;

use kafka_protocol::messages::ApiKey;

use super::schema::Schema;

/// The schema of an API's requests.
pub(super) fn of(api_key: i16) -> Option<&'static Schema> {
    let schema: &'static Schema = match ApiKey::try_from(api_key).ok()? {
        ApiKey::Produce => &records::PRODUCE,
        ApiKey::Fetch => &records::FETCH,
        ApiKey::ListOffsets => &records::LIST_OFFSETS,
        ApiKey::Metadata => &topics::METADATA,
        ApiKey::OffsetCommit => &groups::OFFSET_COMMIT,
        ApiKey::OffsetFetch => &groups::OFFSET_FETCH,
        ApiKey::FindCoordinator => &groups::FIND_COORDINATOR,
        ApiKey::JoinGroup => &groups::JOIN_GROUP,
        ApiKey::Heartbeat => &groups::HEARTBEAT,
        ApiKey::LeaveGroup => &groups::LEAVE_GROUP,
        ApiKey::SyncGroup => &groups::SYNC_GROUP,
        ApiKey::DescribeGroups => &groups::DESCRIBE_GROUPS,
        ApiKey::ListGroups => &groups::LIST_GROUPS,
        ApiKey::ApiVersions => &node::API_VERSIONS,
        ApiKey::CreateTopics => &topics::CREATE_TOPICS,
        ApiKey::DeleteTopics => &topics::DELETE_TOPICS,
        ApiKey::DeleteRecords => &records::DELETE_RECORDS,
        ApiKey::InitProducerId => &records::INIT_PRODUCER_ID,
        ApiKey::OffsetForLeaderEpoch => &records::OFFSET_FOR_LEADER_EPOCH,
        ApiKey::DescribeAcls => &node::DESCRIBE_ACLS,
        ApiKey::CreateAcls => &node::CREATE_ACLS,
        ApiKey::DeleteAcls => &node::DELETE_ACLS,
        ApiKey::DescribeConfigs => &configs::DESCRIBE_CONFIGS,
        ApiKey::AlterConfigs => &configs::ALTER_CONFIGS,
        ApiKey::AlterReplicaLogDirs => &node::ALTER_REPLICA_LOG_DIRS,
        ApiKey::DescribeLogDirs => &node::DESCRIBE_LOG_DIRS,
        ApiKey::CreatePartitions => &topics::CREATE_PARTITIONS,
        ApiKey::DeleteGroups => &groups::DELETE_GROUPS,
        ApiKey::ElectLeaders => &topics::ELECT_LEADERS,
        ApiKey::IncrementalAlterConfigs => &configs::INCREMENTAL_ALTER_CONFIGS,
        ApiKey::AlterPartitionReassignments => &topics::ALTER_PARTITION_REASSIGNMENTS,
        ApiKey::ListPartitionReassignments => &topics::LIST_PARTITION_REASSIGNMENTS,
        ApiKey::OffsetDelete => &groups::OFFSET_DELETE,
        ApiKey::DescribeClientQuotas => &configs::DESCRIBE_CLIENT_QUOTAS,
        ApiKey::AlterClientQuotas => &configs::ALTER_CLIENT_QUOTAS,
        ApiKey::DescribeQuorum => &node::DESCRIBE_QUORUM,
        ApiKey::UpdateFeatures => &node::UPDATE_FEATURES,
        ApiKey::DescribeCluster => &node::DESCRIBE_CLUSTER,
        ApiKey::DescribeProducers => &records::DESCRIBE_PRODUCERS,
        ApiKey::UnregisterBroker => &node::UNREGISTER_BROKER,
        ApiKey::ConsumerGroupHeartbeat => &groups::CONSUMER_GROUP_HEARTBEAT,
        ApiKey::ConsumerGroupDescribe => &groups::CONSUMER_GROUP_DESCRIBE,
        ApiKey::GetTelemetrySubscriptions => &node::GET_TELEMETRY_SUBSCRIPTIONS,
        ApiKey::PushTelemetry => &node::PUSH_TELEMETRY,
        ApiKey::ListConfigResources => &configs::LIST_CONFIG_RESOURCES,
        ApiKey::DescribeTopicPartitions => &topics::DESCRIBE_TOPIC_PARTITIONS,
        ApiKey::AddRaftVoter => &node::ADD_RAFT_VOTER,
        ApiKey::RemoveRaftVoter => &node::REMOVE_RAFT_VOTER,
        _ => return None,
    };
    Some(schema)
}
