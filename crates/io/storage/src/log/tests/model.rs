//! The log against a list of batches.

use bytes::Bytes;
use proptest::prelude::*;
use records::BatchHeader;
use types::{LeaderEpoch, Offset, TimestampMs};

use super::{NOW, batch, open, read_all, request};
use crate::testing::MemoryFileSystem;
use crate::{Log, LogConfig, OpenInput};

#[derive(Debug, Clone)]
enum Step {
    Append {
        batches: usize,
        records: usize,
        size: usize,
        gap: i64,
        next_epoch: bool,
    },
    Read {
        part: u8,
        max_bytes: usize,
    },
    Truncate {
        part: u8,
    },
    Flush,
    Roll,
    Restart {
        clean: bool,
    },
    DeleteRecords {
        part: u8,
    },
    FindTime {
        part: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..5_usize, 1..6_usize, 0..120_usize, prop_oneof![9 => Just(0_i64), 1 => 1..50_i64], prop::bool::weighted(0.1))
            .prop_map(|(batches, records, size, gap, next_epoch)| Step::Append { batches, records, size, gap, next_epoch }),
        4 => (any::<u8>(), 1..3000_usize).prop_map(|(part, max_bytes)| Step::Read { part, max_bytes }),
        1 => any::<u8>().prop_map(|part| Step::Truncate { part }),
        2 => Just(Step::Flush),
        1 => Just(Step::Roll),
        2 => any::<bool>().prop_map(|clean| Step::Restart { clean }),
        1 => any::<u8>().prop_map(|part| Step::DeleteRecords { part }),
        1 => any::<u8>().prop_map(|part| Step::FindTime { part }),
    ]
}

struct Model {
    disk: MemoryFileSystem,
    config: LogConfig,
    log: Option<Log>,
    batches: Vec<Bytes>,
    log_start: Offset,
    epoch: i32,
    checkpoint: Offset,
}

impl Model {
    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn end(&self) -> Offset {
        self.batches
            .last()
            .map_or(self.log_start, |last| header(last).next_offset())
    }

    /// An offset somewhere between log start and log end.
    fn offset(&self, part: u8) -> Offset {
        let span = self.end().0 - self.log_start.0;
        Offset(self.log_start.0 + span * i64::from(part) / 255)
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Append {
                batches,
                records,
                size,
                gap,
                next_epoch,
            } => {
                self.epoch += i32::from(next_epoch);
                let mut base = self.log().log_end_offset().0 + gap;
                let mut appended = Vec::new();
                for _ in 0..batches {
                    appended.push(batch(base, self.epoch, records, size, base * 2));
                    base += records as i64;
                }
                self.log().append(&appended, NOW).unwrap();
                self.batches.extend(appended);
            }
            Step::Read { part, max_bytes } => self.check_read(self.offset(part), max_bytes),
            Step::Truncate { part } => {
                let at = self.offset(part);
                let outcome = self.log().truncate_to(at, NOW).unwrap();
                self.log_start = self.log_start.min(outcome.log_end_offset);
                if outcome.recovery_point_lowered {
                    self.checkpoint = self.log().recovery_point();
                }
                if let Some(deletion) = outcome.deletion.filter(|_| part % 2 == 0) {
                    deletion.run().unwrap();
                }
                self.batches.retain(|batch| header(batch).next_offset() <= at);
            }
            Step::Flush => {
                self.log().flush_now().unwrap();
                self.checkpoint = self.log().recovery_point();
            }
            Step::Roll => self.log().roll(NOW).unwrap(),
            Step::Restart { clean } => {
                let mut log = self.log.take().unwrap();
                if clean {
                    self.checkpoint = log.close_clean().unwrap();
                }
                self.disk.kill();
                let input = OpenInput {
                    recovery_point: self.checkpoint,
                    clean_shutdown: clean,
                    log_start_offset: self.log_start,
                    now: NOW,
                };
                self.log = Some(open(&self.disk, &self.config, input));
            }
            Step::DeleteRecords { part } => {
                let at = self.offset(part);
                let retired = self.log().advance_log_start(at, NOW).unwrap();
                if let Some(deletion) = retired.deletion {
                    deletion.run().unwrap();
                }
                self.log_start = at;
                self.batches.retain(|batch| header(batch).next_offset() > at);
            }
            Step::FindTime { part } => {
                let wanted = TimestampMs(self.offset(part).0 * 2);
                let found = self.log().find_by_timestamp(wanted).unwrap();
                let start = self.log_start;
                let records = self.batches.iter().flat_map(|bytes| {
                    let batch = records::Batch::parse(bytes).unwrap();
                    batch
                        .records()
                        .unwrap()
                        .map(|record| record.unwrap())
                        .collect::<Vec<_>>()
                });
                let mut expected = records.filter(|record| record.timestamp >= wanted && record.offset >= start);
                assert_eq!(found, expected.next().map(|record| (record.timestamp, record.offset)));
            }
        }
        self.check();
    }

    fn check_read(&mut self, from: Offset, max_bytes: usize) {
        let outcome = self.log().read(request(from.0, max_bytes)).unwrap();
        let mut expected = Vec::new();
        for batch in self.batches.iter().filter(|batch| header(batch).last_offset() >= from) {
            if !expected.is_empty() && expected.len() + batch.len() > max_bytes {
                break;
            }
            expected.extend_from_slice(batch);
        }
        let found = outcome.into_bytes();
        // A read ends with its segment, so it may be shorter, but never empty where there is something.
        assert!(expected.starts_with(&found), "another content at {from}");
        assert_eq!(found.is_empty(), expected.is_empty(), "nothing found at {from}");
    }

    fn check(&mut self) {
        let (batches, log_start) = (self.batches.clone(), self.log_start);
        let log = self.log();
        if let Some(last) = batches.last() {
            assert_eq!(log.log_end_offset(), header(last).next_offset());
        }
        assert_eq!(log.log_start_offset(), log_start);
        assert_eq!(read_all(log, log_start, 700), batches);
        if let Some(last) = batches.last() {
            assert_eq!(log.latest_epoch(), Some(header(last).leader_epoch));
        }
        for pair in batches.windows(2) {
            let (left, right) = (header(&pair[0]), header(&pair[1]));
            if left.leader_epoch < right.leader_epoch {
                let end = log.end_offset_for_epoch(left.leader_epoch).unwrap();
                assert_eq!((end.epoch, end.end_offset), (left.leader_epoch, left.next_offset()));
            }
        }
        assert_eq!(log.end_offset_for_epoch(LeaderEpoch(-1)), None);
    }
}

fn header(bytes: &[u8]) -> BatchHeader {
    BatchHeader::parse(bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_log_does_what_a_list_of_batches_does(
        steps in prop::collection::vec(step(), 1..40),
        tail_cache_bytes in prop_oneof![Just(0_usize), Just(500), Just(1 << 20)],
        segment_bytes in 300..3000_u32,
    ) {
        let disk = MemoryFileSystem::new();
        let config = LogConfig { segment_bytes, index_interval_bytes: 150, tail_cache_bytes, ..LogConfig::default() };
        let log = Some(open(&disk, &config, super::unclean(Offset(0))));
        let (batches, log_start, checkpoint) = (Vec::new(), Offset(0), Offset(0));
        let mut model = Model { disk, config, log, batches, log_start, epoch: 1, checkpoint };
        for step in steps {
            model.apply(step);
        }
    }
}
