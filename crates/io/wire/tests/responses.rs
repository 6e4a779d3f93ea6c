//! Every response the broker may give exists in every version it advertises.

#![expect(clippy::unwrap_used, reason = "what test functions call is part of the test")]

use wire::protocol::{Encodable, Message, Request};
use wire::{EncodeError, advertised_min_version, encode_response, messages, response_header_version, served_api};

fn each_version<R: Request>()
where
    R::Response: Default,
{
    let api = served_api(R::KEY).unwrap();
    assert!(advertised_min_version(api) <= api.min);
    for version in api.min..=api.max {
        let response = R::Response::default();
        let frame = encode_response(R::KEY, version, 7, &response).unwrap();
        let header = 4 + if response_header_version(R::KEY, version) == Some(1) {
            1
        } else {
            0
        };
        let body = response.compute_size(version).unwrap();
        assert_eq!(frame.len(), 4 + header + body, "key {} version {version}", R::KEY);
        let size = i32::from_be_bytes(*frame.to_bytes().first_chunk().unwrap());
        assert_eq!(usize::try_from(size).unwrap() + 4, frame.len());
    }
    let max = <R::Response as Message>::VERSIONS.max.max(api.max);
    let expected = EncodeError::UnsupportedVersion {
        api_key: R::KEY,
        version: max + 1,
    };
    assert_eq!(
        encode_response(R::KEY, max + 1, 7, &R::Response::default()),
        Err(expected)
    );
}

macro_rules! each_api {
    ($($request:ident),* $(,)?) => {
        #[test]
        fn every_response_is_encoded_in_every_served_version() {
            $(each_version::<messages::$request>();)*
            assert_eq!([$(stringify!($request)),*].len(), wire::served_apis().len());
        }
    };
}

each_api!(
    ProduceRequest,
    FetchRequest,
    ListOffsetsRequest,
    MetadataRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
    FindCoordinatorRequest,
    JoinGroupRequest,
    HeartbeatRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
    DescribeGroupsRequest,
    ListGroupsRequest,
    ApiVersionsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DeleteRecordsRequest,
    InitProducerIdRequest,
    OffsetForLeaderEpochRequest,
    DescribeAclsRequest,
    CreateAclsRequest,
    DeleteAclsRequest,
    DescribeConfigsRequest,
    AlterConfigsRequest,
    AlterReplicaLogDirsRequest,
    DescribeLogDirsRequest,
    CreatePartitionsRequest,
    DeleteGroupsRequest,
    ElectLeadersRequest,
    IncrementalAlterConfigsRequest,
    AlterPartitionReassignmentsRequest,
    ListPartitionReassignmentsRequest,
    OffsetDeleteRequest,
    DescribeClientQuotasRequest,
    AlterClientQuotasRequest,
    DescribeQuorumRequest,
    UpdateFeaturesRequest,
    DescribeClusterRequest,
    DescribeProducersRequest,
    UnregisterBrokerRequest,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupDescribeRequest,
    GetTelemetrySubscriptionsRequest,
    PushTelemetryRequest,
    ListConfigResourcesRequest,
    DescribeTopicPartitionsRequest,
    AddRaftVoterRequest,
    RemoveRaftVoterRequest,
);
