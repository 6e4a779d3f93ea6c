//! What is kept of a history: a few bytes a record, in arrays by partition, whatever the number of readers.
//!
//! Three things are there of each record: what its producer was told (8 bytes), who was first seen at its offset (8 bytes),
//! and bits: seen by the final reader, seen by each group. Everything that needs the order of events is checked as they come;
//! the rest by [`Ledger::check`].

use crate::answer::{Answer, PackedAnswer};
use crate::checks;
use crate::event::{CommitOutcome, Entry, Event, ReaderKind, Records};
use crate::state::{GroupPartition, Partition, Position, Reader, SEQUENCE_BITS, Seen};
use crate::totals::Totals;
use crate::violations::{Property, Violations};

/// Records of one event, so that a damaged history file can't ask for all memory.
const RUN_MAX: u32 = 1_000_000;
/// Partitions, producers and groups multiplied, for the same reason.
const LANES_MAX: usize = 10_000_000;

/// A history that nobody can have recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedHistory {
    /// Nothing comes before `Begin`, and it comes once.
    #[error("the history doesn't begin with its only Begin")]
    Begin,
    /// A number that `Begin` doesn't know.
    #[error("{what} {number} isn't in this run")]
    Unknown {
        /// Of what.
        what: &'static str,
        /// Which.
        number: u64,
    },
    /// A sequence that doesn't follow, an answer to nothing or to something answered.
    #[error("{what}: record {producer}/{partition}/{sequence}")]
    Record {
        /// What is wrong.
        what: &'static str,
        /// Whose record.
        producer: u16,
        /// Where it was sent.
        partition: u32,
        /// Which it is.
        sequence: u64,
    },
    /// More in one event, or in the run, than there can be.
    #[error("{0} is too much")]
    TooMuch(u64),
}

/// Everything that is kept of a history.
#[derive(Debug, Default)]
pub struct Ledger {
    begun: bool,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) readers: Vec<Reader>,
    /// By group, by partition.
    pub(crate) groups: Vec<Vec<GroupPartition>>,
    totals: Totals,
    pub(crate) violations: Violations,
}

impl Ledger {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much of everything there was so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// Nobody can have seen it.
    pub fn record(&mut self, entry: &Entry) -> Result<(), MalformedHistory> {
        if self.begun == matches!(entry.event, Event::Begin { .. }) {
            return Err(MalformedHistory::Begin);
        }
        let us = entry.us;
        match &entry.event {
            Event::Begin {
                partitions,
                producers,
                groups,
                readers,
                ..
            } => self.begin(*partitions, *producers, *groups, readers),
            Event::Sent(records) => self.on_sent(*records),
            Event::Acked { records, offset } => {
                self.totals.acked += u64::from(records.count);
                self.on_answer(*records, |at| {
                    offset.map_or(Answer::Acked, |offset| Answer::AckedAt(offset.saturating_add(at)))
                })
            }
            Event::Refused { records, error } => {
                self.totals.refused += u64::from(records.count);
                self.totals.count_error(error, records.count);
                self.on_answer(*records, |_| Answer::Refused)
            }
            Event::Unknown { records, error } => {
                self.totals.unknown += u64::from(records.count);
                self.totals.count_error(error, records.count);
                self.on_answer(*records, |_| Answer::Unknown)
            }
            &Event::Assigned { reader, partition } => {
                self.totals.assignments += 1;
                checks::grp_1::on_assigned(self, us, reader, partition)
            }
            &Event::Read {
                reader,
                offset,
                records,
            } => self.on_read(reader, offset, records),
            &Event::Foreign {
                reader,
                partition,
                offset,
                ref why,
            } => {
                self.violations.add(Property::Ack4, || {
                    format!("partition {partition}, offset {offset}, reader {reader}: {why}")
                });
                self.on_record(reader, partition, offset, Seen::Foreign)
            }
            Event::OutOfRange { reader, error } => {
                self.reader(*reader)?;
                checks::vis_4::on_out_of_range(self, *reader, error);
                Ok(())
            }
            &Event::Commit {
                group,
                partition,
                offset,
                began_us,
                outcome,
            } => match outcome {
                CommitOutcome::Acked => {
                    self.totals.commits += 1;
                    checks::grp_1::on_commit(self, us, (group, partition), offset, began_us)
                }
                CommitOutcome::NotAcked => {
                    self.totals.commits_not_acked += 1;
                    self.group_partition(group, partition).map(|_| ())
                }
            },
            &Event::Committed {
                group,
                partition,
                offset,
                asked_us,
            } => checks::grp_1::on_committed(self, (group, partition), offset, asked_us),
            &Event::End { partition, offset } => {
                self.partition(partition)?.end = Some(offset);
                Ok(())
            }
            Event::Stalled { what } => {
                self.violations.add(Property::Live1, || what.clone());
                Ok(())
            }
            Event::FaultBegan { .. } | Event::FaultEnded { .. } | Event::Whole { .. } | Event::Note { .. } => Ok(()),
        }
    }

    /// Everything that is wrong with the history.
    #[must_use]
    pub fn check(mut self) -> Violations {
        let mut violations = std::mem::take(&mut self.violations);
        checks::log::check(&self, &mut violations);
        checks::vis_2::check(&self, &mut violations);
        checks::grp_2::check(&self, &mut violations);
        checks::live_1::check(&self, &mut violations);
        violations
    }

