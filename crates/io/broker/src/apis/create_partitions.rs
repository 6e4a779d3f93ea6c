//! CreatePartitions (37).

use std::collections::HashMap;
use std::sync::Arc;

use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{self, BrokerIds, CreatePartitionsItem};
use types::ErrorCode;
use wire::messages::create_partitions_request::CreatePartitionsTopic;
use wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse, TopicName};

use super::controller_call::{Refused, ask_controller_for, error_code, message_of, mismatched};
use super::exchange::{Handled, decode, respond};
use crate::context::{ApiRequest, BrokerContext};

/// From this version clients understand that their quota is used up.
const STRICT_SINCE: i16 = 3;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: CreatePartitionsRequest = decode(&header, request.body)?;
    let mut times: HashMap<&TopicName, usize> = HashMap::new();
    for topic in &body.topics {
        *times.entry(&topic.name).or_default() += 1;
    }
    let mut results = Vec::with_capacity(body.topics.len());
    let mut items = Vec::with_capacity(body.topics.len());
    let mut throttle_time_ms = 0;
    for topic in &body.topics {
        match times.get_mut(&topic.name) {
            Some(left) if *left > 1 => {
                *left = 0;
                results.push(refused(
                    &topic.name,
                    &Refused::new(ErrorCode::InvalidRequest, "Duplicate topic name."),
                ));
            }
            // Named, but without any: the controller would take it for none.
            Some(1) if topic.assignments.as_ref().is_some_and(Vec::is_empty) => results.push(refused(
                &topic.name,
                &Refused::new(
                    ErrorCode::InvalidReplicaAssignment,
                    "Attempted to add partitions, but only 0 assignment(s) were specified.",
                ),
            )),
            Some(1) => items.push(topic),
            _ => {}
        }
    }
    if !items.is_empty() {
        let asked = proto::CreatePartitionsRequest {
            topics: items.iter().map(|topic| item(topic)).collect(),
            validate_only: body.validate_only,
        };
        let asked = Request::CreatePartitions(asked);
        let answer = ask_controller_for(&request.client, &header, STRICT_SINCE, &broker, asked, body.timeout_ms).await;
        let refusal = match answer {
            Ok((Response::CreatePartitions(answer), wait_ms)) if answer.topics.len() == items.len() => {
                throttle_time_ms = wait_ms;
                results.extend(answer.topics.iter().zip(&items).map(|(result, item)| {
                    CreatePartitionsTopicResult::default()
                        .with_name(item.name.clone())
                        .with_error_code(error_code(result.error_code).code())
                        .with_error_message(message_of(&result.error_message))
                }));
                None
            }
            Ok(_) => Some(mismatched()),
            Err(refusal) => Some(refusal),
        };
        if let Some(refusal) = refusal {
            results.extend(items.iter().map(|topic| refused(&topic.name, &refusal)));
        }
    }
    let response = CreatePartitionsResponse::default()
        .with_throttle_time_ms(throttle_time_ms)
        .with_results(results);
    respond(&header, &response)
}

fn item(topic: &CreatePartitionsTopic) -> CreatePartitionsItem {
    let assignments = topic.assignments.iter().flatten();
    CreatePartitionsItem {
        name: topic.name.0.to_string(),
        count: topic.count,
        assignments: assignments
            .map(|assignment| BrokerIds {
                ids: assignment.broker_ids.iter().map(|id| id.0).collect(),
            })
            .collect(),
    }
}

fn refused(name: &TopicName, refusal: &Refused) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult::default()
        .with_name(name.clone())
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.text())
}
