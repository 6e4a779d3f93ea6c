use std::ops::Range;

use kafka_protocol::messages::fetch_response as codec;
use kafka_protocol::protocol::StrBytes;
use proptest::prelude::*;
use types::Uuid;

use super::*;
use crate::response::encode_response;

/// What the codec would take: records joined, and nothing that this version lacks.
fn codec_response(response: &FetchResponse, version: i16) -> codec::FetchResponse {
    let topics = response
        .topics
        .iter()
        .map(|topic| codec_topic(topic, version))
        .collect();
    let mut out = codec::FetchResponse::default()
        .with_throttle_time_ms(response.throttle_time_ms)
        .with_responses(topics);
    if version >= 7 {
        out = out
            .with_error_code(response.error.code())
            .with_session_id(response.session_id);
    }
    if version >= 16 {
        let endpoints = response.node_endpoints.iter().map(|endpoint| {
            codec::NodeEndpoint::default()
                .with_node_id(endpoint.node_id.0.into())
                .with_host(StrBytes::from_string(endpoint.host.clone()))
                .with_port(endpoint.port)
                .with_rack(endpoint.rack.clone().map(StrBytes::from_string))
        });
        out = out.with_node_endpoints(endpoints.collect());
    }
    out
}

fn codec_topic(topic: &FetchTopic, version: i16) -> codec::FetchableTopicResponse {
    let partitions = topic
        .partitions
        .iter()
        .map(|partition| codec_partition(partition, version))
        .collect();
    codec::FetchableTopicResponse::default()
        .with_topic(StrBytes::from_string(topic.name.as_str().to_owned()).into())
        .with_topic_id(topic.id.0)
        .with_partitions(partitions)
}

fn codec_partition(partition: &FetchPartition, version: i16) -> codec::PartitionData {
    let aborted = partition.aborted_transactions.as_ref().map(|list| {
        let each = list.iter().map(|aborted| {
            codec::AbortedTransaction::default()
                .with_producer_id(aborted.producer_id.0.into())
                .with_first_offset(aborted.first_offset.0)
        });
        each.collect()
    });
    let mut out = codec::PartitionData::default()
        .with_partition_index(partition.index.0)
        .with_error_code(partition.error.code())
        .with_high_watermark(partition.high_watermark.0)
        .with_last_stable_offset(partition.last_stable_offset.0)
        .with_log_start_offset(partition.log_start_offset.0)
        .with_aborted_transactions(aborted)
        .with_records(Some(partition.records.concat().into()));
    if version >= 11 {
        out = out.with_preferred_read_replica(partition.preferred_read_replica.map_or(-1, |id| id.0).into());
    }
    if version >= 12 {
        if let Some(end) = partition.diverging_epoch {
            let end = codec::EpochEndOffset::default()
                .with_epoch(end.epoch.0)
                .with_end_offset(end.end_offset.0);
            out = out.with_diverging_epoch(end);
        }
        if let Some(leader) = partition.current_leader {
            let leader = codec::LeaderIdAndEpoch::default()
                .with_leader_id(leader.leader_id.0.into())
                .with_leader_epoch(leader.leader_epoch.0);
            out = out.with_current_leader(leader);
        }
        if let Some(id) = partition.snapshot_id {
            let id = codec::SnapshotId::default()
                .with_end_offset(id.end_offset.0)
                .with_epoch(id.epoch.0);
            out = out.with_snapshot_id(id);
        }
    }
    out
}

fn partition() -> impl Strategy<Value = FetchPartition> {
    let tags = (
        prop::option::of((0..9_i32, any::<i64>())),
        prop::option::of((0..9_i32, any::<i32>())),
        prop::option::of((0..9_i32, any::<i64>())),
    );
    (
        (any::<i32>(), -1..110_i16, any::<[i64; 3]>()),
        prop::option::of(prop::collection::vec(any::<(i64, i64)>(), 0..3)),
        prop::option::of(0..5_i32),
        tags,
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4),
    )
        .prop_map(
            |((index, error, offsets), aborted, replica, (diverging, leader, snapshot), records)| FetchPartition {
                index: PartitionIndex(index),
                error: ErrorCode::from_code(error),
                high_watermark: Offset(offsets[0]),
                last_stable_offset: Offset(offsets[1]),
                log_start_offset: Offset(offsets[2]),
                aborted_transactions: aborted.map(|list| {
                    let each = list
                        .into_iter()
                        .map(|(producer_id, first_offset)| FetchAbortedTransaction {
                            producer_id: ProducerId(producer_id),
                            first_offset: Offset(first_offset),
                        });
                    each.collect()
                }),
                preferred_read_replica: replica.map(BrokerId),
                diverging_epoch: diverging.map(|(epoch, offset)| EpochEnd {
                    epoch: LeaderEpoch(epoch),
                    end_offset: Offset(offset),
                }),
                current_leader: leader.map(|(id, epoch)| FetchLeader {
                    leader_id: BrokerId(id),
                    leader_epoch: LeaderEpoch(epoch),
                }),
                snapshot_id: snapshot.map(|(epoch, offset)| FetchSnapshotId {
                    end_offset: Offset(offset),
                    epoch: LeaderEpoch(epoch),
                }),
                records: records.into_iter().map(Bytes::from).collect(),
            },
        )
}

