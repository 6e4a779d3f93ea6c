//! ConsumerGroupHeartbeat (68, KIP-848).

use std::sync::Arc;

use coordinator::record::Assignment;
use coordinator::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use metadata::features::serves_consumer_groups;
use types::{ErrorCode, PartitionIndex, TopicId};
use wire::messages::consumer_group_heartbeat_response::{Assignment as WireAssignment, TopicPartitions};
use wire::messages::{self};

use super::exchange::{Handled, decode, respond, topic_name};
use super::group_answers::{ask, owned, pick, wire_text};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::GroupRequest;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: messages::ConsumerGroupHeartbeatRequest = decode(&header, request.body)?;
    if !serves_consumer_groups(&broker.host.image.load()) {
        let refusal = ConsumerGroupHeartbeatResponse::error(ErrorCode::UnsupportedVersion, None);
        return respond(&header, &shown(Ok(refusal)));
    }
    let group_id = body.group_id.0.to_string();
    let topics = body.subscribed_topic_names;
    let asked = ConsumerGroupHeartbeatRequest {
        api_version: header.api_version,
        group_id: group_id.clone(),
        member_id: body.member_id.to_string(),
        fresh_member_id: broker.new_uuid.new_uuid().to_string(),
        member_epoch: body.member_epoch,
        instance_id: owned(body.instance_id),
        rack_id: owned(body.rack_id),
        rebalance_timeout_ms: body.rebalance_timeout_ms,
        topics: topics.map(|topics| topics.iter().map(topic_name).collect()),
        pattern: owned(body.subscribed_topic_regex),
        assignor: owned(body.server_assignor),
        owned: body.topic_partitions.map(|topics| {
            let partitions = topics.into_iter().map(|topic| {
                let partitions = topic.partitions.into_iter().map(PartitionIndex);
                (TopicId(topic.topic_id), partitions.collect())
            });
            partitions.collect()
        }),
        client_id: header.client_id.clone().unwrap_or_default(),
        client_host: format!("/{}", request.client.address),
    };
    if group_id.is_empty() {
        // No coordinator has it.
        let message = Some("GroupId can't be empty.".to_owned());
        let refusal = ConsumerGroupHeartbeatResponse::error(ErrorCode::InvalidRequest, message);
        return respond(&header, &shown(Ok(refusal)));
    }
    let request = GroupRequest::ConsumerGroupHeartbeat(Box::new(asked));
    let answer = ask(&broker, &group_id, request, pick!(ConsumerGroupHeartbeat)).await;
    respond(&header, &shown(answer))
}

fn shown(answer: Result<ConsumerGroupHeartbeatResponse, ErrorCode>) -> messages::ConsumerGroupHeartbeatResponse {
    let response = messages::ConsumerGroupHeartbeatResponse::default();
    match answer {
        Ok(answer) => response
            .with_error_code(answer.error.code())
            .with_error_message(wire_text(answer.message.as_deref()))
            .with_member_id(wire_text(answer.member_id.as_deref()))
            .with_member_epoch(answer.member_epoch)
            .with_heartbeat_interval_ms(answer.heartbeat_interval_ms)
            .with_assignment(answer.assignment.as_ref().map(wire_assignment)),
        Err(error) => response.with_error_code(error.code()),
    }
}

fn wire_assignment(assignment: &Assignment) -> WireAssignment {
    let topics = assignment.iter().map(|(topic, partitions)| {
        TopicPartitions::default()
            .with_topic_id(topic.0)
            .with_partitions(partitions.iter().map(|partition| partition.0).collect())
    });
    WireAssignment::default().with_topic_partitions(topics.collect())
}
