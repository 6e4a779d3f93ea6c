//! Writes Kafka's primitive types: in their non-flexible forms, or in the compact ones (KIP-482).

use bytes::{BufMut, Bytes, BytesMut};

/// What a string's i16 length can say. Operations refuse longer texts before they reach a record.
pub(crate) const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// A key or value under construction.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: BytesMut,
    flexible: bool,
}

impl Writer {
    /// Starts with a version.
    pub(crate) fn new(version: i16) -> Self {
        let mut writer = Self {
            bytes: BytesMut::with_capacity(64),
            flexible: false,
        };
        writer.bytes.put_i16(version);
        writer
    }

    /// A value of a flexible version; each of its structures ends with [`Writer::tags`].
    pub(crate) fn flexible(version: i16) -> Self {
        Self {
            flexible: true,
            ..Self::new(version)
        }
    }

    /// A flexible structure by itself, as it stands in a tagged field.
    pub(crate) fn structure() -> Self {
        Self {
            bytes: BytesMut::new(),
            flexible: true,
        }
    }

    pub(crate) fn i8(mut self, value: i8) -> Self {
        self.bytes.put_i8(value);
        self
    }

    pub(crate) fn uuid(mut self, id: &[u8; 16]) -> Self {
        self.bytes.put_slice(id);
        self
    }

    fn uvarint(mut self, mut value: u32) -> Self {
        while value >= 0x80 {
            self.bytes.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
        self
    }

    /// A compact length: one more than it is, for null is none.
    fn compact_length(self, length: usize) -> Self {
        self.uvarint(u32::try_from(length).map_or(u32::MAX, |length| length.saturating_add(1)))
    }

    /// The tagged fields that end a flexible structure, ascending.
    pub(crate) fn tags(self, fields: &[(u32, Bytes)]) -> Self {
        let mut writer = self.uvarint(u32::try_from(fields.len()).unwrap_or(u32::MAX));
        for (tag, field) in fields {
            writer = writer
                .uvarint(*tag)
                .uvarint(u32::try_from(field.len()).unwrap_or(u32::MAX));
            writer.bytes.put_slice(field);
        }
        writer
    }

    pub(crate) fn i32(mut self, value: i32) -> Self {
        self.bytes.put_i32(value);
        self
    }

    pub(crate) fn i64(mut self, value: i64) -> Self {
        self.bytes.put_i64(value);
        self
    }

    /// A text; one that is too long is cut at a character, so that the record stays readable whatever happens.
    pub(crate) fn string(mut self, text: &str) -> Self {
        let text = &text[..text.floor_char_boundary(MAX_STRING_BYTES)];
        if self.flexible {
            self = self.compact_length(text.len());
        } else {
            self.bytes.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        }
        self.bytes.put_slice(text.as_bytes());
        self
    }

    pub(crate) fn nullable_string(mut self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.string(text),
            None if self.flexible => self.uvarint(0),
            None => {
                self.bytes.put_i16(-1);
                self
            }
        }
    }

    /// Bytes; they came in a frame, so their length fits.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let mut writer = self.count(bytes.len());
        writer.bytes.put_slice(bytes);
        writer
    }

    /// An array's count.
    pub(crate) fn count(self, count: usize) -> Self {
        if self.flexible {
            self.compact_length(count)
        } else {
            self.i32(i32::try_from(count).unwrap_or(i32::MAX))
        }
    }

    pub(crate) fn finish(self) -> Bytes {
        self.bytes.freeze()
    }
}
