//! Compaction: what a reader of the whole log learns stays the same, whatever comes between.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use records::{Batch, BatchBuilder, NewRecord};
use types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::{DIRECTORY, NOW, clean, open, read_all, unclean};
use crate::log::{Cleaning, CleaningInput, CleaningStep};
use crate::testing::{MemoryFileSystem, Operation};
use crate::{CompactionConfig, FileSystem, Log, LogConfig, LogError};

fn rules() -> CompactionConfig {
    CompactionConfig {
        min_dirty_millionths: 0,
        min_lag_ms: 0,
        max_lag_ms: i64::MAX,
        delete_retention_ms: 1000,
        roll_bytes: None,
    }
}

fn config() -> LogConfig {
    LogConfig {
        compaction: Some(rules()),
        delete: false,
        ..super::small_segments()
    }
}

fn input(log: &Log) -> CleaningInput {
    CleaningInput {
        now: NOW,
        high_watermark: log.log_end_offset(),
        checkpointed: log.recovery_point(),
        key_bytes_max: 1 << 20,
    }
}

/// One batch; no value is a tombstone.
fn keyed(base: i64, epoch: i32, records: &[(u8, Option<u8>)]) -> Bytes {
    let mut builder = BatchBuilder::new()
        .base_offset(Offset(base))
        .leader_epoch(LeaderEpoch(epoch));
    for (key, value) in records {
        builder.append(NewRecord {
            timestamp: TimestampMs(NOW.0 - 500),
            key: Some(Bytes::from(vec![*key])),
            value: value.map(|value| Bytes::from(vec![value; 30])),
            headers: Vec::new(),
        });
    }
    builder.finish().unwrap()
}

fn append(log: &mut Log, epoch: i32, records: &[(u8, Option<u8>)]) -> Result<Bytes, LogError> {
    let bytes = keyed(log.log_end_offset().0, epoch, records);
    log.append(std::slice::from_ref(&bytes), NOW)?;
    Ok(bytes)
}

/// Steps to the end; returns how many groups were installed.
fn run(log: &mut Log, mut cleaning: Cleaning, bytes: u64) -> Result<usize, LogError> {
    let mut installed = 0;
    loop {
        match cleaning.step(bytes)? {
            CleaningStep::More(_) => {}
            CleaningStep::Overtaken => panic!("overtaken"),
            CleaningStep::Group(group) => {
                let (done, deletion) = log.install_cleaned(&group)?;
                assert!(done);
                installed += 1;
                if let Some(deletion) = deletion {
                    deletion.run()?;
                }
            }
            CleaningStep::Done(end) => {
                log.on_cleaned(&cleaning, end);
                return Ok(installed);
            }
        }
    }
}

fn compact(log: &mut Log) -> usize {
    let cleaning = log.plan_cleaning(input(log)).unwrap().expect("a pass is due");
    run(log, cleaning, 300).unwrap()
}

type Table = BTreeMap<u8, u8>;

fn apply(table: &mut Table, batch: &Bytes, up_to: Offset) {
    for record in Batch::parse(batch).unwrap().records().unwrap() {
        let record = record.unwrap();
        let key = record.key.unwrap()[0];
        match record.value {
            _ if record.offset >= up_to => None,
            Some(value) => table.insert(key, value[0]),
            None => table.remove(&key),
        };
    }
}

fn table<'a>(batches: impl IntoIterator<Item = &'a Bytes>, up_to: Offset) -> Table {
    let mut table = Table::new();
    for batch in batches {
        apply(&mut table, batch, up_to);
    }
    table
}

fn count(batches: &[Bytes]) -> i32 {
    batches
        .iter()
        .map(|batch| Batch::parse(batch).unwrap().header.record_count)
        .sum()
}

/// A hundred batches, three keys, all synced; the last segment is active.
fn filled(disk: &MemoryFileSystem) -> (Log, Vec<Bytes>) {
    let mut log = open(disk, &config(), unclean(Offset(0)));
    let mut all = Vec::new();
    for at in 0..100_u8 {
        all.push(append(&mut log, 1, &[(at % 3, Some(at)), (at % 3, Some(at))]).unwrap());
    }
    log.flush_now().unwrap();
    (log, all)
}

