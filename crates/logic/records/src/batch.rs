//! One batch: its header and its bytes, a slice of the buffer that it arrived in.

use bytes::{Bytes, BytesMut};
use types::{LeaderEpoch, Offset};

use crate::header::ATTRIBUTES_AT;
use crate::{BATCH_HEADER_BYTES, BatchError, BatchHeader, stamp};

/// A whole batch. `bytes` holds exactly `header.size_bytes()` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What the batch says of itself.
    pub header: BatchHeader,
    /// The whole batch, header included.
    pub bytes: Bytes,
}

impl Batch {
    /// The batch that `bytes` begins with; what follows it is left out. The CRC isn't checked.
    ///
    /// # Errors
    /// As [`BatchHeader::parse`]; [`BatchError::Truncated`] when the batch is longer than `bytes`.
    pub fn parse(bytes: &Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let needed = header.size_bytes();
        if needed > bytes.len() {
            return Err(BatchError::Truncated {
                needed,
                available: bytes.len(),
            });
        }
        Ok(Self {
            header,
            bytes: bytes.slice(..needed),
        })
    }

    /// Whether the bytes are those that were sealed with the header's CRC. Base offset and leader epoch aren't covered.
    ///
    /// # Errors
    /// [`BatchError::CrcMismatch`].
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let covered = self.bytes.get(ATTRIBUTES_AT..).unwrap_or_default();
        let computed = crc32c::crc32c(covered);
        if computed == self.header.crc {
            Ok(())
        } else {
            Err(BatchError::CrcMismatch {
                stored: self.header.crc,
                computed,
            })
        }
    }

    /// The records' bytes as they are: compressed, if the header says so.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        if self.bytes.len() <= BATCH_HEADER_BYTES {
            Bytes::new()
        } else {
            self.bytes.slice(BATCH_HEADER_BYTES..)
        }
    }

    /// The batch's bytes, to be changed: in place when nothing else holds the buffer, else on a copy, since another
    /// holder must never see bytes change.
    #[must_use]
    pub fn into_mut(self) -> BytesMut {
        self.bytes
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(shared.as_ref()))
    }

    /// This batch at its place in the log.
    ///
    /// # Errors
    /// [`BatchError::InvalidOffsetRange`] when the batch would end beyond the last offset there is.
    pub fn into_stamped(self, base_offset: Offset, leader_epoch: LeaderEpoch) -> Result<Self, BatchError> {
        let mut bytes = self.into_mut();
        stamp(&mut bytes, base_offset, leader_epoch)?;
        Self::parse(&bytes.freeze())
    }
}
