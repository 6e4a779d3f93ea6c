//! Sequences, epochs, transactions, eviction and Kafka's snapshot bytes.

use proptest::prelude::*;
use records::{Batch, BatchBuilder, BatchHeader, EndTransactionMarker, NewRecord};
use types::{Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::*;

const NOW: TimestampMs = TimestampMs(1_000_000);
const PID: i64 = 7;

/// A batch of `count` records at `offset`, as after stamping.
fn batch(pid: i64, epoch: i16, sequence: i32, count: usize, offset: i64) -> BatchHeader {
    let mut builder =
        BatchBuilder::new()
            .base_offset(Offset(offset))
            .producer(ProducerId(pid), ProducerEpoch(epoch), sequence);
    for _ in 0..count {
        builder.append(NewRecord::new(TimestampMs(500), "k", "v"));
    }
    Batch::parse(&builder.finish().unwrap()).unwrap().header
}

fn transactional(mut header: BatchHeader) -> BatchHeader {
    header.attributes = header.attributes.with_transactional(true);
    header
}

fn marker_header(pid: i64, epoch: i16, offset: i64) -> BatchHeader {
    let marker = EndTransactionMarker {
        committed: true,
        coordinator_epoch: 0,
    };
    let builder = BatchBuilder::end_transaction(ProducerId(pid), ProducerEpoch(epoch), marker, TimestampMs(600))
        .base_offset(Offset(offset));
    Batch::parse(&builder.finish().unwrap()).unwrap().header
}

fn with(headers: &[BatchHeader]) -> ProducerStates {
    let mut states = ProducerStates::new();
    for header in headers {
        states.on_append(header, NOW);
    }
    states
}

fn out_of_order(sequence: i32, last_sequence: i32) -> Result<SequenceCheck, SequenceError> {
    Err(SequenceError::OutOfOrderSequence {
        producer_id: ProducerId(PID),
        sequence,
        last_sequence,
    })
}

#[test]
fn batches_without_a_producer_id_are_not_tracked() {
    let plain = batch(-1, -1, -1, 1, 0);
    let states = with(&[plain]);
    assert!(states.is_empty());
    assert_eq!(states.check(&plain, NOW), Ok(SequenceCheck::NoProducer));
}

/// Found by `klamm verify --chaos pause-long`: a producer's first batch was on its way to a leader that was frozen, the second one was
/// taken by its successor, and librdkafka held the first one for written as well.
#[test]
fn an_unknown_producer_begins_at_0_unless_it_may_have_been_forgotten() {
    let mut states = ProducerStates::new();
    let later = batch(PID, 3, 42, 1, 0);
    assert_eq!(states.check(&later, NOW), out_of_order(42, -1));
    assert_eq!(states.check(&batch(PID, 3, 0, 1, 0), NOW), Ok(SequenceCheck::Append));
    states.may_have_forgotten_below(ProducerId(PID));
    assert_eq!(states.check(&later, NOW), out_of_order(42, -1));
    states.may_have_forgotten_below(ProducerId(PID + 1));
    assert_eq!(states.check(&later, NOW), Ok(SequenceCheck::Append));
}

#[test]
fn whoever_is_forgotten_may_come_back_with_any_sequence_and_those_who_came_later_may_not() {
    let mut states = ProducerStates::new();
    states.on_append(&batch(PID, 0, 0, 1, 0), NOW);
    assert_eq!(states.expire(NOW.plus_ms(1_000), 1_000), 1);
    assert_eq!(states.check(&batch(PID, 0, 1, 1, 0), NOW), Ok(SequenceCheck::Append));
    assert!(states.check(&batch(PID + 1, 0, 1, 1, 0), NOW).is_err());
}

#[test]
fn a_gap_is_refused_and_the_next_sequence_is_taken() {
    let states = with(&[batch(PID, 0, 0, 3, 10)]);
    assert_eq!(states.check(&batch(PID, 0, 3, 1, 0), NOW), Ok(SequenceCheck::Append));
    assert_eq!(states.check(&batch(PID, 0, 4, 1, 0), NOW), out_of_order(4, 2));
    // Half of a known batch is no retry: clients repeat batches whole.
    assert_eq!(states.check(&batch(PID, 0, 1, 2, 0), NOW), out_of_order(1, 2));
}

#[test]
fn a_retry_is_answered_with_the_place_of_its_first_try() {
    let states = with(&[batch(PID, 0, 0, 3, 10), batch(PID, 0, 3, 2, 20)]);
    let first_try = SequenceCheck::Duplicate {
        base_offset: Offset(10),
        last_offset: Offset(12),
        timestamp: TimestampMs(500),
    };
    assert_eq!(states.check(&batch(PID, 0, 0, 3, 0), NOW), Ok(first_try));
}

#[test]
fn the_sixth_last_batch_is_forgotten() {
    let states = with(&(0..6).map(|at| batch(PID, 0, at, 1, i64::from(at))).collect::<Vec<_>>());
    assert!(matches!(
        states.check(&batch(PID, 0, 1, 1, 0), NOW),
        Ok(SequenceCheck::Duplicate { .. })
    ));
    assert_eq!(states.check(&batch(PID, 0, 0, 1, 0), NOW), out_of_order(0, 5));
}

#[test]
fn a_new_epoch_starts_at_sequence_zero_and_fences_the_old_one() {
    let states = with(&[batch(PID, 1, 0, 3, 0)]);
    assert_eq!(states.check(&batch(PID, 2, 3, 1, 0), NOW), out_of_order(3, -1));
    assert_eq!(states.check(&batch(PID, 2, 0, 1, 0), NOW), Ok(SequenceCheck::Append));
    let stale = SequenceError::InvalidProducerEpoch {
        producer_id: ProducerId(PID),
        epoch: ProducerEpoch(0),
        current: ProducerEpoch(1),
    };
    assert_eq!(states.check(&batch(PID, 0, 0, 3, 0), NOW), Err(stale));
}

#[test]
fn sequences_go_from_the_largest_on_to_zero() {
    let across = batch(PID, 0, i32::MAX - 1, 4, 100);
    assert_eq!(across.last_sequence(), 1);
    let mut states = with(&[across]);
    assert!(matches!(
        states.check(&across, NOW),
        Ok(SequenceCheck::Duplicate { .. })
    ));
    assert_eq!(states.check(&batch(PID, 0, 2, 1, 0), NOW), Ok(SequenceCheck::Append));
    states.on_append(&batch(PID, 0, 2, 1, 104), NOW);
    let mut at_the_end = with(&[batch(PID, 0, i32::MAX, 1, 0)]);
    assert_eq!(
        at_the_end.check(&batch(PID, 0, 0, 1, 0), NOW),
        Ok(SequenceCheck::Append)
    );
    at_the_end.on_append(&batch(PID, 0, 0, 1, 1), NOW);
    assert_eq!(
        at_the_end.check(&batch(PID, 0, 1, 1, 0), NOW),
        Ok(SequenceCheck::Append)
    );
}

#[test]
fn a_transaction_is_open_from_its_first_record_to_its_marker() {
    let mut states = with(&[
        transactional(batch(PID, 0, 0, 2, 10)),
        transactional(batch(8, 0, 0, 1, 12)),
    ]);
    states.on_append(&transactional(batch(PID, 0, 2, 1, 13)), NOW);
    assert_eq!(states.first_undecided_offset(), Some(Offset(10)));
    assert_eq!(
        states.first_undecided_offset_of_others(ProducerId(PID)),
        Some(Offset(12))
    );
    let plain = states.check(&batch(PID, 0, 3, 1, 0), NOW);
    assert_eq!(
        plain,
        Err(SequenceError::InvalidTxnState {
            producer_id: ProducerId(PID)
        })
    );

    let marker = EndTransactionMarker {
        committed: false,
        coordinator_epoch: 4,
    };
    let ended = states.on_marker(&marker_header(PID, 1, 14), &marker, NOW);
    let expected = CompletedTransaction {
        producer_id: ProducerId(PID),
        first_offset: Offset(10),
        last_offset: Offset(14),
        aborted: true,
    };
    assert_eq!(ended, Some(expected));
    assert_eq!(states.first_undecided_offset(), Some(Offset(12)));
    // The marker raised the epoch: the next transaction counts from 0.
    assert_eq!(
        states.check(&transactional(batch(PID, 1, 0, 1, 0)), NOW),
        Ok(SequenceCheck::Append)
    );
    assert_eq!(
        states.check(&transactional(batch(PID, 1, 3, 1, 0)), NOW),
        out_of_order(3, -1)
    );
    assert_eq!(states.on_marker(&marker_header(PID, 1, 15), &marker, NOW), None);
}

#[test]
fn markers_are_fenced_by_producer_and_coordinator_epoch() {
    let mut states = with(&[transactional(batch(PID, 5, 0, 1, 0))]);
    let marker = EndTransactionMarker {
        committed: true,
        coordinator_epoch: 3,
    };
    assert!(states.check_marker(&marker_header(PID, 4, 1), &marker, 0).is_err());
    assert_eq!(states.check_marker(&marker_header(PID, 5, 1), &marker, 1), Ok(()));
    assert!(
        states.check_marker(&marker_header(PID, 5, 1), &marker, 2).is_err(),
        "it would end the next transaction"
    );
    assert_eq!(states.check_marker(&marker_header(PID, 6, 1), &marker, 2), Ok(()));
    let _ = states.on_marker(&marker_header(PID, 6, 1), &marker, NOW);
    assert_eq!(
        states.check_marker(&marker_header(PID, 6, 2), &marker, 2),
        Ok(()),
        "the same marker again"
    );
    let deposed = EndTransactionMarker {
        coordinator_epoch: 2,
        ..marker
    };
    assert!(matches!(
        states.check_marker(&marker_header(PID, 7, 2), &deposed, 2),
        Err(SequenceError::TransactionCoordinatorFenced { .. })
    ));
}

#[test]
fn idle_producers_expire_unless_a_transaction_is_open() {
    let mut states = ProducerStates::new();
    states.on_append(&batch(1, 0, 0, 1, 0), TimestampMs(0));
    states.on_append(&transactional(batch(2, 0, 0, 1, 1)), TimestampMs(0));
    states.on_append(&batch(3, 0, 0, 1, 2), TimestampMs(60));
    assert_eq!(states.expire(TimestampMs(99), 100), 0);
    assert_eq!(states.expire(TimestampMs(100), 100), 1);
    let left: Vec<_> = states.entries().map(|entry| entry.producer_id.0).collect();
    assert_eq!(left, [2, 3]);
}

#[test]
fn above_the_bound_the_longest_idle_producer_is_forgotten() {
    let mut states = ProducerStates::with_max_producers(2);
    states.on_append(&transactional(batch(1, 0, 0, 1, 0)), TimestampMs(0));
    states.on_append(&batch(2, 0, 0, 1, 1), TimestampMs(10));
    states.on_append(&batch(3, 0, 0, 1, 2), TimestampMs(5));
    let left: Vec<_> = states.entries().map(|entry| entry.producer_id.0).collect();
    assert_eq!(
        left,
        [1, 3],
        "the one with a transaction and the one that has just written stay"
    );
}

/// Made by hand from Kafka's schema: one producer with a batch and an open transaction.
const KAFKA_ENTRY: [u8; 50] = [
    0, 0, 0, 1, // count
    0, 0, 0, 0, 0, 0, 0, 7, // producer id
    0, 2, // epoch
    0, 0, 0, 9, // last sequence
    0, 0, 0, 0, 0, 0, 0, 109, // last offset
    0, 0, 0, 4, // offset delta
    0, 0, 0, 0, 0, 0, 1, 0xf4, // timestamp
    0xff, 0xff, 0xff, 0xff, // coordinator epoch
    0, 0, 0, 0, 0, 0, 0, 105, // first offset of the transaction
];

#[test]
fn a_snapshot_has_kafkas_bytes() {
    let mut expected = vec![0, 1];
    expected.extend(crc32c::crc32c(&KAFKA_ENTRY).to_be_bytes());
    expected.extend(KAFKA_ENTRY);
    let states = with(&[transactional(batch(PID, 2, 5, 5, 105))]);
    assert_eq!(encode_snapshot(&states), expected);
    let mut empty = vec![0, 1];
    empty.extend(crc32c::crc32c(&[0; 4]).to_be_bytes());
    empty.extend([0; 4]);
    assert_eq!(encode_snapshot(&ProducerStates::new()), empty);
}

#[test]
fn a_restored_producer_goes_on_where_it_was() {
    let states = with(&[batch(PID, 2, 0, 5, 100), transactional(batch(PID, 2, 5, 5, 105))]);
    let mut restored = ProducerStates::new();
    restored.load(decode_snapshot(&encode_snapshot(&states)).unwrap(), NOW);
    assert_eq!(restored.first_undecided_offset(), Some(Offset(105)));
    assert_eq!(
        restored.check(&transactional(batch(PID, 2, 10, 1, 0)), NOW),
        Ok(SequenceCheck::Append)
    );
    assert!(matches!(
        restored.check(&transactional(batch(PID, 2, 5, 5, 0)), NOW),
        Ok(SequenceCheck::Duplicate {
            base_offset: Offset(105),
            ..
        })
    ));
    restored.clear();
    assert_eq!(restored, ProducerStates::new());
}

/// Found by the simulation: five batches in flight, an answer lost, the leader restarted, all five sent again.
#[test]
fn a_restored_producer_may_send_all_its_batches_in_flight_again() {
    let headers: Vec<_> = (0..6)
        .map(|at| batch(PID, 2, 2 * at, 2, 100 + 2 * i64::from(at)))
        .collect();
    let states = with(&headers);
    let mut restored = ProducerStates::new();
    restored.load(decode_snapshot(&encode_snapshot(&states)).unwrap(), NOW);
    assert!(matches!(
        restored.check(&headers[0], NOW),
        Err(SequenceError::OutOfOrderSequence { .. })
    ));
    for header in &headers[1..] {
        let expected = SequenceCheck::Duplicate {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            timestamp: header.max_timestamp,
        };
        assert_eq!(restored.check(header, NOW), Ok(expected));
    }
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let mut bytes = encode_snapshot(&with(&[batch(PID, 0, 0, 1, 0)]));
    assert_eq!(decode_snapshot(&bytes[..5]), Err(SnapshotError::Length(5)));
    bytes[20] ^= 1;
    assert!(matches!(decode_snapshot(&bytes), Err(SnapshotError::Crc { .. })));
    bytes[1] = 2;
    assert_eq!(decode_snapshot(&bytes), Err(SnapshotError::Version(2)));
    let huge = [0x7f, 0xff, 0xff, 0xff];
    let mut lying = vec![0, 1];
    lying.extend(crc32c::crc32c(&huge).to_be_bytes());
    lying.extend(huge);
    assert_eq!(decode_snapshot(&lying), Err(SnapshotError::Length(10)));
}

/// A partition's leader and the clients of two producers, whose requests a network reorders, repeats and whose answers it
/// loses.
struct World {
    states: ProducerStates,
    /// Producer and batch number, in the log's order.
    log: Vec<(usize, usize)>,
    log_end: i64,
    /// Batches that each client knows to be in the log.
    acknowledged: [usize; 2],
    sizes: Vec<usize>,
    sequences: Vec<i32>,
}

impl World {
    fn new(sizes: Vec<usize>, first_sequence: i32) -> Self {
        let mut sequences = vec![first_sequence];
        for &size in &sizes {
            let next = i64::from(*sequences.last().unwrap()) + size as i64;
            sequences.push((next & i64::from(i32::MAX)) as i32);
        }
        let mut states = ProducerStates::new();
        if first_sequence > 0 {
            states.may_have_forgotten_below(ProducerId(2));
        }
        Self {
            states,
            log: Vec::new(),
            log_end: 0,
            acknowledged: [0; 2],
            sizes,
            sequences,
        }
    }

    fn deliver(&mut self, producer: usize, number: usize, answered: bool) {
        let id = ProducerId(producer as i64);
        let taken_for_forgotten = self.states.entry(id).is_none() && self.states.may_have_forgotten(id);
        // In flight are at most five, and nothing after the very first before that was answered where a leader takes any sequence.
        if number >= self.sizes.len()
            || number >= self.acknowledged[producer] + BATCHES_RETAINED
            || (taken_for_forgotten && number > 0)
        {
            return;
        }
        let header = batch(
            producer as i64,
            0,
            self.sequences[number],
            self.sizes[number],
            self.log_end,
        );
        match self.states.check(&header, NOW) {
            Ok(SequenceCheck::Append) => {
                self.states.on_append(&header, NOW);
                self.log.push((producer, number));
                self.log_end = header.next_offset().0;
            }
            Ok(SequenceCheck::Duplicate {
                base_offset,
                last_offset,
                ..
            }) => {
                assert_eq!(last_offset.0 - base_offset.0 + 1, self.sizes[number] as i64);
                assert!(last_offset.0 < self.log_end);
            }
            Ok(SequenceCheck::NoProducer) => panic!("the batch has a producer id"),
            Err(_) => return,
        }
        if answered && number == self.acknowledged[producer] {
            self.acknowledged[producer] += 1;
        }
    }
}

proptest! {
    #[test]
    fn whatever_the_network_does_each_batch_is_appended_once_and_in_order(
        sizes in proptest::collection::vec(1_usize..4, 1..12),
        first_sequence in prop_oneof![Just(0), Just(i32::MAX - 5), Just(i32::MAX)],
        deliveries in proptest::collection::vec((0_usize..2, 0_usize..12, any::<bool>()), 0..80),
    ) {
        let batches = sizes.len();
        let mut world = World::new(sizes, first_sequence);
        for (producer, number, answered) in deliveries {
            world.deliver(producer, number, answered);
        }
        // In the end each client retries what it doesn't know to be in the log.
        for producer in 0..2 {
            while world.acknowledged[producer] < batches {
                let before = world.acknowledged[producer];
                world.deliver(producer, before, true);
                prop_assert_eq!(world.acknowledged[producer], before + 1);
            }
        }
        for producer in 0..2 {
            let appended: Vec<usize> = world.log.iter().filter(|at| at.0 == producer).map(|at| at.1).collect();
            prop_assert_eq!(appended, (0..batches).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_snapshot_survives_its_file(
        headers in proptest::collection::vec((0_i64..5, 0_i16..3, 0_i32.., 1_usize..4, any::<bool>()), 0..30)
    ) {
        let mut states = ProducerStates::new();
        let mut offset = 0;
        for (pid, epoch, sequence, count, in_transaction) in headers {
            let header = batch(pid, epoch, sequence, count, offset);
            states.on_append(&if in_transaction { transactional(header) } else { header }, NOW);
            offset += count as i64;
        }
        let bytes = encode_snapshot(&states);
        let mut restored = ProducerStates::new();
        restored.load(decode_snapshot(&bytes).unwrap(), NOW);
        prop_assert_eq!(encode_snapshot(&restored), bytes);
        prop_assert_eq!(restored.first_undecided_offset(), states.first_undecided_offset());
        for (left, right) in restored.entries().zip(states.entries()) {
            prop_assert!(left.batches().eq(right.batches()));
        }
    }

    #[test]
    fn no_bytes_make_the_snapshot_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_snapshot(&bytes);
        let mut sealed = vec![0, 1];
        sealed.extend(crc32c::crc32c(&bytes).to_be_bytes());
        sealed.extend(&bytes);
        if let Ok(entries) = decode_snapshot(&sealed) {
            ProducerStates::new().load(entries, NOW);
        }
    }

    #[test]
    fn no_stream_of_batches_makes_the_state_panic_or_grow_beyond_its_bound(
        headers in proptest::collection::vec((0_i64..20, any::<i16>(), any::<i32>(), any::<bool>()), 0..60)
    ) {
        let mut states = ProducerStates::with_max_producers(3);
        for (at, (pid, epoch, sequence, in_transaction)) in headers.into_iter().enumerate() {
            let mut header = batch(pid, epoch, sequence, 2, 2 * at as i64);
            if in_transaction && pid < 2 {
                header = transactional(header);
            }
            let _ = states.check(&header, NOW);
            states.on_append(&header, TimestampMs(at as i64));
            prop_assert!(states.len() <= 3 + 2);
        }
    }
}