#[test]
fn segments_shrink_into_one_and_the_log_reads_as_before() {
    let disk = MemoryFileSystem::new();
    let (mut log, all) = filled(&disk);
    let (before, segments) = (log.size_bytes(), log.segments().count());
    assert!(segments > 5, "{segments}");
    let end = log.log_end_offset();
    assert!(compact(&mut log) > 5);
    // What is left of each fits into one, with the next pass.
    append(&mut log, 1, &[(9, Some(1))]).unwrap();
    log.roll(NOW).unwrap();
    log.flush_now().unwrap();
    compact(&mut log);
    assert!(log.segments().count() <= 3, "{:?}", log.segments().collect::<Vec<_>>());
    let found = read_all(&log, Offset(0), 500);
    let mut expected = table(&all, end);
    expected.insert(9, 1);
    assert_eq!(table(&found, Offset(i64::MAX)), expected);
    assert!(count(&found) <= 10, "{}", count(&found));
    assert!(log.size_bytes() < before / 5, "{} of {before}", log.size_bytes());
    assert!(log.plan_cleaning(input(&log)).unwrap().is_none());

    let (end, epochs) = (log.log_end_offset(), log.epochs().to_vec());
    for reopen in [clean(), unclean(log.recovery_point())] {
        drop(log);
        log = open(&disk, &config(), reopen);
        assert_eq!((log.log_end_offset(), log.epochs()), (end, epochs.as_slice()));
        assert_eq!(read_all(&log, Offset(0), 500), found);
        assert!(log.find_by_timestamp(TimestampMs(1)).unwrap().is_some());
    }
}

#[test]
fn what_a_power_cut_brings_back_does_not_count_as_compacted() {
    let mut brought_back = 0;
    for seed in 0..40 {
        let disk = MemoryFileSystem::new();
        let mut log = open(&disk, &config(), unclean(Offset(0)));
        append(&mut log, 1, &[(1, Some(1))]).unwrap();
        append(&mut log, 1, &[(1, None)]).unwrap();
        log.roll(NOW).unwrap();
        append(&mut log, 1, &[(2, Some(2))]).unwrap();
        log.flush_now().unwrap();
        compact(&mut log);
        let checkpoint = log.cleaned_up_to();
        assert_eq!(checkpoint, None, "its names aren't durable");
        let recovery_point = log.recovery_point();
        drop(log);
        disk.power_cut(seed);

        let mut log = open(&disk, &config(), unclean(recovery_point));
        brought_back += i32::from(count(&read_all(&log, Offset(0), 500)) == 3);
        // Two more passes, the second after the tombstone's time.
        let mut now = NOW;
        for _ in 0..2 {
            append(&mut log, 1, &[(3, Some(3))]).unwrap();
            log.roll(now).unwrap();
            log.flush_now().unwrap();
            let later = CleaningInput { now, ..input(&log) };
            if let Some(cleaning) = log.plan_cleaning(later).unwrap() {
                run(&mut log, cleaning, 300).unwrap();
            }
            log.flush_now().unwrap();
            assert_eq!(log.cleaned_up_to(), Some(log.first_dirty_offset()));
            now = now.plus_ms(10_000);
        }
        let end = log.log_end_offset();
        assert_eq!(table(&read_all(&log, Offset(0), 500), end).get(&1), None, "seed {seed}");
    }
    assert!((1..40).contains(&brought_back), "{brought_back}");
}

#[test]
fn a_swap_that_cannot_begin_is_tried_again() {
    let disk = MemoryFileSystem::new();
    let (mut log, all) = filled(&disk);
    disk.fail(Operation::Rename, "log.cleaned", std::io::ErrorKind::StorageFull);
    let cleaning = log.plan_cleaning(input(&log)).unwrap().unwrap();
    let failed = run(&mut log, cleaning, 1000).unwrap_err();
    assert!(failed.is_full() && !log.is_poisoned(), "{failed}");
    disk.heal();
    assert_eq!(read_all(&log, Offset(0), 500), all);
    assert!(compact(&mut log) > 0);
}

