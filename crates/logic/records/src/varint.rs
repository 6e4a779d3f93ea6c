//! Kafka's variable-length integers: zigzag, seven bits a byte, lowest first; and a reader that checks every length
//! against the bytes left.

use bytes::Bytes;

/// Reads forward through one buffer. Every failure is `None`: the caller knows what it was reading.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    bytes: Bytes,
    at: usize,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// At most 5 bytes; bits above the 32nd are dropped, as Kafka does.
    pub(crate) fn varint(&mut self) -> Option<i32> {
        let raw = self.unsigned(5)? as u32;
        Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// At most 10 bytes.
    pub(crate) fn varlong(&mut self) -> Option<i64> {
        let raw = self.unsigned(10)?;
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    fn unsigned(&mut self, max_bytes: u32) -> Option<u64> {
        let mut value = 0_u64;
        for index in 0..max_bytes {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The next `length` bytes, sharing the buffer.
    pub(crate) fn take(&mut self, length: usize) -> Option<Bytes> {
        if length > self.left() {
            return None;
        }
        let taken = self.bytes.slice(self.at..self.at + length);
        self.at += length;
        Some(taken)
    }

    /// All that is left, which stays to be read.
    pub(crate) fn rest(&self) -> Bytes {
        self.bytes.slice(self.at..)
    }

    /// A length and that many bytes; a negative length is null.
    pub(crate) fn nullable_bytes(&mut self) -> Option<Option<Bytes>> {
        match usize::try_from(self.varint()?) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Some(None),
        }
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_unsigned(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn varints_have_kafkas_bytes() {
        for (value, expected) in [
            (0, vec![0]),
            (-1, vec![1]),
            (1, vec![2]),
            (63, vec![0x7e]),
            (64, vec![0x80, 1]),
        ] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, expected);
        }
        let mut out = Vec::new();
        put_varint(&mut out, i32::MIN);
        assert_eq!(out, [0xff, 0xff, 0xff, 0xff, 0x0f]);
    }

    #[test]
    fn a_varint_that_never_ends_is_refused() {
        assert_eq!(Reader::new(Bytes::from_static(&[0x80; 20])).varint(), None);
        assert_eq!(Reader::new(Bytes::from_static(&[0x80; 20])).varlong(), None);
        assert_eq!(Reader::new(Bytes::from_static(&[0x80; 2])).varint(), None);
    }

    proptest! {
        #[test]
        fn integers_survive(value: i32, long: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_varlong(&mut out, long);
            let mut reader = Reader::new(out.into());
            prop_assert_eq!(reader.varint(), Some(value));
            prop_assert_eq!(reader.varlong(), Some(long));
            prop_assert_eq!(reader.left(), 0);
        }
    }
}
