//! A log is copied while it is used, and goes on in the copy.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use types::Offset;

use super::{NOW, clean, fill, open, read_all, small_segments, topic_id, unclean};
use crate::log::relocation::LogCopy;
use crate::testing::MemoryFileSystem;
use crate::{FileSystem, Log, OpenInput};

const COPY: &str = "/other/topic-0.future";
const PLACE: &str = "/other/topic-0";

fn begin(disk: &MemoryFileSystem, log: &Log) -> LogCopy {
    crate::create_dir_durably(disk, Path::new("/other")).unwrap();
    log.begin_copy(Arc::new(disk.clone()), PathBuf::from(COPY)).unwrap()
}

fn finish(disk: &MemoryFileSystem, log: &mut Log, mut copy: LogCopy) {
    log.write_derived().unwrap();
    copy.finish(&log.content()).unwrap();
    disk.rename(Path::new(COPY), Path::new(PLACE)).unwrap();
    disk.sync_dir(Path::new("/other")).unwrap();
    log.continue_in(Arc::new(disk.clone()), PathBuf::from(PLACE));
    disk.remove_dir_all(Path::new(super::DIRECTORY)).unwrap();
}

fn reopened(disk: &MemoryFileSystem, input: OpenInput) -> Log {
    let path = Path::new(PLACE);
    Log::open(Arc::new(disk.clone()), path, topic_id(), small_segments(), input).unwrap()
}

#[test]
fn what_is_appended_meanwhile_is_copied_and_what_comes_later_is_written_there() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), clean());
    let mut all = fill(&mut log, 20, 1);
    let mut copy = begin(&disk, &log);
    let mut rounds = 0;
    loop {
        let (_, left) = copy.copy(&log.content(), 700).unwrap();
        if left == 0 {
            break;
        }
        rounds += 1;
        if rounds < 10 {
            all.extend(fill(&mut log, 2, 1));
        }
    }
    all.extend(fill(&mut log, 1, 2));
    let producers = log.producers().entries().count();
    finish(&disk, &mut log, copy);
    assert_eq!(log.synced_end(), log.log_end_offset());
    assert_eq!(read_all(&log, Offset(0), 400), all);
    all.extend(fill(&mut log, 15, 2));
    assert_eq!(read_all(&log, Offset(0), 400), all);
    assert_eq!(log.producers().entries().count(), producers);

    let (epochs, end) = (log.epochs().to_vec(), log.log_end_offset());
    drop(log);
    let log = reopened(&disk, unclean(Offset(0)));
    assert_eq!(log.log_end_offset(), end);
    assert_eq!(log.epochs(), epochs);
    assert_eq!(read_all(&log, Offset(0), 4000), all);
}

#[test]
fn a_power_cut_after_the_move_costs_nothing_that_was_there() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), clean());
    // Never synced, nor is the newest epoch.
    let mut all = fill(&mut log, 9, 1);
    all.extend(fill(&mut log, 3, 7));
    let copy = begin(&disk, &log);
    finish(&disk, &mut log, copy);
    let (epochs, end) = (log.epochs().to_vec(), log.log_end_offset());
    fill(&mut log, 3, 7);
    disk.power_cut(5);
    let log = reopened(&disk, unclean(end));
    assert!(log.log_end_offset() >= end);
    assert_eq!(log.epochs(), epochs);
    assert_eq!(read_all(&log, Offset(0), 4000)[..all.len()], all);
}

#[test]
fn a_copy_that_is_abandoned_leaves_nothing() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), clean());
    let all = fill(&mut log, 20, 1);
    let mut copy = begin(&disk, &log);
    let (copied, left) = copy.copy(&log.content(), 900).unwrap();
    assert!(copied <= 900 && left > 0);
    assert_eq!(copy.copied_bytes(), copied);
    assert!(copy.copied_up_to(&log.content()).unwrap() < log.log_end_offset());
    copy.abandon().unwrap();
    assert!(!disk.exists(Path::new(COPY)).unwrap());
    assert_eq!(read_all(&log, Offset(0), 4000), all);
}

#[derive(Debug, Clone)]
enum Meanwhile {
    Append(usize),
    Truncate(u8),
    Retain(u8),
    Copy(u64),
    Flush,
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![
        4 => (1..8_usize).prop_map(Meanwhile::Append),
        1 => any::<u8>().prop_map(Meanwhile::Truncate),
        2 => any::<u8>().prop_map(Meanwhile::Retain),
        5 => (1..3_000_u64).prop_map(Meanwhile::Copy),
        1 => Just(Meanwhile::Flush),
    ]
}

proptest! {
    #[test]
    fn the_copy_is_the_log_whatever_happens_meanwhile(steps in prop::collection::vec(meanwhile(), 1..40)) {
        let disk = MemoryFileSystem::new();
        let mut log = open(&disk, &small_segments(), clean());
        fill(&mut log, 10, 1);
        let mut copy = begin(&disk, &log);
        let mut epoch = 1;
        for step in steps {
            let (start, end) = (log.log_start_offset().0, log.log_end_offset().0);
            let at = |part: u8| Offset(start + (end - start) * i64::from(part) / 255);
            match step {
                Meanwhile::Append(count) => drop(fill(&mut log, count, epoch)),
                Meanwhile::Truncate(part) => {
                    let outcome = log.truncate_to(at(part), NOW).unwrap();
                    if let Some(deletion) = outcome.deletion {
                        deletion.run().unwrap();
                    }
                    epoch += 1;
                }
                Meanwhile::Retain(part) => {
                    let retired = log.advance_log_start(at(part), NOW).unwrap();
                    if let Some(deletion) = retired.deletion {
                        deletion.run().unwrap();
                    }
                }
                Meanwhile::Copy(bytes) => _ = copy.copy(&log.content(), bytes).unwrap(),
                Meanwhile::Flush => log.flush_now().unwrap(),
            }
        }
        let before: Vec<Bytes> = read_all(&log, log.log_start_offset(), 4000);
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        finish(&disk, &mut log, copy);
        prop_assert_eq!(&read_all(&log, start, 4000), &before);
        drop(log);
        let input = OpenInput { log_start_offset: start, ..unclean(Offset(0)) };
        let log = reopened(&disk, input);
        prop_assert_eq!((log.log_start_offset(), log.log_end_offset()), (start, end));
        prop_assert_eq!(read_all(&log, start, 4000), before);
    }
}
