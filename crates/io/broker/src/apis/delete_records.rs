//! DeleteRecords (21): moves log starts. Answered when the leader has moved its own; followers learn it with the next push.

use std::collections::HashSet;
use std::sync::Arc;

use types::{ErrorCode, Offset, PartitionIndex, TopicName};
use wire::messages::delete_records_request::DeleteRecordsPartition;
use wire::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::auto_create::is_internal;
use super::error_codes::KafkaError;
use super::exchange::{Handled, decode, respond, topic_name};
use crate::context::{ApiRequest, BrokerContext};

/// Kafka's INVALID_LOW_WATERMARK.
const NO_LOW_WATERMARK: i64 = -1;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: DeleteRecordsRequest = decode(&header, request.body)?;
    let mut seen = HashSet::new();
    let mut asked = body.topics;
    for topic in &mut asked {
        let name = &topic.name;
        topic
            .partitions
            .retain(|partition| seen.insert((name.clone(), partition.partition_index)));
    }
    let asked = asked.into_iter().filter(|topic| !topic.partitions.is_empty());
    let topics = asked.map(|topic| {
        let name = topic_name(&topic.name);
        let allowed = allowed(&broker, &name);
        let results = topic.partitions.iter().map(|asked| {
            let outcome = exists(&broker, &name, asked)
                .and(allowed)
                .and_then(|()| delete(&broker, &name, asked));
            let (error, low_watermark) = match outcome {
                Ok(start) => (ErrorCode::None, start.0),
                Err(error) => (error, NO_LOW_WATERMARK),
            };
            DeleteRecordsPartitionResult::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(error.code())
                .with_low_watermark(low_watermark)
        });
        let results = results.collect();
        DeleteRecordsTopicResult::default()
            .with_name(topic.name)
            .with_partitions(results)
    });
    respond(&header, &DeleteRecordsResponse::default().with_topics(topics.collect()))
}

fn exists(broker: &BrokerContext, topic: &TopicName, asked: &DeleteRecordsPartition) -> Result<(), ErrorCode> {
    let image = broker.host.image.load();
    let topic = image.topic(topic.as_str());
    topic
        .and_then(|topic| topic.partition(PartitionIndex(asked.partition_index)))
        .map(|_| ())
        .ok_or(ErrorCode::UnknownTopicOrPartition)
}

/// Kafka's rules for topics that exist: coordinators' are theirs, and what is only compacted isn't deleted.
fn allowed(broker: &BrokerContext, topic: &TopicName) -> Result<(), ErrorCode> {
    if is_internal(topic.as_str()) {
        return Err(ErrorCode::InvalidTopicException);
    }
    if broker.replicas.settings(&broker.host.image.load(), topic).log.delete {
        Ok(())
    } else {
        Err(ErrorCode::PolicyViolation)
    }
}

fn delete(broker: &BrokerContext, topic: &TopicName, asked: &DeleteRecordsPartition) -> Result<Offset, ErrorCode> {
    let partition = broker
        .replicas
        .partition_by_name(topic.as_str(), PartitionIndex(asked.partition_index))?;
    partition
        .delete_records(Offset(asked.offset))
        .map_err(|error| error.code())
}
