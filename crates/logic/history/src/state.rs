//! What the [`crate::Ledger`] keeps: by partition, by reader, by group.

use crate::answer::{Answer, PackedAnswer};
use crate::bits::Bits;
use crate::event::ReaderKind;

/// Who a record says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nobody has read this offset.
    Nothing,
    /// A record that no producer of the run has sent so.
    Foreign,
    /// One of ours.
    Record { producer: u16, sequence: u64 },
}

const NOTHING: u64 = u64::MAX;
const FOREIGN: u64 = u64::MAX - 1;
/// Bits of a packed sequence; the producer has the others.
pub(crate) const SEQUENCE_BITS: u32 = 48;

/// One partition.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    /// By offset, a packed [`Seen`]: who was found there first, or last by the final reader.
    seen: Vec<u64>,
    /// Offsets that the final reader has read.
    pub(crate) confirmed: Bits,
    /// The end after the last record was sent.
    pub(crate) end: Option<u64>,
    /// By producer and sequence.
    pub(crate) lanes: Vec<Vec<PackedAnswer>>,
}

impl Partition {
    /// An empty one.
    pub(crate) fn new(producers: usize) -> Self {
        Self {
            lanes: vec![Vec::new(); producers],
            ..Self::default()
        }
    }

    /// One above the highest offset that anybody has read.
    pub(crate) fn seen_end(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Who was found at an offset.
    pub(crate) fn seen(&self, offset: u64) -> Seen {
        let packed = usize::try_from(offset).ok().and_then(|at| self.seen.get(at));
        match packed.copied().unwrap_or(NOTHING) {
            NOTHING => Seen::Nothing,
            FOREIGN => Seen::Foreign,
            packed => Seen::Record {
                producer: (packed >> SEQUENCE_BITS) as u16,
                sequence: packed & ((1 << SEQUENCE_BITS) - 1),
            },
        }
    }

    /// Notes who was found at an offset.
    pub(crate) fn set_seen(&mut self, offset: u64, who: Seen) {
        let Ok(at) = usize::try_from(offset) else { return };
        if at >= self.seen.len() {
            self.seen.resize(at + 1, NOTHING);
        }
        let packed = match who {
            Seen::Nothing => NOTHING,
            Seen::Foreign => FOREIGN,
            Seen::Record { producer, sequence } => (u64::from(producer) << SEQUENCE_BITS) | sequence,
        };
        if let Some(place) = self.seen.get_mut(at) {
            *place = packed;
        }
    }

    /// What a producer was told of a record; `None` if it was never sent.
    pub(crate) fn answer(&self, producer: u16, sequence: u64) -> Option<Answer> {
        let lane = self.lanes.get(usize::from(producer))?;
        lane.get(usize::try_from(sequence).ok()?).map(|packed| packed.answer())
    }
}

/// One reader in one partition.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Position {
    /// What must be read next; unknown before the first read.
    pub(crate) next: Option<u64>,
    /// A member mustn't start below it: it was committed before the partition was given to it.
    pub(crate) floor: u64,
}

/// One reader.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) kind: ReaderKind,
    pub(crate) positions: Vec<Position>,
}

/// One group in one partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupPartition {
    /// Answered commits: when, and the highest offset until then. Ascending in both.
    pub(crate) commits: Vec<(u64, u64)>,
    /// Offsets that a member has read.
    pub(crate) read: Bits,
}
