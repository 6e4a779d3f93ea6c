//! OffsetForLeaderEpoch (23): where an epoch ends, so that a consumer notices a log that was truncated (KIP-320).

use std::sync::Arc;

use types::{ErrorCode, LeaderEpoch, PartitionIndex};
use wire::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use wire::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use wire::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::error_codes::KafkaError;
use super::exchange::{Handled, decode, respond};
use super::list_offsets::known_epoch;
use crate::context::{ApiRequest, BrokerContext};

/// Kafka's UNDEFINED_EPOCH and UNDEFINED_EPOCH_OFFSET.
const UNDEFINED: i32 = -1;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: OffsetForLeaderEpochRequest = decode(&header, request.body)?;
    let topics = body.topics.into_iter().map(|topic| {
        let ends = topic
            .partitions
            .iter()
            .map(|asked| end(&broker, topic.topic.0.as_str(), asked))
            .collect();
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic)
            .with_partitions(ends)
    });
    respond(
        &header,
        &OffsetForLeaderEpochResponse::default().with_topics(topics.collect()),
    )
}

fn end(broker: &BrokerContext, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let found = broker
        .replicas
        .partition_by_name(topic, PartitionIndex(asked.partition))
        .and_then(|partition| {
            partition
                .epoch_end(LeaderEpoch(asked.leader_epoch), known_epoch(asked.current_leader_epoch))
                .map_err(|error| error.code())
        });
    let (error, end) = match found {
        Ok(answer) => (ErrorCode::None, answer.end),
        Err(error) => (error, None),
    };
    EpochEndOffset::default()
        .with_partition(asked.partition)
        .with_error_code(error.code())
        .with_leader_epoch(end.map_or(UNDEFINED, |end| end.epoch.0))
        .with_end_offset(end.map_or(i64::from(UNDEFINED), |end| end.end_offset.0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;
    use wire::messages::offset_for_leader_epoch_request::OffsetForLeaderTopic;

    use super::super::exchange::text;
    use super::super::fixture::LoneBroker;
    use super::*;

    async fn end_of(lone: &LoneBroker, epoch: i32) -> EpochEndOffset {
        let partition = OffsetForLeaderPartition::default()
            .with_current_leader_epoch(-1)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(wire::messages::TopicName(text("a")))
            .with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
        lone.ask(4, &request).await.topics[0].partitions[0].clone()
    }

    #[tokio::test]
    async fn an_epoch_that_nobody_knows_is_undefined_unless_a_newer_leader_may_know_it() {
        let lone = LoneBroker::with_topics(&["a"]).await;
        lone.context()
            .host
            .lease
            .renew(Instant::now() + Duration::from_secs(3_600));
        let unknown = end_of(&lone, 1_000).await;
        assert_eq!((unknown.error_code, unknown.end_offset), (0, -1));

        let lone = LoneBroker::with_topics(&["a"]).await;
        lone.context().host.lease.renew(Instant::now());
        let unknown = end_of(&lone, 1_000).await;
        assert_eq!(unknown.error_code, ErrorCode::NotLeaderOrFollower.code());
    }
}
