//! DeleteTopics (20), by name or, from version 6, by id.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{self, DeleteTopicItem};
use types::{ErrorCode, Uuid};
use wire::messages::delete_topics_request::DeleteTopicState;
use wire::messages::delete_topics_response::DeletableTopicResult;
use wire::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};

use super::controller_call::{Refused, ask_controller_for, error_code, mismatched};
use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

const FIRST_VERSION_WITH_IDS: i16 = 6;
const FIRST_VERSION_WITH_DELETION_DISABLED: i16 = 3;
/// From this version clients understand that their quota is used up.
const STRICT_SINCE: i16 = 5;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: DeleteTopicsRequest = decode(&header, request.body)?;
    let asked: Vec<DeleteTopicState> = if header.api_version >= FIRST_VERSION_WITH_IDS {
        body.topics
    } else {
        body.topic_names
            .into_iter()
            .map(|name| DeleteTopicState::default().with_name(Some(name)))
            .collect()
    };
    let mut results = Vec::with_capacity(asked.len());
    // Once is enough for who asked twice.
    let mut told = HashSet::new();
    let mut is_new = |result: &DeletableTopicResult| {
        let key = (result.name.clone(), result.topic_id, result.error_code);
        told.insert(key)
    };
    let mut items = Vec::with_capacity(asked.len());
    if broker.config.topics.delete_topic_enable {
        let mut times: HashMap<(Option<&TopicName>, Uuid), usize> = HashMap::new();
        for topic in &asked {
            *times.entry((topic.name.as_ref(), topic.topic_id)).or_default() += 1;
        }
        for topic in &asked {
            let message = match (&topic.name, topic.topic_id.is_nil()) {
                (Some(_), false) => "You may not specify both topic name and topic id.",
                (None, true) => "Neither topic name nor id were specified.",
                (name, _)
                    if times
                        .get(&(name.as_ref(), topic.topic_id))
                        .is_some_and(|times| *times > 1) =>
                {
                    if name.is_some() {
                        "Duplicate topic name."
                    } else {
                        "Duplicate topic id."
                    }
                }
                (Some(name), _) if name.is_empty() => {
                    let unknown = Refused::new(ErrorCode::UnknownTopicOrPartition, "no topic of that name");
                    results.push(refused(topic, &unknown));
                    continue;
                }
                _ => {
                    items.push(topic.clone());
                    continue;
                }
            };
            let result = refused(topic, &Refused::new(ErrorCode::InvalidRequest, message));
            if is_new(&result) {
                results.push(result);
            }
        }
    } else {
        let code = if header.api_version >= FIRST_VERSION_WITH_DELETION_DISABLED {
            ErrorCode::TopicDeletionDisabled
        } else {
            ErrorCode::InvalidRequest
        };
        let refusal = Refused::new(code, "Topic deletion is disabled.");
        results.extend(asked.iter().map(|topic| refused(topic, &refusal)));
    }
    let mut throttle_time_ms = 0;
    if !items.is_empty() {
        let asked = asked_of_the_controller(&items);
        let answer = ask_controller_for(&request.client, &header, STRICT_SINCE, &broker, asked, body.timeout_ms).await;
        let refusal = match answer {
            Ok((Response::DeleteTopics(answer), wait_ms)) if answer.topics.len() == items.len() => {
                throttle_time_ms = wait_ms;
                let shown = answer
                    .topics
                    .iter()
                    .zip(&items)
                    .map(|(result, item)| shown(result, item));
                results.extend(shown.filter(is_new));
                None
            }
            Ok(_) => Some(mismatched()),
            Err(refusal) => Some(refusal),
        };
        if let Some(refusal) = refusal {
            results.extend(items.iter().map(|topic| refused(topic, &refusal)));
        }
    }
    let response = DeleteTopicsResponse::default()
        .with_throttle_time_ms(throttle_time_ms)
        .with_responses(results);
    respond(&header, &response)
}

fn asked_of_the_controller(items: &[DeleteTopicState]) -> Request {
    let topics = items.iter().map(|topic| DeleteTopicItem {
        name: topic.name.as_ref().map(|name| name.0.to_string()).unwrap_or_default(),
        topic_id: if topic.name.is_some() {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(topic.topic_id.as_bytes())
        },
    });
    Request::DeleteTopics(proto::DeleteTopicsRequest {
        topics: topics.collect(),
    })
}

fn shown(result: &proto::DeleteTopicResult, item: &DeleteTopicState) -> DeletableTopicResult {
    let code = error_code(result.error_code);
    let refusal = Refused {
        code,
        message: result.error_message.clone(),
    };
    let shown = if code.is_none() {
        DeletableTopicResult::default()
    } else {
        refused(item, &refusal)
    };
    // A topic that is known is told by both.
    if result.name.is_empty() {
        return shown;
    }
    shown
        .with_name(Some(TopicName(text(&result.name))))
        .with_topic_id(Uuid::from_slice(&result.topic_id).unwrap_or_default())
}

fn refused(topic: &DeleteTopicState, refusal: &Refused) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(topic.name.clone())
        .with_topic_id(topic.topic_id)
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.text())
}
