//! What has been applied: the newest image, and a bounded tail of the batches that led to it.
//!
//! The metadata feed streams batches to brokers by offset; who is further behind than the tail gets the image.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use metadata::MetadataImage;
use metadata::proto::MetadataRecord;
use parking_lot::Mutex;
use prost::Message;
use types::MetadataOffset;

/// An image and how it came about.
#[derive(Debug, Clone)]
pub struct AppliedImage {
    /// The image after the last applied batch.
    pub image: Arc<MetadataImage>,
    /// Its offset.
    pub offset: MetadataOffset,
    /// Term of the last applied Raft entry; 0 before the first.
    pub term: u64,
    /// Index of the last applied Raft entry; 0 before the first.
    pub index: u64,
}

/// One applied Raft entry's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedBatch {
    /// Offset before the first record.
    pub base_offset: MetadataOffset,
    /// Offset after the last record.
    pub end_offset: MetadataOffset,
    /// Term of the entry that carried it: the controller epoch.
    pub term: u64,
    /// Index of that entry.
    pub index: u64,
    /// The records, each prefixed by its length (a varint), as they stand in the log. Decode with
    /// [`AppliedBatch::decode`].
    pub records: Bytes,
}

impl AppliedBatch {
    /// The records, decoded. Damage is impossible here: entries are checked when they are applied.
    ///
    /// # Errors
    /// When the bytes are no records.
    pub fn decode(&self) -> Result<Vec<MetadataRecord>, prost::DecodeError> {
        decode_records(&self.records)
    }
}

/// Encodes records as an entry carries them.
pub(super) fn encode_records(records: &[MetadataRecord]) -> Bytes {
    let mut bytes = Vec::new();
    for record in records {
        // A Vec grows as needed: encoding into it cannot fail.
        let encoded = record.encode_length_delimited_to_vec();
        bytes.extend_from_slice(&encoded);
    }
    bytes.into()
}

/// Decodes what [`encode_records`] wrote; every record takes at least a byte, so nothing is allocated beyond the input.
pub(super) fn decode_records(bytes: &Bytes) -> Result<Vec<MetadataRecord>, prost::DecodeError> {
    let mut rest = bytes.clone();
    let mut records = Vec::new();
    while !rest.is_empty() {
        records.push(MetadataRecord::decode_length_delimited(&mut rest)?);
    }
    Ok(records)
}

/// The last applied batches, contiguous, up to a budget in bytes.
#[derive(Debug)]
pub(super) struct RecentBatches {
    budget_bytes: usize,
    state: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    batches: VecDeque<Arc<AppliedBatch>>,
    bytes: usize,
    /// Offset after the last batch, or of the image when there is none.
    end: i64,
}

/// What a batch costs beside its bytes.
const BATCH_OVERHEAD_BYTES: usize = 128;

impl RecentBatches {
    pub(super) fn new(budget_bytes: usize) -> Self {
        Self {
            budget_bytes,
            state: Mutex::default(),
        }
    }

    /// Appends the next batch; drops the oldest ones beyond the budget.
    pub(super) fn push(&self, batch: Arc<AppliedBatch>) {
        let mut state = self.state.lock();
        if batch.base_offset.0 != state.end {
            state.batches.clear();
            state.bytes = 0;
        }
        state.end = batch.end_offset.0;
        state.bytes += batch.records.len() + BATCH_OVERHEAD_BYTES;
        state.batches.push_back(batch);
        while state.bytes > self.budget_bytes {
            let Some(oldest) = state.batches.pop_front() else { break };
            state.bytes -= oldest.records.len() + BATCH_OVERHEAD_BYTES;
        }
    }

    /// Starts over at an image's offset (a snapshot was installed).
    pub(super) fn reset(&self, offset: MetadataOffset) {
        let mut state = self.state.lock();
        *state = Recent {
            end: offset.0,
            ..Recent::default()
        };
    }

    /// Index of the entry after which the image was at `offset`, or of an earlier one when that isn't held any more; 0
    /// when none is.
    pub(super) fn index_at(&self, offset: MetadataOffset) -> u64 {
        let state = self.state.lock();
        let after = state.batches.partition_point(|batch| batch.end_offset <= offset);
        let last = after.checked_sub(1).and_then(|at| state.batches.get(at));
        last.map_or(0, |batch| batch.index)
    }

    /// The batches after `offset`. `None`: `offset` is not the boundary of a batch that is still held.
    pub(super) fn since(&self, offset: MetadataOffset) -> Option<Vec<Arc<AppliedBatch>>> {
        let state = self.state.lock();
        if offset.0 == state.end {
            return Some(Vec::new());
        }
        let at = state.batches.partition_point(|batch| batch.base_offset < offset);
        let first = state.batches.get(at)?;
        (first.base_offset == offset).then(|| state.batches.range(at..).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base: i64, end: i64) -> Arc<AppliedBatch> {
        Arc::new(AppliedBatch {
            base_offset: MetadataOffset(base),
            end_offset: MetadataOffset(end),
            term: 1,
            index: u64::try_from(end).unwrap(),
            records: Bytes::from_static(&[0; 100]),
        })
    }

    #[test]
    fn batches_are_found_by_their_base_offset_only() {
        let recent = RecentBatches::new(10_000);
        recent.push(batch(0, 3));
        recent.push(batch(3, 4));
        assert_eq!(recent.since(MetadataOffset(0)).unwrap().len(), 2);
        assert_eq!(recent.since(MetadataOffset(3)).unwrap().len(), 1);
        assert_eq!(recent.since(MetadataOffset(4)).unwrap().len(), 0);
        assert!(recent.since(MetadataOffset(2)).is_none());
        assert!(recent.since(MetadataOffset(5)).is_none());
    }

    #[test]
    fn the_oldest_batches_go_when_the_budget_is_spent() {
        let recent = RecentBatches::new(500);
        for base in 0..10 {
            recent.push(batch(base, base + 1));
        }
        assert!(recent.since(MetadataOffset(0)).is_none());
        assert_eq!(recent.since(MetadataOffset(8)).unwrap().len(), 2);
    }

    #[test]
    fn an_installed_snapshot_leaves_nothing_to_stream() {
        let recent = RecentBatches::new(10_000);
        recent.push(batch(0, 3));
        recent.reset(MetadataOffset(9));
        assert!(recent.since(MetadataOffset(0)).is_none());
        assert_eq!(recent.since(MetadataOffset(9)).unwrap().len(), 0);
        recent.push(batch(9, 10));
        assert_eq!(recent.since(MetadataOffset(9)).unwrap().len(), 1);
    }
}
