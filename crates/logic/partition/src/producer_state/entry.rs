//! What is known of one producer.

use records::{BatchHeader, NO_SEQUENCE, NO_TIMESTAMP};
use types::{Offset, ProducerEpoch, ProducerId, TimestampMs};

/// Batches remembered per producer. Clients keep at most five in flight (`max.in.flight.requests.per.connection`), so
/// every batch that may come again is among them.
pub const BATCHES_RETAINED: usize = 5;

/// An appended batch of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchMetadata {
    /// The last record's sequence; -1 for a coordinator's batch, which has none.
    pub last_sequence: i32,
    /// The last record's offset.
    pub last_offset: Offset,
    /// The last offset minus the first, and the last sequence minus the first.
    pub offset_delta: i32,
    /// The batch's largest timestamp.
    pub timestamp: TimestampMs,
}

/// Stands for none, without a word of its own.
const NO_BATCH: BatchMetadata = BatchMetadata {
    last_sequence: NO_SEQUENCE,
    last_offset: Offset(-1),
    offset_delta: 0,
    timestamp: NO_TIMESTAMP,
};

/// The batches before the last one: the first `count`, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Earlier {
    count: usize,
    batches: [BatchMetadata; BATCHES_RETAINED - 1],
}

/// One producer's state on one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Whose.
    pub producer_id: ProducerId,
    /// The newest epoch seen.
    pub producer_epoch: ProducerEpoch,
    /// The epoch of the transaction coordinator that wrote the last marker; -1 before the first.
    pub coordinator_epoch: i32,
    /// The timestamp of the last batch or marker.
    pub last_timestamp: TimestampMs,
    /// Where the open transaction begins.
    pub current_txn_first_offset: Option<Offset>,
    /// The last batch of this epoch, [`NO_BATCH`] before the first. Most producers of a partition with very many have
    /// written only one, so it stands alone and the others cost nothing before they are there.
    last: BatchMetadata,
    earlier: Option<Box<Earlier>>,
}

impl BatchMetadata {
    /// The first record's sequence.
    #[must_use]
    pub fn first_sequence(&self) -> i32 {
        if self.last_sequence < 0 {
            return NO_SEQUENCE;
        }
        // Sequences go from i32::MAX on to 0: the difference modulo 2^31.
        ((i64::from(self.last_sequence) - i64::from(self.offset_delta)) & i64::from(i32::MAX)) as i32
    }

    /// The first record's offset.
    #[must_use]
    pub fn first_offset(&self) -> Offset {
        self.last_offset.plus(-i64::from(self.offset_delta))
    }
}

impl ProducerEntry {
    /// A producer of which nothing is known yet.
    #[must_use]
    pub fn new(producer_id: ProducerId) -> Self {
        Self {
            producer_id,
            producer_epoch: ProducerEpoch(-1),
            coordinator_epoch: -1,
            last_timestamp: NO_TIMESTAMP,
            current_txn_first_offset: None,
            last: NO_BATCH,
            earlier: None,
        }
    }

    /// The remembered batches of this epoch, oldest first.
    pub fn batches(&self) -> impl Iterator<Item = &BatchMetadata> {
        self.earlier
            .iter()
            .flat_map(|earlier| earlier.batches.iter().take(earlier.count))
            .chain(self.last_batch())
    }

    /// The last batch of this epoch.
    #[must_use]
    pub fn last_batch(&self) -> Option<&BatchMetadata> {
        (self.last.last_offset >= Offset::ZERO).then_some(&self.last)
    }

    /// The sequence of the last record of this epoch, -1 when there is none.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        self.last.last_sequence
    }

    /// The batch that `header` repeats.
    #[must_use]
    pub fn find_duplicate(&self, header: &BatchHeader) -> Option<&BatchMetadata> {
        if header.producer_epoch != self.producer_epoch || header.base_sequence < 0 {
            return None;
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        self.batches()
            .find(|batch| batch.first_sequence() == first && batch.last_sequence == last)
    }

    /// Adds a batch, forgetting the oldest one.
    pub(super) fn push(&mut self, batch: BatchMetadata) {
        let previous = std::mem::replace(&mut self.last, batch);
        if previous == NO_BATCH {
            return;
        }
        let earlier = self.earlier.get_or_insert_with(|| {
            Box::new(Earlier {
                count: 0,
                batches: [NO_BATCH; BATCHES_RETAINED - 1],
            })
        });
        if earlier.count == earlier.batches.len() {
            earlier.batches.rotate_left(1);
            earlier.count -= 1;
        }
        if let Some(free) = earlier.batches.get_mut(earlier.count) {
            *free = previous;
            earlier.count += 1;
        }
    }

    /// Takes another row of this producer's from a snapshot: a later batch.
    pub(super) fn push_row(&mut self, row: &Self) {
        if let Some(batch) = row.last_batch() {
            self.push(*batch);
        }
        self.last_timestamp = row.last_timestamp;
        self.coordinator_epoch = row.coordinator_epoch;
        self.current_txn_first_offset = row.current_txn_first_offset;
    }

    /// Another epoch has sequences of its own.
    pub(super) fn set_epoch(&mut self, producer_epoch: ProducerEpoch) {
        if self.producer_epoch != producer_epoch {
            self.producer_epoch = producer_epoch;
            self.last = NO_BATCH;
            self.earlier = None;
        }
    }
}
