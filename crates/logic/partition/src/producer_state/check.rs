//! Whether a batch is its producer's next, as Kafka's ProducerAppendInfo decides.
//!
//! ```text
//! known epoch e, last sequence s      batch of epoch < e   InvalidProducerEpoch
//!                                     batch of epoch > e   first sequence must be 0
//!                                     batch of epoch = e   one of the last five again: Duplicate
//!                                                          first sequence s + 1 (or 0 after i32::MAX): Append
//!                                                          else OutOfOrderSequence
//! nothing known of the producer       first sequence must be 0, unless it may have been forgotten (PID-5)
//! ```

use records::{BatchHeader, EndTransactionMarker, NO_SEQUENCE};
use thiserror::Error;
use types::{Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::{ProducerEntry, ProducerStates};

/// The first transaction version whose coordinator raises the epoch with every transaction (KIP-890).
const EPOCH_BUMP_TRANSACTION_VERSION: i16 = 2;

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceCheck {
    /// It is the producer's next: append it.
    Append,
    /// It is in the log: answer with this place.
    Duplicate {
        /// The first try's first offset.
        base_offset: Offset,
        /// The first try's last offset.
        last_offset: Offset,
        /// The first try's largest timestamp: the time of the append on topics with log append time.
        timestamp: TimestampMs,
    },
    /// The batch has no producer id, so nothing is known: append it.
    NoProducer,
}

/// Why a batch may not be appended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SequenceError {
    /// A batch before this one is missing, or this one is too old to be known. `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    #[error("out of order sequence number for producer {producer_id}: {sequence} (incoming), {last_sequence} (last)")]
    OutOfOrderSequence {
        /// Whose.
        producer_id: ProducerId,
        /// The batch's first sequence.
        sequence: i32,
        /// The last one appended in the batch's epoch, -1 for none.
        last_sequence: i32,
    },
    /// A newer instance of the producer has written. `INVALID_PRODUCER_EPOCH`.
    #[error("epoch of producer {producer_id} is {epoch}, the last seen epoch is {current}")]
    InvalidProducerEpoch {
        /// Whose.
        producer_id: ProducerId,
        /// The batch's.
        epoch: ProducerEpoch,
        /// The newest seen.
        current: ProducerEpoch,
    },
    /// A plain batch while the producer's transaction is open. `INVALID_TXN_STATE`.
    #[error("expected transactional write from producer {producer_id}")]
    InvalidTxnState {
        /// Whose.
        producer_id: ProducerId,
    },
    /// A marker of a deposed transaction coordinator. `TRANSACTION_COORDINATOR_FENCED`.
    #[error("coordinator epoch for producer {producer_id} is {epoch} (zombie), {current} (current)")]
    TransactionCoordinatorFenced {
        /// Whose transaction.
        producer_id: ProducerId,
        /// The marker's.
        epoch: i32,
        /// The newest seen.
        current: i32,
    },
}

/// The last sequence of a producer that has written nothing.
const NOTHING_YET: i32 = -1;

impl ProducerStates {
    /// Whether a batch, not yet in the log, may be appended. Data batches with a sequence are checked as a client's,
    /// those without as a coordinator's (epoch alone). For markers see [`ProducerStates::check_marker`].
    ///
    /// `_now` decides nothing: as in Kafka a producer is known until [`ProducerStates::expire`] has taken it, so that a
    /// clock that jumps can't turn a retry into a second append.
    ///
    /// # Errors
    /// Sequence, epoch or transaction don't fit.
    pub fn check(&self, header: &BatchHeader, _now: TimestampMs) -> Result<SequenceCheck, SequenceError> {
        if !header.has_producer_id() {
            return Ok(SequenceCheck::NoProducer);
        }
        let Some(entry) = self.entry(header.producer_id) else {
            // PID-5.
            if header.base_sequence > 0 && !self.may_have_forgotten(header.producer_id) {
                return Err(SequenceError::OutOfOrderSequence {
                    producer_id: header.producer_id,
                    sequence: header.base_sequence,
                    last_sequence: NOTHING_YET,
                });
            }
            return Ok(SequenceCheck::Append);
        };
        if let Some(first_try) = entry.find_duplicate(header) {
            return Ok(SequenceCheck::Duplicate {
                base_offset: first_try.first_offset(),
                last_offset: first_try.last_offset,
                timestamp: first_try.timestamp,
            });
        }
        check_epoch(entry, header.producer_epoch)?;
        if header.base_sequence >= 0 {
            check_sequence(entry, header)?;
        }
        if entry.current_txn_first_offset.is_some() && !header.is_transactional() {
            return Err(SequenceError::InvalidTxnState {
                producer_id: header.producer_id,
            });
        }
        Ok(SequenceCheck::Append)
    }

    /// Whether a transaction marker may be appended: `transaction_version` is the coordinator's (0 and 1 write markers in
    /// the transaction's own epoch, 2 in the next one). A marker that comes again after its transaction has ended is
    /// appended again; it changes nothing.
    ///
    /// # Errors
    /// A stale producer epoch or a deposed coordinator.
    pub fn check_marker(
        &self,
        header: &BatchHeader,
        marker: &EndTransactionMarker,
        transaction_version: i16,
    ) -> Result<(), SequenceError> {
        let Some(entry) = self.entry(header.producer_id) else {
            return Ok(());
        };
        check_epoch(entry, header.producer_epoch)?;
        let same_epoch = header.producer_epoch == entry.producer_epoch;
        if transaction_version >= EPOCH_BUMP_TRANSACTION_VERSION
            && same_epoch
            && entry.current_txn_first_offset.is_some()
        {
            // A late marker of the transaction before: it would end this one.
            return Err(invalid_epoch(entry, header.producer_epoch));
        }
        if marker.coordinator_epoch < entry.coordinator_epoch {
            return Err(SequenceError::TransactionCoordinatorFenced {
                producer_id: header.producer_id,
                epoch: marker.coordinator_epoch,
                current: entry.coordinator_epoch,
            });
        }
        Ok(())
    }
}

fn invalid_epoch(entry: &ProducerEntry, epoch: ProducerEpoch) -> SequenceError {
    SequenceError::InvalidProducerEpoch {
        producer_id: entry.producer_id,
        epoch,
        current: entry.producer_epoch,
    }
}

fn check_epoch(entry: &ProducerEntry, epoch: ProducerEpoch) -> Result<(), SequenceError> {
    if epoch < entry.producer_epoch {
        Err(invalid_epoch(entry, epoch))
    } else {
        Ok(())
    }
}

fn check_sequence(entry: &ProducerEntry, header: &BatchHeader) -> Result<(), SequenceError> {
    let same_epoch = header.producer_epoch == entry.producer_epoch;
    let last_sequence = if same_epoch { entry.last_sequence() } else { NO_SEQUENCE };
    let unknown = entry.producer_epoch.0 < 0;
    if unknown || follows(last_sequence, header.base_sequence) {
        return Ok(());
    }
    Err(SequenceError::OutOfOrderSequence {
        producer_id: header.producer_id,
        sequence: header.base_sequence,
        last_sequence,
    })
}

/// Sequences go from `i32::MAX` on to 0; after none (-1) comes 0.
fn follows(last_sequence: i32, sequence: i32) -> bool {
    sequence
        == if last_sequence == i32::MAX {
            0
        } else {
            last_sequence + 1
        }
}
