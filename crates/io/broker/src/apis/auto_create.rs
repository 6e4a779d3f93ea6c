//! Topics that come into being because they are named: by Metadata, or by a coordinator that needs its own.
//!
//! The controller answers when every live broker has applied the topic, so it can be used at once (promise META).

use std::time::Duration;

use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{ConfigEntry, ControlRequest, CreateTopicItem, CreateTopicsRequest, MutationClient};
use types::{ErrorCode, MetadataOffset, TopicName};

use super::error_codes::KafkaError;
use crate::context::BrokerContext;

/// The group coordinator's log.
pub(super) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The transaction coordinator's log.
pub(super) const TRANSACTIONS_TOPIC: &str = "__transaction_state";
/// The share coordinator's log.
const SHARE_TOPIC: &str = "__share_group_state";

/// How long a request waits for the topics that it creates.
const CREATION_WAIT: Duration = Duration::from_secs(5);
/// How long this broker may lag behind the controller's answer.
const APPLY_WAIT: Duration = Duration::from_secs(1);

/// Whether clients may not write to the topic's records or delete them: it is a coordinator's.
pub(super) fn is_internal(topic: &str) -> bool {
    matches!(topic, OFFSETS_TOPIC | TRANSACTIONS_TOPIC | SHARE_TOPIC)
}

/// Creates topics with the defaults (a coordinator's topic with its own settings), on the account of the client if one is given.
/// One result a name, in their order; a topic that somebody else has just created counts as created.
pub(super) async fn create_topics(
    broker: &BrokerContext,
    names: &[TopicName],
    client: Option<MutationClient>,
) -> Vec<Result<(), ErrorCode>> {
    let request = CreateTopicsRequest {
        topics: names.iter().map(|name| item(broker, name)).collect(),
        validate_only: false,
    };
    let request = ControlRequest {
        request: Some(Request::CreateTopics(request)),
        client,
    };
    let answer = match broker.controllers.request(request, CREATION_WAIT).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::info!(%error, "topics could not be created");
            return vec![Err(error.code()); names.len()];
        }
    };
    let created = match answer.response {
        Some(Response::CreateTopics(created)) => created,
        _ => return vec![Err(code(answer.error_code)); names.len()],
    };
    wait_applied(broker, MetadataOffset(answer.metadata_offset)).await;
    let result = |name: &TopicName| {
        let found = created.topics.iter().find(|topic| topic.name == name.as_str());
        match found.map_or(ErrorCode::UnknownServerError, |topic| code(topic.error_code)) {
            ErrorCode::None | ErrorCode::TopicAlreadyExists => Ok(()),
            // Whoever wants to use the topic asks again, as with Kafka.
            ErrorCode::ThrottlingQuotaExceeded => Err(ErrorCode::UnknownTopicOrPartition),
            error => Err(error),
        }
    };
    names.iter().map(result).collect()
}

/// Waits until this broker has applied a change that the controller answered. A laggard goes on with what it has.
pub(super) async fn wait_applied(broker: &BrokerContext, offset: MetadataOffset) {
    let mut applied = broker.publisher.subscribe();
    let reached = applied.wait_for(|applied| *applied >= offset);
    let _ = tokio::time::timeout(APPLY_WAIT, reached).await;
}

fn code(number: i32) -> ErrorCode {
    i16::try_from(number).map_or(ErrorCode::UnknownServerError, ErrorCode::from_code)
}

fn item(broker: &BrokerContext, name: &TopicName) -> CreateTopicItem {
    let groups = &broker.config.groups;
    let transactions = &broker.config.transactions;
    let entry = |key: &str, value: String| ConfigEntry {
        key: key.to_owned(),
        value: Some(value),
    };
    let (partitions, replication_factor, configs) = match name.as_str() {
        OFFSETS_TOPIC => (
            groups.offsets_topic_num_partitions,
            i32::from(groups.offsets_topic_replication_factor),
            vec![
                entry("cleanup.policy", "compact".to_owned()),
                entry("compression.type", "producer".to_owned()),
                entry("segment.bytes", groups.offsets_topic_segment_bytes.to_string()),
            ],
        ),
        TRANSACTIONS_TOPIC => (
            transactions.state_log_num_partitions,
            i32::from(transactions.state_log_replication_factor),
            vec![
                entry("cleanup.policy", "compact".to_owned()),
                entry("compression.type", "uncompressed".to_owned()),
                entry("min.insync.replicas", transactions.state_log_min_isr.to_string()),
                entry("segment.bytes", transactions.state_log_segment_bytes.to_string()),
                entry("unclean.leader.election.enable", "false".to_owned()),
            ],
        ),
        _ => (-1, -1, Vec::new()),
    };
    CreateTopicItem {
        name: name.as_str().to_owned(),
        partitions,
        replication_factor,
        assignments: Vec::new(),
        configs,
        wait_for_replication: true,
    }
}
