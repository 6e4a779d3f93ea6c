//! Writes batches: for coordinators' records and markers, for compaction, for tests and tools.

use bytes::Bytes;
use types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use crate::header::ATTRIBUTES_AT;
use crate::varint::{put_varint, put_varlong};
use crate::{
    Attributes, BATCH_HEADER_BYTES, BatchError, BatchHeader, Compression, EndTransactionMarker, LOG_OVERHEAD_BYTES,
    MAGIC_V2, NO_SEQUENCE, NO_TIMESTAMP, Record, RecordHeader, TimestampType, compress,
};

/// A record that has no offset yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewRecord {
    /// -1 is "none".
    pub timestamp: TimestampMs,
    /// The key; `None` is null.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<RecordHeader>,
}

impl NewRecord {
    /// A record with key and value.
    #[must_use]
    pub fn new(timestamp: TimestampMs, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            timestamp,
            key: Some(key.into()),
            value: Some(value.into()),
            headers: Vec::new(),
        }
    }

    /// A record with a key and no value: deletes the key from a compacted topic.
    #[must_use]
    pub fn tombstone(timestamp: TimestampMs, key: impl Into<Bytes>) -> Self {
        Self {
            timestamp,
            key: Some(key.into()),
            value: None,
            headers: Vec::new(),
        }
    }
}

