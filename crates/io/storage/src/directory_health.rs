//! How one data directory stands, as everybody who uses it knows.
//!
//! ```text
//! online ⇄ full          full: no room for records; reads, and small writes from the reserve, go on
//!    ↘     ↓
//!      offline           a write, read or sync failed, or one hangs: for good, until the process starts anew
//! ```
//! - HEALTH-1: offline is final. A write that failed is never tried again as if it had worked (promise DISK).
//! - HEALTH-2: who releases the reserve makes the directory full first, so that records don't take the room.
//! - HEALTH-3: the directory isn't online again before its owner said so: it has checkpoints to write first.
//!
//! Knows no clock: a call that is under way has a ticket, and who sees the same oldest ticket for long knows that it hangs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::file_system::FileSystem;
use crate::room::Reserve;

/// Held back in every data directory for checkpoints, markers, and the names and indexes of partitions.
pub const DATA_RESERVE_BYTES: u64 = 2 << 20;
/// Records are taken again once there is so much room beside the reserve: less would be full again at once.
pub const RESUME_BYTES: u64 = 8 << 20;
/// Calls that are watched at a time; the blocking pool and the reactor together have fewer threads.
const TICKETS: usize = 64;

const ONLINE: u8 = 0;
const FULL: u8 = 1;
const OFFLINE: u8 = 2;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryStatus {
    /// Everything works.
    Online,
    /// No room for records.
    Full,
    /// Out of use.
    Offline,
}

/// The state of one data directory.
pub struct DirectoryHealth {
    path: PathBuf,
    status: AtomicU8,
    reason: OnceLock<String>,
    reserve: Reserve,
    listener: OnceLock<Box<dyn Fn() + Send + Sync>>,
    next_ticket: AtomicU64,
    /// Tickets of calls under way; zero is a free place.
    tickets: [AtomicU64; TICKETS],
}

impl fmt::Debug for DirectoryHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryHealth")
            .field("path", &self.path)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// A call that changes the disk is under way as long as this lives.
#[derive(Debug)]
pub struct PendingCall<'a>(Option<&'a AtomicU64>);

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            place.store(0, Ordering::Release);
        }
    }
}

