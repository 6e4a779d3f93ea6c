//! Whatever moment a crash picks: the log opens, and holds a prefix of what was appended with everything synced in it.

use bytes::Bytes;
use proptest::prelude::*;
use types::{Offset, TimestampMs};

use super::{NOW, batch, open, read_all, unclean};
use crate::testing::MemoryFileSystem;
use crate::{Log, LogConfig, LogError};

#[derive(Debug, Clone, Copy)]
enum Crash {
    Kill,
    PowerCut(u64),
}

#[derive(Debug, Clone)]
enum Step {
    Append {
        batches: usize,
        size: usize,
        next_epoch: bool,
    },
    Flush,
    Truncate {
        part: u8,
    },
    Retain {
        part: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..4_usize, 0..150_usize, prop::bool::weighted(0.2))
            .prop_map(|(batches, size, next_epoch)| Step::Append { batches, size, next_epoch }),
        3 => Just(Step::Flush),
        1 => any::<u8>().prop_map(|part| Step::Truncate { part }),
        1 => any::<u8>().prop_map(|part| Step::Retain { part }),
    ]
}

/// What an observer outside knows. A step that was cut short may have happened or not: both histories are kept.
#[derive(Debug, Clone, Default)]
struct Known {
    batches: Vec<(i64, Bytes)>,
    /// What the interrupted step would have made of it.
    or: Option<Vec<(i64, Bytes)>>,
    /// Everything below must be there after a power cut.
    synced: i64,
    /// The recovery-point checkpoint.
    checkpoint: i64,
    /// The log start may be anywhere up to here.
    start_at_most: i64,
    epoch: i32,
}

impl Known {
    fn end(&self) -> i64 {
        self.batches.last().map_or(0, |(base, _)| base + 2)
    }

    fn run(&mut self, log: &mut Log, step: &Step) -> Result<(), LogError> {
        match step {
            Step::Append {
                batches,
                size,
                next_epoch,
            } => {
                self.epoch += i32::from(*next_epoch);
                let mut after = self.batches.clone();
                let mut appended = Vec::new();
                let base = log.log_end_offset().0;
                for at in 0..*batches as i64 {
                    let bytes = batch(base + at * 2, self.epoch, 2, *size, base * 5);
                    after.push((base + at * 2, bytes.clone()));
                    appended.push(bytes);
                }
                self.or = Some(after);
                log.append(&appended, NOW)?;
            }
            Step::Flush => {
                log.flush_now()?;
                self.synced = log.recovery_point().0;
                self.checkpoint = self.synced;
                return Ok(());
            }
            Step::Truncate { part } => {
                let start = log.log_start_offset().0;
                let at = start + (log.log_end_offset().0 - start) * i64::from(*part) / 255 / 2 * 2;
                let mut after = self.batches.clone();
                after.retain(|(base, _)| base + 2 <= at);
                self.or = Some(after);
                // Whoever asks for a truncation no longer counts on what it removes.
                self.synced = self.synced.min(at / 2 * 2);
                let outcome = log.truncate_to(Offset(at), NOW)?;
                if outcome.recovery_point_lowered {
                    self.checkpoint = log.recovery_point().0;
                }
                if let Some(deletion) = outcome.deletion {
                    deletion.run()?;
                }
            }
            Step::Retain { part } => {
                let start = log.log_start_offset().0;
                let at = start + (log.log_end_offset().0 - start) * i64::from(*part) / 255;
                self.start_at_most = self.start_at_most.max(at);
                if let Some(deletion) = log.advance_log_start(Offset(at), NOW)?.deletion {
                    deletion.run()?;
                }
            }
        }
        if let Some(after) = self.or.take() {
            self.batches = after;
        }
        Ok(())
    }

    fn check(&self, log: &Log, crash: Crash) {
        let start = log.log_start_offset();
        assert!(
            start.0 <= self.start_at_most,
            "log start {start} beyond {}",
            self.start_at_most
        );
        let mut found = read_all(log, start, 500);
        // A power cut may bring back segments that an earlier round had retired: contiguous, but before what is known.
        let first = self
            .batches
            .iter()
            .chain(self.or.iter().flatten())
            .map(|(base, _)| *base)
            .min()
            .unwrap_or(0);
        found.retain(|bytes| records::BatchHeader::parse(bytes).unwrap().base_offset.0 >= first);
        let prefix_of = |batches: &Vec<(i64, Bytes)>| {
            let expected = batches
                .iter()
                .filter(|(base, _)| base + 2 > start.0)
                .map(|(_, bytes)| bytes);
            found.len() <= expected.clone().count() && expected.zip(&found).all(|(left, right)| left == right)
        };
        assert!(
            prefix_of(&self.batches) || self.or.as_ref().is_some_and(prefix_of),
            "not a prefix of what was appended: {} batches from {start}, known {} or {:?}",
            found.len(),
            self.batches.len(),
            self.or.as_ref().map(Vec::len)
        );
        let end = log.log_end_offset().0;
        assert!(end >= self.synced, "log end {end} below the synced end {}", self.synced);
        if matches!(crash, Crash::Kill) {
            let shortest = self.or.as_ref().map_or(self.end(), |or| {
                or.last().map_or(0, |(base, _)| base + 2).min(self.end())
            });
            assert!(end >= shortest, "a kill lost {end}..{shortest}");
        }
    }
}

