//! OffsetFetch (9): one group, or from version 8 several (KIP-709). The empty list of topics before version 2 asks for
//! nothing; null asks for everything.

use std::sync::Arc;

use coordinator::{FetchedOffset, OffsetFetchRequest, OffsetFetchResponse, TopicPartitions};
use futures::future::join_all;
use metadata::MetadataImage;
use types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicName};
use wire::messages;
use wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};

use wire::{TopicReference, topic_reference};

use super::exchange::{Handled, decode, respond, text, topic_name, wire_topic};
use super::group_answers::{ask, owned, pick, wire_group};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::GroupRequest;

const FIRST_VERSION_WITH_GROUPS: i16 = 8;
const FIRST_VERSION_WITH_MEMBERS: i16 = 9;
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 10;
const FIRST_VERSION_WITH_ERROR: i16 = 2;
const FIRST_VERSION_WITH_LEADER_EPOCH: i16 = 5;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let version = header.api_version;
    let body: messages::OffsetFetchRequest = decode(&header, request.body)?;
    if version >= FIRST_VERSION_WITH_GROUPS {
        let image = broker.host.image.load_full();
        let known = |group: &OffsetFetchRequestGroup| -> Option<Vec<TopicPartitions>> {
            let known = group.topics.as_ref()?.iter().filter_map(|topic| {
                let name = match topic_reference(&topic.name) {
                    TopicReference::Name(_) => topic.name.clone(),
                    TopicReference::Id(id) => wire_topic(&image.topic_by_id(id)?.name),
                };
                Some(partitions(&name, &topic.partition_indexes))
            });
            Some(known.collect())
        };
        let topics: Vec<Option<Vec<TopicPartitions>>> = body.groups.iter().map(known).collect();
        let asked = body.groups.iter().zip(&topics).map(|(group, topics)| {
            let member_id = owned(group.member_id.clone()).filter(|id| !id.is_empty());
            let member = member_id.filter(|_| version >= FIRST_VERSION_WITH_MEMBERS);
            let member = member.map(|id| (id, group.member_epoch));
            fetch(&broker, group.group_id.0.to_string(), topics.clone(), member)
        });
        let answers = join_all(asked).await.into_iter().zip(&topics);
        let groups = answers.zip(&body.groups).map(|((answer, topics), asked)| {
            let failed = !answer.error.is_none();
            let group = group_shown(answer, topics.as_deref());
            if version < FIRST_VERSION_WITH_TOPIC_IDS {
                return group;
            }
            group_by_id(group, asked.topics.iter().flatten().filter(|_| !failed), &image)
        });
        let groups = groups.collect();
        return respond(&header, &messages::OffsetFetchResponse::default().with_groups(groups));
    }
    let topics: Option<Vec<TopicPartitions>> = body.topics.as_ref().map(|topics| {
        topics
            .iter()
            .map(|topic| partitions(&topic.name, &topic.partition_indexes))
            .collect()
    });
    let mut answer = fetch(&broker, body.group_id.0.to_string(), topics.clone(), None).await;
    if version < FIRST_VERSION_WITH_ERROR && !answer.error.is_none() {
        // There is no place for the group's error: every partition carries it.
        answer.offsets = failed(topics.clone().unwrap_or_default(), answer.error);
        answer.error = ErrorCode::None;
    }
    respond(&header, &shown(answer, topics.as_deref(), version))
}

async fn fetch(
    broker: &BrokerContext,
    group_id: String,
    topics: Option<Vec<TopicPartitions>>,
    member: Option<(String, i32)>,
) -> OffsetFetchResponse {
    let asked = OffsetFetchRequest {
        group_id: group_id.clone(),
        topics,
        member,
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

/// In the form in which they were asked for; where everything was, neighbours of the same topic together.
fn by_topic(offsets: Vec<FetchedOffset>, asked: Option<&[TopicPartitions]>) -> Vec<(TopicName, Vec<FetchedOffset>)> {
    if let Some(asked) =
        asked.filter(|asked| asked.iter().map(|topic| topic.partitions.len()).sum::<usize>() == offsets.len())
    {
        let mut offsets = offsets.into_iter();
        let topics = asked.iter().map(|topic| {
            let own = offsets.by_ref().take(topic.partitions.len());
            (topic.topic.clone(), own.collect())
        });
        return topics.collect();
    }
    let mut topics: Vec<(TopicName, Vec<FetchedOffset>)> = Vec::new();
    for offset in offsets {
        match topics.last_mut() {
            Some((topic, offsets)) if *topic == offset.topic => offsets.push(offset),
            _ => topics.push((offset.topic.clone(), vec![offset])),
        }
    }
    topics
}

fn group_shown(answer: OffsetFetchResponse, asked: Option<&[TopicPartitions]>) -> OffsetFetchResponseGroup {
    let topics = by_topic(answer.offsets, asked).into_iter().map(|(topic, offsets)| {
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

/// From v10 on topics are told by their ids; one that doesn't exist is told as such, where it was asked for.
fn group_by_id<'a>(
    mut group: OffsetFetchResponseGroup,
    asked: impl Iterator<Item = &'a OffsetFetchRequestTopics>,
    image: &MetadataImage,
) -> OffsetFetchResponseGroup {
    group.topics.retain_mut(|topic| {
        let found = image.topic(topic.name.0.as_str());
        topic.topic_id = found.map(|found| found.id.0).unwrap_or_default();
        topic.name = messages::TopicName::default();
        found.is_some()
    });
    for topic in asked {
        let TopicReference::Id(id) = topic_reference(&topic.name) else {
            continue;
        };
        if image.topic_by_id(id).is_some() {
            continue;
        }
        let partitions = topic.partition_indexes.iter().map(|partition| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(*partition)
                .with_committed_offset(-1)
                .with_metadata(Some(text("")))
                .with_error_code(ErrorCode::UnknownTopicId.code())
        });
        let unknown = OffsetFetchResponseTopics::default()
            .with_topic_id(id.0)
            .with_partitions(partitions.collect());
        group.topics.push(unknown);
    }
    group
}

fn shown(
    answer: OffsetFetchResponse,
    asked: Option<&[TopicPartitions]>,
    version: i16,
) -> messages::OffsetFetchResponse {
    let topics = by_topic(answer.offsets, asked).into_iter().map(|(topic, offsets)| {
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
            let response = shown(answer(error), None, version);
            assert_eq!(response.topics.len(), 2);
            assert!(encode_response(9, version, 1, &response).is_ok(), "version {version}");
        }
        for version in 8..=9 {
            let groups = vec![group_shown(answer(ErrorCode::NotCoordinator), None)];
            let response = messages::OffsetFetchResponse::default().with_groups(groups);
            assert!(encode_response(9, version, 1, &response).is_ok(), "version {version}");
        }
    }
}
