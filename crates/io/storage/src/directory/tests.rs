use std::path::Path;
use std::sync::Arc;

use types::{
    BootId, BrokerEpoch, BrokerId, ClusterId, DirectoryId, Offset, PartitionIndex, TopicId, TopicName, TopicPartition,
    Uuid,
};

use crate::testing::MemoryFileSystem;
use crate::{
    Checkpoint, CheckpointEntry, DirectoryError, FileSystem, Incarnation, Log, LogConfig, LogDirectory, MetaProperties,
    OpenInput, RealFileSystem, read_text,
};

fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: TopicName::new(topic),
        partition: PartitionIndex(partition),
    }
}

fn open(disk: &MemoryFileSystem) -> LogDirectory {
    LogDirectory::open(Arc::new(disk.clone()), Path::new("/var/klamm")).unwrap()
}

#[test]
fn a_directory_has_one_owner() {
    let disk = MemoryFileSystem::new();
    let first = open(&disk);
    let second = LogDirectory::open(Arc::new(disk.clone()), Path::new("/var/klamm"));
    assert!(matches!(second, Err(DirectoryError::Locked { .. })));
    drop(first);
    let held = open(&disk);
    disk.kill();
    open(&disk);
    drop(held);

    let root = tempfile::tempdir().unwrap();
    let real = LogDirectory::open(Arc::new(RealFileSystem), root.path()).unwrap();
    let again = LogDirectory::open(Arc::new(RealFileSystem), root.path());
    assert!(matches!(again, Err(DirectoryError::Locked { .. })));
    drop(real);
    LogDirectory::open(Arc::new(RealFileSystem), root.path()).unwrap();
}

#[test]
fn what_is_written_of_the_directory_survives_a_power_cut() {
    for seed in 0..16 {
        let disk = MemoryFileSystem::new();
        let directory = open(&disk);
        let identity = MetaProperties {
            cluster_id: Some(ClusterId("abc".to_owned())),
            node_id: Some(BrokerId(3)),
            directory_id: Some(DirectoryId(Uuid::from_u128(9))),
        };
        let incarnation = Incarnation {
            boot_id: BootId("boot-1".to_owned()),
            broker_epoch: BrokerEpoch(12),
        };
        let entries = vec![
            CheckpointEntry {
                partition: partition("a", 0),
                offset: Offset(7),
            },
            CheckpointEntry {
                partition: partition("b.c", 11),
                offset: Offset(0),
            },
        ];
        directory.write_meta_properties(&identity).unwrap();
        directory.write_incarnation(&incarnation).unwrap();
        directory.write_checkpoint(Checkpoint::RecoveryPoint, &entries).unwrap();
        directory.write_clean_shutdown(BrokerEpoch(12)).unwrap();
        let text = read_text(&disk, Path::new("/var/klamm/recovery-point-offset-checkpoint")).unwrap();
        assert_eq!(text.as_deref(), Some("0\n2\na 0 7\nb.c 11 0\n"));
        disk.power_cut(seed);

        let directory = open(&disk);
        assert_eq!(directory.meta_properties().unwrap(), Some(identity));
        assert_eq!(directory.read_incarnation().unwrap(), Some(incarnation));
        assert_eq!(directory.read_checkpoint(Checkpoint::RecoveryPoint).unwrap(), entries);
        assert_eq!(directory.read_checkpoint(Checkpoint::HighWatermark).unwrap(), []);
        assert_eq!(directory.clean_shutdown().unwrap(), Some(BrokerEpoch(12)));
        directory.remove_clean_shutdown().unwrap();
        disk.power_cut(seed);
        assert_eq!(open(&disk).clean_shutdown().unwrap(), None);
    }
}

#[test]
fn partitions_are_listed_and_retired_ones_are_leftovers() {
    let disk = MemoryFileSystem::new();
    let directory = open(&disk);
    let topic_id = TopicId(Uuid::from_u128(5));
    let input = OpenInput {
        recovery_point: Offset(0),
        clean_shutdown: false,
        log_start_offset: Offset(0),
        now: types::TimestampMs(0),
    };
    for partition in [partition("orders", 0), partition("orders", 1)] {
        let path = directory.partition_path(&partition);
        Log::open(
            directory.shared_file_system(),
            &path,
            topic_id,
            LogConfig::default(),
            input,
        )
        .unwrap();
    }
    disk.create_dir_all(Path::new("/var/klamm/lost+found")).unwrap();
    let found: Vec<_> = directory
        .partitions()
        .unwrap()
        .into_iter()
        .map(|found| (found.partition, found.topic_id))
        .collect();
    assert_eq!(
        found,
        [
            (partition("orders", 0), Some(topic_id)),
            (partition("orders", 1), Some(topic_id))
        ]
    );

    let unique = Uuid::from_u128(77);
    let mut removals = directory
        .retire_partitions(&[(&partition("gone", 0), unique), (&partition("orders", 0), unique)])
        .unwrap();
    assert_eq!(directory.partitions().unwrap().len(), 1);
    assert!(matches!(removals.as_slice(), [Ok(None), Ok(Some(_))]));
    assert_eq!(directory.leftovers().unwrap().len(), 1);
    // It comes back and goes again before the first directory is removed.
    let path = directory.partition_path(&partition("orders", 0));
    disk.create_dir_all(&path).unwrap();
    removals.extend(
        directory
            .retire_partitions(&[(&partition("orders", 0), unique)])
            .unwrap(),
    );
    assert_eq!(directory.leftovers().unwrap().len(), 2);
    removals
        .into_iter()
        .filter_map(Result::unwrap)
        .for_each(|removal| removal.run().unwrap());
    assert_eq!(directory.leftovers().unwrap().len(), 0);
}