    fn begin(
        &mut self,
        partitions: u32,
        producers: u16,
        groups: u16,
        readers: &[ReaderKind],
    ) -> Result<(), MalformedHistory> {
        let partitions = partitions as usize;
        let columns = usize::from(producers) + usize::from(groups) + readers.len();
        let lanes = partitions.saturating_mul(columns.max(1));
        if lanes > LANES_MAX {
            return Err(MalformedHistory::TooMuch(lanes as u64));
        }
        self.begun = true;
        self.partitions = (0..partitions)
            .map(|_| Partition::new(usize::from(producers)))
            .collect();
        self.groups = vec![vec![GroupPartition::default(); partitions]; usize::from(groups)];
        for kind in readers {
            if let ReaderKind::Member { group } = kind {
                self.group_exists(*group)?;
            }
            self.readers.push(Reader {
                kind: *kind,
                positions: vec![Position::default(); partitions],
            });
        }
        Ok(())
    }

    fn on_sent(&mut self, records: Records) -> Result<(), MalformedHistory> {
        if records.count > RUN_MAX {
            return Err(MalformedHistory::TooMuch(u64::from(records.count)));
        }
        self.totals.sent += u64::from(records.count);
        let lane = self.lane(records.producer, records.partition)?;
        if records.sequence != lane.len() as u64 {
            return Err(malformed(records, "not the next", 0));
        }
        lane.resize(lane.len() + records.count as usize, PackedAnswer::NONE);
        Ok(())
    }

    fn on_answer(&mut self, records: Records, answer: impl Fn(u64) -> Answer) -> Result<(), MalformedHistory> {
        let lane = self.lane(records.producer, records.partition)?;
        for at in 0..u64::from(records.count) {
            let place = usize::try_from(records.sequence.saturating_add(at))
                .ok()
                .and_then(|at| lane.get_mut(at))
                .ok_or_else(|| malformed(records, "answered but never sent", at))?;
            if place.answer() != Answer::None {
                return Err(malformed(records, "answered twice", at));
            }
            *place = PackedAnswer::new(answer(at));
        }
        Ok(())
    }

    fn on_read(&mut self, reader: u16, offset: u64, records: Records) -> Result<(), MalformedHistory> {
        if records.count > RUN_MAX || records.sequence >> SEQUENCE_BITS != 0 {
            return Err(MalformedHistory::TooMuch(
                records.sequence.max(u64::from(records.count)),
            ));
        }
        self.lane(records.producer, records.partition)?;
        for at in 0..u64::from(records.count) {
            let who = Seen::Record {
                producer: records.producer,
                sequence: records.sequence + at,
            };
            self.on_record(reader, records.partition, offset.saturating_add(at), who)?;
        }
        Ok(())
    }

    fn on_record(&mut self, reader: u16, partition: u32, offset: u64, who: Seen) -> Result<(), MalformedHistory> {
        let kind = self.reader(reader)?.kind;
        let bound = self.totals.sent.saturating_add(u64::from(RUN_MAX));
        if offset > bound.saturating_mul(2) {
            return Err(MalformedHistory::TooMuch(offset));
        }
        self.partition(partition)?;
        checks::ack_4::on_record(self, reader, partition, offset, who);
        checks::grp_1::on_record(self, reader, partition, offset);
        checks::vis_4::on_record(self, reader, partition, offset);
        checks::vis_2::on_record(self, reader, partition, offset, who);
        match kind {
            ReaderKind::Assigned => self.totals.read += 1,
            ReaderKind::Member { group } => {
                self.totals.read_in_groups += 1;
                if let Ok(at) = usize::try_from(offset) {
                    self.group_partition(group, partition)?.read.set(at);
                }
            }
            ReaderKind::Final => {
                self.totals.in_the_log += 1;
                if let Ok(at) = usize::try_from(offset) {
                    self.partition(partition)?.confirmed.set(at);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn partition(&mut self, partition: u32) -> Result<&mut Partition, MalformedHistory> {
        self.partitions
            .get_mut(partition as usize)
            .ok_or(MalformedHistory::Unknown {
                what: "partition",
                number: u64::from(partition),
            })
    }

    pub(crate) fn reader(&mut self, reader: u16) -> Result<&mut Reader, MalformedHistory> {
        self.readers
            .get_mut(usize::from(reader))
            .ok_or(MalformedHistory::Unknown {
                what: "reader",
                number: u64::from(reader),
            })
    }

    pub(crate) fn position(&mut self, reader: u16, partition: u32) -> Option<&mut Position> {
        self.readers
            .get_mut(usize::from(reader))?
            .positions
            .get_mut(partition as usize)
    }

    pub(crate) fn group_partition(
        &mut self,
        group: u16,
        partition: u32,
    ) -> Result<&mut GroupPartition, MalformedHistory> {
        self.group_exists(group)?;
        let of_group = self.groups.get_mut(usize::from(group));
        of_group
            .and_then(|partitions| partitions.get_mut(partition as usize))
            .ok_or(MalformedHistory::Unknown {
                what: "partition",
                number: u64::from(partition),
            })
    }

    fn group_exists(&self, group: u16) -> Result<(), MalformedHistory> {
        if usize::from(group) < self.groups.len() {
            return Ok(());
        }
        Err(MalformedHistory::Unknown {
            what: "group",
            number: u64::from(group),
        })
    }

    fn lane(&mut self, producer: u16, partition: u32) -> Result<&mut Vec<PackedAnswer>, MalformedHistory> {
        self.partition(partition)?
            .lanes
            .get_mut(usize::from(producer))
            .ok_or(MalformedHistory::Unknown {
                what: "producer",
                number: u64::from(producer),
            })
    }
}

/// One of an event's records is impossible.
fn malformed(records: Records, what: &'static str, at: u64) -> MalformedHistory {
    MalformedHistory::Record {
        what,
        producer: records.producer,
        partition: records.partition,
        sequence: records.sequence.saturating_add(at),
    }
}
