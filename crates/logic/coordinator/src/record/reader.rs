//! Reads Kafka's primitive types from a slice, bounded by the bytes that are left.

use bytes::Bytes;
use thiserror::Error;

/// Why bytes aren't a record of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The bytes end within a field.
    #[error("the record ends within a field")]
    Truncated,
    /// A length is negative where null isn't allowed, or longer than the bytes left.
    #[error("a length in the record doesn't fit its bytes")]
    BadLength,
    /// Text that isn't UTF-8.
    #[error("a text in the record isn't utf-8")]
    NotUtf8,
    /// A value version we don't know.
    #[error("unknown value version {0}")]
    UnknownVersion(i16),
}

/// A cursor over one key or value. `flexible` switches strings, bytes and arrays to their compact forms (KIP-482).
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
    pub(crate) flexible: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            left: bytes,
            flexible: false,
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(RecordError::Truncated)?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (taken, left) = self.left.split_first_chunk::<N>().ok_or(RecordError::Truncated)?;
        self.left = left;
        Ok(*taken)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, RecordError> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, RecordError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, RecordError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, RecordError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self) -> Result<[u8; 16], RecordError> {
        self.array()
    }

    pub(crate) fn uvarint(&mut self) -> Result<u32, RecordError> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| RecordError::BadLength);
            }
        }
        Err(RecordError::BadLength)
    }

    /// A compact length: `None` is null.
    fn compact_length(&mut self) -> Result<Option<usize>, RecordError> {
        Ok(self.uvarint()?.checked_sub(1).map(|length| length as usize))
    }

    fn length(length: i32) -> Option<usize> {
        usize::try_from(length).ok()
    }

    pub(crate) fn nullable_string(&mut self) -> Result<Option<&'a str>, RecordError> {
        let length = if self.flexible {
            self.compact_length()?
        } else {
            Self::length(i32::from(self.i16()?))
        };
        let Some(length) = length else {
            return Ok(None);
        };
        std::str::from_utf8(self.take(length)?)
            .map(Some)
            .map_err(|_| RecordError::NotUtf8)
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, RecordError> {
        self.nullable_string()?.ok_or(RecordError::BadLength)
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, RecordError> {
        self.nullable_bytes()?.ok_or(RecordError::BadLength)
    }

    pub(crate) fn nullable_bytes(&mut self) -> Result<Option<Bytes>, RecordError> {
        let length = if self.flexible {
            self.compact_length()?
        } else {
            Self::length(self.i32()?)
        };
        length
            .map(|length| self.take(length).map(Bytes::copy_from_slice))
            .transpose()
    }

    /// An array's count, refused where `least_bytes` for each element wouldn't fit the bytes left.
    pub(crate) fn count(&mut self, least_bytes: usize) -> Result<usize, RecordError> {
        let length = if self.flexible {
            self.compact_length()?
        } else {
            Self::length(self.i32()?)
        };
        let count = length.ok_or(RecordError::BadLength)?;
        if count
            .checked_mul(least_bytes.max(1))
            .is_none_or(|needed| needed > self.left.len())
        {
            return Err(RecordError::BadLength);
        }
        Ok(count)
    }

    /// Reads the tagged fields that end a flexible structure; hands each to `field`. Nothing in other versions.
    pub(crate) fn tags(&mut self, mut field: impl FnMut(u32, &mut Reader<'a>)) -> Result<(), RecordError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let length = self.uvarint()? as usize;
            field(
                tag,
                &mut Reader {
                    left: self.take(length)?,
                    flexible: true,
                },
            );
        }
        Ok(())
    }
}
