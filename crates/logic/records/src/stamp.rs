//! What the leader writes into a batch that it appends.
//!
//! Base offset and leader epoch lie outside the CRC, so that appending costs no pass over the payload. The time of the
//! append lies inside: only topics with `message.timestamp.type=LogAppendTime` pay for a new CRC.

use types::{LeaderEpoch, Offset, TimestampMs};

use crate::header::{ATTRIBUTES_AT, CRC_AT, LEADER_EPOCH_AT, MAX_TIMESTAMP_AT};
use crate::{BatchError, BatchHeader, TimestampType};

/// Sets base offset and leader epoch of the batch that `batch` begins with.
///
/// # Errors
/// As [`BatchHeader::parse`], or offsets that would overflow; then nothing is written.
pub fn stamp(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) -> Result<(), BatchError> {
    let header = BatchHeader::parse(batch)?;
    let ends = base_offset
        .0
        .checked_add(i64::from(header.last_offset_delta))
        .and_then(|last| last.checked_add(1));
    if base_offset.0 < 0 || ends.is_none() {
        let last_offset_delta = header.last_offset_delta;
        return Err(BatchError::InvalidOffsetRange {
            base_offset: base_offset.0,
            last_offset_delta,
        });
    }
    batch[..8].copy_from_slice(&base_offset.0.to_be_bytes());
    batch[LEADER_EPOCH_AT..LEADER_EPOCH_AT + 4].copy_from_slice(&leader_epoch.0.to_be_bytes());
    Ok(())
}

/// Makes `now` the timestamp of every record of the batch (`message.timestamp.type=LogAppendTime`) and seals it anew.
/// Check the CRC before: this one would hide a corruption.
///
/// # Errors
/// As [`BatchHeader::parse`]; [`BatchError::Truncated`] when the batch isn't whole. Then nothing is written.
pub fn stamp_log_append_time(batch: &mut [u8], now: TimestampMs) -> Result<(), BatchError> {
    let header = BatchHeader::parse(batch)?;
    let available = batch.len();
    let needed = header.size_bytes();
    let batch = batch
        .get_mut(..needed)
        .ok_or(BatchError::Truncated { needed, available })?;
    let attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.0.to_be_bytes());
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&now.0.to_be_bytes());
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}
