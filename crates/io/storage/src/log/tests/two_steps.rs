//! Appends whose bytes are written without the owner's lock.

use types::Offset;

use super::*;
use crate::testing::Operation;
use crate::{BegunAppend, PendingAppend};

fn begin(log: &mut Log, epoch: i32) -> (Bytes, PendingAppend) {
    let base = log.log_end_offset().0;
    let bytes = batch(base, epoch, 3, 20, base * 10);
    match log.begin_append(std::slice::from_ref(&bytes), NOW).unwrap() {
        BegunAppend::Pending(pending) => (bytes, pending),
        BegunAppend::Done(outcome) => panic!("{outcome:?}"),
    }
}

#[test]
fn nothing_is_seen_of_an_append_before_it_is_finished() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    let mut batches = fill(&mut log, 2, 1);
    let (bytes, pending) = begin(&mut log, 1);
    pending.write().unwrap();
    assert_eq!(read_all(&log, Offset(0), 5000), batches);
    log.flush_now().unwrap();
    assert_eq!(log.recovery_point(), Offset(6), "a sync vouches for what is finished");
    let outcome = log.finish_append(pending, Ok(())).unwrap();
    assert_eq!((outcome.first_offset, outcome.log_end_offset), (Offset(6), Offset(9)));
    batches.push(bytes);
    assert_eq!(read_all(&log, Offset(0), 5000), batches);
}

#[test]
fn an_abandoned_append_leaves_no_trace() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    let mut batches = fill(&mut log, 2, 1);
    let (_, pending) = begin(&mut log, 1);
    pending.write().unwrap();
    log.abandon_append(pending).unwrap();
    batches.extend(fill(&mut log, 1, 2));
    assert_eq!(read_all(&log, Offset(0), 5000), batches);
    drop(log);
    disk.kill();
    let log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    assert_eq!(read_all(&log, Offset(0), 5000), batches);
}

#[test]
fn a_killed_process_leaves_an_unfinished_append_to_recovery() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    let mut batches = fill(&mut log, 2, 1);
    let (bytes, pending) = begin(&mut log, 1);
    pending.write().unwrap();
    drop((log, pending));
    disk.kill();
    let log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    batches.push(bytes);
    assert_eq!(
        read_all(&log, Offset(0), 5000),
        batches,
        "whole, so it stays: nobody was told otherwise"
    );
}

#[test]
fn a_failed_write_poisons_and_lack_of_room_does_not() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    let mut batches = fill(&mut log, 2, 1);
    disk.set_capacity(Some(disk.size_bytes() + 10));
    let (_, pending) = begin(&mut log, 1);
    let written = pending.write();
    assert!(log.finish_append(pending, written).unwrap_err().is_full());
    disk.set_capacity(None);
    batches.extend(fill(&mut log, 1, 1));
    let (_, pending) = begin(&mut log, 1);
    disk.fail(Operation::Write, ".log", std::io::ErrorKind::Other);
    let written = pending.write();
    assert!(log.finish_append(pending, written).unwrap_err().is_storage_fault());
    disk.heal();
    assert!(log.is_poisoned());
    assert_eq!(read_all(&log, Offset(0), 5000), batches);
}
