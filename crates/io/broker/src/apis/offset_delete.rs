//! OffsetDelete (47, KIP-496).

use std::collections::HashMap;
use std::sync::Arc;

use coordinator::{OffsetDeleteRequest, TopicPartitions};
use types::{ErrorCode, PartitionIndex, TopicName};
use wire::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use wire::messages::{self, OffsetDeleteResponse};

use super::exchange::{Handled, decode, respond, topic_name};
use super::group_answers::{ask, check_group_id, pick};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::GroupRequest;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: messages::OffsetDeleteRequest = decode(&header, request.body)?;
    let topics: Vec<TopicPartitions> = {
        let image = broker.host.image.load();
        let exists = |name: &TopicName, index: i32| {
            image
                .topic(name.as_str())
                .is_some_and(|topic| topic.partition(PartitionIndex(index)).is_some())
        };
        let topics = body.topics.iter().map(|topic| {
            let name = topic_name(&topic.name);
            let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
            let partitions = indexes
                .filter(|index| exists(&name, *index))
                .map(PartitionIndex)
                .collect();
            TopicPartitions {
                topic: name,
                partitions,
            }
        });
        topics.filter(|topic| !topic.partitions.is_empty()).collect()
    };
    let asked = OffsetDeleteRequest {
        group_id: body.group_id.0.to_string(),
        topics,
    };
    let answer = match check_group_id(&body.group_id) {
        Ok(()) => {
            let request = GroupRequest::OffsetDelete(asked);
            ask(&broker, &body.group_id.0, request, pick!(OffsetDelete)).await
        }
        Err(error) => Err(error),
    };
    let response = match answer {
        Ok(answer) if answer.error.is_none() => {
            let outcomes: HashMap<(TopicName, PartitionIndex), ErrorCode> = answer
                .partitions
                .into_iter()
                .map(|result| ((result.topic, result.partition), result.error))
                .collect();
            OffsetDeleteResponse::default().with_topics(shown(&body, &outcomes))
        }
        Ok(answer) => OffsetDeleteResponse::default().with_error_code(answer.error.code()),
        Err(error) => OffsetDeleteResponse::default().with_error_code(error.code()),
    };
    respond(&header, &response)
}

/// A partition that wasn't asked of the coordinator doesn't exist.
fn shown(
    body: &messages::OffsetDeleteRequest,
    outcomes: &HashMap<(TopicName, PartitionIndex), ErrorCode>,
) -> Vec<OffsetDeleteResponseTopic> {
    let topics = body.topics.iter().map(|topic| {
        let name = topic_name(&topic.name);
        let partitions = topic.partitions.iter().map(|partition| {
            let place = (name.clone(), PartitionIndex(partition.partition_index));
            let error = outcomes
                .get(&place)
                .copied()
                .unwrap_or(ErrorCode::UnknownTopicOrPartition);
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code())
        });
        OffsetDeleteResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    topics.collect()
}
