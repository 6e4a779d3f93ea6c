//! Arbitrary bytes as a request of any API and version: refused or decoded, never a panic, never more memory than the
//! bytes justify (run with `-malloc_limit_mb`). The first two bytes choose among the served APIs and versions, so that
//! the fuzzer doesn't have to find them.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wire::messages::{self, ApiKey};
use wire::{check_body, decode_body, decode_header, served_apis};

macro_rules! decode_by_key {
    ($key:expr, $version:expr, $body:expr; $($name:ident => $request:ident,)*) => {
        match ApiKey::try_from($key) {
            $(Ok(ApiKey::$name) => decode_body::<messages::$request>($version, $body).is_ok(),)*
            _ => unreachable!("a served api is missing here"),
        }
    };
}

fuzz_target!(|input: &[u8]| {
    let _ = decode_header(&mut Bytes::copy_from_slice(input));
    let [choice, version, body @ ..] = input else { return };
    let apis = served_apis();
    let api = apis[usize::from(*choice) % apis.len()];
    let version = api.min + i16::from(*version) % (api.max - api.min + 1);
    let accepted = check_body(api.key, version, body).is_ok();
    let decoded = decode_by_key!(api.key, version, Bytes::copy_from_slice(body);
        Produce => ProduceRequest,
        Fetch => FetchRequest,
        ListOffsets => ListOffsetsRequest,
        Metadata => MetadataRequest,
        OffsetCommit => OffsetCommitRequest,
        OffsetFetch => OffsetFetchRequest,
        FindCoordinator => FindCoordinatorRequest,
        JoinGroup => JoinGroupRequest,
        Heartbeat => HeartbeatRequest,
        LeaveGroup => LeaveGroupRequest,
        SyncGroup => SyncGroupRequest,
        DescribeGroups => DescribeGroupsRequest,
        ListGroups => ListGroupsRequest,
        ApiVersions => ApiVersionsRequest,
        CreateTopics => CreateTopicsRequest,
        DeleteTopics => DeleteTopicsRequest,
        DeleteRecords => DeleteRecordsRequest,
        InitProducerId => InitProducerIdRequest,
        OffsetForLeaderEpoch => OffsetForLeaderEpochRequest,
        DescribeAcls => DescribeAclsRequest,
        CreateAcls => CreateAclsRequest,
        DeleteAcls => DeleteAclsRequest,
        DescribeConfigs => DescribeConfigsRequest,
        AlterConfigs => AlterConfigsRequest,
        DescribeLogDirs => DescribeLogDirsRequest,
        CreatePartitions => CreatePartitionsRequest,
        DeleteGroups => DeleteGroupsRequest,
        ElectLeaders => ElectLeadersRequest,
        IncrementalAlterConfigs => IncrementalAlterConfigsRequest,
        AlterPartitionReassignments => AlterPartitionReassignmentsRequest,
        ListPartitionReassignments => ListPartitionReassignmentsRequest,
        OffsetDelete => OffsetDeleteRequest,
        DescribeClientQuotas => DescribeClientQuotasRequest,
        AlterClientQuotas => AlterClientQuotasRequest,
        DescribeQuorum => DescribeQuorumRequest,
        UpdateFeatures => UpdateFeaturesRequest,
        DescribeCluster => DescribeClusterRequest,
        DescribeProducers => DescribeProducersRequest,
        UnregisterBroker => UnregisterBrokerRequest,
        ConsumerGroupHeartbeat => ConsumerGroupHeartbeatRequest,
        ConsumerGroupDescribe => ConsumerGroupDescribeRequest,
        GetTelemetrySubscriptions => GetTelemetrySubscriptionsRequest,
        PushTelemetry => PushTelemetryRequest,
        ListConfigResources => ListConfigResourcesRequest,
        DescribeTopicPartitions => DescribeTopicPartitionsRequest,
        AddRaftVoter => AddRaftVoterRequest,
        RemoveRaftVoter => RemoveRaftVoterRequest,
    );
    // The codec may still refuse text that is not UTF-8, but it never sees what the guard refused.
    assert!(accepted || !decoded);
});
