//! What the producers were told, and the check of it against what was read back.
//!
//! The properties, ACK-1 to ACK-4, and their check are those of the crate `history`, which `klamm verify` uses, too.

use ::history::{Entry, Event, Ledger, ReaderKind, Records};
use anyhow::{Context, ensure};
use rdkafka::types::RDKafkaErrorCode;

use crate::reader::ReadRecord;

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
    pub producer: u16,
    /// Its count of records to this partition, from 0.
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
    /// The first violations of each property and their numbers.
    pub fn check(&self, read: &[ReadRecord]) -> anyhow::Result<()> {
        let mut ledger = Ledger::new();
        for event in self.events(read)? {
            ledger.record(&Entry { us: 0, event })?;
        }
        let violations = ledger.check();
        ensure!(
            violations.is_empty(),
            "{} records sent, {} read:\n{violations}",
            self.sent.len(),
            read.len()
        );
        Ok(())
    }

    fn events(&self, read: &[ReadRecord]) -> anyhow::Result<Vec<Event>> {
        let partitions = self.sent.iter().map(|sent| sent.partition);
        let partitions = partitions.chain(read.iter().map(|record| record.partition)).max();
        let mut events = vec![Event::Begin {
            run: 0,
            partitions: u32::try_from(partitions.map_or(1, |highest| highest + 1))?,
            producers: self.sent.iter().map(|sent| sent.producer + 1).max().unwrap_or(1),
            groups: 0,
            readers: vec![ReaderKind::Final],
        }];
        let mut sent: Vec<&Sent> = self.sent.iter().collect();
        sent.sort_by_key(|sent| (sent.partition, sent.producer, sent.sequence));
        for sent in sent {
            events.push(Event::Sent(sent.records()?));
            events.push(sent.answer()?);
        }
        for record in read {
            events.push(record.event()?);
        }
        Ok(events)
    }
}

impl Sent {
    fn records(&self) -> anyhow::Result<Records> {
        Ok(Records {
            producer: self.producer,
            partition: u32::try_from(self.partition)?,
            sequence: self.sequence,
            count: 1,
        })
    }

    fn answer(&self) -> anyhow::Result<Event> {
        let records = self.records()?;
        Ok(match self.outcome {
            Outcome::Acked(offset) => Event::Acked {
                records,
                offset: offset.map(u64::try_from).transpose()?,
            },
            Outcome::Refused(code) => Event::Refused {
                records,
                error: code.to_string(),
            },
            Outcome::Unknown(code) => Event::Unknown {
                records,
                error: code.to_string(),
            },
        })
    }
}

impl ReadRecord {
    fn event(&self) -> anyhow::Result<Event> {
        let partition = u32::try_from(self.partition).context("a partition below 0")?;
        let offset = u64::try_from(self.offset).context("an offset below 0")?;
        Ok(match self.sender() {
            Ok((producer, sequence)) => Event::Read {
                reader: 0,
                offset,
                records: Records {
                    producer,
                    partition,
                    sequence,
                    count: 1,
                },
            },
            Err(why) => Event::Foreign {
                reader: 0,
                partition,
                offset,
                why: why.to_string(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use ::history::Identity;

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
        let mut value = Vec::new();
        let identity = Identity {
            run: 0,
            producer: 1,
            partition: 0,
            sequence,
        };
        identity.write(None, 50, &mut value);
        ReadRecord {
            partition: 0,
            offset,
            value,
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
        assert!(violation(vec![sent(0, Outcome::Acked(Some(5)))], &[read(0, 0)]).contains("ACK-2"));
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

    #[test]
    fn a_damaged_record_is_found() {
        let mut damaged = read(0, 0);
        damaged.value[40] ^= 1;
        assert!(violation(vec![sent(0, Outcome::Acked(Some(0)))], &[damaged]).contains("ACK-4"));
    }
}
