//! What stands in a record, so that it says by itself who sent it, as what, and whether a byte of it has changed.
//!
//! ```text
//! "KLMV" | run u64 | producer u16 | partition u32 | sequence u64 | crc32c u32 | padding
//! ```
//!
//! Big endian. The checksum covers the key, and the whole value but for itself.

/// How each value begins.
const MAGIC: [u8; 4] = *b"KLMV";
/// Bytes before the checksum.
const HEAD_BYTES: usize = 26;
/// The smallest value.
pub const VALUE_BYTES_MIN: usize = HEAD_BYTES + 4;

/// Which record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The run.
    pub run: u64,
    /// The producer.
    pub producer: u16,
    /// Where it was sent.
    pub partition: u32,
    /// How many this producer has sent there before.
    pub sequence: u64,
}

/// Why a record is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It doesn't begin as ours do.
    #[error("no record of klamm verify")]
    Foreign,
    /// Its checksum doesn't fit.
    #[error("its checksum doesn't fit its content")]
    Checksum,
}

impl Identity {
    /// Makes `value` a value of `bytes` bytes, or of the smallest size if that is more.
    pub fn write(&self, key: Option<&[u8]>, bytes: usize, value: &mut Vec<u8>) {
        value.clear();
        value.extend_from_slice(&MAGIC);
        value.extend_from_slice(&self.run.to_be_bytes());
        value.extend_from_slice(&self.producer.to_be_bytes());
        value.extend_from_slice(&self.partition.to_be_bytes());
        value.extend_from_slice(&self.sequence.to_be_bytes());
        value.extend_from_slice(&[0; 4]);
        // Something that codecs can shrink, but not to nothing.
        let mut state = self.sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        while value.len() < bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            value.push(b'a' + (state % 16) as u8);
        }
        let sum = checksum(key, value).to_be_bytes();
        if let Some(place) = value.get_mut(HEAD_BYTES..VALUE_BYTES_MIN) {
            place.copy_from_slice(&sum);
        }
    }

    /// Reads a record's identity and checks every byte of it.
    ///
    /// # Errors
    /// It is none of ours, or was damaged.
    pub fn read(key: Option<&[u8]>, value: &[u8]) -> Result<Self, Damage> {
        let rest = value.strip_prefix(&MAGIC).ok_or(Damage::Foreign)?;
        let (run, rest) = take::<8>(rest)?;
        let (producer, rest) = take::<2>(rest)?;
        let (partition, rest) = take::<4>(rest)?;
        let (sequence, rest) = take::<8>(rest)?;
        let (sum, _) = take::<4>(rest)?;
        if checksum(key, value) != u32::from_be_bytes(sum) {
            return Err(Damage::Checksum);
        }
        Ok(Self {
            run: u64::from_be_bytes(run),
            producer: u16::from_be_bytes(producer),
            partition: u32::from_be_bytes(partition),
            sequence: u64::from_be_bytes(sequence),
        })
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Damage> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(Damage::Foreign)?;
    Ok((*head, rest))
}

fn checksum(key: Option<&[u8]>, value: &[u8]) -> u32 {
    let head = value.get(..HEAD_BYTES).unwrap_or(value);
    let padding = value.get(VALUE_BYTES_MIN..).unwrap_or_default();
    // A missing key and an empty one differ.
    let sum = crc32c::crc32c(&[u8::from(key.is_some())]);
    let sum = crc32c::crc32c_append(sum, key.unwrap_or_default());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, head), padding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Identity = Identity {
        run: 7,
        producer: 3,
        partition: 11,
        sequence: 1 << 40,
    };

    #[test]
    fn a_record_says_who_it_is() {
        let mut value = Vec::new();
        for (key, bytes) in [(None, 0), (Some(&b"k"[..]), 30), (Some(&b""[..]), 500)] {
            ONE.write(key, bytes, &mut value);
            assert_eq!(value.len(), bytes.max(VALUE_BYTES_MIN));
            assert_eq!(Identity::read(key, &value), Ok(ONE));
        }
    }

    #[test]
    fn a_changed_byte_is_found() {
        let mut value = Vec::new();
        ONE.write(Some(b"key"), 100, &mut value);
        for at in 4..value.len() {
            let mut changed = value.clone();
            changed[at] ^= 1;
            assert_eq!(Identity::read(Some(b"key"), &changed), Err(Damage::Checksum), "{at}");
        }
        assert_eq!(Identity::read(Some(b"kez"), &value), Err(Damage::Checksum));
        assert_eq!(Identity::read(None, &value), Err(Damage::Checksum));
        assert_eq!(Identity::read(None, b"hello"), Err(Damage::Foreign));
        assert_eq!(Identity::read(None, b"KLMVhello"), Err(Damage::Foreign));
    }
}
