//! The records within a batch.
//!
//! ```text
//! length varint | attributes i8 | timestampDelta varlong | offsetDelta varint | keyLength varint | key
//!   | valueLength varint | value | headerCount varint | (keyLength varint, key, valueLength varint, value)*
//! ```

use std::iter::FusedIterator;

use bytes::Bytes;
use types::{Offset, TimestampMs};

use crate::varint::Reader;
use crate::{Batch, BatchError, BatchHeader, MAX_DECOMPRESSED_BYTES, TimestampType, decompress};

/// One record at its place in the log. Keys and values share the (decompressed) batch's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: Offset,
    /// The producer's, or the log's where the batch says so.
    pub timestamp: TimestampMs,
    /// The key; `None` is null.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in the producer's order.
    pub headers: EncodedHeaders,
}

/// A record's headers as they stand in the batch, their number first; checked. Decoded, each takes thirty times the bytes that it may
/// have here, so that a small batch could take gigabytes (REC-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedHeaders(pub(crate) Bytes);

impl EncodedHeaders {
    /// The headers, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = RecordHeader> + use<> {
        let mut reader = Reader::new(self.0.clone());
        let count = reader.varint().and_then(|count| usize::try_from(count).ok());
        (0..count.unwrap_or(0)).map_while(move |_| header(&mut reader).ok())
    }
}

/// A record's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// UTF-8 by Kafka's convention, unchecked.
    pub key: Bytes,
    /// `None` is null.
    pub value: Option<Bytes>,
}

/// Iterates over a batch's records. Ends after the first error; too few records, or bytes after the last one, are errors.
#[derive(Debug, Clone)]
pub struct Records {
    header: BatchHeader,
    reader: Reader,
    index: usize,
    ended: bool,
}

impl Batch {
    /// The records, decompressed up to [`MAX_DECOMPRESSED_BYTES`]. Check the CRC before.
    ///
    /// # Errors
    /// An unknown codec, a payload that doesn't decompress, or too much of it.
    pub fn records(&self) -> Result<Records, BatchError> {
        self.records_within(MAX_DECOMPRESSED_BYTES)
    }

    /// The records, decompressed up to `max_bytes`.
    ///
    /// # Errors
    /// An unknown codec, a payload that doesn't decompress, or more than `max_bytes` of it.
    pub fn records_within(&self, max_bytes: usize) -> Result<Records, BatchError> {
        let payload = decompress(self.header.compression()?, &self.payload(), max_bytes)?;
        Ok(Records {
            header: self.header,
            reader: Reader::new(payload),
            index: 0,
            ended: false,
        })
    }
}

impl Records {
    /// The place in the batch of the record that comes next.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    fn record(&mut self) -> Result<Record, &'static str> {
        let length = self
            .reader
            .varint()
            .and_then(|length| usize::try_from(length).ok())
            .ok_or("bad length")?;
        let mut body = Reader::new(self.reader.take(length).ok_or("longer than the batch")?);
        let _attributes = body.byte().ok_or("no attributes")?;
        let timestamp_delta = body.varlong().ok_or("bad timestamp delta")?;
        let offset_delta = body.varint().ok_or("bad offset delta")?;
        if !(0..=self.header.last_offset_delta).contains(&offset_delta) {
            return Err("offset outside the batch");
        }
        let key = body.nullable_bytes().ok_or("bad key length")?;
        let value = body.nullable_bytes().ok_or("bad value length")?;
        let headers = EncodedHeaders(body.rest());
        check_headers(&mut body)?;
        if body.left() > 0 {
            return Err("bytes after the last header");
        }
        let timestamp = match self.header.timestamp_type() {
            TimestampType::CreateTime => self.header.base_timestamp.plus_ms(timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        Ok(Record {
            offset: self.header.base_offset.plus(i64::from(offset_delta)),
            timestamp,
            key,
            value,
            headers,
        })
    }
}

fn check_headers(body: &mut Reader) -> Result<(), &'static str> {
    let count = body
        .varint()
        .and_then(|count| usize::try_from(count).ok())
        .ok_or("bad header count")?;
    // The least header takes two bytes.
    if count > body.left() / 2 {
        return Err("more headers than bytes");
    }
    for _ in 0..count {
        header(body)?;
    }
    Ok(())
}

fn header(body: &mut Reader) -> Result<RecordHeader, &'static str> {
    let key = body
        .nullable_bytes()
        .ok_or("bad header key length")?
        .ok_or("null header key")?;
    let value = body.nullable_bytes().ok_or("bad header value length")?;
    Ok(RecordHeader { key, value })
}

impl Iterator for Records {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let count = usize::try_from(self.header.record_count).unwrap_or(0);
        let read = if self.index == count {
            self.ended = true;
            if self.reader.left() == 0 {
                return None;
            }
            Err("bytes after the last record")
        } else {
            self.record()
        };
        let index = self.index;
        match read {
            Ok(record) => {
                self.index += 1;
                Some(Ok(record))
            }
            Err(reason) => {
                self.ended = true;
                Some(Err(BatchError::InvalidRecord { index, reason }))
            }
        }
    }
}

impl FusedIterator for Records {}
