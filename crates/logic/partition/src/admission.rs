//! Whether a produced batch may be appended.
//!
//! ADM-1: only by the leader of the epoch that the client names, if it names one. ADM-2: with `acks=all` only while the
//! committed ISR isn't below min ISR. ADM-3: a producer's retry is answered with the offset of its first try. ADM-4: a
//! producer's batches keep their order, the first ones too: an unknown producer that may have been forgotten (PID-5) may begin
//! with any sequence, as in Kafka; but while a leadership is young, or a moment after a batch was refused that may be
//! taken later (no room, too few in sync), one that doesn't begin at 0 has to come again. Of batches in flight over one
//! connection the first may be the one that was refused, or that found no leader here yet, and be sent again. ADM-5: for the
//! same reason a batch that skips others isn't told so then: the skipped ones come again, and this one has to, too. Told
//! OUT_OF_ORDER_SEQUENCE_NUMBER, librdkafka begins a new epoch for all its partitions, and writes a second time what elsewhere
//! waits for its acknowledgement.

use records::BatchHeader;
use thiserror::Error;
use types::{LeaderEpoch, Offset, ProducerId, TimestampMs};

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
    /// When this leader last refused a batch that it may take later.
    pub refused_at: Option<TimestampMs>,
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
    /// A batch of this producer is missing that may be on its way, because the leadership is young or has just refused some.
    #[error("an earlier batch of producer {0} isn't here, but may be on its way")]
    MayOvertake(ProducerId),
    /// The producer's epoch or sequence doesn't fit.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
}

