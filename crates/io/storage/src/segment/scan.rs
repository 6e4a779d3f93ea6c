//! Walks over the batches of a segment file, by headers alone or with their bytes.
//!
//! Reads the file in chunks and skips over what it doesn't need. Nothing read is trusted: a length beyond the segment ends
//! the walk as corrupt, so a buffer never outgrows the file's own bytes.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use records::{BATCH_HEADER_BYTES, BatchHeader};
use types::Offset;

use crate::file_system::File;
use crate::log_error::{LogError, StorageContext};

/// Enough for the batches between two index entries.
const HEADER_CHUNK_BYTES: usize = 8 << 10;
/// Recovery and replay read sequentially.
pub(crate) const SEQUENTIAL_CHUNK_BYTES: usize = 256 << 10;

/// A batch's CRC covers everything from its attributes on.
const CRC_COVERS_FROM: usize = 21;

/// A batch's header and where the batch starts in its segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Located {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

/// An iteration over the batches in `position..end` of one segment.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    file: Arc<dyn File>,
    path: PathBuf,
    position: u64,
    end: u64,
    /// Offsets must not fall: a batch that starts below is corrupt.
    expected: Offset,
    buffer: Vec<u8>,
    buffer_position: u64,
    chunk: usize,
}

impl SegmentScan {
    pub(crate) fn new(file: Arc<dyn File>, path: PathBuf, position: u64, end: u64, expected: Offset) -> Self {
        let chunk = HEADER_CHUNK_BYTES;
        Self {
            file,
            path,
            position,
            end,
            expected,
            buffer: Vec::new(),
            buffer_position: 0,
            chunk,
        }
    }

    /// Reads larger chunks, for who reads everything.
    pub(crate) fn sequential(mut self) -> Self {
        self.chunk = SEQUENTIAL_CHUNK_BYTES;
        self
    }

    /// Where the next batch starts.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether all batches were passed.
    pub(crate) fn is_at_end(&self) -> bool {
        self.position >= self.end
    }

    /// The header of the next batch; `None` at the end.
    ///
    /// # Errors
    /// `Corrupt` where no whole, ascending batch follows; the scan then stays where it is.
    pub(crate) fn next_header(&mut self) -> Result<Option<Located>, LogError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let position = self.position;
        let bytes = self.bytes_at(position, BATCH_HEADER_BYTES)?;
        let header = match BatchHeader::parse(bytes) {
            Ok(header) => header,
            Err(error) => return Err(self.corrupt(error.to_string())),
        };
        if header.size_bytes() as u64 > self.end - position {
            return Err(self.corrupt(format!("a batch of {} bytes exceeds the segment", header.size_bytes())));
        }
        if header.base_offset < self.expected {
            return Err(self.corrupt(format!("offset {} where {} is due", header.base_offset, self.expected)));
        }
        self.expected = header.next_offset();
        self.position += header.size_bytes() as u64;
        Ok(Some(Located { position, header }))
    }

    /// The header of the next batch, its CRC checked.
    ///
    /// # Errors
    /// As [`Self::next_header`]; `Corrupt` on a wrong CRC, too.
    pub(crate) fn next_checked(&mut self) -> Result<Option<Located>, LogError> {
        let expected = self.expected;
        let Some(located) = self.next_header()? else {
            return Ok(None);
        };
        let bytes = self.bytes_at(located.position, located.header.size_bytes())?;
        let whole = bytes.len() == located.header.size_bytes();
        let computed = crc32c::crc32c(bytes.get(CRC_COVERS_FROM..).unwrap_or_default());
        if !whole || computed != located.header.crc {
            self.position = located.position;
            self.expected = expected;
            let stored = located.header.crc;
            return Err(self.corrupt(format!("stored crc {stored:08x}, computed crc {computed:08x}")));
        }
        Ok(Some(located))
    }

    /// The bytes of a batch that this scan has passed.
    pub(crate) fn batch_bytes(&mut self, located: &Located) -> Result<Bytes, LogError> {
        Ok(Bytes::copy_from_slice(
            self.bytes_at(located.position, located.header.size_bytes())?,
        ))
    }

    fn corrupt(&self, reason: String) -> LogError {
        LogError::Corrupt {
            path: self.path.clone(),
            position: self.position,
            reason,
        }
    }

    /// Up to `wanted` bytes at `position`, fewer at the end of the file.
    fn bytes_at(&mut self, position: u64, wanted: usize) -> Result<&[u8], LogError> {
        let buffered_end = self.buffer_position + self.buffer.len() as u64;
        if position < self.buffer_position || position + wanted as u64 > buffered_end {
            let left = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX);
            self.buffer.resize(wanted.max(self.chunk).min(left), 0);
            let read = self
                .file
                .read_at(&mut self.buffer, position)
                .during("read", &self.path)?;
            self.buffer.truncate(read);
            self.buffer_position = position;
        }
        let from = usize::try_from(position - self.buffer_position).unwrap_or(usize::MAX);
        let until = from.saturating_add(wanted).min(self.buffer.len());
        Ok(self.buffer.get(from..until).unwrap_or_default())
    }
}
