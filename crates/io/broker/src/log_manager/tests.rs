//! UNCLEAN-1: what a start makes of what the lives before it left behind. MOVE-3: also of logs that were on the move.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use records::{BatchBuilder, NewRecord};
use storage::testing::{MemoryFileSystem, Operation};
use storage::{FileSystem, Log, LogConfig, RealFileSystem};
use types::{
    BootId, BrokerEpoch, BrokerId, PartitionIndex, TimestampMs, TopicId, TopicIdPartition, TopicName, TopicPartition,
    Uuid,
};

use super::{FoundLogs, LogManager};

/// One life of a broker on the directory: registered with this epoch, if at all, and ended in good order, if at all. Whether it
/// found everything unclean.
fn life(folder: &tempfile::TempDir, boot: &str, registered: Option<i64>, ends_well: bool) -> bool {
    let file_system: Arc<dyn FileSystem> = Arc::new(RealFileSystem);
    let path = folder.path().join("data");
    let mut ids = 0;
    let mut new_id = || {
        ids += 1;
        Uuid::from_bytes([ids; 16])
    };
    let logs = LogManager::open(&file_system, &[path], None, BrokerId(1), &mut new_id).unwrap();
    let boot = BootId(boot.to_owned());
    let found = logs.load(&boot, TimestampMs(1)).unwrap();
    let epoch = registered.map_or(BrokerEpoch::NONE, BrokerEpoch);
    if registered.is_some() {
        logs.write_incarnation(&boot, epoch).unwrap();
    }
    if ends_well {
        logs.write_clean_shutdown(0, epoch).unwrap();
    }
    found.unclean
}

#[test]
fn a_kill_is_clean_and_another_boot_is_not_unless_the_stop_was() {
    let folder = tempfile::tempdir().unwrap();
    assert!(life(&folder, "a", Some(1), false), "blank");
    assert!(!life(&folder, "a", Some(2), false), "killed");
    assert!(life(&folder, "b", Some(3), true), "the power failed");
    assert!(
        !life(&folder, "c", Some(4), false),
        "stopped in good order, then another boot"
    );
}

#[test]
fn a_life_that_was_never_registered_makes_nothing_clean() {
    let folder = tempfile::tempdir().unwrap();
    assert!(life(&folder, "a", None, true), "blank");
    assert!(
        life(&folder, "a", Some(1), false),
        "still blank, though stopped in good order"
    );
    assert!(life(&folder, "b", None, true), "the power failed");
    assert!(life(&folder, "b", Some(2), false), "and nobody was told");
}

/// One life on two directories: finds logs, and returns the manager with them.
fn two_directories(disk: &MemoryFileSystem) -> (LogManager, FoundLogs) {
    let file_system: Arc<dyn FileSystem> = Arc::new(disk.clone());
    let paths = [PathBuf::from("/one"), PathBuf::from("/two")];
    let mut ids = 0;
    let mut new_id = || {
        ids += 1;
        Uuid::from_bytes([ids; 16])
    };
    let logs = LogManager::open(&file_system, &paths, None, BrokerId(1), &mut new_id).unwrap();
    let found = logs.load(&BootId("boot".to_owned()), TimestampMs(1)).unwrap();
    (logs, found)
}

fn append(log: &mut Log, value: &'static str) {
    let mut batch = BatchBuilder::new().base_offset(log.log_end_offset());
    batch.append(NewRecord::new(TimestampMs(1), Bytes::new(), Bytes::from(value)));
    log.append(&[batch.finish().unwrap()], TimestampMs(1)).unwrap();
}

/// Moves the log from `/one` to `/two`, and appends a record when it goes on there. Fails where the disk does.
fn move_over(logs: &LogManager, log: &mut Log, name: &TopicPartition, id: TopicIdPartition) -> Option<()> {
    let (file_system, path) = logs.future(1, name, id.topic_id.0).ok()?;
    let mut copy = log.begin_copy(Arc::clone(&file_system), path).ok()?;
    log.write_derived().ok()?;
    copy.finish(&log.content()).ok()?;
    copy.leave().ok()?;
    let place = logs.adopt(1, copy.directory(), name).ok()?;
    logs.sync_names(1).ok()?;
    log.continue_in(file_system, place);
    let mut batch = BatchBuilder::new().base_offset(log.log_end_offset());
    batch.append(NewRecord::new(TimestampMs(1), Bytes::new(), Bytes::from("after")));
    log.append(&[batch.finish().unwrap()], TimestampMs(1)).ok()?;
    for retired in logs.retire(0, &[(name.clone(), id.topic_id)]).ok()? {
        retired.ok()??.run().ok()?;
    }
    Some(())
}

#[test]
fn wherever_a_move_is_cut_off_one_log_is_found_with_everything_that_it_held() {
    let mut calls = 0;
    let mut places = BTreeMap::new();
    loop {
        calls += 1;
        let disk = MemoryFileSystem::new();
        let (logs, _) = two_directories(&disk);
        let name = TopicPartition {
            topic: TopicName::new("t"),
            partition: PartitionIndex(0),
        };
        let id = TopicIdPartition {
            topic_id: TopicId(Uuid::from_u128(9)),
            partition: PartitionIndex(0),
        };
        let config = LogConfig {
            segment_bytes: 200,
            ..LogConfig::default()
        };
        let mut log = logs.create(0, &name, id, config, TimestampMs(1)).unwrap();
        for _ in 0..5 {
            append(&mut log, "before");
        }
        log.flush_now().unwrap();
        disk.stop_after(calls);
        let done = move_over(&logs, &mut log, &name, id).is_some();
        let end = log.log_end_offset();
        drop((log, logs));
        if calls % 2 == 0 {
            disk.kill();
        } else {
            disk.power_cut(calls);
        }
        // A record that was appended after the move is only lost to the power.
        let kept = if calls % 2 == 0 { end.0 } else { 5 };
        // Where the new directory can't be read, the old log isn't served in its place.
        disk.fail(Operation::ReadDir, "/two", io::ErrorKind::Other);
        let (logs, found) = two_directories(&disk);
        assert!(logs.any_offline());
        if let Some(found) = found.logs.get(&id) {
            assert!(found.directory == 0 && end.0 == 5, "after {calls} calls");
        }
        drop((logs, found));
        disk.heal();

        let (logs, found) = two_directories(&disk);
        assert_eq!(found.logs.len(), 1, "after {calls} calls");
        let found = &found.logs[&id];
        assert!(found.log.log_end_offset().0 >= kept, "after {calls} calls");
        *places.entry(found.directory).or_insert(0) += 1;
        for at in 0..2 {
            for leftover in logs.take_leftovers(at) {
                leftover.run().unwrap();
            }
            let left = disk.read_dir(logs.path(at)).unwrap();
            let here: Vec<_> = left.iter().filter(|entry| entry.starts_with("t-0")).collect();
            assert_eq!(
                here.len(),
                usize::from(at == found.directory),
                "after {calls} calls: {left:?}"
            );
        }
        if done {
            break;
        }
    }
    assert!(places[&0] > 3 && places[&1] > 3, "{places:?}");
}
