//! The one list of what is served. ApiVersions derives from it, so nothing is advertised that nobody answers.
//!
//! TABLE-1: sorted by key, each key once, each key known to `wire`.

use std::sync::Arc;

use futures::future::ready;
use wire::messages::ApiKey;
use wire::{DecodeError, ServedApi, api_versions_fallback, served_api};

use super::exchange::{ApiFault, Handling};
use super::{
    add_raft_voter, alter_client_quotas, alter_configs, alter_partition_reassignments, alter_replica_log_dirs,
    api_versions, consumer_group_describe, consumer_group_heartbeat, create_acls, create_partitions, create_topics,
    delete_acls, delete_groups, delete_records, delete_topics, describe_acls, describe_client_quotas, describe_cluster,
    describe_configs, describe_groups, describe_log_dirs, describe_producers, describe_quorum,
    describe_topic_partitions, elect_leaders, fetch, find_coordinator, get_telemetry_subscriptions, heartbeat,
    incremental_alter_configs, init_producer_id, join_group, leave_group, list_config_resources, list_groups,
    list_offsets, list_partition_reassignments, metadata, offset_commit, offset_delete, offset_fetch,
    offset_for_leader_epoch, produce, push_telemetry, remove_raft_voter, sync_group, unregister_broker,
    update_features,
};
use crate::context::{ApiRequest, BrokerContext};

type Handler = fn(Arc<BrokerContext>, ApiRequest) -> Handling;

/// One API and who answers it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ApiRow {
    /// Kafka's number.
    pub(super) key: ApiKey,
    /// Kafka's name, for metrics and logs.
    pub(super) name: &'static str,
    handler: Handler,
}

macro_rules! rows {
    ($($key:ident => $module:ident,)+) => {
        &[$(ApiRow {
            key: ApiKey::$key,
            name: stringify!($key),
            handler: |broker, request| Box::pin($module::handle(broker, request)),
        }),+]
    };
}

static TABLE: &[ApiRow] = rows! {
    Produce => produce,
    Fetch => fetch,
    ListOffsets => list_offsets,
    Metadata => metadata,
    OffsetCommit => offset_commit,
    OffsetFetch => offset_fetch,
    FindCoordinator => find_coordinator,
    JoinGroup => join_group,
    Heartbeat => heartbeat,
    LeaveGroup => leave_group,
    SyncGroup => sync_group,
    DescribeGroups => describe_groups,
    ListGroups => list_groups,
    ApiVersions => api_versions,
    CreateTopics => create_topics,
    DeleteTopics => delete_topics,
    DeleteRecords => delete_records,
    InitProducerId => init_producer_id,
    OffsetForLeaderEpoch => offset_for_leader_epoch,
    DescribeAcls => describe_acls,
    CreateAcls => create_acls,
    DeleteAcls => delete_acls,
    DescribeConfigs => describe_configs,
    AlterConfigs => alter_configs,
    AlterReplicaLogDirs => alter_replica_log_dirs,
    DescribeLogDirs => describe_log_dirs,
    CreatePartitions => create_partitions,
    DeleteGroups => delete_groups,
    ElectLeaders => elect_leaders,
    IncrementalAlterConfigs => incremental_alter_configs,
    AlterPartitionReassignments => alter_partition_reassignments,
    ListPartitionReassignments => list_partition_reassignments,
    OffsetDelete => offset_delete,
    DescribeClientQuotas => describe_client_quotas,
    AlterClientQuotas => alter_client_quotas,
    DescribeQuorum => describe_quorum,
    UpdateFeatures => update_features,
    DescribeCluster => describe_cluster,
    DescribeProducers => describe_producers,
    UnregisterBroker => unregister_broker,
    ConsumerGroupHeartbeat => consumer_group_heartbeat,
    ConsumerGroupDescribe => consumer_group_describe,
    GetTelemetrySubscriptions => get_telemetry_subscriptions,
    PushTelemetry => push_telemetry,
    ListConfigResources => list_config_resources,
    DescribeTopicPartitions => describe_topic_partitions,
    AddRaftVoter => add_raft_voter,
    RemoveRaftVoter => remove_raft_voter,
};

fn row(api_key: i16) -> Option<&'static ApiRow> {
    let at = TABLE.binary_search_by_key(&api_key, |row| row.key as i16).ok()?;
    TABLE.get(at)
}

/// What ApiVersions lists: the rows with the versions that `wire` decodes, ascending by key.
pub(super) fn served() -> impl Iterator<Item = ServedApi> {
    TABLE.iter().filter_map(|row| served_api(row.key as i16))
}

/// The name of an API for metrics and logs.
pub(crate) fn api_name(api_key: i16) -> &'static str {
    row(api_key).map_or("Unknown", |row| row.name)
}

/// Hands a request to its API. Polled once, the work has done everything that must happen in the requests' order.
pub(crate) fn dispatch(broker: &Arc<BrokerContext>, request: ApiRequest) -> Handling {
    match admit(request.header.api_key, request.header.api_version) {
        Ok(row) => (row.handler)(Arc::clone(broker), request),
        Err(_) if request.header.api_key == ApiKey::ApiVersions as i16 => {
            Box::pin(ready(Ok(Some(api_versions_fallback(request.header.correlation_id)))))
        }
        Err(error) => Box::pin(ready(Err(ApiFault::Decode(error)))),
    }
}

fn admit(api_key: i16, version: i16) -> Result<&'static ApiRow, DecodeError> {
    let row = row(api_key).ok_or(DecodeError::UnknownApi { api_key })?;
    if served_api(api_key).is_some_and(|api| api.serves(version)) {
        Ok(row)
    } else {
        Err(DecodeError::UnsupportedVersion { api_key, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_known_to_the_codec() {
        assert!(TABLE.is_sorted_by(|left, right| (left.key as i16) < (right.key as i16)));
        assert_eq!(served().count(), TABLE.len());
    }

    #[test]
    fn what_is_not_served_is_told_apart() {
        assert!(admit(ApiKey::Produce as i16, 3).is_ok());
        assert_eq!(
            admit(ApiKey::Produce as i16, 2).unwrap_err(),
            DecodeError::UnsupportedVersion { api_key: 0, version: 2 }
        );
        assert_eq!(admit(4, 0).unwrap_err(), DecodeError::UnknownApi { api_key: 4 });
        assert_eq!(api_name(1), "Fetch");
        assert_eq!(api_name(999), "Unknown");
    }
}
