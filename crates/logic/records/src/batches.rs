//! Batches one after another, as a produce request, a fetch answer or a segment holds them.

use bytes::Bytes;

use crate::{BATCH_HEADER_BYTES, Batch, BatchError};

/// What the end of the bytes may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// The last batch may be cut short, as in a fetch answer: the iteration ends before it.
    MayBeTruncated,
    /// Every batch is whole, as in a produce request: a cut one is [`BatchError::Truncated`].
    Whole,
}

/// Iterates over batches without copying. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Batches {
    left: Bytes,
    tail: Tail,
}

/// The batches in `bytes`. CRCs aren't checked.
#[must_use]
pub fn batches(bytes: &Bytes, tail: Tail) -> Batches {
    Batches {
        left: bytes.clone(),
        tail,
    }
}

impl Batches {
    /// The bytes that haven't been iterated over: a truncated tail once the iteration has ended, empty after an error.
    #[must_use]
    pub fn remaining(&self) -> &Bytes {
        &self.left
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        match Batch::parse(&self.left) {
            Ok(batch) => {
                let _ = self.left.split_to(batch.bytes.len());
                Some(Ok(batch))
            }
            Err(BatchError::Truncated { .. }) if self.tail == Tail::MayBeTruncated => None,
            Err(error) => {
                self.left = Bytes::new();
                Some(Err(error))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left.len().div_ceil(BATCH_HEADER_BYTES)))
    }
}
