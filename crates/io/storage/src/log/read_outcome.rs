//! What a read asks for and what it gets.

use bytes::{Bytes, BytesMut};
use types::Offset;

/// A read of whole batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRequest {
    /// The first offset wanted; the first batch may start below it.
    pub from: Offset,
    /// At most so many bytes, but for `min_one_batch`.
    pub max_bytes: usize,
    /// Exclusive: no batch that ends above is returned (high watermark, last stable offset or log end).
    pub up_to: Offset,
    /// Whether the first batch is returned even if it is larger than `max_bytes`.
    pub min_one_batch: bool,
}

/// Whole batches, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOutcome {
    /// One or more batches a slice, not copied where they come from memory.
    pub slices: Vec<Bytes>,
    /// Bytes of all slices.
    pub size_bytes: usize,
    /// Where the first batch starts; the offset asked for when there is none.
    pub base_offset: Offset,
    /// The offset after the last batch; the offset asked for when there is none.
    pub next_offset: Offset,
    /// Nothing lies between the offset asked for and this one (compaction left a gap at a segment's end): read again from
    /// here. `Log::read` does so itself.
    pub continue_at: Option<Offset>,
}

impl ReadOutcome {
    pub(crate) fn empty(from: Offset) -> Self {
        Self {
            slices: Vec::new(),
            size_bytes: 0,
            base_offset: from,
            next_offset: from,
            continue_at: None,
        }
    }

    /// Whether no batch was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// All batches in one piece; copies unless they are one slice.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        let mut slices = self.slices.into_iter();
        match (slices.next(), slices.len()) {
            (None, _) => Bytes::new(),
            (Some(only), 0) => only,
            (Some(first), _) => {
                let mut joined = BytesMut::with_capacity(self.size_bytes);
                joined.extend_from_slice(&first);
                slices.for_each(|slice| joined.extend_from_slice(&slice));
                joined.freeze()
            }
        }
    }
}
