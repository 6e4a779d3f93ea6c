//! ACK-1 to ACK-4: what the producers were told against what the final reader found.

use crate::answer::Answer;
use crate::bits::Bits;
use crate::ledger::Ledger;
use crate::state::{Partition, Seen};
use crate::violations::{Property, Violations};

/// A record of a partition.
#[derive(Debug, Clone, Copy)]
struct Found {
    partition: usize,
    offset: u64,
    producer: u16,
    sequence: u64,
}

/// Walks each partition's log once, then each lane.
pub(crate) fn check(ledger: &Ledger, violations: &mut Violations) {
    for (number, partition) in ledger.partitions.iter().enumerate() {
        let mut found = vec![Bits::default(); partition.lanes.len()];
        let mut last: Vec<Option<u64>> = vec![None; partition.lanes.len()];
        for offset in 0..partition.seen_end() {
            let confirmed = usize::try_from(offset).is_ok_and(|at| partition.confirmed.get(at));
            let Seen::Record { producer, sequence } = partition.seen(offset) else {
                continue;
            };
            if !confirmed {
                continue;
            }
            let record = Found {
                partition: number,
                offset,
                producer,
                sequence,
            };
            if let Some(found) = found.get_mut(usize::from(producer)) {
                once(record, found, violations);
            }
            at_its_offset(record, partition, violations);
            if let Some(last) = last.get_mut(usize::from(producer)) {
                in_order(record, last, violations);
            }
            not_refused(record, partition, violations);
        }
        nothing_lost(number, partition, &found, violations);
    }
}

/// ACK-1, second half.
fn once(record: Found, found: &mut Bits, violations: &mut Violations) {
    if usize::try_from(record.sequence).is_ok_and(|at| found.set(at)) {
        violations.add(Property::Ack1, || format!("there a second time: {}", words(record)));
    }
}

/// ACK-1, first half.
fn nothing_lost(number: usize, partition: &Partition, found: &[Bits], violations: &mut Violations) {
    for ((producer, lane), found) in (0_u16..).zip(&partition.lanes).zip(found) {
        for (sequence, answer) in lane.iter().enumerate() {
            let acked = match answer.answer() {
                Answer::AckedAt(offset) => Some(Some(offset)),
                Answer::Acked => Some(None),
                Answer::None | Answer::Refused | Answer::Unknown => None,
            };
            let Some(offset) = acked.filter(|_| !found.get(sequence)) else {
                continue;
            };
            violations.add(Property::Ack1, || {
                let at = offset.map_or_else(|| "an unknown offset".to_owned(), |offset| format!("offset {offset}"));
                format!("lost: partition {number}, producer {producer}, sequence {sequence}, acknowledged at {at}")
            });
        }
    }
}

/// ACK-2.
fn at_its_offset(record: Found, partition: &Partition, violations: &mut Violations) {
    if let Some(Answer::AckedAt(offset)) = partition.answer(record.producer, record.sequence)
        && offset != record.offset
    {
        violations.add(Property::Ack2, || {
            format!("acknowledged at offset {offset}: {}", words(record))
        });
    }
}

/// ACK-3.
fn in_order(record: Found, last: &mut Option<u64>, violations: &mut Violations) {
    if let Some(before) = last.filter(|before| *before > record.sequence) {
        violations.add(Property::Ack3, || format!("after sequence {before}: {}", words(record)));
    }
    *last = Some(record.sequence);
}

/// ACK-4, second half.
fn not_refused(record: Found, partition: &Partition, violations: &mut Violations) {
    if partition.answer(record.producer, record.sequence) == Some(Answer::Refused) {
        violations.add(Property::Ack4, || format!("refused, but there: {}", words(record)));
    }
}

fn words(record: Found) -> String {
    format!(
        "partition {}, offset {}, producer {}, sequence {}",
        record.partition, record.offset, record.producer, record.sequence
    )
}
