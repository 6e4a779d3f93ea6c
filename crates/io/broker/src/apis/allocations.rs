//! How often memory is asked for on the hot way: never for a record, seldom for a request; and how much: no copy of what is produced.

use allocation_counter::measure;
use records::{BatchBuilder, NewRecord};
use types::TimestampMs;
use wire::messages::fetch_request::{FetchPartition, FetchTopic};
use wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use wire::messages::{FetchRequest, ProduceRequest, TopicName};
use wire::protocol::{Encodable, Request};

use super::dispatch;
use super::exchange::text;
use super::fixture::LoneBroker;

const VERSION: i16 = 12;
/// Logs and tables have grown by then.
const WARM_UP: usize = 20;
const COUNTED: u64 = 20;

/// What one request asks for, from its frame's header to its response's frame.
#[derive(Debug)]
struct Asked {
    times: u64,
    bytes: u64,
}

fn for_each<T: Request + Encodable>(lone: &LoneBroker, runtime: &tokio::runtime::Runtime, request: &T) -> Asked {
    let answer = || {
        let incoming = lone.incoming(VERSION, request);
        let mut answered = 0;
        let counted = measure(|| {
            let handled = runtime.block_on(dispatch(lone.context(), incoming));
            answered = handled.unwrap().map_or(0, |frame| frame.len());
        });
        assert!(answered > 0);
        (counted.count_total, counted.bytes_total)
    };
    for _ in 0..WARM_UP {
        answer();
    }
    let counted = (0..COUNTED).map(|_| answer());
    let (times, bytes) = counted.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    Asked {
        times: times / COUNTED,
        bytes: bytes / COUNTED,
    }
}

fn produce(records: usize) -> ProduceRequest {
    let mut batch = BatchBuilder::new();
    for _ in 0..records {
        // Of now: neither too old nor too new for the topic.
        let now = TimestampMs(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64);
        batch.append(NewRecord::new(now, Vec::new(), vec![7; 100]));
    }
    let partition = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(batch.finish().unwrap()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(text("a")))
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1_000)
        .with_topic_data(vec![topic])
}

fn fetch(offset: i64, bytes: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(bytes);
    let topic = FetchTopic::default()
        .with_topic(TopicName(text("a")))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(bytes)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

#[test]
fn nothing_is_allocated_for_a_record_and_little_for_a_request() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let lone = runtime.block_on(LoneBroker::with_topics(&["a"]));
    let (one, many) = (
        for_each(&lone, &runtime, &produce(1)),
        for_each(&lone, &runtime, &produce(1_000)),
    );
    assert!(
        many.times <= one.times + 1 && one.times <= 40,
        "produce: {one:?} for 1 record, {many:?} for 1,000"
    );
    // A batch of 1,000 records has more than 100,000 bytes, and stays where it arrived.
    assert!(
        many.bytes <= one.bytes + 10_000,
        "produce: {one:?} for 1 record, {many:?} for 1,000"
    );
    // The thousand-record batches are the later ones.
    let offset = WARM_UP as i64 + COUNTED as i64;
    let (one, many) = (
        for_each(&lone, &runtime, &fetch(0, 1)),
        for_each(&lone, &runtime, &fetch(offset, 1 << 20)),
    );
    assert!(
        many.times <= one.times + 1 && one.times <= 40,
        "fetch: {one:?} for 1 record, {many:?} for thousands"
    );
}