#[test]
fn epochs_start_where_the_gap_before_them_does() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &config(), unclean(Offset(0)));
    for epoch in 1..4 {
        for at in 0..20 {
            append(&mut log, epoch, &[(1, Some(at))]).unwrap();
        }
    }
    log.flush_now().unwrap();
    let epochs = log.epochs().to_vec();
    assert_eq!(epochs[1].start_offset, Offset(20));
    compact(&mut log);
    assert_eq!(log.epochs(), epochs);
    let left = read_all(&log, Offset(0), 500);
    let end = log.log_end_offset();
    drop(log);

    // Whoever takes the rest from a leader, or has nothing but the batches, cuts off too much rather than too little.
    let copy = MemoryFileSystem::new();
    let mut follower = open(&copy, &config(), unclean(Offset(0)));
    follower.append(&left, NOW).unwrap();
    let derived = open(&disk, &config(), unclean(Offset(0)));
    for log in [follower, derived] {
        assert_eq!(log.log_end_offset(), end);
        for epoch in 0..3 {
            let (whole, rest) = (
                LeaderEpoch(epoch),
                log.end_offset_for_epoch(LeaderEpoch(epoch)).unwrap(),
            );
            let start = epochs.iter().find(|entry| entry.epoch > whole).unwrap().start_offset;
            assert!(rest.end_offset <= start, "{rest:?}, was {start}");
        }
    }
}

#[test]
fn the_largest_timestamp_is_that_of_a_record_which_is_there() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &config(), unclean(Offset(0)));
    let at = |log: &Log, timestamp: i64, key: u8| {
        let record = NewRecord::new(TimestampMs(timestamp), Bytes::from(vec![key]), Bytes::from_static(b"v"));
        BatchBuilder::new()
            .base_offset(log.log_end_offset())
            .with(record)
            .finish()
            .unwrap()
    };
    // The newest by its time is the last of its segment, and overwritten by one that is older.
    for (timestamp, key) in [(500, 1), (700, 2), (9_000, 3)] {
        let batch = at(&log, timestamp, key);
        log.append(&[batch], NOW).unwrap();
    }
    log.roll(NOW).unwrap();
    let batch = at(&log, 600, 3);
    log.append(&[batch], NOW).unwrap();
    log.roll(NOW).unwrap();
    log.flush_now().unwrap();
    assert_eq!(
        log.max_timestamp_offset().unwrap(),
        Some((TimestampMs(9_000), Offset(2)))
    );
    compact(&mut log);
    for _ in 0..2 {
        assert_eq!(log.max_timestamp_offset().unwrap(), Some((TimestampMs(700), Offset(1))));
        let recovery_point = log.recovery_point();
        drop(log);
        log = open(&disk, &config(), unclean(recovery_point));
    }
}

#[test]
fn readers_under_way_end_where_they_began() {
    let disk = MemoryFileSystem::new();
    let (mut log, all) = filled(&disk);
    let first = all[0].clone();
    let read = log.prepare_read(super::request(0, first.len())).unwrap();
    compact(&mut log);
    assert_eq!(read.run().unwrap().into_bytes(), first);
}

#[test]
fn what_is_not_committed_synced_old_or_dirty_enough_is_left_alone() {
    let disk = MemoryFileSystem::new();
    let (mut log, _) = filled(&disk);
    let with = |log: &mut Log, change: &dyn Fn(&mut CompactionConfig)| {
        let mut rules = rules();
        change(&mut rules);
        log.set_config(LogConfig {
            compaction: Some(rules),
            ..config()
        });
        log.plan_cleaning(input(log)).unwrap().is_some()
    };
    assert!(with(&mut log, &|_| {}));
    assert!(!with(&mut log, &|rules| rules.min_lag_ms = 501));
    assert!(with(&mut log, &|rules| rules.min_lag_ms = 500));
    assert!(!with(&mut log, &|rules| rules.min_dirty_millionths = 1_000_000));
    assert!(with(&mut log, &|rules| {
        rules.min_dirty_millionths = 1_000_000;
        rules.max_lag_ms = 400;
    }));
    let uncommitted = CleaningInput {
        high_watermark: Offset(1),
        ..input(&log)
    };
    assert!(log.plan_cleaning(uncommitted).unwrap().is_none());
    log.set_config(LogConfig {
        compaction: None,
        ..config()
    });
    assert!(log.plan_cleaning(input(&log)).unwrap().is_none());

    // Only what is synced: nothing of it, after this start.
    drop(log);
    let log = open(&disk, &config(), unclean(Offset(0)));
    assert!(log.plan_cleaning(input(&log)).unwrap().is_none());
}

#[test]
fn a_large_active_segment_is_closed_first() {
    let disk = MemoryFileSystem::new();
    let mut rules = rules();
    rules.roll_bytes = Some(500);
    let config = LogConfig {
        compaction: Some(rules),
        segment_bytes: 1 << 20,
        ..config()
    };
    let mut log = open(&disk, &config, unclean(Offset(0)));
    while !log.wants_roll_for_cleaning(log.log_end_offset()) {
        append(&mut log, 1, &[(1, Some(1))]).unwrap();
    }
    assert!(log.size_bytes() >= 500 && log.size_bytes() < 700);
    assert!(!log.wants_roll_for_cleaning(Offset(0)));
    log.roll(NOW).unwrap();
    log.flush_now().unwrap();
    compact(&mut log);
    assert!(log.size_bytes() < 250, "{}", log.size_bytes());
}

