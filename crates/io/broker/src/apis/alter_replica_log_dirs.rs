//! AlterReplicaLogDirs (34, KIP-113): replicas of this broker go to another of its directories. Answered before they are there:
//! DescribeLogDirs shows them as future replicas meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::{ErrorCode, PartitionIndex};
use wire::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use wire::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, TopicName};

use super::exchange::{Handled, decode, respond};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: AlterReplicaLogDirsRequest = decode(&header, request.body)?;
    // What is named twice goes where it was named last, as in Kafka.
    let mut wanted: BTreeMap<(TopicName, i32), String> = BTreeMap::new();
    for directory in body.dirs {
        for topic in directory.topics {
            for partition in topic.partitions {
                wanted.insert((topic.name.clone(), partition), directory.path.to_string());
            }
        }
    }
    let mut results: BTreeMap<TopicName, Vec<AlterReplicaLogDirPartitionResult>> = BTreeMap::new();
    for ((topic, partition), path) in wanted {
        let error = match broker.replicas.logs().position(&path) {
            None => ErrorCode::LogDirNotFound,
            Some(to) => broker
                .replicas
                .alter_directory(&topic.0, PartitionIndex(partition), to)
                .err()
                .unwrap_or(ErrorCode::None),
        };
        results.entry(topic).or_default().push(
            AlterReplicaLogDirPartitionResult::default()
                .with_partition_index(partition)
                .with_error_code(error.code()),
        );
    }
    let results = results.into_iter().map(|(topic, partitions)| {
        AlterReplicaLogDirTopicResult::default()
            .with_topic_name(topic)
            .with_partitions(partitions)
    });
    respond(
        &header,
        &AlterReplicaLogDirsResponse::default().with_results(results.collect()),
    )
}
