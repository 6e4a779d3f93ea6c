//! AlterPartitionReassignments (45, KIP-455): partitions move to other replicas, or a move is cancelled.

use std::collections::HashMap;
use std::sync::Arc;

use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{self, BrokerIds, ReassignmentItem, ReassignmentResult};
use wire::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use wire::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use super::controller_call::{Refused, ask_controller, error_code, message_of, mismatched};
use super::exchange::{Handled, decode, respond};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: AlterPartitionReassignmentsRequest = decode(&header, request.body)?;
    let asked = Request::AlterPartitionReassignments(asked(&body));
    let outcome = match ask_controller(&broker, asked, body.timeout_ms).await {
        Ok(Response::AlterPartitionReassignments(answer)) => Ok(answer.partitions),
        Ok(_) => Err(mismatched()),
        Err(refused) => Err(refused),
    };
    respond(&header, &answer(&body, outcome))
}

fn asked(body: &AlterPartitionReassignmentsRequest) -> proto::AlterPartitionReassignmentsRequest {
    let partitions = body.topics.iter().flat_map(|topic| {
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

/// In the request's order. Whoever isn't in the controller's answer is told what the request as a whole was told.
fn answer(
    body: &AlterPartitionReassignmentsRequest,
    outcome: Result<Vec<ReassignmentResult>, Refused>,
) -> AlterPartitionReassignmentsResponse {
    let mut response = AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(body.allow_replication_factor_change);
    let results = match outcome {
        Ok(results) => results,
        Err(refused) => {
            return response
                .with_error_code(refused.code.code())
                .with_error_message(refused.text());
        }
    };
    let mut results: HashMap<(String, i32), ReassignmentResult> = results
        .into_iter()
        .map(|result| ((result.name.clone(), result.partition), result))
        .collect();
    for topic in &body.topics {
        let mut answer = ReassignableTopicResponse::default().with_name(topic.name.clone());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            if let Some(result) = results.remove(&(topic.name.0.to_string(), index)) {
                let answered = ReassignablePartitionResponse::default()
                    .with_partition_index(index)
                    .with_error_code(error_code(result.error_code).code())
                    .with_error_message(message_of(&result.error_message));
                answer.partitions.push(answered);
            }
        }
        response.responses.push(answer);
    }
    response
}

#[cfg(test)]
mod tests {
    use types::ErrorCode;
    use wire::messages::BrokerId;
    use wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};

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
            result(0, ErrorCode::NoReassignmentInProgress),
            result(1, ErrorCode::None),
        ];
        let response = answer(&body(), Ok(results));
        let codes: Vec<(i32, i16)> = response.responses[0]
            .partitions
            .iter()
            .map(|partition| (partition.partition_index, partition.error_code))
            .collect();
        assert_eq!(codes, [(1, 0), (0, ErrorCode::NoReassignmentInProgress.code())]);
        assert!(!response.allow_replication_factor_change);
        let refused = answer(&body(), Err(Refused::new(ErrorCode::NotController, "none")));
        assert_eq!((refused.error_code, refused.responses.len()), (41, 0));
    }
}
