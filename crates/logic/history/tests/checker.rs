//! A history that a correct cluster can give passes; each kind of corruption of it is found, by the property it breaks.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use history::{CommitOutcome, Entry, Event, Ledger, Property, ReaderKind, Records, Violations};
use proptest::prelude::*;

const PARTITIONS: u32 = 2;
const PRODUCERS: u16 = 3;
/// Reader numbers.
const ASSIGNED: u16 = 0;
const MEMBERS: [u16; 2] = [1, 2];
const FINAL: u16 = 3;
/// Microseconds between two steps.
const STEP_US: u64 = 1_000;

fn one(producer: u16, partition: u32, sequence: u64, count: u32) -> Records {
    Records {
        producer,
        partition,
        sequence,
        count,
    }
}

/// One step of a run.
#[derive(Debug, Clone)]
enum Step {
    Send {
        producer: u16,
        partition: u32,
        count: u32,
        outcome: Outcome,
    },
    Read,
    GroupRead {
        upto: u64,
    },
    Rebalance,
    AskCommitted,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Acked,
    AckedWithoutOffset,
    Refused,
    UnknownThere,
    UnknownGone,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        6 => Just(Outcome::Acked),
        1 => Just(Outcome::AckedWithoutOffset),
        1 => Just(Outcome::Refused),
        1 => Just(Outcome::UnknownThere),
        1 => Just(Outcome::UnknownGone),
    ];
    prop_oneof![
        6 => (0..PRODUCERS, 0..PARTITIONS, 1_u32..6, outcome)
            .prop_map(|(producer, partition, count, outcome)| Step::Send { producer, partition, count, outcome }),
        2 => Just(Step::Read),
        2 => (1_u64..8).prop_map(|upto| Step::GroupRead { upto }),
        1 => Just(Step::Rebalance),
        1 => Just(Step::AskCommitted),
    ]
}

/// A cluster that keeps its promises, and what its clients see.
struct World {
    us: u64,
    events: Vec<Entry>,
    logs: Vec<Vec<(u16, u64)>>,
    sent: Vec<Vec<u64>>,
    assigned: Vec<u64>,
    committed: Vec<u64>,
    position: Vec<u64>,
    owner: u16,
}

impl World {
    fn new() -> Self {
        let partitions = PARTITIONS as usize;
        let mut world = Self {
            us: 0,
            events: Vec::new(),
            logs: vec![Vec::new(); partitions],
            sent: vec![vec![0; usize::from(PRODUCERS)]; partitions],
            assigned: vec![0; partitions],
            committed: vec![0; partitions],
            position: vec![0; partitions],
            owner: MEMBERS[0],
        };
        let readers = vec![
            ReaderKind::Assigned,
            ReaderKind::Member { group: 0 },
            ReaderKind::Member { group: 0 },
            ReaderKind::Final,
        ];
        world.push(Event::Begin {
            run: 1,
            partitions: PARTITIONS,
            producers: PRODUCERS,
            groups: 1,
            readers,
        });
        world
    }

    fn push(&mut self, event: Event) {
        self.us += STEP_US;
        self.events.push(Entry { us: self.us, event });
    }

