mod cleaning;
mod crash;
mod full;
mod model;
mod operations;
mod relocation;
mod two_steps;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use records::{BatchBuilder, NewRecord};
use types::{LeaderEpoch, Offset, TimestampMs, TopicId, Uuid};

use crate::testing::MemoryFileSystem;
use crate::{Log, LogConfig, LogError, OpenInput, ReadRequest};

pub(super) const DIRECTORY: &str = "/data/topic-0";
pub(super) const NOW: TimestampMs = TimestampMs(1_000_000);

pub(super) fn topic_id() -> TopicId {
    TopicId(Uuid::from_u128(42))
}

/// A batch of `count` records of `size` bytes each at `base_offset`.
pub(super) fn batch(base_offset: i64, epoch: i32, count: usize, size: usize, timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new()
        .base_offset(Offset(base_offset))
        .leader_epoch(LeaderEpoch(epoch));
    for at in 0..count {
        let value = Bytes::from(vec![(base_offset as u8).wrapping_add(at as u8); size]);
        builder.append(NewRecord::new(TimestampMs(timestamp + at as i64), Bytes::new(), value));
    }
    builder.finish().unwrap()
}

pub(super) fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 1000,
        index_interval_bytes: 200,
        tail_cache_bytes: 0,
        ..LogConfig::default()
    }
}

pub(super) fn unclean(recovery_point: Offset) -> OpenInput {
    OpenInput {
        recovery_point,
        clean_shutdown: false,
        log_start_offset: Offset(0),
        now: NOW,
    }
}

pub(super) fn clean() -> OpenInput {
    OpenInput {
        clean_shutdown: true,
        ..unclean(Offset(0))
    }
}

pub(super) fn try_open(disk: &MemoryFileSystem, config: &LogConfig, input: OpenInput) -> Result<Log, LogError> {
    // As a log directory does it for its partitions.
    crate::create_dir_durably(disk, Path::new("/data")).unwrap();
    Log::open(
        Arc::new(disk.clone()),
        Path::new(DIRECTORY),
        topic_id(),
        config.clone(),
        input,
    )
}

pub(super) fn open(disk: &MemoryFileSystem, config: &LogConfig, input: OpenInput) -> Log {
    try_open(disk, config, input).unwrap()
}

pub(super) fn request(from: i64, max_bytes: usize) -> ReadRequest {
    ReadRequest {
        from: Offset(from),
        max_bytes,
        up_to: Offset(i64::MAX),
        min_one_batch: true,
    }
}

/// Everything from `from` to the log end, batch by batch.
pub(super) fn read_all(log: &Log, from: Offset, max_bytes: usize) -> Vec<Bytes> {
    let mut batches = Vec::new();
    let mut from = from;
    while from < log.log_end_offset() {
        let outcome = log.read(request(from.0, max_bytes)).unwrap();
        assert!(outcome.next_offset > from, "no progress at {from}: {outcome:?}");
        assert_eq!(outcome.size_bytes, outcome.slices.iter().map(Bytes::len).sum::<usize>());
        from = outcome.next_offset;
        for batch in records::batches(&outcome.into_bytes(), records::Tail::Whole) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            batches.push(batch.bytes);
        }
    }
    batches
}

/// Appends `count` batches of three records each, ten milliseconds apart, and returns them.
pub(super) fn fill(log: &mut Log, count: usize, epoch: i32) -> Vec<Bytes> {
    let mut appended = Vec::new();
    for _ in 0..count {
        let base = log.log_end_offset().0;
        let bytes = batch(base, epoch, 3, 20, base * 10);
        log.append(std::slice::from_ref(&bytes), NOW).unwrap();
        appended.push(bytes);
    }
    appended
}
