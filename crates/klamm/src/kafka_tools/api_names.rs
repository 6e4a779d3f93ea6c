//! The APIs that Kafka's client of the tools' release knows, by number: name, oldest and newest version.

/// An API as Kafka's `ApiKeys` has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NamedApi {
    pub(super) key: i16,
    pub(super) name: &'static str,
    pub(super) min: i16,
    pub(super) max: i16,
}

const fn api(key: i16, name: &'static str, min: i16, max: i16) -> NamedApi {
    NamedApi { key, name, min, max }
}

/// Those that clients use, ascending.
pub(super) const CLIENT_APIS: [NamedApi; 77] = [
    api(0, "Produce", 3, 13),
    api(1, "Fetch", 4, 18),
    api(2, "ListOffsets", 1, 11),
    api(3, "Metadata", 0, 13),
    api(8, "OffsetCommit", 2, 10),
    api(9, "OffsetFetch", 1, 10),
    api(10, "FindCoordinator", 0, 6),
    api(11, "JoinGroup", 0, 9),
    api(12, "Heartbeat", 0, 4),
    api(13, "LeaveGroup", 0, 5),
    api(14, "SyncGroup", 0, 5),
    api(15, "DescribeGroups", 0, 6),
    api(16, "ListGroups", 0, 5),
    api(17, "SaslHandshake", 0, 1),
    api(18, "ApiVersions", 0, 4),
    api(19, "CreateTopics", 2, 7),
    api(20, "DeleteTopics", 1, 6),
    api(21, "DeleteRecords", 0, 2),
    api(22, "InitProducerId", 0, 6),
    api(23, "OffsetForLeaderEpoch", 2, 4),
    api(24, "AddPartitionsToTxn", 0, 5),
    api(25, "AddOffsetsToTxn", 0, 4),
    api(26, "EndTxn", 0, 5),
    api(27, "WriteTxnMarkers", 1, 2),
    api(28, "TxnOffsetCommit", 0, 5),
    api(29, "DescribeAcls", 1, 3),
    api(30, "CreateAcls", 1, 3),
    api(31, "DeleteAcls", 1, 3),
    api(32, "DescribeConfigs", 1, 4),
    api(33, "AlterConfigs", 0, 2),
    api(34, "AlterReplicaLogDirs", 1, 2),
    api(35, "DescribeLogDirs", 1, 5),
    api(36, "SaslAuthenticate", 0, 2),
    api(37, "CreatePartitions", 0, 3),
    api(38, "CreateDelegationToken", 1, 3),
    api(39, "RenewDelegationToken", 1, 2),
    api(40, "ExpireDelegationToken", 1, 2),
    api(41, "DescribeDelegationToken", 1, 3),
    api(42, "DeleteGroups", 0, 2),
    api(43, "ElectLeaders", 0, 2),
    api(44, "IncrementalAlterConfigs", 0, 1),
    api(45, "AlterPartitionReassignments", 0, 1),
    api(46, "ListPartitionReassignments", 0, 0),
    api(47, "OffsetDelete", 0, 0),
    api(48, "DescribeClientQuotas", 0, 1),
    api(49, "AlterClientQuotas", 0, 1),
    api(50, "DescribeUserScramCredentials", 0, 0),
    api(51, "AlterUserScramCredentials", 0, 0),
    api(55, "DescribeQuorum", 0, 2),
    api(57, "UpdateFeatures", 0, 2),
    api(60, "DescribeCluster", 0, 2),
    api(61, "DescribeProducers", 0, 0),
    api(64, "UnregisterBroker", 0, 0),
    api(65, "DescribeTransactions", 0, 0),
    api(66, "ListTransactions", 0, 2),
    api(68, "ConsumerGroupHeartbeat", 0, 1),
    api(69, "ConsumerGroupDescribe", 0, 1),
    api(71, "GetTelemetrySubscriptions", 0, 0),
    api(72, "PushTelemetry", 0, 0),
    api(74, "ListConfigResources", 0, 1),
    api(75, "DescribeTopicPartitions", 0, 0),
    api(76, "ShareGroupHeartbeat", 1, 1),
    api(77, "ShareGroupDescribe", 1, 1),
    api(78, "ShareFetch", 1, 2),
    api(79, "ShareAcknowledge", 1, 2),
    api(80, "AddRaftVoter", 0, 1),
    api(81, "RemoveRaftVoter", 0, 0),
    api(83, "InitializeShareGroupState", 0, 0),
    api(84, "ReadShareGroupState", 0, 0),
    api(85, "WriteShareGroupState", 0, 1),
    api(86, "DeleteShareGroupState", 0, 0),
    api(87, "ReadShareGroupStateSummary", 0, 1),
    api(88, "StreamsGroupHeartbeat", 0, 0),
    api(89, "StreamsGroupDescribe", 0, 0),
    api(90, "DescribeShareGroupOffsets", 0, 1),
    api(91, "AlterShareGroupOffsets", 0, 0),
    api(92, "DeleteShareGroupOffsets", 0, 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apis_ascend_and_have_versions() {
        assert!(CLIENT_APIS.windows(2).all(|pair| pair[0].key < pair[1].key));
        assert!(CLIENT_APIS.iter().all(|api| api.min <= api.max));
    }
}
