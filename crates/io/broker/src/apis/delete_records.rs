//! DeleteRecords (21): moves log starts. Answered when the leader has moved its own and every replica on a broker that lives has
//! followed, as in Kafka: what an answer says is gone, no later leader shows again. (After a kill of every replica at once the log
//! starts of the last checkpoint hold, as in Kafka: `log.flush.start.offset.checkpoint.interval.ms`.)

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;
use types::{ErrorCode, Offset, PartitionIndex, TopicName};
use wire::messages::delete_records_request::DeleteRecordsPartition;
use wire::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::auto_create::is_internal;
use super::error_codes::KafkaError;
use super::exchange::{Handled, decode, respond, timeout, topic_name};
use crate::context::{ApiRequest, BrokerContext};
use crate::partition::{DeleteRecordsError, Partition};

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
    let deadline = Instant::now() + timeout(body.timeout_ms);
    // Everywhere at the leaders first: the followers of all partitions move at the same time.
    let mut begun = Vec::new();
    for topic in asked.into_iter().filter(|topic| !topic.partitions.is_empty()) {
        let name = topic_name(&topic.name);
        let allowed = allowed(&broker, &name);
        let partitions = topic.partitions.iter().map(|asked| {
            let deleted = exists(&broker, &name, asked)
                .and(allowed)
                .and_then(|()| delete(&broker, &name, asked));
            (asked.partition_index, deleted)
        });
        let partitions: Vec<_> = partitions.collect();
        begun.push((topic.name, partitions));
    }
    let mut topics = Vec::with_capacity(begun.len());
    for (name, partitions) in begun {
        let mut results = Vec::with_capacity(partitions.len());
        for (index, deleted) in partitions {
            let (error, low_watermark) = match deleted {
                Ok((partition, before)) => match partition.deleted_everywhere(before, deadline).await {
                    Ok(start) => (ErrorCode::None, start.0),
                    Err(DeleteRecordsError::Pending(start)) => (ErrorCode::RequestTimedOut, start.0),
                    Err(error) => (error.code(), NO_LOW_WATERMARK),
                },
                Err(error) => (error, NO_LOW_WATERMARK),
            };
            results.push(
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(index)
                    .with_error_code(error.code())
                    .with_low_watermark(low_watermark),
            );
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(name)
                .with_partitions(results),
        );
    }
    respond(&header, &DeleteRecordsResponse::default().with_topics(topics))
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
    let log = broker.replicas.settings(&broker.host.image.load(), topic).log;
    if log.delete || log.compaction.is_none() {
        Ok(())
    } else {
        Err(ErrorCode::PolicyViolation)
    }
}

/// At the leader; with the offset that its followers are to reach.
fn delete(
    broker: &BrokerContext,
    topic: &TopicName,
    asked: &DeleteRecordsPartition,
) -> Result<(Arc<Partition>, Offset), ErrorCode> {
    let partition = broker
        .replicas
        .partition_by_name(topic.as_str(), PartitionIndex(asked.partition_index))?;
    let before = partition
        .delete_records(Offset(asked.offset))
        .map_err(|error| error.code())?;
    Ok((partition, before))
}
