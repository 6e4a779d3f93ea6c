use records::{BatchBuilder, NewRecord};

use super::*;

fn settings() -> PartitionSettings {
    PartitionSettings {
        log: storage::LogConfig::default(),
        min_insync_replicas: 1,
        log_append_time: false,
        max_message_bytes: 10_000,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        compacted: false,
        leader_throttled_replicas: Arc::default(),
        follower_throttled_replicas: Arc::default(),
    }
}

const NOW: TimestampMs = TimestampMs(1_000_000);

fn record(key: Option<&'static str>) -> NewRecord {
    NewRecord {
        timestamp: NOW,
        key: key.map(Bytes::from),
        value: Some(Bytes::from("v")),
        headers: Vec::new(),
    }
}

fn batch(keys: &[Option<&'static str>]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for key in keys {
        builder.append(record(*key));
    }
    builder.finish().unwrap()
}

fn refusal(settings: &PartitionSettings, records: Option<&Bytes>) -> ErrorCode {
    check_batch(settings, records, NOW).unwrap_err().error
}

#[test]
fn one_good_batch_is_let_in_and_anything_else_is_not() {
    let good = batch(&[Some("a"), None]);
    assert_eq!(check_batch(&settings(), Some(&good), NOW).unwrap().bytes, good);
    assert_eq!(refusal(&settings(), None), ErrorCode::InvalidRecord);
    assert_eq!(refusal(&settings(), Some(&Bytes::new())), ErrorCode::InvalidRecord);
    let twice = Bytes::from([good.as_ref(), good.as_ref()].concat());
    assert_eq!(refusal(&settings(), Some(&twice)), ErrorCode::InvalidRecord);
    let mut broken = good.to_vec();
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(
        refusal(&settings(), Some(&Bytes::from(broken))),
        ErrorCode::CorruptMessage
    );
    // A rest of a batch is no batch.
    assert_eq!(refusal(&settings(), Some(&good.slice(..20))), ErrorCode::InvalidRecord);
}

#[test]
fn the_topics_limits_hold() {
    let good = batch(&[Some("a")]);
    let small = PartitionSettings {
        max_message_bytes: 10,
        ..settings()
    };
    assert_eq!(refusal(&small, Some(&good)), ErrorCode::MessageTooLarge);
    let strict = PartitionSettings {
        timestamp_before_max_ms: 10,
        ..settings()
    };
    let later = NOW.plus_ms(11);
    assert_eq!(
        check_batch(&strict, Some(&good), later).unwrap_err().error,
        ErrorCode::InvalidTimestamp
    );
}

#[test]
fn a_compacted_topic_names_every_record_without_a_key() {
    let compacted = PartitionSettings {
        compacted: true,
        ..settings()
    };
    let failure = check_batch(&compacted, Some(&batch(&[None, Some("a"), None])), NOW).unwrap_err();
    let named: Vec<usize> = failure.records.iter().map(|(record, _)| *record).collect();
    assert_eq!((failure.error, named), (ErrorCode::InvalidRecord, vec![0, 2]));
    let many = batch(&[None; RECORDS_NAMED_MAX + 1]);
    let failure = check_batch(&compacted, Some(&many), NOW).unwrap_err();
    assert_eq!(failure.records.len(), RECORDS_NAMED_MAX);
}

#[test]
fn every_version_can_say_what_went_wrong() {
    for version in 3..=13 {
        let failed = |records| Part {
            index: PartitionIndex(1),
            id: None,
            outcome: Err(Failure {
                error: ErrorCode::NotLeaderOrFollower,
                message: "no".to_owned(),
                records,
                log_start_offset: -1,
            }),
            appended: None,
        };
        let leader = (version >= CURRENT_LEADER_SINCE).then_some((BrokerId(2), LeaderEpoch(3)));
        let topic = TopicProduceResponse::default().with_partition_responses(vec![
            failed(vec![(4, "it".to_owned()), (5, "too".to_owned())]).answer(version, leader),
            failed(Vec::new()).answer(version, None),
        ]);
        wire::encode_response(0, version, 1, &ProduceResponse::default().with_responses(vec![topic])).unwrap();
    }
}
