//! The first 61 bytes of a batch, big-endian.
//!
//! ```text
//! 0           8            12           16    17  21         23              27             35            43
//! | baseOffset | batchLength | leaderEpoch | magic | crc | attributes | lastOffsetDelta | baseTimestamp | maxTimestamp
//! 43          51             53            57       61
//! | producerId | producerEpoch | baseSequence | count |  records: plain or compressed ...
//!
//! batchLength counts from byte 12; the CRC-32C covers byte 21 to the end.
//! ```

use types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use crate::{Attributes, BatchError, Compression, TimestampType};

/// Bytes before the records of a batch.
pub const BATCH_HEADER_BYTES: usize = 61;
/// Base offset and length: the bytes that `batch_length` doesn't count.
pub const LOG_OVERHEAD_BYTES: usize = 12;
/// The only format that Kafka 4 writes.
pub const MAGIC_V2: i8 = 2;
/// The sequence of a batch without a producer id.
pub const NO_SEQUENCE: i32 = -1;
/// The timestamp of a record without one.
pub const NO_TIMESTAMP: TimestampMs = TimestampMs(-1);

pub(crate) const LEADER_EPOCH_AT: usize = 12;
pub(crate) const MAGIC_AT: usize = 16;
pub(crate) const CRC_AT: usize = 17;
pub(crate) const ATTRIBUTES_AT: usize = 21;
pub(crate) const MAX_TIMESTAMP_AT: usize = 35;
/// The least `batch_length`: a header without records.
const MIN_BATCH_LENGTH: i32 = (BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES) as i32;

/// What a batch says of itself. Fields are as on the wire; [`BatchHeader::parse`] vouches for lengths, counts and ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// The first record's offset; 0 from a client.
    pub base_offset: Offset,
    /// Bytes after this field, at least 49.
    pub batch_length: i32,
    /// The epoch of the leader that appended the batch; outside the CRC.
    pub leader_epoch: LeaderEpoch,
    /// 2.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// The flags.
    pub attributes: Attributes,
    /// The last offset minus the first; at least 0.
    pub last_offset_delta: i32,
    /// The first record's timestamp, or the delete horizon of a compacted batch.
    pub base_timestamp: TimestampMs,
    /// The largest timestamp, or the time of the append.
    pub max_timestamp: TimestampMs,
    /// -1 without idempotence.
    pub producer_id: ProducerId,
    /// -1 without idempotence.
    pub producer_epoch: ProducerEpoch,
    /// -1 without idempotence.
    pub base_sequence: i32,
    /// Number of records; compaction may leave fewer than the offsets span, even none.
    pub record_count: i32,
}

fn array<const N: usize>(header: &[u8; BATCH_HEADER_BYTES], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&header[at..at + N]);
    field
}

impl BatchHeader {
    /// Reads the first 61 of `bytes`. The batch itself may be longer than what is there.
    ///
    /// # Errors
    /// Too few bytes, another magic, a length below 49, negative counts, offsets outside `0..i64::MAX`.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(raw) = bytes.first_chunk::<BATCH_HEADER_BYTES>() else {
            // An old format is refused as such even where its header is shorter than ours.
            if let Some(&magic) = bytes.get(MAGIC_AT)
                && magic as i8 != MAGIC_V2
            {
                return Err(BatchError::UnsupportedMagic(magic as i8));
            }
            return Err(BatchError::Truncated {
                needed: BATCH_HEADER_BYTES,
                available: bytes.len(),
            });
        };
        let header = Self {
            base_offset: Offset(i64::from_be_bytes(array(raw, 0))),
            batch_length: i32::from_be_bytes(array(raw, 8)),
            leader_epoch: LeaderEpoch(i32::from_be_bytes(array(raw, LEADER_EPOCH_AT))),
            magic: raw[MAGIC_AT] as i8,
            crc: u32::from_be_bytes(array(raw, CRC_AT)),
            attributes: Attributes(i16::from_be_bytes(array(raw, ATTRIBUTES_AT))),
            last_offset_delta: i32::from_be_bytes(array(raw, 23)),
            base_timestamp: TimestampMs(i64::from_be_bytes(array(raw, 27))),
            max_timestamp: TimestampMs(i64::from_be_bytes(array(raw, MAX_TIMESTAMP_AT))),
            producer_id: ProducerId(i64::from_be_bytes(array(raw, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(array(raw, 51))),
            base_sequence: i32::from_be_bytes(array(raw, 53)),
            record_count: i32::from_be_bytes(array(raw, 57)),
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), BatchError> {
        if self.magic != MAGIC_V2 {
            return Err(BatchError::UnsupportedMagic(self.magic));
        }
        if self.batch_length < MIN_BATCH_LENGTH {
            return Err(BatchError::InvalidBatchLength(self.batch_length));
        }
        if self.record_count < 0 {
            return Err(BatchError::InvalidRecordCount(self.record_count));
        }
        // `next_offset` must exist, so that no sum of a valid batch's offsets overflows.
        let next = self
            .base_offset
            .0
            .checked_add(i64::from(self.last_offset_delta))
            .and_then(|last| last.checked_add(1));
        if self.base_offset.0 < 0 || self.last_offset_delta < 0 || next.is_none() {
            return Err(BatchError::InvalidOffsetRange {
                base_offset: self.base_offset.0,
                last_offset_delta: self.last_offset_delta,
            });
        }
        Ok(())
    }

    /// This header as bytes, whatever its fields say.
    #[must_use]
    pub fn encode(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut raw = [0; BATCH_HEADER_BYTES];
        raw[0..8].copy_from_slice(&self.base_offset.0.to_be_bytes());
        raw[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        raw[12..16].copy_from_slice(&self.leader_epoch.0.to_be_bytes());
        raw[16] = self.magic as u8;
        raw[17..21].copy_from_slice(&self.crc.to_be_bytes());
        raw[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        raw[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        raw[27..35].copy_from_slice(&self.base_timestamp.0.to_be_bytes());
        raw[35..43].copy_from_slice(&self.max_timestamp.0.to_be_bytes());
        raw[43..51].copy_from_slice(&self.producer_id.0.to_be_bytes());
        raw[51..53].copy_from_slice(&self.producer_epoch.0.to_be_bytes());
        raw[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        raw[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        raw
    }

    /// Bytes of the whole batch, at least 61.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        usize::try_from(self.batch_length)
            .unwrap_or(0)
            .saturating_add(LOG_OVERHEAD_BYTES)
    }

    /// The last record's offset (of those once written: compaction may have removed it).
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset after the batch.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }

    /// The last record's sequence, -1 without idempotence. Sequences go from `i32::MAX` on to 0.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return NO_SEQUENCE;
        }
        let sequence = i64::from(self.base_sequence) + i64::from(self.last_offset_delta.max(0));
        // Two numbers below 2^31: the sum modulo 2^31 fits.
        (sequence & i64::from(i32::MAX)) as i32
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes.is_transactional()
    }

    /// Whether the batch holds a control record.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes.is_control()
    }

    /// Whether the batch comes from an idempotent or transactional producer.
    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id.0 > ProducerId::NONE.0
    }

    /// What the timestamps mean.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        self.attributes.timestamp_type()
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// [`BatchError::UnsupportedCompression`].
    pub fn compression(&self) -> Result<Compression, BatchError> {
        self.attributes.compression()
    }

    /// When tombstones and markers of a compacted batch may go (KIP-534).
    #[must_use]
    pub fn delete_horizon(&self) -> Option<TimestampMs> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }
}
