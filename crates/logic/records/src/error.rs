//! Why bytes are no batch, or a batch that may not be appended.
//!
//! One enum, because a batch is refused in one place and each kind has one Kafka code, named in its documentation. A kind
//! that the producer can't mend by sending again is never `CORRUPT_MESSAGE`, which clients retry.

use thiserror::Error;

use crate::Compression;

/// What is wrong with a batch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// The bytes end before the batch does. `CORRUPT_MESSAGE`.
    #[error("the batch is cut short: {needed} bytes needed, {available} available")]
    Truncated {
        /// Bytes that the batch (or its header) takes.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// Not format v2; Kafka 4 has dropped the older ones (KIP-724). `INVALID_RECORD`.
    #[error("record batches must have magic 2, this one has {0}")]
    UnsupportedMagic(i8),
    /// A length that a header alone exceeds. `CORRUPT_MESSAGE`.
    #[error("the batch length {0} is less than a batch header takes")]
    InvalidBatchLength(i32),
    /// A negative number of records. `INVALID_RECORD`.
    #[error("invalid record count {0}")]
    InvalidRecordCount(i32),
    /// A negative last offset delta, or offsets that leave the range of a log. `INVALID_RECORD`.
    #[error("invalid offset range: base offset {base_offset}, last offset delta {last_offset_delta}")]
    InvalidOffsetRange {
        /// The first offset.
        base_offset: i64,
        /// The last offset minus the first.
        last_offset_delta: i32,
    },
    /// The bytes aren't those that the producer sent. `CORRUPT_MESSAGE`.
    #[error("the batch is corrupt: stored crc {stored:08x}, computed crc {computed:08x}")]
    CrcMismatch {
        /// The header's CRC-32C.
        stored: u32,
        /// The one of the bytes at hand.
        computed: u32,
    },
    /// A codec that Kafka doesn't have. `UNSUPPORTED_COMPRESSION_TYPE`.
    #[error("unknown compression type {0}")]
    UnsupportedCompression(u8),
    /// A produce request's partition without a batch. `INVALID_RECORD`.
    #[error("a produce request must contain exactly one record batch per partition, this one has none")]
    NoBatch,
    /// A produce request's partition with several batches. `INVALID_RECORD`.
    #[error("a produce request must contain exactly one record batch per partition, this one has more")]
    MoreThanOneBatch,
    /// A client doesn't know offsets. `INVALID_RECORD`.
    #[error("the base offset of an appended batch should be 0, but it is {0}")]
    NonZeroBaseOffset(i64),
    /// A client's batch without records. `INVALID_RECORD`.
    #[error("the batch has no records")]
    EmptyBatch,
    /// A client's batch whose offsets have gaps. `INVALID_RECORD`.
    #[error("inconsistent batch: last offset delta {last_offset_delta}, record count {record_count}")]
    InconsistentRecordCount {
        /// The last offset minus the first.
        last_offset_delta: i32,
        /// The number of records that the header declares.
        record_count: i32,
    },
    /// Only brokers write control records. `INVALID_RECORD`.
    #[error("clients are not allowed to write control records")]
    ControlBatchFromClient,
    /// A producer id with a sequence below 0. `INVALID_RECORD`.
    #[error("invalid sequence number {0} in a batch with a producer id")]
    InvalidSequence(i32),
    /// Above `max.message.bytes`. `MESSAGE_TOO_LARGE`.
    #[error("the batch size of {size_bytes} bytes exceeds the maximum configured value of {max_message_bytes}")]
    MessageTooLarge {
        /// The whole batch with its overhead.
        size_bytes: usize,
        /// The topic's bound.
        max_message_bytes: usize,
    },
    /// Outside `message.timestamp.before.max.ms` or `.after.max.ms`. `INVALID_TIMESTAMP`.
    #[error("timestamp {timestamp} is out of range: it should be within [{earliest}, {latest}]")]
    TimestampOutOfRange {
        /// Of the record, or the largest of the batch.
        timestamp: i64,
        /// The oldest that the topic takes.
        earliest: i64,
        /// The newest that the topic takes.
        latest: i64,
    },
    /// Only the broker may say that a timestamp is the log's. `INVALID_TIMESTAMP`.
    #[error("the producer should not set the timestamp type to LogAppendTime")]
    LogAppendTimeFromClient,
    /// A record without a key for a compacted topic. `INVALID_RECORD`.
    #[error("a compacted topic cannot accept record {index} without a key")]
    MissingKey {
        /// The record's place in its batch.
        index: usize,
    },
    /// The records' bytes don't decode, though the CRC holds. `INVALID_RECORD`.
    #[error("record {index} of the batch is invalid: {reason}")]
    InvalidRecord {
        /// The record's place in its batch.
        index: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The payload isn't what its codec writes. `INVALID_RECORD`.
    #[error("the batch does not decompress as {compression}: {reason}")]
    Decompression {
        /// The codec that the header names.
        compression: Compression,
        /// What the codec says.
        reason: String,
    },
    /// More than the bound on decompressed bytes. `MESSAGE_TOO_LARGE`.
    #[error("the batch exceeds {max_bytes} bytes when decompressed")]
    DecompressedTooLarge {
        /// The bound.
        max_bytes: usize,
    },
    /// A batch being built can't be expressed in v2's fields, or its codec failed. `RECORD_LIST_TOO_LARGE`.
    #[error("the batch can't be built: {0}")]
    Unbuildable(String),
}
