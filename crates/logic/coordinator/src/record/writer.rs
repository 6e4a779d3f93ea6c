//! Writes Kafka's primitive types in their non-flexible forms, which is all that we write.

use bytes::{BufMut, Bytes, BytesMut};

/// What a string's i16 length can say. Operations refuse longer texts before they reach a record.
pub(crate) const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// A key or value under construction.
#[derive(Debug, Default)]
pub(crate) struct Writer(BytesMut);

impl Writer {
    /// Starts with a version.
    pub(crate) fn new(version: i16) -> Self {
        let mut writer = Self(BytesMut::with_capacity(64));
        writer.0.put_i16(version);
        writer
    }

    pub(crate) fn i32(mut self, value: i32) -> Self {
        self.0.put_i32(value);
        self
    }

    pub(crate) fn i64(mut self, value: i64) -> Self {
        self.0.put_i64(value);
        self
    }

    /// A text; one that is too long is cut at a character, so that the record stays readable whatever happens.
    pub(crate) fn string(mut self, text: &str) -> Self {
        let text = &text[..text.floor_char_boundary(MAX_STRING_BYTES)];
        self.0.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        self.0.put_slice(text.as_bytes());
        self
    }

    pub(crate) fn nullable_string(mut self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.string(text),
            None => {
                self.0.put_i16(-1);
                self
            }
        }
    }

    /// Bytes; they came in a frame, so their length fits.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.0.put_i32(length);
        self.0.put_slice(bytes);
        self
    }

    pub(crate) fn count(self, count: usize) -> Self {
        self.i32(i32::try_from(count).unwrap_or(i32::MAX))
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.freeze()
    }
}