    /// A run that has something of everything, whatever the steps were.
    fn run(steps: &[Step]) -> Self {
        let mut world = Self::new();
        for partition in 0..PARTITIONS {
            world.step(&Step::Send {
                producer: 0,
                partition,
                count: 4,
                outcome: Outcome::Acked,
            });
        }
        world.step(&Step::Read);
        world.step(&Step::GroupRead { upto: 3 });
        for step in steps {
            world.step(step);
        }
        for partition in 0..PARTITIONS {
            world.step(&Step::Send {
                producer: 1,
                partition,
                count: 2,
                outcome: Outcome::Refused,
            });
            world.step(&Step::Send {
                producer: 1,
                partition,
                count: 3,
                outcome: Outcome::Acked,
            });
        }
        world.step(&Step::Read);
        world
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Send {
                producer,
                partition,
                count,
                outcome,
            } => self.send(producer, partition, count, outcome),
            Step::Read => {
                for partition in 0..PARTITIONS {
                    let from = self.assigned[partition as usize];
                    let end = self.logs[partition as usize].len() as u64;
                    self.read(ASSIGNED, partition, from, end);
                    self.assigned[partition as usize] = end;
                }
            }
            Step::GroupRead { upto } => {
                for partition in 0..PARTITIONS {
                    let at = partition as usize;
                    let end = (self.position[at] + upto).min(self.logs[at].len() as u64);
                    self.read(self.owner, partition, self.position[at], end);
                    self.position[at] = end;
                    let began_us = self.us;
                    self.committed[at] = end;
                    let outcome = CommitOutcome::Acked;
                    self.push(Event::Commit {
                        group: 0,
                        partition,
                        offset: end,
                        began_us,
                        outcome,
                    });
                }
            }
            Step::Rebalance => {
                self.owner = if self.owner == MEMBERS[0] {
                    MEMBERS[1]
                } else {
                    MEMBERS[0]
                };
                self.position.clone_from(&self.committed);
                for partition in 0..PARTITIONS {
                    self.push(Event::Assigned {
                        reader: self.owner,
                        partition,
                    });
                }
            }
            Step::AskCommitted => {
                for partition in 0..PARTITIONS {
                    let offset = Some(self.committed[partition as usize]);
                    self.push(Event::Committed {
                        group: 0,
                        partition,
                        offset,
                        asked_us: self.us,
                    });
                }
            }
        }
    }

    fn send(&mut self, producer: u16, partition: u32, count: u32, outcome: Outcome) {
        let log = &mut self.logs[partition as usize];
        let next = &mut self.sent[partition as usize][usize::from(producer)];
        let (sequence, offset) = (*next, log.len() as u64);
        *next += u64::from(count);
        let there = matches!(
            outcome,
            Outcome::Acked | Outcome::AckedWithoutOffset | Outcome::UnknownThere
        );
        if there {
            log.extend((sequence..*next).map(|sequence| (producer, sequence)));
        }
        let records = one(producer, partition, sequence, count);
        self.push(Event::Sent(records));
        let error = "because".to_owned();
        self.push(match outcome {
            Outcome::Acked => Event::Acked {
                records,
                offset: Some(offset),
            },
            Outcome::AckedWithoutOffset => Event::Acked { records, offset: None },
            Outcome::Refused => Event::Refused { records, error },
            Outcome::UnknownThere | Outcome::UnknownGone => Event::Unknown { records, error },
        });
    }

    fn read(&mut self, reader: u16, partition: u32, from: u64, end: u64) {
        for offset in from..end {
            let (producer, sequence) = self.logs[partition as usize][offset as usize];
            self.push(Event::Read {
                reader,
                offset,
                records: one(producer, partition, sequence, 1),
            });
        }
    }

    fn finish(mut self) -> Violations {
        for partition in 0..PARTITIONS {
            let offset = self.logs[partition as usize].len() as u64;
            self.push(Event::End { partition, offset });
            self.read(FINAL, partition, 0, offset);
        }
        check(&self.events)
    }

    /// The offset of some acknowledged record of producer 0; there always is one.
    fn some_offset(&self) -> usize {
        self.logs[0].iter().position(|(producer, _)| *producer == 0).unwrap()
    }
}

fn check(events: &[Entry]) -> Violations {
    let mut ledger = Ledger::new();
    for entry in events {
        ledger.record(entry).unwrap();
    }
    ledger.check()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 0..40)
}