fn response() -> impl Strategy<Value = FetchResponse> {
    let topic = (
        "[a-z]{1,200}",
        any::<[u8; 16]>(),
        prop::collection::vec(partition(), 0..4),
    )
        .prop_map(|(name, id, partitions)| FetchTopic {
            name: TopicName::new(&name),
            id: TopicId(Uuid::from_bytes(id)),
            partitions,
        });
    let endpoint = (
        any::<i32>(),
        "[a-z.]{0,90}",
        any::<i32>(),
        prop::option::of("[a-z]{0,9}"),
    )
        .prop_map(|(id, host, port, rack)| FetchNodeEndpoint {
            node_id: BrokerId(id),
            host,
            port,
            rack,
        });
    let topics = prop::collection::vec(topic, 0..4);
    (
        any::<i32>(),
        -1..110_i16,
        any::<i32>(),
        topics,
        prop::collection::vec(endpoint, 0..4),
    )
        .prop_map(
            |(throttle_time_ms, error, session_id, topics, node_endpoints)| FetchResponse {
                throttle_time_ms,
                error: ErrorCode::from_code(error),
                session_id,
                topics,
                node_endpoints,
            },
        )
}

proptest! {
    /// FETCH-1 and FETCH-2.
    #[test]
    fn every_version_has_the_bytes_that_the_codec_writes(response in response(), correlation_id: i32) {
        for version in 4..=18 {
            let ours = response.encode(version, correlation_id).unwrap();
            prop_assert!(ours.chunks.iter().all(|chunk| !chunk.is_empty()));
            let theirs = encode_response(1, version, correlation_id, &codec_response(&response, version)).unwrap();
            prop_assert_eq!(ours.to_bytes(), theirs.to_bytes(), "version {}", version);
        }
    }
}

fn of_one(partition: FetchPartition) -> FetchResponse {
    let topic = FetchTopic {
        name: TopicName::new("t"),
        id: TopicId::ZERO,
        partitions: vec![partition],
    };
    FetchResponse {
        throttle_time_ms: 0,
        error: ErrorCode::None,
        session_id: 0,
        topics: vec![topic],
        node_endpoints: Vec::new(),
    }
}

fn addresses(bytes: &Bytes) -> Range<*const u8> {
    bytes.as_ptr_range()
}

/// WIRE-3.
#[test]
fn records_are_the_same_memory_in_the_frame_as_in_the_log() {
    let log = Bytes::from(vec![7; 100_000]);
    let records = vec![log.slice(10..60_000), log.slice(60_000..)];
    let mut partition = FetchPartition::of_error(PartitionIndex(0), ErrorCode::None);
    partition.records.clone_from(&records);
    assert_eq!(partition.records_bytes(), 99_990);
    for version in 4..=18 {
        let frame = of_one(partition.clone()).encode(version, 1).unwrap();
        for slice in &records {
            assert!(
                frame.chunks.iter().any(|chunk| addresses(chunk) == addresses(slice)),
                "version {version}"
            );
        }
        let size = i32::from_be_bytes(*frame.chunks[0].first_chunk().unwrap());
        assert_eq!(usize::try_from(size).unwrap(), frame.len() - 4);
    }
}

#[test]
fn what_cannot_be_said_is_an_error() {
    let response = of_one(FetchPartition::of_error(
        PartitionIndex(0),
        ErrorCode::NotLeaderOrFollower,
    ));
    for version in [-1, 0, 3, 19, 99] {
        let error = response.encode(version, 1).unwrap_err();
        assert_eq!(error, EncodeError::UnsupportedVersion { api_key: 1, version });
    }
    let mut long = response;
    long.topics[0].name = TopicName::new(&"x".repeat(40_000));
    assert_eq!(
        long.encode(12, 1).unwrap_err(),
        EncodeError::StringTooLong {
            api_key: 1,
            length_bytes: 40_000
        }
    );
    assert!(long.encode(13, 1).is_ok());
}
