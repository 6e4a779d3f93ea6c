//! ElectLeaders (43, KIP-460): the preferred replica, or, if nobody clean is left, any that lives.

use std::collections::BTreeMap;
use std::sync::Arc;

use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{self, ElectLeadersResult};
use types::ErrorCode;
use wire::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use wire::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};

use super::controller_call::{Refused, ask_controller, error_code, message_of, mismatched};
use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

const FIRST_VERSION_WITH_TYPE: i16 = 1;
const UNCLEAN: i8 = 1;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let version = header.api_version;
    let body: ElectLeadersRequest = decode(&header, request.body)?;
    let outcome = if version >= FIRST_VERSION_WITH_TYPE && !(0..=UNCLEAN).contains(&body.election_type) {
        let message = format!("Unknown election type {}", body.election_type);
        Err(Refused::new(ErrorCode::InvalidRequest, message))
    } else {
        let asked = asked(&body, version);
        match ask_controller(&broker, Request::ElectLeaders(asked), body.timeout_ms).await {
            Ok(Response::ElectLeaders(answer)) => Ok(answer.partitions),
            Ok(_) => Err(mismatched()),
            Err(refused) => Err(refused),
        }
    };
    let mut response = ElectLeadersResponse::default();
    match outcome {
        Ok(results) => response.replica_election_results = by_topic(results),
        Err(refused) => {
            if version >= FIRST_VERSION_WITH_TYPE {
                response.error_code = refused.code.code();
            }
            response.replica_election_results = all_refused(&body, &refused);
        }
    }
    respond(&header, &response)
}

fn asked(body: &ElectLeadersRequest, version: i16) -> proto::ElectLeadersRequest {
    let topics = body
        .topic_partitions
        .iter()
        .flatten()
        .map(|topic| proto::TopicPartitions {
            name: topic.topic.0.to_string(),
            partitions: topic.partitions.clone(),
        });
    proto::ElectLeadersRequest {
        unclean: version >= FIRST_VERSION_WITH_TYPE && body.election_type == UNCLEAN,
        all: body.topic_partitions.is_none(),
        topics: topics.collect(),
    }
}

fn by_topic(results: Vec<ElectLeadersResult>) -> Vec<ReplicaElectionResult> {
    let mut topics: BTreeMap<String, Vec<PartitionResult>> = BTreeMap::new();
    for result in results {
        let partition = PartitionResult::default()
            .with_partition_id(result.partition)
            .with_error_code(error_code(result.error_code).code())
            .with_error_message(message_of(&result.error_message));
        topics.entry(result.name).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        ReplicaElectionResult::default()
            .with_topic(TopicName(text(&name)))
            .with_partition_result(partitions)
    });
    topics.collect()
}

fn all_refused(body: &ElectLeadersRequest, refused: &Refused) -> Vec<ReplicaElectionResult> {
    let topics = body.topic_partitions.iter().flatten().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            PartitionResult::default()
                .with_partition_id(*partition)
                .with_error_code(refused.code.code())
                .with_error_message(refused.text())
        });
        ReplicaElectionResult::default()
            .with_topic(topic.topic.clone())
            .with_partition_result(partitions.collect())
    });
    topics.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_gathered_by_topic() {
        let result = |name: &str, partition| ElectLeadersResult {
            name: name.to_owned(),
            partition,
            error_code: i32::from(ErrorCode::ElectionNotNeeded.code()),
            error_message: String::new(),
        };
        let topics = by_topic(vec![result("b", 0), result("a", 1), result("b", 2)]);
        let counts: Vec<usize> = topics.iter().map(|topic| topic.partition_result.len()).collect();
        assert_eq!(counts, [1, 2]);
        assert_eq!(topics[0].partition_result[0].error_code, 84);
    }
}
