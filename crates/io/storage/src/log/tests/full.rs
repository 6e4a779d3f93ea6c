//! A disk without room: refused appends leave no trace, and everything goes on when there is room again.

use types::Offset;

use super::*;

/// Room for the files that a log begins with, and a little more each time.
fn capacities() -> impl Iterator<Item = u64> {
    (200..4000).step_by(37)
}

/// Appends until there is no room; returns what was taken.
fn fill_up(log: &mut Log) -> Vec<Bytes> {
    let mut taken = Vec::new();
    loop {
        let base = log.log_end_offset().0;
        let bytes = batch(base, 1, 3, 20, base * 10);
        match log.append(std::slice::from_ref(&bytes), NOW) {
            Ok(_) => taken.push(bytes),
            Err(error) => {
                assert!(error.is_full() && !error.is_storage_fault(), "{error}");
                assert!(!log.is_poisoned());
                assert_eq!(log.log_end_offset().0, base);
                return taken;
            }
        }
    }
}

fn full_log(capacity: u64) -> Option<(MemoryFileSystem, Log, Vec<Bytes>)> {
    let disk = MemoryFileSystem::new();
    disk.set_capacity(Some(capacity));
    let mut log = try_open(&disk, &small_segments(), unclean(Offset(0))).ok()?;
    let taken = fill_up(&mut log);
    Some((disk, log, taken))
}

#[test]
fn a_refused_append_leaves_no_trace_and_a_later_one_is_taken() {
    for (disk, mut log, mut taken) in capacities().filter_map(full_log) {
        assert_eq!(read_all(&log, Offset(0), 5000), taken);
        disk.set_capacity(None);
        taken.extend(fill(&mut log, 20, 1));
        assert_eq!(read_all(&log, Offset(0), 5000), taken);
        log.flush_now().unwrap();
        assert_eq!(log.recovery_point(), log.log_end_offset());
        drop(log);
        disk.kill();
        let log = open(&disk, &small_segments(), unclean(Offset(0)));
        assert_eq!(read_all(&log, Offset(0), 5000), taken);
    }
}

#[test]
fn a_log_opens_on_a_full_disk_after_a_kill() {
    for (disk, log, taken) in capacities().filter_map(full_log) {
        drop(log);
        disk.kill();
        let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
        assert_eq!(read_all(&log, Offset(0), 5000), taken);
        assert_eq!(fill_up(&mut log), Vec::<Bytes>::new(), "it is still full");
    }
}

#[test]
fn a_log_that_was_full_and_closed_cleanly_opens_whole() {
    for (disk, mut log, taken) in capacities().filter_map(full_log) {
        let refused = log.close_clean().is_err_and(|error| error.is_full());
        disk.set_capacity(None);
        assert!(refused || log.recovery_point() == log.log_end_offset());
        log.close_clean().unwrap();
        drop(log);
        disk.kill();
        let log = open(&disk, &small_segments(), clean());
        assert_eq!(read_all(&log, Offset(0), 5000), taken);
    }
}

#[test]
fn a_power_cut_of_a_full_disk_keeps_what_was_synced() {
    for (at, (disk, mut log, taken)) in capacities().filter_map(full_log).enumerate() {
        let synced = log.flush_now().is_ok();
        let recovery_point = log.recovery_point();
        drop(log);
        disk.power_cut(at as u64);
        let log = open(&disk, &small_segments(), unclean(recovery_point));
        let read = read_all(&log, Offset(0), 5000);
        assert!(taken.starts_with(&read));
        assert!(!synced || read == taken);
    }
}

#[test]
fn a_follower_truncates_on_a_full_disk() {
    for (disk, mut log, taken) in capacities().filter_map(full_log) {
        let kept = taken.len() / 2;
        let cut = Offset(i64::try_from(kept).unwrap() * 3);
        let outcome = log.truncate_to(cut, NOW);
        // The marker needs a name: where not even that finds room nothing is done, and nothing is broken.
        let Ok(outcome) = outcome else { continue };
        assert_eq!(outcome.log_end_offset, cut);
        if let Some(deletion) = outcome.deletion {
            deletion.run().unwrap();
        }
        disk.set_capacity(None);
        let mut expected = taken[..kept].to_vec();
        expected.extend(fill(&mut log, 5, 2));
        assert_eq!(read_all(&log, Offset(0), 5000), expected);
        log.flush_now().unwrap();
        drop(log);
        disk.kill();
        let log = open(&disk, &small_segments(), unclean(Offset(0)));
        assert_eq!(read_all(&log, Offset(0), 5000), expected);
        assert_eq!(log.latest_epoch(), Some(LeaderEpoch(2)));
    }
}

#[test]
fn lack_of_room_in_a_sync_is_a_fault() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
    fill(&mut log, 2, 1);
    disk.fail(crate::testing::Operation::SyncData, ".log", std::io::ErrorKind::Other);
    assert!(log.flush_now().unwrap_err().is_storage_fault());
    disk.heal();
    assert!(
        matches!(log.flush_now(), Err(LogError::Poisoned { .. })),
        "never retried"
    );
}
