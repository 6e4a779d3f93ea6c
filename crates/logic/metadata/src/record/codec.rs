//! Batches of records as bytes: prost, with a bound before anything is decoded.
//!
//! A batch is bounded by [`MAX_BATCH_BYTES`], so that one Raft entry stays small; decoding never takes more
//! memory than a small multiple of the bytes at hand.

use bytes::Bytes;
use prost::Message;
use thiserror::Error;

use crate::proto::{MetadataBatch, MetadataRecord};

/// The size at which batches are split: 1 MiB of encoded records.
pub const MAX_BATCH_BYTES: usize = 1 << 20;

/// The largest batch that is written: what can't be split may exceed [`MAX_BATCH_BYTES`]. A larger one is refused before
/// decoding.
pub const MAX_ENTRY_BYTES: usize = 4 * MAX_BATCH_BYTES;

/// Why bytes aren't a batch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// More bytes than a batch may have.
    #[error("a metadata batch of {0} bytes, more than the limit")]
    TooLarge(usize),
    /// Damaged bytes.
    #[error("not a metadata batch: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A record of a kind that this version doesn't know.
    #[error("record {0} of the batch is of an unknown kind")]
    UnknownRecord(usize),
}

/// The bytes of a batch.
#[must_use]
pub fn encode_batch(batch: &MetadataBatch) -> Bytes {
    Bytes::from(batch.encode_to_vec())
}

/// Reads a batch.
///
/// # Errors
/// When the bytes are too many, damaged, or hold a record of an unknown kind: skipping one would make this
/// node's image differ from the others'.
pub fn decode_batch(bytes: Bytes) -> Result<MetadataBatch, DecodeError> {
    if bytes.len() > MAX_ENTRY_BYTES {
        return Err(DecodeError::TooLarge(bytes.len()));
    }
    let batch = MetadataBatch::decode(bytes)?;
    match batch.records.iter().position(|record| record.record.is_none()) {
        Some(at) => Err(DecodeError::UnknownRecord(at)),
        None => Ok(batch),
    }
}

/// What one record takes in a batch, in bytes.
#[must_use]
pub fn encoded_len(record: &MetadataRecord) -> usize {
    let len = record.encoded_len();
    // A field's tag, and its length as a varint.
    1 + prost::length_delimiter_len(len) + len
}

/// Splits records into runs of at most `max_bytes` encoded; a record above that makes a run of its own.
///
/// Decisions order their records so that every prefix of them is safe, so the runs may be written one by one.
#[must_use]
pub fn split_records(records: &[MetadataRecord], max_bytes: usize) -> Vec<&[MetadataRecord]> {
    let mut runs = Vec::new();
    let (mut rest, mut count, mut bytes) = (records, 0, 0_usize);
    for record in records {
        let len = encoded_len(record);
        if count > 0 && bytes.saturating_add(len) > max_bytes {
            let (run, after) = rest.split_at(count);
            runs.push(run);
            (rest, count, bytes) = (after, 0, 0);
        }
        bytes = bytes.saturating_add(len);
        count += 1;
    }
    if !rest.is_empty() {
        runs.push(rest);
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::RemoveTopic;

    fn records(count: usize) -> Vec<MetadataRecord> {
        (0..count)
            .map(|n| {
                RemoveTopic {
                    topic_id: Bytes::from(vec![1; n % 40]),
                }
                .into()
            })
            .collect()
    }

    #[test]
    fn a_batch_survives_its_bytes_and_counts_them() {
        let batch = MetadataBatch {
            base_offset: 0,
            records: records(9),
        };
        let bytes = encode_batch(&batch);
        assert_eq!(bytes.len(), batch.records.iter().map(encoded_len).sum::<usize>());
        assert_eq!(decode_batch(bytes), Ok(batch));
    }

    #[test]
    fn unknown_records_and_huge_batches_are_refused() {
        let batch = MetadataBatch {
            base_offset: 3,
            records: vec![MetadataRecord { record: None }],
        };
        assert_eq!(decode_batch(encode_batch(&batch)), Err(DecodeError::UnknownRecord(0)));
        let huge = Bytes::from(vec![0; MAX_ENTRY_BYTES + 1]);
        assert_eq!(decode_batch(huge), Err(DecodeError::TooLarge(MAX_ENTRY_BYTES + 1)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = decode_batch(Bytes::from(bytes));
        }

        #[test]
        fn splitting_keeps_every_record_in_order(count in 0..60_usize, max_bytes in 1..200_usize) {
            let all = records(count);
            let runs = split_records(&all, max_bytes);
            for run in &runs {
                prop_assert!(run.len() == 1 || run.iter().map(encoded_len).sum::<usize>() <= max_bytes);
            }
            prop_assert_eq!(runs.concat(), records(count));
        }
    }
}
