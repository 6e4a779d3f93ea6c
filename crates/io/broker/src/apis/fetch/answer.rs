//! From what was read to the response: grouped by topic, with the leaders that the client should have asked (KIP-951).

use metadata::MetadataImage;
use types::{ErrorCode, TopicIdPartition};
use wire::{FetchLeader, FetchNodeEndpoint, FetchPartition, FetchResponse, FetchTopic};

use super::super::current_leader::NamedLeaders;
use super::super::fetch_session::FetchTarget;

/// The answer names the leader from this version on.
const CURRENT_LEADER_SINCE: i16 = 16;

/// The partition that is meant.
pub(super) fn identify(image: &MetadataImage, target: &FetchTarget) -> Result<TopicIdPartition, ErrorCode> {
    let topic = if target.name.as_str().is_empty() {
        image.topic_by_id(target.id).ok_or(ErrorCode::UnknownTopicId)?
    } else {
        image
            .topic(target.name.as_str())
            .ok_or(ErrorCode::UnknownTopicOrPartition)?
    };
    if topic.partition(target.partition).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    Ok(TopicIdPartition {
        topic_id: topic.id,
        partition: target.partition,
    })
}

/// Builds the response; neighbours of one topic share an entry.
pub(super) fn response(
    image: &MetadataImage,
    listener: &str,
    version: i16,
    session_id: i32,
    answers: Vec<(FetchTarget, FetchPartition)>,
) -> FetchResponse {
    let mut leaders = NamedLeaders::default();
    let mut topics: Vec<FetchTopic> = Vec::new();
    for (target, mut answer) in answers {
        let elsewhere = matches!(
            answer.error,
            ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch
        );
        if version >= CURRENT_LEADER_SINCE && elsewhere {
            let leader = identify(image, &target)
                .ok()
                .and_then(|id| leaders.name(image, id, listener));
            answer.current_leader = leader.map(|(leader_id, leader_epoch)| FetchLeader {
                leader_id,
                leader_epoch,
            });
        }
        match topics
            .last_mut()
            .filter(|topic| topic.name == target.name && topic.id == target.id)
        {
            Some(topic) => topic.partitions.push(answer),
            None => topics.push(FetchTopic {
                name: target.name,
                id: target.id,
                partitions: vec![answer],
            }),
        }
    }
    let node_endpoints = leaders.endpoints().map(|(node_id, endpoint)| FetchNodeEndpoint {
        node_id,
        host: endpoint.host,
        port: i32::from(endpoint.port),
        rack: endpoint.rack,
    });
    FetchResponse {
        throttle_time_ms: 0,
        error: ErrorCode::None,
        session_id,
        topics,
        node_endpoints: node_endpoints.collect(),
    }
}
