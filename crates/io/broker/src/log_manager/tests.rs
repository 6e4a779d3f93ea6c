//! UNCLEAN-1: what a start makes of what the lives before it left behind.

use std::sync::Arc;

use storage::{FileSystem, RealFileSystem};
use types::{BootId, BrokerEpoch, BrokerId, TimestampMs, Uuid};

use super::LogManager;

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
