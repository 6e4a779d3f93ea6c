//! openraft's own conformance suite, and what it doesn't ask: torn tails, damage, power cuts.

use std::path::PathBuf;

use openraft::StorageError;
use openraft::entry::RaftEntry;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt;
use storage::testing::MemoryFileSystem;
use storage::{OpenMode, RealFileSystem};
use types::{BrokerId, MetadataOffset};

use super::*;
use crate::raft::LogIo;
use crate::raft::snapshots::Snapshots;
use crate::raft::state_machine::{Applied, StateMachine};
use crate::raft::type_config::{Proposal, log_id};

fn config(directory: PathBuf, log_io: LogIo) -> QuorumConfig {
    let mut config = QuorumConfig::new(BrokerId(1), "test", 1, directory);
    config.segment_bytes = 200;
    config.recent_bytes = 400;
    config.log_io = log_io;
    config
}

struct OnDisk(LogIo);

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for OnDisk {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let directory = tempfile::tempdir().unwrap();
        let (log, machine) = stores(directory.path().to_owned(), Arc::new(RealFileSystem), self.0);
        Ok((directory, log, machine))
    }
}

struct InMemory;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, ()> for InMemory {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError<TypeConfig>> {
        // A directory of its own for each: a snapshot of another directory is copied, one of the same is adopted.
        static BUILT: AtomicU64 = AtomicU64::new(0);
        let directory = PathBuf::from(format!("/log-{}", BUILT.fetch_add(1, Ordering::Relaxed)));
        let disk = MemoryFileSystem::new();
        disk.create_dir_all(&directory).unwrap();
        let (log, machine) = stores(directory, Arc::new(disk), LogIo::Inline);
        Ok(((), log, machine))
    }
}

fn stores(directory: PathBuf, files: Arc<dyn FileSystem>, log_io: LogIo) -> (LogStore, StateMachine) {
    let config = config(directory, log_io);
    let snapshots = Arc::new(Snapshots::open(Arc::clone(&files), &config.directory).unwrap());
    let log = LogStore::open(&config, files, watch::Sender::new(None)).unwrap();
    (
        log,
        StateMachine::new(Arc::new(Applied::new(1000)), snapshots, None, true),
    )
}

#[test]
fn the_suite_of_openraft_passes_on_a_real_disk_with_a_writer_thread() {
    TypeConfig::run(async { Suite::test_all(OnDisk(LogIo::Thread)).await }).unwrap();
}

#[test]
fn the_suite_of_openraft_passes_on_a_real_disk_inline() {
    TypeConfig::run(async { Suite::test_all(OnDisk(LogIo::Inline)).await }).unwrap();
}

#[test]
fn the_suite_of_openraft_passes_in_memory() {
    TypeConfig::run(async { Suite::test_all(InMemory).await }).unwrap();
}

struct Disk {
    files: MemoryFileSystem,
}

impl Disk {
    fn new() -> Self {
        let files = MemoryFileSystem::new();
        storage::create_dir_durably(&files, &Self::directory()).unwrap();
        Self { files }
    }

    fn directory() -> PathBuf {
        PathBuf::from("/log")
    }

    fn open(&self) -> io::Result<LogStore> {
        LogStore::open(
            &config(Self::directory(), LogIo::Inline),
            Arc::new(self.files.clone()),
            watch::Sender::new(None),
        )
    }

    fn segments(&self) -> Vec<PathBuf> {
        let names = self.files.read_dir(&Self::directory()).unwrap();
        names
            .iter()
            .filter(|name| name.ends_with(".raft"))
            .map(|name| Self::directory().join(name))
            .collect()
    }

    /// Flips a bit of a file.
    fn damage(&self, path: &std::path::Path, position: u64) {
        let file = self.files.open(path, OpenMode::READ_WRITE).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, position).unwrap();
        file.write_all_at(&[byte[0] ^ 1], position).unwrap();
    }
}

fn entry(term: u64, index: u64) -> Entry {
    let proposal = Proposal {
        decided_on: MetadataOffset(0),
        records: Bytes::from(vec![7; 30]),
    };
    Entry::new(log_id(term, index), openraft::EntryPayload::Normal(proposal))
}

