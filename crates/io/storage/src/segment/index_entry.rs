//! The two kinds of index entries, in Kafka's bytes.
//!
//! Offset index: 8 bytes, the last offset of a batch relative to the segment and where the batch starts. Time index: 12
//! bytes, the largest timestamp so far and the relative last offset of its batch. Both rise strictly, so both are searched
//! by halving. An entry is a hint: who follows one checks that the batch is really there.

/// What the search and the file need to know of an entry.
pub(crate) trait IndexEntry: Copy + std::fmt::Debug {
    /// Bytes of one entry on disk.
    const BYTES: usize;
    /// What entries are ordered by.
    fn key(self) -> i64;
    fn encode(self, out: &mut Vec<u8>);
    /// `None` when there are too few bytes.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// "The batch whose last offset is `base + relative_offset` starts at `position`."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) relative_offset: i32,
    pub(crate) position: u32,
}

/// "No record up to `base + relative_offset` has a timestamp above `timestamp`."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    pub(crate) relative_offset: i32,
}

impl IndexEntry for OffsetEntry {
    const BYTES: usize = 8;

    fn key(self) -> i64 {
        i64::from(self.relative_offset)
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (relative_offset, rest) = bytes.split_first_chunk::<4>()?;
        let position = rest.first_chunk::<4>()?;
        Some(Self {
            relative_offset: i32::from_be_bytes(*relative_offset),
            position: u32::from_be_bytes(*position),
        })
    }
}

impl IndexEntry for TimeEntry {
    const BYTES: usize = 12;

    fn key(self) -> i64 {
        self.timestamp
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (timestamp, rest) = bytes.split_first_chunk::<8>()?;
        let relative_offset = rest.first_chunk::<4>()?;
        Some(Self {
            timestamp: i64::from_be_bytes(*timestamp),
            relative_offset: i32::from_be_bytes(*relative_offset),
        })
    }
}
