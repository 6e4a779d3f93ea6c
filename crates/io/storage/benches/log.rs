//! What an append and a read of one partition's log cost, on a real disk's page cache, by the batch. `cargo bench -p storage`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;
use records::{BatchBuilder, NewRecord, stamp};
use storage::{Log, LogConfig, OpenInput, ReadRequest, RealFileSystem};
use types::{LeaderEpoch, Offset, TimestampMs, TopicId, Uuid};

/// Bytes of a record, and records of a batch.
const RECORD: usize = 1_000;
const RECORDS: [usize; 3] = [1, 16, 1_000];

fn main() {
    divan::main();
}

fn batch(records: usize) -> bytes::BytesMut {
    let mut builder = BatchBuilder::new().leader_epoch(LeaderEpoch(0));
    for _ in 0..records {
        builder.append(NewRecord::new(
            TimestampMs(1),
            Bytes::new(),
            Bytes::from(vec![7; RECORD]),
        ));
    }
    bytes::BytesMut::from(builder.finish().unwrap().as_ref())
}

fn open(folder: &std::path::Path, tail_cache_bytes: usize) -> Log {
    let input = OpenInput {
        recovery_point: Offset(0),
        clean_shutdown: true,
        log_start_offset: Offset(0),
        now: TimestampMs(1),
    };
    let config = LogConfig {
        tail_cache_bytes,
        ..LogConfig::default()
    };
    let id = TopicId(Uuid::from_u128(1));
    Log::open(Arc::new(RealFileSystem), &folder.join("topic-0"), id, config, input).unwrap()
}

fn append(log: &mut Log, batch: &mut bytes::BytesMut) {
    stamp(batch, log.log_end_offset(), LeaderEpoch(0)).unwrap();
    log.append(&[Bytes::copy_from_slice(batch)], TimestampMs(1)).unwrap();
}

#[divan::bench(args = RECORDS, sample_count = 50, sample_size = 10)]
fn append_one_batch(bencher: Bencher<'_, '_>, records: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, mut batch) = (open(folder.path(), 1 << 20), batch(records));
    bencher
        .counter(BytesCount::new(batch.len()))
        .bench_local(|| append(&mut log, &mut batch));
}

#[divan::bench(args = RECORDS, sample_count = 50, sample_size = 10)]
fn read_a_megabyte_from_the_file(bencher: Bencher<'_, '_>, records: usize) {
    read(bencher, records, 0);
}

#[divan::bench(args = RECORDS, sample_count = 50, sample_size = 10)]
fn read_a_megabyte_from_memory(bencher: Bencher<'_, '_>, records: usize) {
    read(bencher, records, 8 << 20);
}

fn read(bencher: Bencher<'_, '_>, records: usize, tail_cache_bytes: usize) {
    const BYTES: usize = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let (mut log, mut batch) = (open(folder.path(), tail_cache_bytes), batch(records));
    for _ in 0..(2 * BYTES).div_ceil(batch.len()) {
        append(&mut log, &mut batch);
    }
    let request = ReadRequest {
        from: Offset(0),
        max_bytes: BYTES,
        up_to: log.log_end_offset(),
        min_one_batch: true,
    };
    let read = || log.read(request).unwrap();
    bencher.counter(BytesCount::new(read().size_bytes)).bench_local(read);
}
