use futures::poll;
use records::{BatchBuilder, NewRecord};
use types::TimestampMs;
use wire::messages::fetch_request::{FetchPartition as AskedPartition, FetchTopic as AskedTopic};
use wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use wire::messages::{FetchResponse as Decoded, ProduceRequest};

use super::super::exchange::text;
use super::super::fixture::{LoneBroker, answer as decoded, topic_id_of};
use super::*;

fn batch(value: &str) -> bytes::Bytes {
    let mut builder = BatchBuilder::new();
    let now = crate::Clock::now(&crate::SystemClock);
    builder.append(NewRecord::new(TimestampMs(now.0), "key", value.to_owned()));
    builder.finish().unwrap()
}

fn produce(version: i16, acks: i16, partition: i32, value: &str) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch(value)));
    let topic = TopicProduceData::default().with_partition_data(vec![data]);
    let topic = if version >= 13 {
        topic.with_topic_id(topic_id_of("a").0)
    } else {
        topic.with_name(wire::messages::TopicName(text("a")))
    };
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(1_000)
        .with_topic_data(vec![topic])
}

fn asked(version: i16, topic: &str, partition: i32, from: i64) -> AskedTopic {
    let asked = AskedPartition::default()
        .with_partition(partition)
        .with_fetch_offset(from)
        .with_partition_max_bytes(1 << 20);
    let named = AskedTopic::default().with_partitions(vec![asked]);
    if version >= 13 {
        named.with_topic_id(topic_id_of(topic).0)
    } else {
        named.with_topic(wire::messages::TopicName(text(topic)))
    }
}

fn fetch(topics: Vec<AskedTopic>) -> FetchRequest {
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(60_000)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(topics)
}

fn first(response: &Decoded) -> &wire::messages::fetch_response::PartitionData {
    &response.responses[0].partitions[0]
}

#[tokio::test]
async fn what_was_produced_is_fetched_in_every_version() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    let mut offset = 0;
    for version in 3..=13 {
        let response = lone.ask(version, &produce(version, -1, 0, "value")).await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!((answer.error_code, answer.base_offset), (0, offset), "v{version}");
        offset += 1;
    }
    for version in 4..=18 {
        let response = lone.ask(version, &fetch(vec![asked(version, "a", 0, 0)])).await;
        let answer = first(&response);
        assert_eq!((answer.error_code, answer.high_watermark), (0, offset), "v{version}");
        let records = answer.records.clone().unwrap();
        assert_eq!(records::batches(&records, records::Tail::Whole).count() as i64, offset);
    }
}

#[tokio::test]
async fn a_waiting_fetch_is_woken_by_an_append() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    let mut waiting = lone.send(12, &fetch(vec![asked(12, "a", 0, 0)]));
    assert!(poll!(&mut waiting).is_pending());
    lone.ask(9, &produce(9, -1, 0, "value")).await;
    let response = decoded::<FetchRequest>(12, waiting.await);
    assert_eq!(first(&response).high_watermark, 1);
    assert!(!first(&response).records.as_ref().unwrap().is_empty());
}

#[tokio::test]
async fn a_fetch_without_a_wait_answers_an_empty_record_set() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    let response = lone
        .ask(11, &fetch(vec![asked(11, "a", 0, 0)]).with_max_wait_ms(0))
        .await;
    assert_eq!(first(&response).records.as_deref(), Some(&[][..]));
    assert_eq!(first(&response).error_code, 0);
}

#[tokio::test]
async fn one_batch_comes_whatever_the_limits() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    for _ in 0..2 {
        lone.ask(9, &produce(9, 1, 0, &"x".repeat(1_000))).await;
    }
    let response = lone
        .ask(11, &fetch(vec![asked(11, "a", 0, 0)]).with_max_bytes(10))
        .await;
    let records = first(&response).records.clone().unwrap();
    assert_eq!(records::batches(&records, records::Tail::Whole).count(), 1);
}

#[tokio::test]
async fn errors_are_answered_at_once_and_name_the_leader() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    let topics = vec![
        asked(16, "a", 1, 0),
        asked(16, "a", 9, 0),
        asked(16, "z", 0, 0),
        asked(16, "a", 0, 5),
    ];
    let response = lone.ask(16, &fetch(topics)).await;
    let answers: Vec<_> = response.responses.iter().flat_map(|topic| &topic.partitions).collect();
    let codes: Vec<i16> = answers.iter().map(|answer| answer.error_code).collect();
    let expected = [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
        ErrorCode::OffsetOutOfRange,
    ];
    assert_eq!(codes, expected.map(ErrorCode::code));
    assert_eq!(answers[0].current_leader.leader_id.0, 2);
    assert_eq!(response.node_endpoints[0].port, 9094);
    let response = lone.ask(10, &produce(10, -1, 1, "value")).await;
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, ErrorCode::NotLeaderOrFollower.code());
    assert_eq!(answer.current_leader.leader_id.0, 2);
    assert_eq!(response.node_endpoints[0].port, 9094);
}

