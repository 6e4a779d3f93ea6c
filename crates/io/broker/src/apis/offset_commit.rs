//! OffsetCommit (8). Partitions that don't exist are refused here; the rest is the coordinator's.

use std::sync::Arc;

use coordinator::{OffsetCommitRequest, OffsetToCommit};
use metadata::MetadataImage;
use types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};
use wire::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use wire::messages::{self, OffsetCommitResponse};
use wire::{TopicReference, topic_reference};

use super::exchange::{Handled, decode, respond, topic_name, wire_topic};
use super::group_answers::{ask, owned, pick};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::GroupRequest;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let mut body: messages::OffsetCommitRequest = decode(&header, request.body)?;
    let mut topics = {
        let image = broker.host.image.load();
        name_topics(&image, &mut body);
        skeleton(&image, &body, header.api_version)
    };
    let offsets = offsets(&mut body, &topics);
    if !offsets.is_empty() {
        let group_id = body.group_id.0.to_string();
        let asked = OffsetCommitRequest {
            api_version: header.api_version,
            group_id: group_id.clone(),
            generation_id: body.generation_id_or_member_epoch,
            member_id: body.member_id.to_string(),
            group_instance_id: owned(body.group_instance_id),
            retention_time_ms: body.retention_time_ms,
            offsets,
        };
        let answer = ask(
            &broker,
            &group_id,
            GroupRequest::OffsetCommit(asked),
            pick!(OffsetCommit),
        )
        .await;
        // The answers come in the order in which the existing partitions were asked.
        let open = topics
            .iter_mut()
            .flat_map(|topic| &mut topic.partitions)
            .filter(|partition| partition.error_code == ErrorCode::None.code());
        match answer {
            Ok(answer) => {
                let mut answers = answer.partitions.iter();
                for partition in open {
                    let error = answers
                        .next()
                        .map_or(ErrorCode::UnknownServerError, |answer| answer.error);
                    partition.error_code = error.code();
                }
            }
            Err(error) => open.for_each(|partition| partition.error_code = error.code()),
        }
    }
    if header.api_version >= FIRST_VERSION_WITH_TOPIC_IDS {
        topics
            .iter_mut()
            .for_each(|topic| topic.name = messages::TopicName::default());
    }
    // As in Kafka: of no partition nothing is told.
    topics.retain(|topic| !topic.partitions.is_empty());
    respond(&header, &OffsetCommitResponse::default().with_topics(topics))
}

/// From this version topics have ids instead of names.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 10;

/// Gives topics that were asked for by their ids their names; one that doesn't exist has none.
fn name_topics(image: &MetadataImage, body: &mut messages::OffsetCommitRequest) {
    for topic in &mut body.topics {
        if let TopicReference::Id(id) = topic_reference(&topic.name) {
            topic.topic_id = id.0;
            let found = image.topic_by_id(id);
            topic.name = found.map(|found| wire_topic(&found.name)).unwrap_or_default();
        }
    }
}

/// The answer's form, with an error for every partition that doesn't exist.
fn skeleton(
    image: &MetadataImage,
    body: &messages::OffsetCommitRequest,
    version: i16,
) -> Vec<OffsetCommitResponseTopic> {
    let topics = body.topics.iter().map(|topic| {
        let found = image.topic(topic.name.0.as_str());
        let partitions = topic.partitions.iter().map(|partition| {
            let index = PartitionIndex(partition.partition_index);
            let exists = found.is_some_and(|topic| topic.partition(index).is_some());
            let error = match found {
                _ if exists => ErrorCode::None,
                None if version >= FIRST_VERSION_WITH_TOPIC_IDS => ErrorCode::UnknownTopicId,
                _ => ErrorCode::UnknownTopicOrPartition,
            };
            OffsetCommitResponsePartition::default()
                .with_partition_index(index.0)
                .with_error_code(error.code())
        });
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions.collect())
    });
    topics.collect()
}

/// What is to be committed of the partitions that exist.
fn offsets(body: &mut messages::OffsetCommitRequest, topics: &[OffsetCommitResponseTopic]) -> Vec<OffsetToCommit> {
    let mut offsets = Vec::new();
    for (asked, answer) in body.topics.iter_mut().zip(topics) {
        let topic = topic_name(&asked.name);
        for (partition, answer) in asked.partitions.iter_mut().zip(&answer.partitions) {
            if answer.error_code == ErrorCode::None.code() {
                offsets.push(OffsetToCommit {
                    topic: topic.clone(),
                    partition: PartitionIndex(partition.partition_index),
                    offset: Offset(partition.committed_offset),
                    leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
                    metadata: owned(partition.committed_metadata.take()),
                });
            }
        }
    }
    offsets
}

#[cfg(test)]
mod tests {
    use wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    use wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
    use wire::messages::{GroupId, OffsetFetchRequest, TopicName};

    use super::super::exchange::text;
    use super::super::fixture::LoneBroker;
    use super::*;

    fn commit(topic: &str, offset: i64) -> messages::OffsetCommitRequest {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![partition]);
        messages::OffsetCommitRequest::default()
            .with_group_id(GroupId(text("f")))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic])
    }

    /// Group `f` lives on partition 0 of three, the one that the lone broker leads.
    #[tokio::test]
    async fn a_commit_goes_through_the_partitions_log_and_is_fetched() {
        let lone = LoneBroker::with_topics(&["a", crate::coordinator::OFFSETS_TOPIC]).await;
        let error = loop {
            let answer: OffsetCommitResponse = lone.ask(9, &commit("a", 42)).await;
            let error = answer.topics[0].partitions[0].error_code;
            if error != ErrorCode::CoordinatorLoadInProgress.code() {
                break error;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(error, 0);
        let absent: OffsetCommitResponse = lone.ask(9, &commit("absent", 42)).await;
        assert_eq!(
            absent.topics[0].partitions[0].error_code,
            ErrorCode::UnknownTopicOrPartition.code()
        );
        let topic = OffsetFetchRequestTopics::default()
            .with_name(TopicName(text("a")))
            .with_partition_indexes(vec![0]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text("f")))
            .with_topics(Some(vec![topic]));
        let answer = lone
            .ask(9, &OffsetFetchRequest::default().with_groups(vec![group]))
            .await;
        assert_eq!(answer.groups[0].topics[0].partitions[0].committed_offset, 42);
    }
}
