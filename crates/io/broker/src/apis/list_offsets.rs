//! ListOffsets (2): first, next, newest by time, and by timestamp.

use std::collections::HashSet;
use std::sync::Arc;

use types::{ErrorCode, LeaderEpoch, PartitionIndex, TimestampMs};
use wire::messages::list_offsets_request::ListOffsetsPartition;
use wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use wire::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::error_codes::KafkaError;
use super::exchange::{Handled, decode, respond};
use crate::context::{ApiRequest, BrokerContext};
use crate::partition::{ListOffsetsTarget, Partition};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
/// KIP-1023: the first record that tiered storage still lacks.
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// What is asked of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Target(ListOffsetsTarget),
    /// The last offset in tiered storage: there is none.
    Tiered,
}

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let version = header.api_version;
    let body: ListOffsetsRequest = decode(&header, request.body)?;
    let mut seen = HashSet::new();
    let mut twice = HashSet::new();
    for topic in &body.topics {
        for partition in &topic.partitions {
            let place = (topic.name.0.clone(), partition.partition_index);
            if !seen.insert(place.clone()) {
                twice.insert(place);
            }
        }
    }
    let named = body.topics.into_iter().filter(|topic| !topic.partitions.is_empty());
    let topics = named.map(|topic| {
        let answers = topic.partitions.iter().map(|asked| {
            if twice.contains(&(topic.name.0.clone(), asked.partition_index)) {
                return failed(asked, ErrorCode::InvalidRequest);
            }
            answer(&broker, topic.name.0.as_str(), asked, version)
        });
        let answers = answers.collect();
        ListOffsetsTopicResponse::default()
            .with_name(topic.name)
            .with_partitions(answers)
    });
    respond(&header, &ListOffsetsResponse::default().with_topics(topics.collect()))
}

fn answer(
    broker: &BrokerContext,
    topic: &str,
    asked: &ListOffsetsPartition,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let found = broker
        .replicas
        .partition_by_name(topic, PartitionIndex(asked.partition_index))
        .and_then(|partition| find(&partition, asked, version));
    match found {
        Ok(Some((timestamp, offset, epoch))) => {
            let answer = ListOffsetsPartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_timestamp(timestamp.0)
                .with_offset(offset.0);
            if version >= 4 {
                answer.with_leader_epoch(epoch.0)
            } else {
                answer
            }
        }
        // No such record: no error, and -1 everywhere.
        Ok(None) => failed(asked, ErrorCode::None),
        // Unknown to clients of before KIP-207.
        Err(ErrorCode::OffsetNotAvailable) if version < 5 => failed(asked, ErrorCode::LeaderNotAvailable),
        Err(error) => failed(asked, error),
    }
}

type Found = Option<(TimestampMs, types::Offset, LeaderEpoch)>;

fn find(partition: &Partition, asked: &ListOffsetsPartition, version: i16) -> Result<Found, ErrorCode> {
    let epoch = known_epoch(asked.current_leader_epoch);
    match target(asked.timestamp, version)? {
        Asked::Target(target) => partition.list_offset(target, epoch).map_err(|error| error.code()),
        Asked::Tiered => {
            // Checks leadership and epoch all the same.
            partition
                .list_offset(ListOffsetsTarget::Earliest, epoch)
                .map_err(|error| error.code())?;
            Ok(None)
        }
    }
}

fn target(timestamp: i64, version: i16) -> Result<Asked, ErrorCode> {
    Ok(match timestamp {
        LATEST => Asked::Target(ListOffsetsTarget::Latest),
        EARLIEST => Asked::Target(ListOffsetsTarget::Earliest),
        MAX_TIMESTAMP if version >= 7 => Asked::Target(ListOffsetsTarget::MaxTimestamp),
        EARLIEST_LOCAL if version >= 8 => Asked::Target(ListOffsetsTarget::Earliest),
        LATEST_TIERED if version >= 9 => Asked::Tiered,
        EARLIEST_PENDING_UPLOAD if version >= 11 => Asked::Tiered,
        0.. => Asked::Target(ListOffsetsTarget::At(TimestampMs(timestamp))),
        _ => return Err(ErrorCode::UnsupportedVersion),
    })
}

fn failed(asked: &ListOffsetsPartition, error: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse::default()
        .with_partition_index(asked.partition_index)
        .with_error_code(error.code())
        .with_timestamp(-1)
        .with_offset(-1)
}

/// The leader epoch that a client names; -1 is none.
pub(super) fn known_epoch(epoch: i32) -> Option<LeaderEpoch> {
    let epoch = LeaderEpoch(epoch);
    (epoch != LeaderEpoch::NONE).then_some(epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_timestamps_need_the_version_that_brought_them() {
        assert_eq!(target(-2, 1), Ok(Asked::Target(ListOffsetsTarget::Earliest)));
        assert_eq!(target(-3, 6), Err(ErrorCode::UnsupportedVersion));
        assert_eq!(target(-3, 7), Ok(Asked::Target(ListOffsetsTarget::MaxTimestamp)));
        assert_eq!(target(-4, 8), Ok(Asked::Target(ListOffsetsTarget::Earliest)));
        assert_eq!(target(-5, 8), Err(ErrorCode::UnsupportedVersion));
        assert_eq!(target(-5, 9), Ok(Asked::Tiered));
        assert_eq!(target(-6, 10), Err(ErrorCode::UnsupportedVersion));
        assert_eq!(target(-6, 11), Ok(Asked::Tiered));
        assert_eq!(target(7, 1), Ok(Asked::Target(ListOffsetsTarget::At(TimestampMs(7)))));
    }

    #[test]
    fn an_answer_without_a_record_encodes_in_every_version() {
        let asked = ListOffsetsPartition::default().with_partition_index(3);
        for version in 1..=11 {
            let topic = ListOffsetsTopicResponse::default().with_partitions(vec![failed(&asked, ErrorCode::None)]);
            let response = ListOffsetsResponse::default().with_topics(vec![topic]);
            wire::encode_response(2, version, 0, &response).unwrap();
        }
    }
}