#[tokio::test]
async fn a_session_reads_what_it_was_told_before() {
    let lone = LoneBroker::with_topics(&["a", "b"]).await;
    let full = fetch(vec![asked(12, "a", 0, 0), asked(12, "b", 0, 0)])
        .with_session_epoch(0)
        .with_max_wait_ms(0);
    let session = lone.ask(12, &full).await.session_id;
    assert_ne!(session, NO_SESSION);
    lone.ask(9, &produce(9, -1, 0, "value")).await;
    let incremental = fetch(Vec::new()).with_session_id(session).with_session_epoch(1);
    let response = lone.ask(12, &incremental).await;
    assert_eq!(response.session_id, session);
    assert_eq!(response.responses.len(), 1);
    let stale = lone.ask(12, &incremental).await;
    assert_eq!(stale.error_code, ErrorCode::InvalidFetchSessionEpoch.code());
}

#[tokio::test]
async fn brokers_of_apache_kafka_are_refused() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    let response = lone
        .ask(12, &fetch(vec![asked(12, "a", 0, 0)]).with_replica_id(3.into()))
        .await;
    assert_eq!(response.error_code, ErrorCode::InvalidRequest.code());
}

#[tokio::test]
async fn without_acks_there_is_no_answer_and_a_failure_closes_the_connection() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    assert_eq!(lone.send(9, &produce(9, 0, 0, "value")).await, Ok(None));
    assert!(lone.send(9, &produce(9, 0, 1, "value")).await.is_err());
    let response = lone.ask(9, &produce(9, 2, 0, "value")).await;
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, ErrorCode::InvalidRequiredAcks.code());
}

#[tokio::test]
async fn the_append_happens_at_the_first_poll() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    let mut requests: Vec<_> = (0..3).map(|_| lone.send(9, &produce(9, -1, 0, "value"))).collect();
    for (at, request) in requests.iter_mut().enumerate() {
        let _ = poll!(request);
        let partition = lone
            .context()
            .replicas
            .partition_by_name("a", PartitionIndex(0))
            .unwrap();
        assert_eq!(partition.status().log_end_offset, Offset(at as i64 + 1));
    }
}

#[tokio::test]
async fn a_leader_that_may_be_deposed_does_not_call_an_offset_out_of_range() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    lone.ask(9, &produce(9, -1, 0, "value")).await;
    let beyond = fetch(vec![asked(11, "a", 0, 2)]);
    let lease = &lone.context().host.lease;
    lease.renew(Instant::now() + Duration::from_secs(3_600));
    let answer = lone.ask(11, &beyond).await;
    assert_eq!(first(&answer).error_code, ErrorCode::OffsetOutOfRange.code());

    let lone = LoneBroker::with_topics(&["a"]).await;
    lone.ask(9, &produce(9, -1, 0, "value")).await;
    lone.context().host.lease.renew(Instant::now());
    let answer = lone.ask(11, &beyond).await;
    assert_eq!(first(&answer).error_code, ErrorCode::NotLeaderOrFollower.code());
    // Below its log it knows best: nobody's log begins earlier than what was deleted.
    let answer = lone.ask(11, &fetch(vec![asked(11, "a", 0, -1)])).await;
    assert_eq!(first(&answer).error_code, ErrorCode::OffsetOutOfRange.code());
}

async fn limit_fetches(lone: &LoneBroker, bytes_a_second: f64) {
    let mut image = metadata::MetadataImage::clone(&lone.context().host.image.load());
    let part = metadata::proto::QuotaEntityPart {
        kind: "user".to_owned(),
        name: None,
    };
    let quota = metadata::proto::ClientQuota {
        entity: vec![part],
        key: "consumer_byte_rate".to_owned(),
        value: Some(bytes_a_second),
    };
    image.replay(&quota.into()).unwrap();
    lone.context().publisher.publish_snapshot(image).await;
}

#[tokio::test]
async fn a_reader_with_a_quota_gets_what_that_allows_however_much_there_is() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    for _ in 0..5 {
        lone.ask(9, &produce(9, 1, 0, &"x".repeat(1_000))).await;
    }
    // Of ten seconds: one of the batches.
    limit_fetches(&lone, 150.0).await;
    let request = fetch(vec![asked(11, "a", 0, 0)]);
    let all = lone.ask(11, &request).await;
    assert_eq!(all.throttle_time_ms, 0);
    let records = first(&all).records.clone().unwrap();
    assert_eq!(records::batches(&records, records::Tail::Whole).count(), 1);
    let more = lone.ask(11, &request).await;
    assert!(more.throttle_time_ms > 0 && more.responses.is_empty(), "{more:?}");
}

#[tokio::test]
async fn a_batch_that_is_larger_than_the_quota_comes_and_is_waited_for() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    lone.ask(9, &produce(9, 1, 0, &"x".repeat(1_000))).await;
    limit_fetches(&lone, 1.0).await;
    let request = fetch(vec![asked(11, "a", 0, 0)]);
    let large = lone.ask(11, &request).await;
    assert!(large.throttle_time_ms > 60_000, "{large:?}");
    assert!(first(&large).records.as_ref().unwrap().len() > 1_000);
    let more = lone.ask(11, &request).await;
    assert!(more.throttle_time_ms > 60_000 && more.responses.is_empty(), "{more:?}");
}