async fn append(log: &mut LogStore, term: u64, indexes: std::ops::Range<u64>) -> io::Result<()> {
    let (done, flushed) = TypeConfig::oneshot();
    log.append(indexes.map(|index| entry(term, index)), IOFlushed::signal(done))
        .await?;
    flushed.await.unwrap()
}

async fn indexes(log: &mut LogStore) -> Vec<u64> {
    log.try_get_log_entries(0..u64::MAX)
        .await
        .unwrap()
        .iter()
        .map(|entry| entry.log_id.index)
        .collect()
}

#[tokio::test]
async fn entries_vote_and_marks_come_back_after_a_restart() {
    let disk = Disk::new();
    let mut log = disk.open().unwrap();
    log.save_vote(&Vote::new_committed(3, 9)).await.unwrap();
    append(&mut log, 3, 0..20).await.unwrap();
    log.save_committed(Some(log_id(3, 12))).await.unwrap();
    log.truncate_after(Some(log_id(3, 15))).await.unwrap();
    append(&mut log, 4, 16..18).await.unwrap();
    log.purge(log_id(3, 4)).await.unwrap();
    disk.files.kill();
    let mut log = disk.open().unwrap();
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new_committed(3, 9)));
    assert_eq!(log.read_committed().await.unwrap(), Some(log_id(3, 12)));
    assert_eq!(indexes(&mut log).await, (5..18).collect::<Vec<_>>());
    let state = log.get_log_state().await.unwrap();
    assert_eq!(
        (state.last_purged_log_id, state.last_log_id),
        (Some(log_id(3, 4)), Some(log_id(4, 17)))
    );
}

#[tokio::test]
async fn a_purge_beyond_the_end_leaves_an_empty_log_that_goes_on_after_it() {
    let disk = Disk::new();
    let mut log = disk.open().unwrap();
    append(&mut log, 1, 0..10).await.unwrap();
    log.purge(log_id(2, 50)).await.unwrap();
    append(&mut log, 2, 51..53).await.unwrap();
    disk.files.power_cut(1);
    let mut log = disk.open().unwrap();
    assert_eq!(indexes(&mut log).await, [51, 52]);
}

#[tokio::test]
async fn a_synced_log_survives_every_power_cut_and_an_unsynced_tail_is_cut() {
    for seed in 0..100 {
        let disk = Disk::new();
        let mut log = disk.open().unwrap();
        append(&mut log, 1, 0..9).await.unwrap();
        // Written by half, at a place that depends on the seed, then the power fails.
        disk.files.stop_after(seed % 7 + 1);
        let mut acknowledged = 9;
        for index in 9..20 {
            if append(&mut log, 1, index..index + 1).await.is_err() {
                break;
            }
            acknowledged = index + 1;
        }
        disk.files.power_cut(seed);
        let mut log = disk.open().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = indexes(&mut log).await;
        assert!(
            found.len() as u64 >= acknowledged,
            "seed {seed}: {found:?}, acknowledged {acknowledged}"
        );
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
        let end = found.len() as u64;
        append(&mut log, 2, end..end + 3).await.unwrap();
    }
}

