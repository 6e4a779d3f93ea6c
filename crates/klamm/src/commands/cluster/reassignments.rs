//! AlterPartitionReassignments and ListPartitionReassignments (KIP-455).

use std::collections::BTreeMap;

use anyhow::{Error, Result};
use serde::Serialize;
use wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use wire::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use wire::messages::{AlterPartitionReassignmentsRequest, BrokerId, ListPartitionReassignmentsRequest};

use crate::commands::brokers::Brokers;
use crate::commands::error_advice::refusal;
use crate::commands::group::{TopicPartition, topic_name};

/// Time for the controller to answer.
const TIMEOUT_MS: i32 = 60_000;

/// A partition that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reassignment {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// All of them: those that stay, come and go.
    pub(crate) replicas: Vec<i32>,
    pub(crate) adding: Vec<i32>,
    pub(crate) removing: Vec<i32>,
}

impl Reassignment {
    /// Which one.
    pub(crate) fn place(&self) -> TopicPartition {
        (self.topic.clone(), self.partition)
    }

    /// The replicas when it has moved.
    pub(super) fn target(&self) -> Vec<i32> {
        without(&self.replicas, &self.removing)
    }

    /// The replicas before it began to move.
    pub(super) fn origin(&self) -> Vec<i32> {
        without(&self.replicas, &self.adding)
    }
}

/// What moves now: of these partitions, or of all.
pub(crate) async fn list_reassignments(
    brokers: &mut Brokers,
    places: Option<&[TopicPartition]>,
) -> Result<Vec<Reassignment>> {
    if places.is_some_and(<[TopicPartition]>::is_empty) {
        return Ok(Vec::new());
    }
    let topics = places.map(|places| {
        let by_topic = by_topic(places.iter().map(|place| (place, place.1)));
        let topics = by_topic.into_iter().map(|(topic, indexes)| {
            ListPartitionReassignmentsTopics::default()
                .with_name(topic_name(topic))
                .with_partition_indexes(indexes)
        });
        topics.collect()
    });
    let request = ListPartitionReassignmentsRequest::default()
        .with_timeout_ms(TIMEOUT_MS)
        .with_topics(topics);
    let response = brokers.call_any(&request).await?;
    let what = "listing the partitions that move";
    if let Some(error) = refusal(what, response.error_code, response.error_message.as_deref()) {
        return Err(error);
    }
    let mut found: Vec<Reassignment> = Vec::new();
    for topic in response.topics {
        found.extend(topic.partitions.into_iter().map(|partition| Reassignment {
            topic: topic.name.to_string(),
            partition: partition.partition_index,
            replicas: ids(&partition.replicas),
            adding: ids(&partition.adding_replicas),
            removing: ids(&partition.removing_replicas),
        }));
    }
    found.sort_by(|one, other| (&one.topic, one.partition).cmp(&(&other.topic, other.partition)));
    Ok(found)
}

/// Moves partitions to these replicas, or takes a move back where there are none. By partition: why it was refused.
pub(crate) async fn alter_reassignments(
    brokers: &mut Brokers,
    wanted: &BTreeMap<TopicPartition, Option<Vec<i32>>>,
    replication_factor_may_change: bool,
) -> Result<BTreeMap<TopicPartition, Error>> {
    let by_topic = by_topic(wanted.iter().map(|(place, replicas)| (place, (place.1, replicas))));
    let topics = by_topic.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|(index, replicas)| {
            let replicas = replicas.as_ref();
            ReassignablePartition::default()
                .with_partition_index(index)
                .with_replicas(replicas.map(|ids| ids.iter().copied().map(BrokerId).collect()))
        });
        ReassignableTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(partitions.collect())
    });
    let request = AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(TIMEOUT_MS)
        .with_allow_replication_factor_change(replication_factor_may_change)
        .with_topics(topics.collect());
    let response = brokers.call_any(&request).await?;
    let what = "moving partitions";
    if let Some(error) = refusal(what, response.error_code, response.error_message.as_deref()) {
        return Err(error);
    }
    let mut refused = BTreeMap::new();
    for topic in response.responses {
        for partition in topic.partitions {
            let place = (topic.name.to_string(), partition.partition_index);
            let what = match wanted.get(&place) {
                Some(None) => format!("taking back the move of {}-{}", place.0, place.1),
                Some(Some(_)) | None => format!("moving {}-{}", place.0, place.1),
            };
            if let Some(error) = refusal(&what, partition.error_code, partition.error_message.as_deref()) {
                refused.insert(place, error);
            }
        }
    }
    Ok(refused)
}

/// What belongs to each topic.
pub(super) fn by_topic<'a, T>(places: impl IntoIterator<Item = (&'a TopicPartition, T)>) -> BTreeMap<&'a str, Vec<T>> {
    let mut topics: BTreeMap<&str, Vec<T>> = BTreeMap::new();
    for (place, item) in places {
        topics.entry(&place.0).or_default().push(item);
    }
    topics
}

fn without(replicas: &[i32], gone: &[i32]) -> Vec<i32> {
    let left = replicas.iter().filter(|replica| !gone.contains(replica));
    left.copied().collect()
}

fn ids(nodes: &[BrokerId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}