proptest! {
    #[test]
    fn a_valid_history_passes(steps in steps()) {
        let violations = World::run(&steps).finish();
        prop_assert!(violations.is_empty(), "{violations}");
    }

    #[test]
    fn a_lost_tail_is_found(steps in steps()) {
        let mut world = World::run(&steps);
        world.logs[0].pop();
        let violations = world.finish();
        prop_assert_eq!(violations.count(Property::Ack1), 1);
        // Somebody had read it.
        prop_assert_eq!(violations.count(Property::Vis3), 1);
    }

    #[test]
    fn a_lost_record_in_the_middle_is_found(steps in steps()) {
        let mut world = World::run(&steps);
        let at = world.some_offset();
        world.logs[0].remove(at);
        let violations = world.finish();
        prop_assert_eq!(violations.count(Property::Ack1), 1);
        prop_assert!(violations.count(Property::Ack2) > 0);
        prop_assert!(violations.count(Property::Vis2) > 0);
    }

    #[test]
    fn a_record_that_is_there_twice_is_found(steps in steps()) {
        let mut world = World::run(&steps);
        let record = world.logs[0][world.some_offset()];
        world.logs[0].push(record);
        prop_assert!(world.finish().count(Property::Ack1) == 1);
    }

    #[test]
    fn records_that_changed_places_are_found(steps in steps()) {
        let mut world = World::run(&steps);
        let at = world.some_offset();
        world.logs[0].swap(at, at + 1);
        let violations = world.finish();
        prop_assert_eq!(violations.count(Property::Ack3), 1);
        prop_assert_eq!(violations.count(Property::Ack2), 2);
        prop_assert_eq!(violations.count(Property::Ack1), 0);
    }

    #[test]
    fn a_refused_record_that_is_there_is_found(steps in steps()) {
        let mut world = World::run(&steps);
        let refused = world.sent[0][1] - 5;
        world.logs[0].push((1, refused));
        prop_assert!(world.finish().count(Property::Ack4) == 1);
    }

    #[test]
    fn a_record_that_was_never_sent_is_found(steps in steps()) {
        let mut world = World::run(&steps);
        let next = world.sent[0][2];
        world.logs[0].push((2, next));
        prop_assert!(world.finish().count(Property::Ack4) == 1);
    }

    #[test]
    fn a_damaged_record_is_found(steps in steps()) {
        let mut world = World::run(&steps);
        let offset = world.logs[0].len() as u64;
        world.push(Event::Foreign { reader: ASSIGNED, partition: 0, offset, why: "checksum".into() });
        prop_assert!(world.finish().count(Property::Ack4) == 1);
    }

    #[test]
    fn a_reader_that_skips_or_goes_back_is_found(steps in steps(), back in any::<bool>()) {
        let mut world = World::run(&steps);
        let end = world.logs[0].len() as u64;
        world.assigned[0] = if back { end - 1 } else { end + 1 };
        world.step(&Step::Send { producer: 0, partition: 0, count: 3, outcome: Outcome::Acked });
        world.step(&Step::Read);
        prop_assert_eq!(world.finish().count(Property::Vis4), 1);
    }

    #[test]
    fn a_member_that_repeats_more_than_its_last_record_is_found(steps in steps(), back in 1_u64..4) {
        let mut world = World::run(&steps);
        world.step(&Step::GroupRead { upto: 1000 });
        let next = world.position[0];
        world.read(world.owner, 0, next - back, next);
        prop_assert_eq!(world.finish().count(Property::Vis4), u64::from(back > 1));
    }

    #[test]
    fn a_refused_position_is_found(steps in steps()) {
        let mut world = World::run(&steps);
        world.push(Event::OutOfRange { reader: ASSIGNED, error: "OFFSET_OUT_OF_RANGE".into() });
        prop_assert_eq!(world.finish().count(Property::Vis4), 1);
    }

    #[test]
    fn a_commit_that_went_back_is_found(steps in steps(), how in 0..3) {
        let mut world = World::run(&steps);
        world.step(&Step::GroupRead { upto: 1000 });
        match how {
            0 => {
                world.committed[0] -= 1;
                world.step(&Step::AskCommitted);
            }
            1 => {
                world.committed[0] -= 1;
                world.step(&Step::Rebalance);
                world.step(&Step::GroupRead { upto: 1 });
            }
            _ => {
                let (offset, began_us) = (world.committed[0] - 1, world.us);
                let outcome = CommitOutcome::Acked;
                world.push(Event::Commit { group: 0, partition: 0, offset, began_us, outcome });
            }
        }
        prop_assert_eq!(world.finish().count(Property::Grp1), 1);
    }

    #[test]
    fn a_group_that_skipped_a_record_is_found(steps in steps()) {
        let mut world = World::run(&steps);
        world.step(&Step::GroupRead { upto: 1000 });
        world.step(&Step::Send { producer: 0, partition: 0, count: 3, outcome: Outcome::Acked });
        world.step(&Step::Rebalance);
        world.position[0] += 2;
        world.step(&Step::GroupRead { upto: 1 });
        prop_assert_eq!(world.finish().count(Property::Grp2), 2);
    }

    #[test]
    fn a_commit_under_way_at_the_same_time_may_count_or_not(steps in steps()) {
        let mut world = World::run(&steps);
        world.step(&Step::GroupRead { upto: 1000 });
        let asked_us = world.us - 10 * STEP_US;
        world.push(Event::Committed { group: 0, partition: 0, offset: Some(world.committed[0]), asked_us });
        let violations = world.finish();
        prop_assert!(violations.is_empty(), "{violations}");
    }

    #[test]
    fn what_was_never_answered_is_found(steps in steps()) {
        let mut world = World::run(&steps);
        let (sequence, count) = (world.sent[0][0], 2);
        world.push(Event::Sent(one(0, 0, sequence, count)));
        prop_assert_eq!(world.finish().count(Property::Live1), 1);
    }

    #[test]
    fn a_history_survives_its_file(steps in steps()) {
        let world = World::run(&steps);
        let lines: Vec<String> = world.events.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
        let read: Vec<Entry> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(read, world.events);
    }
}

#[test]
fn a_malformed_history_is_refused() {
    let begin = World::new().events;
    let refused = |events: &[Event]| {
        let mut ledger = Ledger::new();
        ledger.record(&begin[0]).unwrap();
        let mut outcomes = events.iter().map(|event| {
            ledger.record(&Entry {
                us: 1,
                event: event.clone(),
            })
        });
        outcomes.any(|outcome| outcome.is_err())
    };
    let sent = Event::Sent(one(0, 0, 0, 2));
    let acked = Event::Acked {
        records: one(0, 0, 1, 1),
        offset: Some(0),
    };
    assert!(!refused(&[sent.clone(), acked.clone()]));
    assert!(refused(&[begin[0].event.clone()]));
    assert!(refused(&[sent.clone(), sent.clone()]));
    assert!(refused(std::slice::from_ref(&acked)));
    assert!(refused(&[sent.clone(), acked.clone(), acked]));
    assert!(refused(&[Event::Sent(one(PRODUCERS, 0, 0, 1))]));
    assert!(refused(&[Event::Sent(one(0, 0, 0, u32::MAX))]));
    assert!(refused(&[Event::Assigned {
        reader: 9,
        partition: 0
    }]));
    let far = Event::Read {
        reader: 0,
        offset: 1 << 50,
        records: one(0, 0, 0, 1),
    };
    assert!(refused(&[sent, far]));
    assert!(
        Ledger::new()
            .record(&Entry {
                us: 0,
                event: Event::Stalled { what: String::new() }
            })
            .is_err()
    );
}
