//! What a leader asks of a client's batch before appending it, as Kafka's ProduceRequest, UnifiedLog and LogValidator.
//!
//! [`Batch::check_for_append`] reads the header and the CRC, never the payload. [`Batch::check_records`] decodes every
//! record: for compacted topics, topics that bound the age of timestamps, or a broker that distrusts its clients.
//! Differs from Kafka: timestamps are checked by the header's base and maximum instead of record by record, and a header
//! whose maximum is wrong isn't mended.

use bytes::Bytes;
use types::TimestampMs;

use crate::{Batch, BatchError, NO_TIMESTAMP, Tail, TimestampType, batches};

/// A topic's rules for a client's batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendRules {
    /// `max.message.bytes`, compared with the whole batch.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`. With log append time the producer's timestamps don't matter.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`; `i64::MAX` is unbounded.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`; `i64::MAX` is unbounded.
    pub timestamp_after_max_ms: i64,
    /// The leader's clock.
    pub now: TimestampMs,
}

/// Rules that need every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRules {
    /// `cleanup.policy` contains `compact`.
    pub compacted: bool,
    /// The bound on decompressed bytes.
    pub max_decompressed_bytes: usize,
}

impl AppendRules {
    fn check_timestamp(&self, timestamp: TimestampMs) -> Result<(), BatchError> {
        if self.timestamp_type == TimestampType::LogAppendTime || timestamp == NO_TIMESTAMP {
            return Ok(());
        }
        let earliest = self.now.0.saturating_sub(self.timestamp_before_max_ms);
        let latest = self.now.0.saturating_add(self.timestamp_after_max_ms);
        if (earliest..=latest).contains(&timestamp.0) {
            Ok(())
        } else {
            Err(BatchError::TimestampOutOfRange {
                timestamp: timestamp.0,
                earliest,
                latest,
            })
        }
    }
}

impl Batch {
    /// The one batch of a produce request's partition (from Produce v3 on).
    ///
    /// # Errors
    /// No batch, several, a cut one, or whatever is wrong with its header.
    pub fn from_produce(records: &Bytes) -> Result<Self, BatchError> {
        let mut batches = batches(records, Tail::Whole);
        let batch = batches.next().ok_or(BatchError::NoBatch)??;
        if batches.remaining().is_empty() {
            Ok(batch)
        } else {
            Err(BatchError::MoreThanOneBatch)
        }
    }

    /// Kafka's rules for a client's batch, the CRC included. Cheap checks come first.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_for_append(&self, rules: &AppendRules) -> Result<(), BatchError> {
        let header = &self.header;
        if header.base_offset.0 != 0 {
            return Err(BatchError::NonZeroBaseOffset(header.base_offset.0));
        }
        if self.bytes.len() > rules.max_message_bytes {
            let (size_bytes, max_message_bytes) = (self.bytes.len(), rules.max_message_bytes);
            return Err(BatchError::MessageTooLarge {
                size_bytes,
                max_message_bytes,
            });
        }
        self.check_crc()?;
        header.compression()?;
        if header.record_count == 0 {
            return Err(BatchError::EmptyBatch);
        }
        if i64::from(header.last_offset_delta) + 1 != i64::from(header.record_count) {
            let (last_offset_delta, record_count) = (header.last_offset_delta, header.record_count);
            return Err(BatchError::InconsistentRecordCount {
                last_offset_delta,
                record_count,
            });
        }
        if header.is_control() {
            return Err(BatchError::ControlBatchFromClient);
        }
        if header.has_producer_id() && header.base_sequence < 0 {
            return Err(BatchError::InvalidSequence(header.base_sequence));
        }
        if header.timestamp_type() == TimestampType::LogAppendTime {
            return Err(BatchError::LogAppendTimeFromClient);
        }
        rules.check_timestamp(header.base_timestamp)?;
        rules.check_timestamp(header.max_timestamp)
    }

    /// Decodes every record: they are as many as declared, at consecutive offsets, with timestamps in bounds, and with
    /// keys where the topic is compacted.
    ///
    /// # Errors
    /// The first record that breaks a rule.
    pub fn check_records(&self, rules: &AppendRules, record_rules: &RecordRules) -> Result<(), BatchError> {
        for (index, record) in self.records_within(record_rules.max_decompressed_bytes)?.enumerate() {
            let record = record?;
            if record.offset != self.header.base_offset.plus(i64::try_from(index).unwrap_or(i64::MAX)) {
                return Err(BatchError::InvalidRecord {
                    index,
                    reason: "offsets aren't consecutive",
                });
            }
            if record_rules.compacted && record.key.is_none() {
                return Err(BatchError::MissingKey { index });
            }
            rules.check_timestamp(record.timestamp)?;
        }
        Ok(())
    }
}
