//! The codec, reached by key.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{self, ApiKey};
use kafka_protocol::protocol::{Decodable, Encodable};

/// What the codec made of a body.
pub(super) struct Decoded {
    /// How many bytes it took.
    pub(super) taken: usize,
    /// What it writes for what it read.
    pub(super) encoded: Bytes,
}

fn decode_as<T: Encodable + Decodable>(version: i16, mut body: Bytes) -> Result<Decoded, String> {
    let length = body.len();
    let request = T::decode(&mut body, version).map_err(|error| error.to_string())?;
    let mut encoded = BytesMut::new();
    request
        .encode(&mut encoded, version)
        .map_err(|error| format!("encode: {error}"))?;
    Ok(Decoded {
        taken: length - body.len(),
        encoded: encoded.freeze(),
    })
}

fn encode_default_as<T: Encodable + Default>(version: i16) -> Option<Bytes> {
    let mut encoded = BytesMut::new();
    T::default().encode(&mut encoded, version).ok()?;
    Some(encoded.freeze())
}

macro_rules! by_key {
    ($key:expr, $call:ident($($argument:expr),*)) => {
        match ApiKey::try_from($key).unwrap() {
            ApiKey::Produce => $call::<messages::ProduceRequest>($($argument),*),
            ApiKey::Fetch => $call::<messages::FetchRequest>($($argument),*),
            ApiKey::ListOffsets => $call::<messages::ListOffsetsRequest>($($argument),*),
            ApiKey::Metadata => $call::<messages::MetadataRequest>($($argument),*),
            ApiKey::OffsetCommit => $call::<messages::OffsetCommitRequest>($($argument),*),
            ApiKey::OffsetFetch => $call::<messages::OffsetFetchRequest>($($argument),*),
            ApiKey::FindCoordinator => $call::<messages::FindCoordinatorRequest>($($argument),*),
            ApiKey::JoinGroup => $call::<messages::JoinGroupRequest>($($argument),*),
            ApiKey::Heartbeat => $call::<messages::HeartbeatRequest>($($argument),*),
            ApiKey::LeaveGroup => $call::<messages::LeaveGroupRequest>($($argument),*),
            ApiKey::SyncGroup => $call::<messages::SyncGroupRequest>($($argument),*),
            ApiKey::DescribeGroups => $call::<messages::DescribeGroupsRequest>($($argument),*),
            ApiKey::ListGroups => $call::<messages::ListGroupsRequest>($($argument),*),
            ApiKey::ApiVersions => $call::<messages::ApiVersionsRequest>($($argument),*),
            ApiKey::CreateTopics => $call::<messages::CreateTopicsRequest>($($argument),*),
            ApiKey::DeleteTopics => $call::<messages::DeleteTopicsRequest>($($argument),*),
            ApiKey::DeleteRecords => $call::<messages::DeleteRecordsRequest>($($argument),*),
            ApiKey::InitProducerId => $call::<messages::InitProducerIdRequest>($($argument),*),
            ApiKey::OffsetForLeaderEpoch => $call::<messages::OffsetForLeaderEpochRequest>($($argument),*),
            ApiKey::DescribeAcls => $call::<messages::DescribeAclsRequest>($($argument),*),
            ApiKey::CreateAcls => $call::<messages::CreateAclsRequest>($($argument),*),
            ApiKey::DeleteAcls => $call::<messages::DeleteAclsRequest>($($argument),*),
            ApiKey::DescribeConfigs => $call::<messages::DescribeConfigsRequest>($($argument),*),
            ApiKey::AlterConfigs => $call::<messages::AlterConfigsRequest>($($argument),*),
            ApiKey::AlterReplicaLogDirs => $call::<messages::AlterReplicaLogDirsRequest>($($argument),*),
            ApiKey::DescribeLogDirs => $call::<messages::DescribeLogDirsRequest>($($argument),*),
            ApiKey::CreatePartitions => $call::<messages::CreatePartitionsRequest>($($argument),*),
            ApiKey::DeleteGroups => $call::<messages::DeleteGroupsRequest>($($argument),*),
            ApiKey::ElectLeaders => $call::<messages::ElectLeadersRequest>($($argument),*),
            ApiKey::IncrementalAlterConfigs => $call::<messages::IncrementalAlterConfigsRequest>($($argument),*),
            ApiKey::AlterPartitionReassignments => $call::<messages::AlterPartitionReassignmentsRequest>($($argument),*),
            ApiKey::ListPartitionReassignments => $call::<messages::ListPartitionReassignmentsRequest>($($argument),*),
            ApiKey::OffsetDelete => $call::<messages::OffsetDeleteRequest>($($argument),*),
            ApiKey::DescribeQuorum => $call::<messages::DescribeQuorumRequest>($($argument),*),
            ApiKey::DescribeCluster => $call::<messages::DescribeClusterRequest>($($argument),*),
            ApiKey::DescribeProducers => $call::<messages::DescribeProducersRequest>($($argument),*),
            ApiKey::GetTelemetrySubscriptions => $call::<messages::GetTelemetrySubscriptionsRequest>($($argument),*),
            ApiKey::PushTelemetry => $call::<messages::PushTelemetryRequest>($($argument),*),
            ApiKey::ListConfigResources => $call::<messages::ListConfigResourcesRequest>($($argument),*),
            ApiKey::ConsumerGroupHeartbeat => $call::<messages::ConsumerGroupHeartbeatRequest>($($argument),*),
            ApiKey::ConsumerGroupDescribe => $call::<messages::ConsumerGroupDescribeRequest>($($argument),*),
            ApiKey::DescribeClientQuotas => $call::<messages::DescribeClientQuotasRequest>($($argument),*),
            ApiKey::AlterClientQuotas => $call::<messages::AlterClientQuotasRequest>($($argument),*),
            ApiKey::UpdateFeatures => $call::<messages::UpdateFeaturesRequest>($($argument),*),
            ApiKey::UnregisterBroker => $call::<messages::UnregisterBrokerRequest>($($argument),*),
            ApiKey::DescribeTopicPartitions => $call::<messages::DescribeTopicPartitionsRequest>($($argument),*),
            ApiKey::AddRaftVoter => $call::<messages::AddRaftVoterRequest>($($argument),*),
            ApiKey::RemoveRaftVoter => $call::<messages::RemoveRaftVoterRequest>($($argument),*),
            other => unreachable!("{other:?} is not served"),
        }
    };
}

/// Decodes with the codec alone and encodes again.
pub(super) fn decode(key: i16, version: i16, body: Bytes) -> Result<Decoded, String> {
    by_key!(key, decode_as(version, body))
}

/// The codec's default request; `None` where it has a field that this version lacks.
pub(super) fn encode_default(key: i16, version: i16) -> Option<Bytes> {
    by_key!(key, encode_default_as(version))
}