fn crash_strategy() -> impl Strategy<Value = Crash> {
    prop_oneof![Just(Crash::Kill), any::<u64>().prop_map(Crash::PowerCut)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn after_any_crash_the_log_holds_a_prefix_with_everything_synced(
        rounds in prop::collection::vec(
            (prop::collection::vec(step(), 1..14), prop::option::of(0..60_u64), crash_strategy()), 1..4),
        segment_bytes in 300..2000_u32,
    ) {
        let disk = MemoryFileSystem::new();
        let config = LogConfig { segment_bytes, index_interval_bytes: 150, tail_cache_bytes: 0, ..LogConfig::default() };
        let mut known = Known { epoch: 1, ..Known::default() };
        for (steps, stop_after, crash) in rounds {
            let mut log = open(&disk, &config, unclean(Offset(known.checkpoint)));
            // As the owner must: an open that lowers the recovery point is checkpointed before the first append.
            known.checkpoint = log.recovery_point().0;
            // What the log holds now is what the next round starts from.
            let start = log.log_start_offset();
            known.batches = read_all(&log, start, 1 << 20).into_iter().map(|bytes| {
                (records::BatchHeader::parse(&bytes).unwrap().base_offset.0, bytes)
            }).collect();
            known.or = None;
            if known.batches.is_empty() && log.log_end_offset().0 > 0 {
                // Emptied by retention: the rest of the arithmetic needs a batch, so this round is over.
                break;
            }
            if let Some(calls) = stop_after {
                disk.stop_after(calls + 1);
            }
            for step in &steps {
                if known.run(&mut log, step).is_err() {
                    break;
                }
            }
            drop(log);
            match crash {
                Crash::Kill => disk.kill(),
                Crash::PowerCut(seed) => disk.power_cut(seed),
            }
            let log = open(&disk, &config, unclean(Offset(known.checkpoint)));
            known.check(&log, crash);
            prop_assert!(log.latest_epoch().is_none_or(|epoch| epoch.0 <= known.epoch));
            drop(log);
            disk.kill();
        }
    }
}

#[test]
fn a_hole_that_a_power_cut_left_between_segments_ends_the_log() {
    let disk = MemoryFileSystem::new();
    let config = super::small_segments();
    let mut log = open(&disk, &config, unclean(Offset(0)));
    super::fill(&mut log, 30, 1);
    let second = log.segments().nth(1).unwrap();
    let ends: Vec<_> = log.segments().map(|segment| segment.base_offset).collect();
    drop(log);
    disk.kill();
    // The second segment's file lost its last batch exactly.
    let path = std::path::Path::new(super::DIRECTORY).join(format!("{:020}.log", second.base_offset.0));
    let file = crate::FileSystem::open(&disk, &path, crate::OpenMode::READ_WRITE).unwrap();
    let one = batch(0, 1, 3, 20, 0).len() as u64;
    file.set_len(second.size_bytes - one).unwrap();
    let log = open(&disk, &config, unclean(Offset(0)));
    assert_eq!(log.log_end_offset(), Offset(ends[2].0 - 3));
    assert_eq!(log.segments().count(), 2);
}

#[test]
fn a_power_cut_after_a_flush_loses_nothing() {
    for seed in 0..200 {
        let disk = MemoryFileSystem::new();
        let config = super::small_segments();
        let mut log = open(&disk, &config, unclean(Offset(0)));
        let mut batches = super::fill(&mut log, 20, 1);
        log.flush_now().unwrap();
        super::fill(&mut log, 10, 2);
        let recovery_point = log.recovery_point();
        drop(log);
        disk.power_cut(seed);
        let log = open(&disk, &config, unclean(recovery_point));
        let mut found = read_all(&log, Offset(0), 1 << 20);
        assert!(found.len() >= batches.len());
        found.truncate(batches.len());
        assert_eq!(found, std::mem::take(&mut batches));
        assert!(log.find_by_timestamp(TimestampMs(0)).unwrap().is_some());
    }
}