#[test]
fn a_pass_that_cannot_note_all_keys_goes_as_far_as_it_can() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &config(), unclean(Offset(0)));
    let mut all = Vec::new();
    for at in 0..200_u8 {
        all.push(append(&mut log, 1, &[(at % 40, Some(at))]).unwrap());
    }
    log.flush_now().unwrap();
    let end = log.log_end_offset();
    let mut passes = 0;
    loop {
        // Room for a dozen keys.
        let few = CleaningInput {
            key_bytes_max: 640,
            ..input(&log)
        };
        let Some(cleaning) = log.plan_cleaning(few).unwrap() else {
            break;
        };
        let before = log.first_dirty_offset();
        run(&mut log, cleaning, 300).unwrap();
        assert!(log.first_dirty_offset() > before);
        passes += 1;
        assert_eq!(table(&read_all(&log, Offset(0), 500), end), table(&all, end));
    }
    assert!(passes > 3, "{passes}");
}

#[test]
fn the_last_sequence_of_a_producer_survives_its_records() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &config(), unclean(Offset(0)));
    let base = log.log_end_offset();
    let idempotent = BatchBuilder::new()
        .base_offset(base)
        .producer(ProducerId(7), ProducerEpoch(2), 40)
        .with(NewRecord::new(NOW, Bytes::from_static(&[1]), Bytes::from_static(b"v")));
    log.append(&[idempotent.finish().unwrap()], NOW).unwrap();
    for _ in 0..60 {
        append(&mut log, 1, &[(1, Some(1))]).unwrap();
    }
    log.flush_now().unwrap();
    compact(&mut log);
    assert!(read_all(&log, Offset(0), 500).len() < 20);
    for snapshot in disk.read_dir(Path::new(DIRECTORY)).unwrap() {
        if snapshot.ends_with(".snapshot") {
            disk.remove_file(&Path::new(DIRECTORY).join(snapshot)).unwrap();
        }
    }
    drop(log);
    let log = open(&disk, &config(), unclean(Offset(0)));
    let entry = log.producers().entry(ProducerId(7)).unwrap();
    assert_eq!((entry.last_sequence(), entry.producer_epoch), (40, ProducerEpoch(2)));
}

#[test]
fn transactions_and_damage_end_a_pass_and_nothing_is_lost() {
    let disk = MemoryFileSystem::new();
    let (mut log, mut all) = filled(&disk);
    let transactional = BatchBuilder::new()
        .base_offset(log.log_end_offset())
        .producer(ProducerId(7), ProducerEpoch(2), 0)
        .transactional(true)
        .with(NewRecord::new(NOW, Bytes::from_static(&[1]), Bytes::from_static(b"v")));
    let transactional = transactional.finish().unwrap();
    log.append(std::slice::from_ref(&transactional), NOW).unwrap();
    all.push(transactional);
    let marker = BatchBuilder::end_transaction(
        ProducerId(7),
        ProducerEpoch(2),
        records::EndTransactionMarker {
            committed: true,
            coordinator_epoch: 0,
        },
        NOW,
    );
    let marker = marker.base_offset(log.log_end_offset()).finish().unwrap();
    log.append(std::slice::from_ref(&marker), NOW).unwrap();
    log.roll(NOW).unwrap();
    log.flush_now().unwrap();
    let mut cleaning = log.plan_cleaning(input(&log)).unwrap().unwrap();
    let refused = loop {
        match cleaning.step(1000) {
            Ok(CleaningStep::More(_)) => {}
            other => break other,
        }
    };
    assert!(matches!(refused, Err(LogError::Uncleanable { .. })), "{refused:?}");
    cleaning.abandon();
    assert_eq!(read_all(&log, Offset(0), 500).len(), all.len() + 1);

    // Bit rot.
    let (mut log, all) = {
        let disk = MemoryFileSystem::new();
        let (log, all) = filled(&disk);
        let path = Path::new(DIRECTORY).join("00000000000000000000.log");
        let file = disk.open(&path, crate::OpenMode::READ_WRITE).unwrap();
        file.write_all_at(&[1], 90).unwrap();
        (log, all)
    };
    let cleaning = log.plan_cleaning(input(&log)).unwrap().unwrap();
    assert!(matches!(run(&mut log, cleaning, 1000), Err(LogError::Corrupt { .. })));
    assert_eq!(log.log_end_offset().0, all.len() as i64 * 2);
}

