//! AlterPartitionReassignments (45, KIP-455): partitions move to other replicas, or a move is cancelled.

use std::sync::Arc;

use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{self, BrokerIds, ReassignmentItem, ReassignmentResult};
use types::ErrorCode;
use wire::messages::alter_partition_reassignments_request::ReassignableTopic;
use wire::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use wire::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use super::controller_call::{Refused, ask_controller, error_code, message_of, mismatched};
use super::exchange::{Handled, decode, respond, topic_name};
use crate::context::{ApiRequest, BrokerContext};

/// Kafka's `MAX_RECORDS_PER_USER_OP`: more are a mistake, and would keep the controller busy.
const PARTITIONS_MAX: usize = 10_000;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: AlterPartitionReassignmentsRequest = decode(&header, request.body)?;
    let count: usize = body.topics.iter().map(|topic| topic.partitions.len()).sum();
    let outcome = if count > PARTITIONS_MAX {
        let message = format!("{count} partitions at once, more than {PARTITIONS_MAX}");
        Err(Refused::new(ErrorCode::PolicyViolation, message))
    } else {
        let asked = Request::AlterPartitionReassignments(asked(&body));
        match ask_controller(&broker, asked, body.timeout_ms).await {
            Ok(Response::AlterPartitionReassignments(answer)) => Ok(answer.partitions),
            Ok(_) => Err(mismatched()),
            Err(refused) => Err(refused),
        }
    };
    respond(&header, &answer(&body, outcome))
}

/// Names that no topic has aren't copied for each partition.
fn is_name(topic: &ReassignableTopic) -> bool {
    topic_name(&topic.name).validate().is_ok()
}

fn asked(body: &AlterPartitionReassignmentsRequest) -> proto::AlterPartitionReassignmentsRequest {
    let partitions = body.topics.iter().filter(|topic| is_name(topic)).flat_map(|topic| {
        topic.partitions.iter().map(|partition| ReassignmentItem {
            name: topic.name.0.to_string(),
            partition: partition.partition_index,
            replicas: partition.replicas.as_ref().map(|replicas| BrokerIds {
                ids: replicas.iter().map(|id| id.0).collect(),
            }),
        })
    });
    proto::AlterPartitionReassignmentsRequest {
        partitions: partitions.collect(),
        keep_replication_factor: !body.allow_replication_factor_change,
    }
}

/// In the request's order, which is the controller's.
fn answer(
    body: &AlterPartitionReassignmentsRequest,
    outcome: Result<Vec<ReassignmentResult>, Refused>,
) -> AlterPartitionReassignmentsResponse {
    let mut response = AlterPartitionReassignmentsResponse::default()
        .with_error_message(None)
        .with_allow_replication_factor_change(body.allow_replication_factor_change);
    let results = match outcome {
        Ok(results) => results,
        Err(refused) => {
            return response
                .with_error_code(refused.code.code())
                .with_error_message(refused.text());
        }
    };
    let mut results = results.into_iter();
    for topic in &body.topics {
        let mut answer = ReassignableTopicResponse::default().with_name(topic.name.clone());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let answered = ReassignablePartitionResponse::default().with_partition_index(index);
            let result = if is_name(topic) { results.next() } else { None };
            answer.partitions.push(match result {
                Some(result) => answered
                    .with_error_code(error_code(result.error_code).code())
                    .with_error_message(message_of(&result.error_message)),
                None => answered
                    .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
                    .with_error_message(None),
            });
        }
        response.responses.push(answer);
    }
    response
}

#[cfg(test)]
mod tests {
    use wire::messages::BrokerId;
    use wire::messages::alter_partition_reassignments_request::ReassignablePartition;

    use super::*;
    use crate::apis::exchange::text;

    fn body() -> AlterPartitionReassignmentsRequest {
        let partition = |index, replicas: Option<&[i32]>| {
            let replicas = replicas.map(|ids| ids.iter().map(|id| BrokerId(*id)).collect());
            ReassignablePartition::default()
                .with_partition_index(index)
                .with_replicas(replicas)
        };
        let topic = ReassignableTopic::default()
            .with_name(wire::messages::TopicName(text("a")))
            .with_partitions(vec![partition(1, Some(&[1, 2])), partition(0, None)]);
        AlterPartitionReassignmentsRequest::default()
            .with_allow_replication_factor_change(false)
            .with_topics(vec![topic])
    }

    #[test]
    fn a_move_names_replicas_and_a_cancellation_none() {
        let asked = asked(&body());
        let replicas: Vec<Option<Vec<i32>>> = asked
            .partitions
            .iter()
            .map(|item| item.replicas.as_ref().map(|replicas| replicas.ids.clone()))
            .collect();
        assert_eq!(replicas, [Some(vec![1, 2]), None]);
        assert!(asked.keep_replication_factor);
    }

    #[test]
    fn answers_come_in_the_requests_order() {
        let result = |partition, code: ErrorCode| ReassignmentResult {
            name: "a".to_owned(),
            partition,
            error_code: code.code().into(),
            error_message: String::new(),
        };
        let results = vec![
            result(1, ErrorCode::None),
            result(0, ErrorCode::NoReassignmentInProgress),
        ];
        let response = answer(&body(), Ok(results));
        let codes: Vec<(i32, i16)> = response.responses[0]
            .partitions
            .iter()
            .map(|partition| (partition.partition_index, partition.error_code))
            .collect();
        assert_eq!(codes, [(1, 0), (0, ErrorCode::NoReassignmentInProgress.code())]);
        assert!(!response.allow_replication_factor_change);
        let mut long = body();
        long.topics[0].name = wire::messages::TopicName(text(&"a".repeat(30_000)));
        assert!(asked(&long).partitions.is_empty());
        let codes = answer(&long, Ok(Vec::new()));
        let codes = codes.responses[0]
            .partitions
            .iter()
            .map(|partition| partition.error_code);
        assert!(codes.eq([ErrorCode::UnknownTopicOrPartition.code(); 2]));
        let refused = answer(&body(), Err(Refused::new(ErrorCode::NotController, "none")));
        assert_eq!((refused.error_code, refused.responses.len()), (41, 0));
    }
}