impl DirectoryHealth {
    /// Online, without a reserve yet.
    pub(crate) fn new(file_system: Arc<dyn FileSystem>, path: &Path) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            status: AtomicU8::new(ONLINE),
            reason: OnceLock::new(),
            reserve: Reserve::new(file_system, path, DATA_RESERVE_BYTES),
            listener: OnceLock::new(),
            next_ticket: AtomicU64::new(1),
            tickets: [const { AtomicU64::new(0) }; TICKETS],
        })
    }

    /// Offline from the start: it couldn't be taken into use.
    #[must_use]
    pub fn failed(file_system: Arc<dyn FileSystem>, path: &Path, reason: &str) -> Arc<Self> {
        let health = Self::new(file_system, path);
        health.fail(reason);
        health
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> DirectoryStatus {
        match self.status.load(Ordering::Acquire) {
            ONLINE => DirectoryStatus::Online,
            FULL => DirectoryStatus::Full,
            _ => DirectoryStatus::Offline,
        }
    }

    /// Whether it is out of use.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.status() == DirectoryStatus::Offline
    }

    /// Whether it has no room for records.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.status() == DirectoryStatus::Full
    }

    /// Why it is offline; empty while it isn't.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.reason.get().map_or("", String::as_str)
    }

    /// Who is told of every change, once; called from wherever the change was seen, so it must not block.
    pub fn on_change(&self, listener: impl Fn() + Send + Sync + 'static) {
        let _ = self.listener.set(Box::new(listener));
    }

    /// Takes the directory offline (HEALTH-1).
    pub fn fail(&self, reason: &str) {
        if self.status.swap(OFFLINE, Ordering::AcqRel) != OFFLINE {
            let _ = self.reason.set(reason.to_owned());
            tracing::error!(path = %self.path.display(), reason, "the data directory failed and is offline");
            self.changed();
        }
    }

    /// There is no room for records.
    pub fn note_full(&self) {
        if self
            .status
            .compare_exchange(ONLINE, FULL, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            tracing::warn!(path = %self.path.display(), "no room in the data directory: records are refused until there is");
            self.changed();
        }
    }

    /// Gives the reserve up to a small write that can't wait; false when there is none left (HEALTH-2).
    pub fn release_reserve(&self) -> bool {
        self.note_full();
        self.reserve.release()
    }

    /// Takes the reserve, or makes the directory full when there is no room for it.
    pub(crate) fn hold_reserve(&self) {
        match self.reserve.hold() {
            Ok(()) => {}
            Err(error) if crate::room::is_full(&error) => self.note_full(),
            Err(error) => {
                // A disk that can't even do this will show it where it counts.
                tracing::warn!(path = %self.path.display(), %error, "no room could be held back");
            }
        }
    }

    /// Whether there is room again, reserve included. Blocks on the disk. [`Self::resume`] ends the state.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.is_full() && self.reserve.probe(RESUME_BYTES).is_ok()
    }

    /// Records are taken again; the checkpoints were written (HEALTH-3).
    pub fn resume(&self) {
        if self
            .status
            .compare_exchange(FULL, ONLINE, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            tracing::info!(path = %self.path.display(), "there is room in the data directory again");
            self.changed();
        }
    }

    /// A call that changes the disk begins. More than there are places for aren't watched.
    pub fn begin(&self) -> PendingCall<'_> {
        let ticket = self.next_ticket.fetch_add(1, Ordering::Relaxed);
        let start = usize::try_from(ticket).unwrap_or(0) % TICKETS;
        let (before, from) = self.tickets.split_at(start);
        let free = from.iter().chain(before).find(|place| {
            place
                .compare_exchange(0, ticket, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        });
        PendingCall(free)
    }

    /// The oldest call under way. The same answer twice: that call lasted as long as the time between.
    #[must_use]
    pub fn oldest_pending(&self) -> Option<u64> {
        self.tickets
            .iter()
            .map(|place| place.load(Ordering::Acquire))
            .filter(|ticket| *ticket > 0)
            .min()
    }

    fn changed(&self) {
        if let Some(listener) = self.listener.get() {
            listener();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryFileSystem;

    fn health(capacity: Option<u64>) -> (MemoryFileSystem, Arc<DirectoryHealth>) {
        let disk = MemoryFileSystem::new();
        disk.create_dir_all(Path::new("/data")).unwrap();
        disk.set_capacity(capacity);
        let health = DirectoryHealth::new(Arc::new(disk.clone()), Path::new("/data"));
        (disk, health)
    }

    #[test]
    fn a_full_directory_is_online_again_when_its_owner_says_so() {
        let (disk, health) = health(Some(1 << 20));
        health.hold_reserve();
        assert!(health.is_full(), "there is no room for the reserve");
        assert!(!health.has_room());
        disk.set_capacity(Some(64 << 20));
        assert!(health.has_room());
        assert!(health.is_full(), "not before the checkpoints were written");
        health.resume();
        assert_eq!(health.status(), DirectoryStatus::Online);
    }

    #[test]
    fn who_releases_the_reserve_makes_the_directory_full() {
        let (_, health) = health(None);
        health.hold_reserve();
        assert!(health.release_reserve());
        assert!(health.is_full());
        assert!(!health.release_reserve());
    }

    #[test]
    fn offline_is_final() {
        let (_, health) = health(None);
        let told = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&told);
        health.on_change(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        health.fail("the disk burns");
        health.fail("twice");
        health.note_full();
        health.resume();
        assert!(health.is_offline());
        assert_eq!((health.reason(), told.load(Ordering::Relaxed)), ("the disk burns", 1));
    }

    #[test]
    fn the_oldest_call_is_the_one_that_hangs() {
        let (_, health) = health(None);
        assert_eq!(health.oldest_pending(), None);
        let first = health.begin();
        let oldest = health.oldest_pending();
        let others: Vec<_> = (0..2 * TICKETS).map(|_| health.begin()).collect();
        assert_eq!(health.oldest_pending(), oldest);
        drop(first);
        assert_ne!(health.oldest_pending(), oldest);
        drop(others);
        assert_eq!(health.oldest_pending(), None);
    }
}