#[test]
fn a_pass_that_is_overtaken_installs_nothing() {
    let disk = MemoryFileSystem::new();
    // Retention was faster than a group that was written.
    let (mut log, _) = filled(&disk);
    let mut cleaning = log.plan_cleaning(input(&log)).unwrap().unwrap();
    let group = loop {
        match cleaning.step(u64::MAX).unwrap() {
            CleaningStep::Group(group) => break group,
            CleaningStep::More(_) => {}
            other => panic!("{other:?}"),
        }
    };
    let next = log.segments().nth(1).unwrap().base_offset;
    let retired = log.advance_log_start(next, NOW).unwrap();
    let (installed, _) = log.install_cleaned(&group).unwrap();
    assert!(!installed);
    group.abandon();
    drop(retired);
    // And than the reads of the rest.
    let retired = log.advance_log_start(log.log_end_offset(), NOW).unwrap();
    retired.deletion.unwrap().run().unwrap();
    let mut steps = 0;
    while !matches!(cleaning.step(u64::MAX).unwrap(), CleaningStep::Overtaken) {
        steps += 1;
        assert!(steps < 100);
    }
    cleaning.abandon();
    let left = disk.read_dir(Path::new(DIRECTORY)).unwrap();
    assert!(!left.iter().any(|name| name.contains("cleaned")), "{left:?}");

    // A truncation, after which the same segments may come again.
    let disk = MemoryFileSystem::new();
    let (mut log, all) = filled(&disk);
    let mut cleaning = log.plan_cleaning(input(&log)).unwrap().unwrap();
    let group = loop {
        if let CleaningStep::Group(group) = cleaning.step(u64::MAX).unwrap() {
            break group;
        }
    };
    let _ = log.truncate_to(Offset(150), NOW).unwrap();
    assert!(!log.install_cleaned(&group).unwrap().0);
    log.on_cleaned(&cleaning, Offset(180));
    assert_eq!(log.first_dirty_offset(), Offset(0));
    assert_eq!(read_all(&log, Offset(0), 500), all[..75]);
}

#[test]
fn a_disk_without_room_costs_the_pass_and_nothing_else() {
    let disk = MemoryFileSystem::new();
    let (mut log, all) = filled(&disk);
    disk.set_capacity(Some(disk.size_bytes() + 10));
    let cleaning = log.plan_cleaning(input(&log)).unwrap().unwrap();
    let failed = run(&mut log, cleaning, 1000).unwrap_err();
    assert!(failed.is_full(), "{failed}");
    disk.set_capacity(None);
    assert_eq!(read_all(&log, Offset(0), 500), all);
    assert!(compact(&mut log) > 0);
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(u8, Option<u8>)>),
    Flush,
    Clean(u8),
    Roll,
    Truncate(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let record = (0..8_u8, prop::option::weighted(0.8, any::<u8>()));
    prop_oneof![
        8 => prop::collection::vec(record, 1..6).prop_map(Step::Append),
        3 => Just(Step::Flush),
        3 => any::<u8>().prop_map(Step::Clean),
        1 => Just(Step::Roll),
        1 => any::<u8>().prop_map(Step::Truncate),
    ]
}

/// Every batch that was ever appended and not cut off since.
#[derive(Debug, Default)]
struct Known {
    all: Vec<Bytes>,
    synced: Offset,
    checkpoint: Offset,
    cleaned: Offset,
    /// Nothing below is ever truncated.
    committed: Offset,
}

fn ends_by(batch: &Bytes, end: Offset) -> bool {
    Batch::parse(batch).unwrap().header.next_offset() <= end
}

impl Known {
    /// The checkpoint is written, durably: in the directory above, whatever this one's names are.
    fn note_cleaned(&mut self, log: &Log) {
        self.cleaned = log.cleaned_up_to().unwrap_or(Offset(0));
    }

