//! OffsetFetch (9): one group, or from version 8 several (KIP-709). The empty list of topics before version 2 asks for
//! nothing; null asks for everything.

use std::sync::Arc;

use coordinator::{FetchedOffset, OffsetFetchRequest, OffsetFetchResponse, TopicPartitions};
use futures::future::join_all;
use types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicName};
use wire::messages;
use wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};

use super::exchange::{Handled, decode, respond, text, topic_name, wire_topic};
use super::group_answers::{ask, pick, wire_group};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::GroupRequest;

const FIRST_VERSION_WITH_GROUPS: i16 = 8;
const FIRST_VERSION_WITH_ERROR: i16 = 2;
const FIRST_VERSION_WITH_LEADER_EPOCH: i16 = 5;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let version = header.api_version;
    let body: messages::OffsetFetchRequest = decode(&header, request.body)?;
    if version >= FIRST_VERSION_WITH_GROUPS {
        let asked = body.groups.iter().map(|group| {
            let topics = group.topics.as_ref().map(|topics| {
                topics
                    .iter()
                    .map(|topic| partitions(&topic.name, &topic.partition_indexes))
                    .collect()
            });
            fetch(&broker, group.group_id.0.to_string(), topics)
        });
        let groups = join_all(asked).await.into_iter().map(group_shown).collect();
        return respond(&header, &messages::OffsetFetchResponse::default().with_groups(groups));
    }
    let topics: Option<Vec<TopicPartitions>> = body.topics.as_ref().map(|topics| {
        topics
            .iter()
            .map(|topic| partitions(&topic.name, &topic.partition_indexes))
            .collect()
    });
    let mut answer = fetch(&broker, body.group_id.0.to_string(), topics.clone()).await;
    if version < FIRST_VERSION_WITH_ERROR && !answer.error.is_none() {
        // There is no place for the group's error: every partition carries it.
        answer.offsets = failed(topics.unwrap_or_default(), answer.error);
        answer.error = ErrorCode::None;
    }
    respond(&header, &shown(answer, version))
}

async fn fetch(broker: &BrokerContext, group_id: String, topics: Option<Vec<TopicPartitions>>) -> OffsetFetchResponse {
    let asked = OffsetFetchRequest {
        group_id: group_id.clone(),
        topics,
    };
    let answer = ask(broker, &group_id, GroupRequest::OffsetFetch(asked), pick!(OffsetFetch)).await;
    answer.unwrap_or_else(|error| OffsetFetchResponse {
        group_id,
        error,
        offsets: Vec::new(),
    })
}

fn partitions(name: &messages::TopicName, indexes: &[i32]) -> TopicPartitions {
    TopicPartitions {
        topic: topic_name(name),
        partitions: indexes.iter().copied().map(PartitionIndex).collect(),
    }
}

fn failed(topics: Vec<TopicPartitions>, error: ErrorCode) -> Vec<FetchedOffset> {
    let partitions = topics.into_iter().flat_map(|topic| {
        topic
            .partitions
            .into_iter()
            .map(move |partition| (topic.topic.clone(), partition))
    });
    let failed = partitions.map(|(topic, partition)| FetchedOffset {
        topic,
        partition,
        offset: Offset(-1),
        leader_epoch: LeaderEpoch::NONE,
        metadata: String::new(),
        error,
    });
    failed.collect()
}

/// Neighbours of the same topic together, in the order asked.
fn by_topic(offsets: Vec<FetchedOffset>) -> Vec<(TopicName, Vec<FetchedOffset>)> {
    let mut topics: Vec<(TopicName, Vec<FetchedOffset>)> = Vec::new();
    for offset in offsets {
        match topics.last_mut() {
            Some((topic, offsets)) if *topic == offset.topic => offsets.push(offset),
            _ => topics.push((offset.topic.clone(), vec![offset])),
        }
    }
    topics
}

fn group_shown(answer: OffsetFetchResponse) -> OffsetFetchResponseGroup {
    let topics = by_topic(answer.offsets).into_iter().map(|(topic, offsets)| {
        let partitions = offsets.into_iter().map(|offset| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(offset.partition.0)
                .with_committed_offset(offset.offset.0)
                .with_committed_leader_epoch(offset.leader_epoch.0)
                .with_metadata(Some(text(&offset.metadata)))
                .with_error_code(offset.error.code())
        });
        OffsetFetchResponseTopics::default()
            .with_name(wire_topic(&topic))
            .with_partitions(partitions.collect())
    });
    OffsetFetchResponseGroup::default()
        .with_group_id(wire_group(&answer.group_id))
        .with_error_code(answer.error.code())
        .with_topics(topics.collect())
}

fn shown(answer: OffsetFetchResponse, version: i16) -> messages::OffsetFetchResponse {
    let topics = by_topic(answer.offsets).into_iter().map(|(topic, offsets)| {
        let partitions = offsets.into_iter().map(|offset| {
            let partition = OffsetFetchResponsePartition::default()
                .with_partition_index(offset.partition.0)
                .with_committed_offset(offset.offset.0)
                .with_metadata(Some(text(&offset.metadata)))
                .with_error_code(offset.error.code());
            if version >= FIRST_VERSION_WITH_LEADER_EPOCH {
                partition.with_committed_leader_epoch(offset.leader_epoch.0)
            } else {
                partition
            }
        });
        OffsetFetchResponseTopic::default()
            .with_name(wire_topic(&topic))
            .with_partitions(partitions.collect())
    });
    messages::OffsetFetchResponse::default()
        .with_error_code(answer.error.code())
        .with_topics(topics.collect())
}

#[cfg(test)]
mod tests {
    use wire::encode_response;

    use super::*;

    fn answer(error: ErrorCode) -> OffsetFetchResponse {
        let offsets = failed(
            vec![
                partitions(&messages::TopicName(text("t")), &[0, 1]),
                partitions(&messages::TopicName(text("u")), &[7]),
            ],
            ErrorCode::None,
        );
        OffsetFetchResponse {
            group_id: "g".to_owned(),
            error,
            offsets,
        }
    }

    #[test]
    fn every_version_can_be_encoded() {
        for version in 1..=7 {
            let error = if version < 2 {
                ErrorCode::None
            } else {
                ErrorCode::NotCoordinator
            };
            let response = shown(answer(error), version);
            assert_eq!(response.topics.len(), 2);
            assert!(encode_response(9, version, 1, &response).is_ok(), "version {version}");
        }
        for version in 8..=9 {
            let groups = vec![group_shown(answer(ErrorCode::NotCoordinator))];
            let response = messages::OffsetFetchResponse::default().with_groups(groups);
            assert!(encode_response(9, version, 1, &response).is_ok(), "version {version}");
        }
    }
}