#[tokio::test]
async fn damage_in_the_synced_part_is_refused_with_file_and_offset() {
    let disk = Disk::new();
    let mut log = disk.open().unwrap();
    for index in 0..20 {
        append(&mut log, 1, index..index + 1).await.unwrap();
    }
    disk.files.kill();
    let segments = disk.segments();
    assert!(segments.len() > 2);
    disk.damage(&segments[0], 60);
    let error = disk.open().unwrap_err();
    assert!(error.to_string().contains(segments[0].to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("at offset 16"), "{error}");
    disk.damage(&segments[0], 60);
    disk.open().unwrap();
    // In the last segment a later entry shows that the damaged one had been synced.
    disk.files.kill();
    disk.damage(segments.last().unwrap(), 60);
    assert!(disk.open().unwrap_err().to_string().contains("checksum mismatch"));
}

#[tokio::test]
async fn a_log_that_is_shorter_than_what_was_committed_is_refused() {
    let disk = Disk::new();
    let mut log = disk.open().unwrap();
    append(&mut log, 1, 0..3).await.unwrap();
    log.save_committed(Some(log_id(1, 2))).await.unwrap();
    log.flush().await.unwrap();
    disk.files.kill();
    let last = disk.segments().pop().unwrap();
    let file = disk.files.open(&last, OpenMode::READ_WRITE).unwrap();
    file.set_len(file.len().unwrap() - 5).unwrap();
    let error = disk.open().unwrap_err();
    assert!(
        error.to_string().contains("empty the metadata log directory"),
        "{error}"
    );
}

#[tokio::test]
async fn one_damaged_copy_of_the_vote_is_survived_and_two_are_refused() {
    let disk = Disk::new();
    let mut log = disk.open().unwrap();
    log.save_vote(&Vote::new(1, 2)).await.unwrap();
    log.save_vote(&Vote::new(5, 6)).await.unwrap();
    let path = Disk::directory().join("vote");
    disk.damage(&path, 17);
    disk.files.kill();
    assert_eq!(disk.open().unwrap().read_vote().await.unwrap(), Some(Vote::new(5, 6)));
    disk.damage(&path, 4096 + 17);
    disk.files.kill();
    assert!(disk.open().unwrap_err().to_string().contains("both copies are damaged"));
}

#[tokio::test]
async fn a_vote_is_on_disk_before_it_is_answered() {
    for stop in 1..12 {
        let disk = Disk::new();
        let mut log = disk.open().unwrap();
        log.save_vote(&Vote::new(1, 2)).await.unwrap();
        disk.files.stop_after(stop);
        let saved = log.save_vote(&Vote::new(5, 6)).await;
        disk.files.power_cut(stop);
        let found = disk.open().unwrap().read_vote().await.unwrap();
        let new = Some(Vote::new(5, 6));
        assert!(
            found == new || (saved.is_err() && found == Some(Vote::new(1, 2))),
            "{stop}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_read_is_bounded_by_bytes_but_never_empty() {
    let disk = Disk::new();
    let mut log = disk.open().unwrap();
    let proposal = Proposal {
        decided_on: MetadataOffset(0),
        records: Bytes::from(vec![7; 700 << 10]),
    };
    let (done, flushed) = TypeConfig::oneshot();
    let entries = (0..4).map(|index| Entry::new(log_id(1, index), openraft::EntryPayload::Normal(proposal.clone())));
    log.append(entries, IOFlushed::signal(done)).await.unwrap();
    flushed.await.unwrap().unwrap();
    assert_eq!(log.limited_get_log_entries(0, 4).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_room_the_log_waits_and_answers_nothing() {
    let disk = Disk::new();
    let fatal = watch::Sender::new(None);
    let open = || {
        let files = Arc::new(disk.files.clone());
        LogStore::open(&config(Disk::directory(), LogIo::Inline), files, fatal.clone()).unwrap()
    };
    let mut log = open();
    append(&mut log, 1, 0..1).await.unwrap();
    disk.files.set_capacity(Some(disk.files.size_bytes()));
    // What was held back is taken first.
    append(&mut log, 1, 1..2).await.unwrap();
    disk.files.set_capacity(Some(disk.files.size_bytes()));
    let mut waiting = Box::pin(append(&mut log, 1, 2..3));
    let early = tokio::time::timeout(std::time::Duration::from_secs(60), &mut waiting).await;
    assert!(early.is_err(), "nothing is acknowledged before it is written");
    assert!(fatal.borrow().is_none(), "a full disk ends no process");
    disk.files.set_capacity(None);
    waiting.await.unwrap();
    log.save_vote(&Vote::new(5, 6)).await.unwrap();
    drop(log);
    disk.files.kill();
    disk.files.set_capacity(Some(0));
    let mut log = open();
    assert_eq!(
        log.last_log_id().map(|last| last.index),
        Some(2),
        "it opens on a full disk"
    );
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new(5, 6)));
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_tried_again() {
    let disk = Disk::new();
    let fatal = watch::Sender::new(None);
    let mut log = LogStore::open(
        &config(Disk::directory(), LogIo::Inline),
        Arc::new(disk.files.clone()),
        fatal.clone(),
    )
    .unwrap();
    append(&mut log, 1, 0..1).await.unwrap();
    disk.files
        .fail(storage::testing::Operation::SyncData, ".raft", io::ErrorKind::Other);
    assert!(append(&mut log, 1, 1..2).await.is_err());
    disk.files.heal();
    assert!(append(&mut log, 1, 2..3).await.is_err());
    assert!(log.save_vote(&Vote::new(5, 6)).await.is_err());
    assert!(fatal.borrow().is_some());
}
