//! DescribeLogDirs: what lies where on a broker, and how much room there is. AlterReplicaLogDirs: that it shall lie elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use wire::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use wire::messages::{AlterReplicaLogDirsRequest, DescribeLogDirsRequest, TopicName};
use wire::protocol::StrBytes;

use crate::commands::brokers::Brokers;
use crate::commands::error_advice::refusal;
use crate::commands::group::TopicPartition;

/// A log directory of a broker.
#[derive(Debug, Clone)]
pub(crate) struct LogDir {
    pub(crate) path: String,
    /// Kafka's number of what is wrong with it; 0 when nothing is.
    pub(crate) error_code: i16,
    /// None where the broker doesn't say.
    pub(crate) usable_bytes: Option<u64>,
    pub(crate) replicas: Vec<LogDirReplica>,
}

/// A replica in it.
#[derive(Debug, Clone)]
pub(crate) struct LogDirReplica {
    pub(crate) place: TopicPartition,
    pub(crate) size: i64,
    pub(crate) offset_lag: i64,
    /// Whether it shall take another directory's place.
    pub(crate) is_future: bool,
}

/// The broker's directories with all their replicas.
pub(crate) async fn describe_log_dirs(brokers: &mut Brokers, broker: i32) -> Result<Vec<LogDir>> {
    let request = DescribeLogDirsRequest::default().with_topics(None);
    let response = brokers.call(broker, &request).await?;
    let what = format!("looking at the log directories of broker {broker}");
    if let Some(error) = refusal(&what, response.error_code, None) {
        return Err(error);
    }
    let directories = response.results.into_iter().map(|directory| {
        let replicas = directory.topics.into_iter().flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.into_iter().map(move |partition| LogDirReplica {
                place: (name.clone(), partition.partition_index),
                size: partition.partition_size,
                offset_lag: partition.offset_lag,
                is_future: partition.is_future_key,
            })
        });
        LogDir {
            path: directory.log_dir.to_string(),
            error_code: directory.error_code,
            usable_bytes: u64::try_from(directory.usable_bytes).ok(),
            replicas: replicas.collect(),
        }
    });
    Ok(directories.collect())
}

/// Asks each broker to move its replicas to these directories. Returns Kafka's number of what is wrong with each; 0 is nothing.
pub(crate) async fn alter_log_dirs(
    brokers: &mut Brokers,
    wanted: &BTreeMap<(i32, TopicPartition), &str>,
) -> Result<BTreeMap<(i32, TopicPartition), i16>> {
    let mut codes = BTreeMap::new();
    let asked: BTreeSet<i32> = wanted.keys().map(|(broker, _)| *broker).collect();
    for broker in asked {
        let directories = wanted.iter().filter(|((holder, _), _)| *holder == broker);
        let directories = directories.map(|((_, (topic, partition)), path)| {
            let topic = AlterReplicaLogDirTopic::default()
                .with_name(TopicName(StrBytes::from_string(topic.clone())))
                .with_partitions(vec![*partition]);
            AlterReplicaLogDir::default()
                .with_path(StrBytes::from_string((*path).to_owned()))
                .with_topics(vec![topic])
        });
        let request = AlterReplicaLogDirsRequest::default().with_dirs(directories.collect());
        for topic in brokers.call(broker, &request).await?.results {
            for partition in topic.partitions {
                let place = (topic.topic_name.to_string(), partition.partition_index);
                codes.insert((broker, place), partition.error_code);
            }
        }
    }
    Ok(codes)
}
