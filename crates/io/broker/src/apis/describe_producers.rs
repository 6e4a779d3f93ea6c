//! DescribeProducers (61, KIP-664): what a replica remembers of the producers of its partition.

use std::collections::HashSet;
use std::sync::Arc;

use partition::producer_state::ProducerEntry;
use types::{ErrorCode, PartitionIndex, TopicName};
use wire::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use wire::messages::{DescribeProducersRequest, DescribeProducersResponse};

use super::exchange::{Handled, decode, respond, text, topic_name};
use crate::context::{ApiRequest, BrokerContext};

/// No transaction is open.
const NO_OFFSET: i64 = -1;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: DescribeProducersRequest = decode(&header, request.body)?;
    let mut told = HashSet::new();
    let mut topics = Vec::with_capacity(body.topics.len());
    for topic in body.topics {
        let partitions = topic.partition_indexes.iter().map(|index| {
            if told.insert((topic.name.clone(), *index)) {
                partition(&broker, &topic_name(&topic.name), *index)
            } else {
                // Told a million times, the producers of one partition would be gigabytes.
                refused(*index, ErrorCode::InvalidRequest)
            }
        });
        let partitions = partitions.collect();
        topics.push(
            TopicResponse::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    respond(&header, &DescribeProducersResponse::default().with_topics(topics))
}

fn partition(broker: &BrokerContext, topic: &TopicName, index: i32) -> PartitionResponse {
    if let Err(error) = topic.validate() {
        return refused(index, ErrorCode::InvalidTopicException).with_error_message(Some(text(&error.to_string())));
    }
    match broker.replicas.partition_by_name(topic.as_str(), PartitionIndex(index)) {
        Ok(partition) => PartitionResponse::default()
            .with_partition_index(index)
            .with_error_message(None)
            .with_active_producers(partition.producers().iter().map(state).collect()),
        Err(code @ ErrorCode::UnknownTopicOrPartition) => {
            let message = "This server does not host this topic-partition.";
            refused(index, code).with_error_message(Some(text(message)))
        }
        Err(code) => refused(index, code),
    }
}

fn refused(index: i32, code: ErrorCode) -> PartitionResponse {
    PartitionResponse::default()
        .with_partition_index(index)
        .with_error_message(None)
        .with_error_code(code.code())
}

fn state(entry: &ProducerEntry) -> ProducerState {
    ProducerState::default()
        .with_producer_id(entry.producer_id.0.into())
        .with_producer_epoch(entry.producer_epoch.0.into())
        .with_last_sequence(entry.last_sequence())
        .with_last_timestamp(entry.last_timestamp.0)
        .with_coordinator_epoch(entry.coordinator_epoch)
        .with_current_txn_start_offset(entry.current_txn_first_offset.map_or(NO_OFFSET, |offset| offset.0))
}

#[cfg(test)]
mod tests {
    use partition::Acks;
    use records::{Batch, BatchBuilder, NewRecord};
    use wire::messages::describe_producers_request::TopicRequest;

    use super::super::exchange::text;
    use super::super::fixture::LoneBroker;
    use super::*;

    #[tokio::test]
    async fn a_replica_without_producers_is_told_once_and_from_one_that_is_not_here() {
        let lone = LoneBroker::with_topics(&["a"]).await;
        let topic = TopicRequest::default()
            .with_name(wire::messages::TopicName(text("a")))
            .with_partition_indexes(vec![0, 7, 0]);
        let response = lone
            .ask(0, &DescribeProducersRequest::default().with_topics(vec![topic]))
            .await;
        let codes = response.topics[0]
            .partitions
            .iter()
            .map(|partition| partition.error_code);
        let expected = [
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::InvalidRequest,
        ];
        assert_eq!(codes.collect::<Vec<_>>(), expected.map(ErrorCode::code));
        assert!(response.topics[0].partitions[0].active_producers.is_empty());
    }

    #[tokio::test]
    async fn producers_that_write_no_more_are_forgotten() {
        let lone = LoneBroker::with_topics(&["a"]).await;
        let partition = lone
            .context()
            .replicas
            .partition_by_name("a", PartitionIndex(0))
            .unwrap();
        let known = || partition.producers().len();
        let mut batch = BatchBuilder::new().producer(types::ProducerId(7), types::ProducerEpoch(0), 0);
        batch.append(NewRecord::new(lone.context().host.clock.now(), "k", "v"));
        let batch = Batch::parse(&batch.finish().unwrap()).unwrap();
        partition.append(batch, Acks::All, None).unwrap();
        partition.expire_producers(i64::MAX);
        assert_eq!(known(), 1);
        partition.expire_producers(0);
        assert_eq!(known(), 0);
    }

    #[test]
    fn an_entry_is_told_as_it_is() {
        let entry = ProducerEntry::new(types::ProducerId(7));
        let state = state(&entry);
        assert_eq!((state.producer_id.0, state.last_sequence), (7, entry.last_sequence()));
        assert_eq!(state.current_txn_start_offset, NO_OFFSET);
    }
}
