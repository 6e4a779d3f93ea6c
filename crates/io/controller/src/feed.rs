//! The metadata as a broker's session streams it: batches, or a snapshot when the broker is too far behind.

use std::sync::Arc;

use metadata::proto::MetadataChunk;
use types::MetadataOffset;

use crate::raft::{AppliedImage, MetadataQuorum};

/// Records of one snapshot chunk: far below the largest message.
const SNAPSHOT_CHUNK_RECORDS: usize = 2_000;

/// What comes after `sent`, up to what is applied here.
pub(crate) fn chunks_after(quorum: &MetadataQuorum, sent: MetadataOffset) -> (Vec<MetadataChunk>, MetadataOffset) {
    // From nothing, always the image: a broker that replayed history would act on leaderships and deletions long past.
    let batches = if sent > MetadataOffset(0) {
        quorum.batches_since(sent)
    } else {
        None
    };
    if let Some(batches) = batches {
        let mut end = sent;
        let mut chunks = Vec::with_capacity(batches.len());
        for batch in batches {
            let Ok(records) = batch.decode() else { break };
            end = batch.end_offset;
            chunks.push(MetadataChunk {
                base_offset: batch.base_offset.0,
                records,
                committed_offset: end.0,
                ..MetadataChunk::default()
            });
        }
        return (chunks, end);
    }
    let applied: Arc<AppliedImage> = Arc::clone(&quorum.images().borrow());
    (snapshot(&applied), applied.offset)
}

fn snapshot(applied: &AppliedImage) -> Vec<MetadataChunk> {
    let offset = applied.offset.0;
    let mut chunks = Vec::new();
    let mut records = Vec::new();
    for record in applied.image.to_records() {
        records.push(record);
        if records.len() >= SNAPSHOT_CHUNK_RECORDS {
            chunks.push(std::mem::take(&mut records));
        }
    }
    chunks.push(records);
    let last = chunks.len() - 1;
    chunks
        .into_iter()
        .enumerate()
        .map(|(at, records)| MetadataChunk {
            base_offset: offset,
            records,
            snapshot: true,
            snapshot_start: at == 0,
            snapshot_end: at == last,
            committed_offset: offset,
        })
        .collect()
}
