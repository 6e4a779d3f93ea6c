//! Tests of the disk in memory.

use super::*;
use crate::testing::file_system_conformance;

#[test]
fn the_disk_in_memory_conforms() {
    file_system_conformance(&MemoryFileSystem::new(), Path::new("/disk"));
}

fn read(disk: &MemoryFileSystem, path: &str) -> Option<Vec<u8>> {
    crate::read_file(disk, Path::new(path)).unwrap()
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_a_kill_keeps_everything() {
    for seed in 0..64 {
        let disk = MemoryFileSystem::new();
        let file = disk.open(Path::new("/a"), OpenMode::CREATE).unwrap();
        file.write_all_at(b"durable", 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_all_at(b" and not", 7).unwrap();
        disk.open(Path::new("/b"), OpenMode::CREATE).unwrap();
        disk.kill();
        assert!(file.write_all_at(b"x", 0).is_err(), "handles die with their process");
        assert_eq!(read(&disk, "/a").unwrap(), b"durable and not");
        disk.power_cut(seed);
        let left = read(&disk, "/a").unwrap();
        assert!(left.starts_with(b"durable") && left.len() <= 15, "{left:?}");
    }
}

#[test]
fn a_process_ends_at_the_step_it_is_told_to_end_at() {
    let written = |after| {
        let disk = MemoryFileSystem::new();
        let file = disk.open(Path::new("/a"), OpenMode::CREATE).unwrap();
        disk.stop_at(Some(Step {
            operation: Operation::Write,
            path_part: "a",
            skip: 1,
            after,
        }));
        file.write_all_at(b"one", 0).unwrap();
        assert!(!disk.is_stopped());
        assert_eq!(file.write_all_at(b"four", 3).is_ok(), after);
        assert!(disk.is_stopped());
        assert!(file.sync_data().is_err());
        disk.kill();
        assert!(!disk.is_stopped());
        read(&disk, "/a").unwrap()
    };
    assert_eq!(written(true), b"onefour");
    assert_eq!(written(false), b"onefo");
}

#[test]
fn a_name_that_was_not_synced_may_be_lost() {
    let lost = (0..64).filter(|seed| {
        let disk = MemoryFileSystem::new();
        disk.open(Path::new("/a"), OpenMode::CREATE)
            .unwrap()
            .sync_data()
            .unwrap();
        disk.power_cut(*seed);
        read(&disk, "/a").is_none()
    });
    assert!((1..64).contains(&lost.count()));
}
