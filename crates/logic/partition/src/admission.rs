//! Whether a produced batch may be appended.
//!
//! ADM-1: only by the leader of the epoch that the client names, if it names one. ADM-2: with `acks=all` only while the
//! committed ISR isn't below min ISR. ADM-3: a producer's retry is answered with the offset of its first try.

use records::BatchHeader;
use thiserror::Error;
use types::{LeaderEpoch, Offset, TimestampMs};

use crate::leader::LeaderState;
use crate::producer_state::{ProducerStates, SequenceCheck, SequenceError};

/// What the producer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Nothing.
    None,
    /// The leader's own append.
    Leader,
    /// The high watermark.
    All,
}

impl Acks {
    /// From the request; `None` for what Kafka refuses as INVALID_REQUIRED_ACKS.
    #[must_use]
    pub fn from_wire(acks: i16) -> Option<Self> {
        match acks {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// One batch at the door.
#[derive(Debug, Clone, Copy)]
pub struct ProduceAttempt<'a> {
    /// Its header; size, format and CRC were checked.
    pub header: &'a BatchHeader,
    /// What the producer waits for.
    pub acks: Acks,
    /// The leader epoch that the client knows, when it names one.
    pub leader_epoch: Option<LeaderEpoch>,
    /// The wall clock.
    pub now: TimestampMs,
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Append it.
    Append,
    /// It is in the log already: answer with this place, once that is committed.
    Duplicate {
        /// Of the first try.
        base_offset: Offset,
        /// Of the first try.
        last_offset: Offset,
        /// Of the first try.
        timestamp: TimestampMs,
    },
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AdmissionRefusal {
    /// The client knows an older leadership.
    #[error("fenced leader epoch, the current one is {0}")]
    FencedEpoch(LeaderEpoch),
    /// The client knows a newer leadership than this broker.
    #[error("unknown leader epoch, the current one is {0}")]
    UnknownEpoch(LeaderEpoch),
    /// The committed ISR is below min ISR.
    #[error("the in-sync replicas ({isr}) are fewer than min.insync.replicas ({min})")]
    NotEnoughReplicas {
        /// Members of the committed ISR.
        isr: usize,
        /// What a write needs.
        min: usize,
    },
    /// The producer's epoch or sequence doesn't fit.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
}

/// Decides on one batch.
///
/// # Errors
/// Why it must not be appended.
pub fn admit(
    leader: &LeaderState,
    producers: &ProducerStates,
    attempt: &ProduceAttempt<'_>,
) -> Result<Admission, AdmissionRefusal> {
    check_epoch(leader.leader_epoch(), attempt.leader_epoch)?;
    if attempt.acks == Acks::All && leader.is_under_min_isr() {
        return Err(AdmissionRefusal::NotEnoughReplicas {
            isr: leader.isr().committed().len(),
            min: leader.effective_min_isr(),
        });
    }
    Ok(match producers.check(attempt.header, attempt.now)? {
        SequenceCheck::Append | SequenceCheck::NoProducer => Admission::Append,
        SequenceCheck::Duplicate {
            base_offset,
            last_offset,
            timestamp,
        } => Admission::Duplicate {
            base_offset,
            last_offset,
            timestamp,
        },
    })
}

fn check_epoch(current: LeaderEpoch, named: Option<LeaderEpoch>) -> Result<(), AdmissionRefusal> {
    match named {
        Some(named) if named < current => Err(AdmissionRefusal::FencedEpoch(current)),
        Some(named) if named > current => Err(AdmissionRefusal::UnknownEpoch(current)),
        _ => Ok(()),
    }
}