    fn run(&mut self, log: &mut Log, step: &Step) -> Result<(), LogError> {
        match step {
            Step::Append(records) => {
                // Known before it is tried: a kill may have left it.
                self.all.push(keyed(log.log_end_offset().0, 1, records));
                append(log, 1, records)?;
            }
            Step::Flush => {
                log.flush_now()?;
                self.synced = log.recovery_point();
                self.checkpoint = self.synced;
                self.note_cleaned(log);
            }
            Step::Clean(share) => {
                let span = log.log_end_offset().0 - log.log_start_offset().0;
                let high_watermark = log.log_start_offset().plus(span * i64::from(*share) / 255);
                let input = CleaningInput {
                    high_watermark,
                    checkpointed: self.checkpoint,
                    ..input(log)
                };
                if let Some(cleaning) = log.plan_cleaning(input)? {
                    self.committed = self.committed.max(high_watermark);
                    run(log, cleaning, 400)?;
                    self.note_cleaned(log);
                }
            }
            Step::Roll => log.roll(NOW)?,
            Step::Truncate(share) => {
                // Never below what may have been compacted: that was committed.
                let least = self.committed.0.min(log.log_end_offset().0);
                let at = Offset(least + (log.log_end_offset().0 - least) * i64::from(*share) / 255);
                // The batch that it lies in goes as a whole.
                let whole = self
                    .all
                    .iter()
                    .map(|batch| Batch::parse(batch).unwrap().header.next_offset());
                let whole = whole.take_while(|end| *end <= at).last();
                self.synced = self.synced.min(whole.unwrap_or(Offset(0)));
                let cut = log.truncate_to(at, NOW)?;
                self.synced = self.synced.min(cut.log_end_offset);
                if cut.recovery_point_lowered {
                    self.checkpoint = log.recovery_point();
                    self.note_cleaned(log);
                }
                self.all.retain(|batch| ends_by(batch, cut.log_end_offset));
            }
        }
        Ok(())
    }
}

/// CLEAN-2, and SWAP-1: each file ends where the next one begins.
fn assert_segments_join(disk: &MemoryFileSystem, log: &Log) {
    let mut end = None;
    for segment in log.segments() {
        assert_eq!(end.unwrap_or(segment.base_offset), segment.base_offset, "{segment:?}");
        let path = Path::new(DIRECTORY).join(format!("{:020}.log", segment.base_offset.0));
        let content = crate::read_file(disk, &path).unwrap().unwrap();
        for batch in records::batches(&Bytes::from(content), records::Tail::Whole) {
            end = Some(batch.unwrap().header.next_offset());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn wherever_it_is_interrupted_the_log_says_what_it_said(
        rounds in prop::collection::vec(
            (prop::collection::vec(step(), 1..30), prop::option::of(0..200_u64), prop::option::of(any::<u64>())), 1..4),
        segment_bytes in 150..800_u32,
    ) {
        let disk = MemoryFileSystem::new();
        let config = LogConfig { segment_bytes, index_interval_bytes: 100, ..config() };
        let mut known = Known::default();
        for (steps, stop_after, power_cut) in rounds {
            let mut log = open(&disk, &config, unclean(known.checkpoint));
            known.checkpoint = log.recovery_point();
            log.set_first_dirty_offset(known.cleaned);
            let end = log.log_end_offset();
            known.all.retain(|batch| ends_by(batch, end));
            if let Some(calls) = stop_after {
                disk.stop_after(calls + 1);
            }
            let mut truncated = false;
            for step in &steps {
                truncated = matches!(step, Step::Truncate(_));
                if known.run(&mut log, step).is_err() {
                    break;
                }
                truncated = false;
            }
            drop(log);
            match power_cut {
                None => disk.kill(),
                Some(seed) => disk.power_cut(seed),
            }
            let log = open(&disk, &config, unclean(known.checkpoint));
            let end = log.log_end_offset();
            prop_assert!(end >= known.synced, "ends at {end}, {} was synced", known.synced);
            let found = read_all(&log, Offset(0), 700);
            // A cut that was interrupted may have happened or not: what it left was there before.
            if !truncated {
                prop_assert!(known.all.iter().any(|batch| ends_by(batch, end)) || end == Offset(0));
            }
            prop_assert_eq!(table(&found, end), table(&known.all, end));
            let mut offsets = BTreeSet::new();
            for record in found.iter().flat_map(|batch| Batch::parse(batch).unwrap().records().unwrap()) {
                prop_assert!(offsets.insert(record.unwrap().offset));
            }
            assert_segments_join(&disk, &log);
            let names = disk.read_dir(Path::new(DIRECTORY)).unwrap();
            prop_assert!(!names.iter().any(|name| name.ends_with("cleaned") || name.ends_with("swap")), "{names:?}");
            drop(log);
            disk.kill();
        }
    }
}
