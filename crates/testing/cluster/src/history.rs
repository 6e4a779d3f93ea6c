//! What the producers were told, and the check of it against what was read back.
//!
//! * ACK-1: an acknowledged record is read exactly once; no record is read twice.
//! * ACK-2: it is read at the offset that was acknowledged.
//! * ACK-3: within a partition, the records of one producer are read in the order in which they were sent.
//! * ACK-4: nothing is read that was refused or never sent. (A record whose outcome is unknown may be there or not.)

use std::collections::BTreeMap;

use rdkafka::types::RDKafkaErrorCode;

use crate::reader::ReadRecord;

/// How many violations a report names.
const NAMED: usize = 20;

/// What became of one record, as far as its producer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged; the offset is missing when the acknowledgement was that of a duplicate.
    Acked(Option<i64>),
    /// Refused by the broker: not in the log.
    Refused(RDKafkaErrorCode),
    /// Neither: it may be in the log.
    Unknown(RDKafkaErrorCode),
}

/// One record that was handed to a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Which producer.
    pub producer: u32,
    /// Its count of records, from 0, over all partitions.
    pub sequence: u64,
    /// Where it went.
    pub partition: i32,
    /// What was answered.
    pub outcome: Outcome,
}

/// Everything that was sent and answered.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// In the order of the answers.
    pub sent: Vec<Sent>,
}

impl History {
    /// How many were acknowledged.
    pub fn acked(&self) -> usize {
        self.sent
            .iter()
            .filter(|sent| matches!(sent.outcome, Outcome::Acked(_)))
            .count()
    }

    /// Those that weren't acknowledged.
    pub fn not_acked(&self) -> Vec<&Sent> {
        self.sent
            .iter()
            .filter(|sent| !matches!(sent.outcome, Outcome::Acked(_)))
            .collect()
    }

    /// Checks ACK-1 to ACK-4 against everything that could be read.
    ///
    /// # Errors
    /// The first twenty violations and their number.
    pub fn check(&self, read: &[ReadRecord]) -> anyhow::Result<()> {
        let mut violations = Vec::new();
        let places = places(read, &mut violations);
        let sent: BTreeMap<(u32, u64), &Sent> = self
            .sent
            .iter()
            .map(|sent| ((sent.producer, sent.sequence), sent))
            .collect();
        for sent in &self.sent {
            let found = places
                .get(&(sent.producer, sent.sequence))
                .map(Vec::as_slice)
                .unwrap_or_default();
            violations.extend(check_record(sent, found));
        }
        for key in places.keys().filter(|key| !sent.contains_key(*key)) {
            violations.push(format!("ACK-4: {key:?} was read but never sent"));
        }
        violations.extend(check_order(read));
        if violations.is_empty() {
            return Ok(());
        }
        let count = violations.len();
        violations.truncate(NAMED);
        anyhow::bail!(
            "{count} violations in {} records sent, {} read:\n{}",
            self.sent.len(),
            read.len(),
            violations.join("\n")
        )
    }
}

type Places = BTreeMap<(u32, u64), Vec<(i32, i64)>>;

fn places(read: &[ReadRecord], violations: &mut Vec<String>) -> Places {
    let mut places = Places::new();
    for record in read {
        match record.sender() {
            Some(sender) => places
                .entry(sender)
                .or_default()
                .push((record.partition, record.offset)),
            None => violations.push(format!(
                "ACK-4: {}-{} is no record of ours",
                record.partition, record.offset
            )),
        }
    }
    places
}

fn check_record(sent: &Sent, found: &[(i32, i64)]) -> Option<String> {
    if found.len() > 1 {
        return Some(format!("ACK-1: read {} times, at {found:?}: {sent:?}", found.len()));
    }
    match (sent.outcome, found.first()) {
        (Outcome::Acked(_), None) => Some(format!("ACK-1: acknowledged, not read: {sent:?}")),
        (Outcome::Acked(Some(offset)), Some(at)) if *at != (sent.partition, offset) => {
            Some(format!("ACK-2: read at {at:?}: {sent:?}"))
        }
        (Outcome::Refused(_), Some(at)) => Some(format!("ACK-4: refused, but read at {at:?}: {sent:?}")),
        _ => None,
    }
}

fn check_order(read: &[ReadRecord]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut last_offset: BTreeMap<i32, i64> = BTreeMap::new();
    let mut last_sequence: BTreeMap<(i32, u32), u64> = BTreeMap::new();
    for record in read {
        let before = last_offset.insert(record.partition, record.offset);
        if before.is_some_and(|before| before >= record.offset) {
            violations.push(format!(
                "ACK-3: offset {} of partition {} follows {before:?}",
                record.offset, record.partition
            ));
        }
        let Some((producer, sequence)) = record.sender() else {
            continue;
        };
        let before = last_sequence.insert((record.partition, producer), sequence);
        if before.is_some_and(|before| before >= sequence) {
            violations.push(format!(
                "ACK-3: {}-{}: {producer}/{sequence} follows {before:?}",
                record.partition, record.offset
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(sequence: u64, outcome: Outcome) -> Sent {
        Sent {
            producer: 1,
            sequence,
            partition: 0,
            outcome,
        }
    }

    fn read(offset: i64, sequence: u64) -> ReadRecord {
        ReadRecord {
            partition: 0,
            offset,
            value: format!("1/{sequence}/x").into_bytes(),
        }
    }

    fn violation(sent: Vec<Sent>, read: &[ReadRecord]) -> String {
        History { sent }.check(read).unwrap_err().to_string()
    }

    #[test]
    fn what_was_acknowledged_and_read_is_fine() {
        let unknown = Outcome::Unknown(RDKafkaErrorCode::MessageTimedOut);
        let history = History {
            sent: vec![
                sent(0, Outcome::Acked(Some(0))),
                sent(1, unknown),
                sent(2, Outcome::Acked(None)),
            ],
        };
        history.check(&[read(0, 0), read(1, 2)]).unwrap();
        history.check(&[read(0, 0), read(1, 1), read(2, 2)]).unwrap();
    }

    #[test]
    fn a_lost_record_is_found() {
        assert!(violation(vec![sent(0, Outcome::Acked(Some(0)))], &[]).contains("ACK-1"));
    }

    #[test]
    fn a_record_read_twice_is_found() {
        assert!(violation(vec![sent(0, Outcome::Acked(Some(0)))], &[read(0, 0), read(1, 0)]).contains("ACK-1"));
    }

    #[test]
    fn a_record_at_another_offset_is_found() {
        assert!(violation(vec![sent(0, Outcome::Acked(Some(5)))], &[read(4, 0)]).contains("ACK-2"));
    }

    #[test]
    fn a_changed_order_is_found() {
        let both = vec![sent(0, Outcome::Acked(None)), sent(1, Outcome::Acked(None))];
        assert!(violation(both, &[read(0, 1), read(1, 0)]).contains("ACK-3"));
    }

    #[test]
    fn a_refused_record_in_the_log_is_found() {
        let refused = Outcome::Refused(RDKafkaErrorCode::NotEnoughReplicas);
        assert!(violation(vec![sent(0, refused)], &[read(0, 0)]).contains("ACK-4"));
    }
}