/// Builds one batch. Flags may be set at any time before [`BatchBuilder::finish`].
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    header: BatchHeader,
    compression: Compression,
    /// Set once: the first record's, or the delete horizon.
    base_timestamp: Option<TimestampMs>,
    max_timestamp: TimestampMs,
    /// Fixed when an existing batch is rebuilt, else the last record's.
    fixed_last_offset_delta: Option<i32>,
    next_offset_delta: i64,
    payload: Vec<u8>,
    records: usize,
    /// The first thing that v2 can't express; told by `finish`, so that `append` stays a chain.
    refused: Option<&'static str>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// An empty, uncompressed batch at offset 0 without a producer id.
    #[must_use]
    pub fn new() -> Self {
        Self::from_header(BatchHeader {
            base_offset: Offset::ZERO,
            batch_length: 0,
            leader_epoch: LeaderEpoch::NONE,
            magic: MAGIC_V2,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch(-1),
            base_sequence: NO_SEQUENCE,
            record_count: 0,
        })
    }

    /// A batch for some of another's records: everything but the records is kept, offsets and sequences above all. What
    /// compaction needs, since an emptied batch still carries its producer's last sequence.
    ///
    /// # Errors
    /// [`BatchError::UnsupportedCompression`].
    pub fn retaining(original: &BatchHeader) -> Result<Self, BatchError> {
        let mut builder = Self::from_header(*original);
        builder.compression = original.compression()?;
        builder.fixed_last_offset_delta = Some(original.last_offset_delta);
        builder.base_timestamp = original.delete_horizon();
        Ok(builder)
    }

    /// The control batch that ends a producer's transaction on a partition.
    #[must_use]
    pub fn end_transaction(
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        marker: EndTransactionMarker,
        now: TimestampMs,
    ) -> Self {
        let record = NewRecord::new(now, marker.control_type().encode(), marker.encode());
        Self::new()
            .producer(producer_id, producer_epoch, NO_SEQUENCE)
            .transactional(true)
            .control(true)
            .with(record)
    }

    fn from_header(header: BatchHeader) -> Self {
        Self {
            header,
            compression: Compression::None,
            base_timestamp: None,
            max_timestamp: NO_TIMESTAMP,
            fixed_last_offset_delta: None,
            next_offset_delta: 0,
            payload: Vec::new(),
            records: 0,
            refused: None,
        }
    }

    /// The first record's offset.
    #[must_use]
    pub fn base_offset(mut self, base_offset: Offset) -> Self {
        self.header.base_offset = base_offset;
        self
    }

    /// The leader's epoch.
    #[must_use]
    pub fn leader_epoch(mut self, leader_epoch: LeaderEpoch) -> Self {
        self.header.leader_epoch = leader_epoch;
        self
    }

    /// The idempotent producer and the first record's sequence.
    #[must_use]
    pub fn producer(mut self, producer_id: ProducerId, producer_epoch: ProducerEpoch, base_sequence: i32) -> Self {
        self.header.producer_id = producer_id;
        self.header.producer_epoch = producer_epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Part of a transaction.
    #[must_use]
    pub fn transactional(mut self, transactional: bool) -> Self {
        self.header.attributes = self.header.attributes.with_transactional(transactional);
        self
    }

    /// A control batch.
    #[must_use]
    pub fn control(mut self, control: bool) -> Self {
        self.header.attributes = self.header.attributes.with_control(control);
        self
    }

    /// The codec.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Makes `now` every record's timestamp.
    #[must_use]
    pub fn log_append_time(mut self, now: TimestampMs) -> Self {
        self.header.attributes = self.header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        self.header.max_timestamp = now;
        self
    }

    /// When the tombstones and markers in the batch may go (KIP-534). Set it before the first record.
    #[must_use]
    pub fn delete_horizon(mut self, horizon: TimestampMs) -> Self {
        if self.records > 0 {
            self.refused = self.refused.or(Some("delete horizon after the first record"));
        }
        self.header.attributes = self.header.attributes.with_delete_horizon(true);
        self.base_timestamp = Some(horizon);
        self
    }

    /// [`BatchBuilder::append`] for chains.
    #[must_use]
    pub fn with(mut self, record: NewRecord) -> Self {
        self.append(record);
        self
    }

    /// Adds a record at the next offset.
    pub fn append(&mut self, record: NewRecord) {
        match i32::try_from(self.next_offset_delta) {
            Ok(offset_delta) => self.write(
                offset_delta,
                (record.timestamp, record.key.as_deref(), record.value.as_deref()),
                |body| {
                    put_varint(body, i32::try_from(record.headers.len()).unwrap_or(i32::MAX));
                    record
                        .headers
                        .iter()
                        .all(|header| put_bytes(body, Some(&header.key)) && put_bytes(body, header.value.as_deref()))
                },
            ),
            Err(_) => self.refused = self.refused.or(Some("too many records")),
        }
    }

    /// Adds a record of the batch that is being rebuilt, at its own offset; offsets must ascend.
    pub fn retain(&mut self, record: &Record) {
        let delta = record.offset.0.checked_sub(self.header.base_offset.0);
        match delta.and_then(|delta| i32::try_from(delta).ok()) {
            Some(delta) if i64::from(delta) >= self.next_offset_delta => self.write(
                delta,
                (record.timestamp, record.key.as_deref(), record.value.as_deref()),
                |body| {
                    body.extend_from_slice(&record.headers.0);
                    true
                },
            ),
            _ => {
                self.refused = self
                    .refused
                    .or(Some("offset below the last record's or outside the batch"))
            }
        }
    }

    fn write(
        &mut self,
        offset_delta: i32,
        (timestamp, key, value): (TimestampMs, Option<&[u8]>, Option<&[u8]>),
        put_headers: impl FnOnce(&mut Vec<u8>) -> bool,
    ) {
        let base = *self.base_timestamp.get_or_insert(timestamp);
        let mut body = Vec::new();
        body.push(0);
        put_varlong(&mut body, timestamp.0.wrapping_sub(base.0));
        put_varint(&mut body, offset_delta);
        let mut fits = put_bytes(&mut body, key);
        fits &= put_bytes(&mut body, value);
        fits &= put_headers(&mut body);
        match i32::try_from(body.len()) {
            Ok(length) if fits => put_varint(&mut self.payload, length),
            _ => self.refused = self.refused.or(Some("a record of 2 GiB or more")),
        }
        self.payload.append(&mut body);
        self.records += 1;
        self.next_offset_delta = i64::from(offset_delta) + 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
    }

    /// Records so far.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.records
    }

    /// Bytes of the batch so far, before compression.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.payload.len()
    }

    /// The batch, sealed with its CRC.
    ///
    /// # Errors
    /// [`BatchError::Unbuildable`] when it is too large for v2, a retained record was out of order, or the codec failed.
    pub fn finish(self) -> Result<Bytes, BatchError> {
        if let Some(reason) = self.refused {
            return Err(BatchError::Unbuildable(reason.to_owned()));
        }
        let too_large = |_| BatchError::Unbuildable("the batch is too large".to_owned());
        // Kafka leaves an empty batch uncompressed.
        let compression = if self.records == 0 {
            Compression::None
        } else {
            self.compression
        };
        let payload = compress(compression, self.payload)?;
        let mut header = self.header;
        let length = BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES + payload.len();
        header.batch_length = i32::try_from(length).map_err(too_large)?;
        header.record_count = i32::try_from(self.records).map_err(too_large)?;
        header.attributes = header.attributes.with_compression(compression);
        let last_offset_delta = i32::try_from((self.next_offset_delta - 1).max(0)).map_err(too_large)?;
        header.last_offset_delta = self.fixed_last_offset_delta.unwrap_or(last_offset_delta);
        if last_offset_delta > header.last_offset_delta {
            return Err(BatchError::Unbuildable(
                "a retained record lies after the batch".to_owned(),
            ));
        }
        header.base_timestamp = self.base_timestamp.unwrap_or(NO_TIMESTAMP);
        // An emptied batch keeps its own, as Kafka's does.
        let emptied = self.records == 0 && self.fixed_last_offset_delta.is_some();
        if header.timestamp_type() == TimestampType::CreateTime && !emptied {
            header.max_timestamp = self.max_timestamp;
        }
        let mut batch = Vec::with_capacity(BATCH_HEADER_BYTES + payload.len());
        batch.extend(header.encode());
        batch.extend(payload);
        header.crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
        batch[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode());
        Ok(batch.into())
    }
}

/// Writes a length and the bytes; whether their length can be expressed.
fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) -> bool {
    let Some(bytes) = bytes else {
        put_varint(out, -1);
        return true;
    };
    let Ok(length) = i32::try_from(bytes.len()) else {
        return false;
    };
    put_varint(out, length);
    out.extend_from_slice(bytes);
    true
}