/// A connection may stall so long between two batches that its client sent together (ADM-4). Not so long as a client waits for a leader
/// that hangs (half a minute, a minute): what it sends behind that batch would wait as long.
const YOUNG_MS: i64 = 5_000;

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
    let header = attempt.header;
    // Clocks are set back, too.
    let moment_ago = |then: TimestampMs| (-YOUNG_MS..YOUNG_MS).contains(&attempt.now.since(then));
    // An earlier batch may be on its way again: to be refused once more is all that it costs.
    let unsettled = attempt.refused_at.is_some_and(moment_ago) || moment_ago(leader.led_since());
    let skips = header.has_producer_id() && header.base_sequence > 0;
    if skips
        && unsettled
        && producers.entry(header.producer_id).is_none()
        && producers.may_have_forgotten(header.producer_id)
    {
        return Err(AdmissionRefusal::MayOvertake(header.producer_id));
    }
    let checked = producers.check(attempt.header, attempt.now);
    if unsettled && matches!(checked, Err(SequenceError::OutOfOrderSequence { .. })) {
        return Err(AdmissionRefusal::MayOvertake(header.producer_id));
    }
    Ok(match checked? {
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

#[cfg(test)]
mod tests {
    use types::{BrokerEpoch, BrokerId, PartitionEpoch, ProducerEpoch};

    use super::*;
    use crate::LeadershipStart;

    fn leader(led_since: TimestampMs) -> LeaderState {
        let start = LeadershipStart {
            local: BrokerId(1),
            local_epoch: BrokerEpoch(1),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            replicas: vec![BrokerId(1)],
            isr: vec![BrokerId(1)],
            log_end_offset: Offset(10),
            acknowledgeable_end: Offset(10),
            high_watermark: Offset(10),
            min_insync_replicas: 1,
            lag_time_max_ms: 1_000,
        };
        LeaderState::new(start, led_since).0
    }

    fn header(sequence: i32) -> BatchHeader {
        let mut builder = records::BatchBuilder::new().producer(ProducerId(7), ProducerEpoch(0), sequence);
        builder.append(records::NewRecord::new(TimestampMs(0), Vec::new(), Vec::new()));
        records::Batch::parse(&builder.finish().unwrap()).unwrap().header
    }

    /// Found by the simulation (seed 23): the first of two batches came a moment before the leadership, the second after.
    #[test]
    fn an_unknown_producers_second_batch_does_not_overtake_its_first_at_a_failover() {
        let since = TimestampMs(1_000);
        let (leader, mut producers) = (leader(since), ProducerStates::new());
        let decide = |producers: &ProducerStates, sequence, now| {
            let header = header(sequence);
            let attempt = ProduceAttempt {
                header: &header,
                acks: Acks::All,
                leader_epoch: None,
                now,
                refused_at: None,
            };
            admit(&leader, producers, &attempt)
        };
        let overtakes = Err(AdmissionRefusal::MayOvertake(ProducerId(7)));
        assert_eq!(decide(&producers, 3, since.plus_ms(10)), overtakes);
        assert_eq!(decide(&producers, 0, since.plus_ms(20)), Ok(Admission::Append));
        assert!(decide(&producers, 3, since.plus_ms(YOUNG_MS)).is_err());
        producers.may_have_forgotten_below(ProducerId(8));
        assert_eq!(decide(&producers, 3, since.plus_ms(10)), overtakes);
        assert_eq!(decide(&producers, 3, since.plus_ms(YOUNG_MS)), Ok(Admission::Append));
        producers.on_append(&header(2), since);
        assert_eq!(decide(&producers, 3, since.plus_ms(30)), Ok(Admission::Append));
    }

    /// Found by the simulation (seed 23225): too few were in sync for a producer's first two batches, and enough for the third.
    #[test]
    fn an_unknown_producers_third_batch_does_not_overtake_two_that_were_refused() {
        let (leader, mut producers) = (leader(TimestampMs(1_000)), ProducerStates::new());
        producers.may_have_forgotten_below(ProducerId(8));
        let refused = TimestampMs(20_000);
        let decide = |sequence, now| {
            let header = header(sequence);
            let attempt = ProduceAttempt {
                header: &header,
                acks: Acks::All,
                leader_epoch: None,
                now,
                refused_at: Some(refused),
            };
            admit(&leader, &producers, &attempt)
        };
        let overtakes = Err(AdmissionRefusal::MayOvertake(ProducerId(7)));
        assert_eq!(decide(6, refused.plus_ms(1)), overtakes);
        assert_eq!(decide(0, refused.plus_ms(2)), Ok(Admission::Append));
        assert_eq!(decide(6, refused.plus_ms(YOUNG_MS)), Ok(Admission::Append));
    }

    /// Found by `klamm verify --chaos disk-full`: a disk without room refused the first of two batches in flight, and the second was
    /// told that one is missing.
    #[test]
    fn a_batch_behind_one_that_was_refused_has_to_come_again_and_one_that_lost_its_place_is_told_so() {
        let since = TimestampMs(1_000);
        let (leader, mut producers) = (leader(since), ProducerStates::new());
        producers.on_append(&header(0), since);
        let decide = |sequence, now, refused_at| {
            let header = header(sequence);
            let attempt = ProduceAttempt {
                header: &header,
                acks: Acks::All,
                leader_epoch: None,
                now,
                refused_at,
            };
            admit(&leader, &producers, &attempt)
        };
        let overtakes = Err(AdmissionRefusal::MayOvertake(ProducerId(7)));
        let out_of_order = Err(AdmissionRefusal::Sequence(SequenceError::OutOfOrderSequence {
            producer_id: ProducerId(7),
            sequence: 2,
            last_sequence: 0,
        }));
        let refused = since.plus_ms(20_000);
        assert_eq!(decide(2, refused.plus_ms(10), Some(refused)), overtakes);
        assert_eq!(decide(1, refused.plus_ms(20), Some(refused)), Ok(Admission::Append));
        assert_eq!(decide(2, refused.plus_ms(YOUNG_MS), Some(refused)), out_of_order);
        assert_eq!(decide(2, refused, None), out_of_order);
        // A leadership that has just begun may have refused the first one before it began.
        assert_eq!(decide(2, since.plus_ms(10), None), overtakes);
    }
}
