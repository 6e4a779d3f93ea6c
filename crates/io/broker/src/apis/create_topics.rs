//! CreateTopics (19). The controller decides; this broker adds what the answer shows of the topic (KIP-525).

use std::collections::HashMap;
use std::sync::Arc;

use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{self, CreateTopicItem, CreateTopicResult, ReplicaAssignment};
use types::{ErrorCode, Uuid};
use wire::messages::create_topics_request::CreatableTopic;
use wire::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use wire::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};

use super::controller_call::{Refused, ask_controller_for, error_code, message_of, mismatched};
use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";
/// From this version the answer shows partitions, replication factor and configurations.
const FIRST_VERSION_WITH_DETAILS: i16 = 5;
/// From this version clients understand that their quota is used up.
const STRICT_SINCE: i16 = 6;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: CreateTopicsRequest = decode(&header, request.body)?;
    let mut times: HashMap<&str, usize> = HashMap::new();
    for topic in &body.topics {
        *times.entry(topic.name.0.as_str()).or_default() += 1;
    }
    let mut results = Vec::with_capacity(body.topics.len());
    let mut items = Vec::with_capacity(body.topics.len());
    let mut throttle_time_ms = 0;
    for topic in &body.topics {
        let name = topic.name.0.as_str();
        match times.get_mut(name) {
            // A name that is given twice is refused once.
            Some(left) if *left > 1 => {
                *left = 0;
                results.push(refused(
                    &topic.name,
                    &Refused::new(ErrorCode::InvalidRequest, "Duplicate topic name."),
                ));
            }
            Some(1) if name == CLUSTER_METADATA_TOPIC => {
                let message = format!("Creation of internal topic {CLUSTER_METADATA_TOPIC} is prohibited.");
                results.push(refused(&topic.name, &Refused::new(ErrorCode::InvalidRequest, message)));
            }
            Some(1) => items.push(topic),
            _ => {}
        }
    }
    if !items.is_empty() {
        let asked = proto::CreateTopicsRequest {
            topics: items.iter().map(|topic| item(topic)).collect(),
            validate_only: body.validate_only,
        };
        let asked = Request::CreateTopics(asked);
        let answer = ask_controller_for(&request.client, &header, STRICT_SINCE, &broker, asked, body.timeout_ms).await;
        let answer = match answer {
            Ok((Response::CreateTopics(answer), wait_ms)) => {
                throttle_time_ms = wait_ms;
                Ok(answer)
            }
            Ok(_) => Err(mismatched()),
            Err(refused) => Err(refused),
        };
        match answer {
            Ok(answer) => {
                let by_name: HashMap<&str, &CreateTopicResult> =
                    answer.topics.iter().map(|topic| (topic.name.as_str(), topic)).collect();
                results.extend(items.iter().map(|topic| match by_name.get(topic.name.0.as_str()) {
                    Some(created) => shown(&broker, topic, created, header.api_version),
                    None => refused(&topic.name, &mismatched()),
                }));
            }
            Err(refusal) => results.extend(items.iter().map(|topic| refused(&topic.name, &refusal))),
        }
    }
    let response = CreateTopicsResponse::default()
        .with_throttle_time_ms(throttle_time_ms)
        .with_topics(results);
    respond(&header, &response)
}

fn item(topic: &CreatableTopic) -> CreateTopicItem {
    let assignments = topic.assignments.iter().map(|assignment| ReplicaAssignment {
        index: assignment.partition_index,
        replicas: assignment.broker_ids.iter().map(|id| id.0).collect(),
    });
    let configs = topic.configs.iter().map(|config| proto::ConfigEntry {
        key: config.name.to_string(),
        value: config.value.as_ref().map(ToString::to_string),
    });
    CreateTopicItem {
        name: topic.name.0.to_string(),
        partitions: topic.num_partitions,
        replication_factor: i32::from(topic.replication_factor),
        assignments: assignments.collect(),
        configs: configs.collect(),
        wait_for_replication: false,
    }
}

fn refused(name: &TopicName, refusal: &Refused) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name.clone())
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.text())
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_configs(Some(Vec::new()))
}

fn shown(
    broker: &BrokerContext,
    topic: &CreatableTopic,
    created: &CreateTopicResult,
    version: i16,
) -> CreatableTopicResult {
    let code = error_code(created.error_code);
    if !code.is_none() {
        return refused(
            &topic.name,
            &Refused {
                code,
                message: created.error_message.clone(),
            },
        );
    }
    let mut result = CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_topic_id(Uuid::from_slice(&created.topic_id).unwrap_or_default())
        .with_error_message(message_of(&created.error_message))
        .with_num_partitions(created.partitions)
        .with_replication_factor(i16::try_from(created.replication_factor).unwrap_or(-1));
    if version >= FIRST_VERSION_WITH_DETAILS {
        result.configs = Some(configs(broker, topic));
    }
    result
}

/// The configuration that the topic has, as DescribeConfigs would show it.
fn configs(broker: &BrokerContext, topic: &CreatableTopic) -> Vec<CreatableTopicConfigs> {
    let own = topic
        .configs
        .iter()
        .filter_map(|config| Some((config.name.as_str(), config.value.as_ref()?.as_str())));
    config::describe::effective_topic(own, &super::describe_configs::broker_defaults(broker))
        .into_iter()
        .map(|entry| {
            CreatableTopicConfigs::default()
                .with_name(text(entry.name))
                .with_value(entry.value.as_deref().map(text))
                .with_read_only(entry.read_only)
                .with_config_source(entry.source.wire_code())
                .with_is_sensitive(entry.sensitive)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use wire::encode_response;

    use super::*;

    #[test]
    fn every_version_can_carry_a_refusal() {
        let refusal = Refused::new(ErrorCode::NotController, "no controller");
        for version in 2..=7 {
            let topics = vec![refused(&TopicName(text("t")), &refusal)];
            let response = CreateTopicsResponse::default().with_topics(topics);
            assert!(encode_response(19, version, 1, &response).is_ok(), "version {version}");
        }
    }
}
