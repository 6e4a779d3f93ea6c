//! DescribeLogDirs (35): which replicas lie in which directory, and how large they are.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use types::{ErrorCode, TopicName};
use wire::messages::describe_log_dirs_request::DescribableLogDirTopic;
use wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use wire::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::exchange::{Handled, decode, respond, text, wire_topic};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: DescribeLogDirsRequest = decode(&header, request.body)?;
    let wanted = Wanted::new(body.topics);
    let results = (0..broker.replicas.logs().directory_count()).map(|at| directory(&broker, at, &wanted));
    respond(
        &header,
        &DescribeLogDirsResponse::default().with_results(results.collect()),
    )
}

/// Which partitions are asked for; `None` stands for all.
struct Wanted(Option<HashMap<String, HashSet<i32>>>);

impl Wanted {
    fn new(topics: Option<Vec<DescribableLogDirTopic>>) -> Self {
        Self(topics.map(|topics| {
            let mut wanted: HashMap<String, HashSet<i32>> = HashMap::new();
            for topic in topics {
                wanted
                    .entry(topic.topic.0.to_string())
                    .or_default()
                    .extend(topic.partitions);
            }
            wanted
        }))
    }

    fn contains(&self, topic: &str, partition: i32) -> bool {
        self.0
            .as_ref()
            .is_none_or(|wanted| wanted.get(topic).is_some_and(|found| found.contains(&partition)))
    }
}

/// The volume's size (v4 and up) is Kafka's "unknown", -1, where the disk doesn't say.
fn directory(broker: &BrokerContext, at: usize, wanted: &Wanted) -> DescribeLogDirsResult {
    let mut topics: BTreeMap<TopicName, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for partition in broker.replicas.partitions_in(at) {
        let index = partition.id().partition.0;
        if !wanted.contains(partition.topic().as_str(), index) {
            continue;
        }
        let status = partition.status();
        topics.entry(partition.topic().clone()).or_default().push(
            DescribeLogDirsPartition::default()
                .with_partition_index(index)
                .with_partition_size(i64::try_from(status.size_bytes).unwrap_or(i64::MAX))
                .with_offset_lag((status.high_watermark.0 - status.log_end_offset.0).max(0)),
        );
    }
    for future in broker.replicas.future_replicas_in(at) {
        let index = future.id.partition.0;
        if wanted.contains(future.topic.as_str(), index) {
            topics.entry(future.topic).or_default().push(
                DescribeLogDirsPartition::default()
                    .with_partition_index(index)
                    .with_partition_size(i64::try_from(future.size_bytes).unwrap_or(i64::MAX))
                    .with_offset_lag(i64::try_from(future.offset_lag).unwrap_or(i64::MAX))
                    .with_is_future_key(true),
            );
        }
    }
    let topics = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic::default()
            .with_name(wire_topic(&name))
            .with_partitions(partitions)
    });
    let path = broker.replicas.logs().path(at).display().to_string();
    if broker.replicas.logs().health(at).is_offline() {
        return DescribeLogDirsResult::default()
            .with_error_code(ErrorCode::KafkaStorageError.code())
            .with_log_dir(text(&path))
            .with_total_bytes(-1)
            .with_usable_bytes(-1);
    }
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let (total, usable) = match broker.replicas.logs().volume(at) {
        Some((total, usable)) => (bytes(total), bytes(usable)),
        None => (-1, -1),
    };
    DescribeLogDirsResult::default()
        .with_total_bytes(total)
        .with_usable_bytes(usable)
        .with_error_code(ErrorCode::None.code())
        .with_log_dir(text(&path))
        .with_topics(topics.collect())
}
