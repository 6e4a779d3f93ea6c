//! When this node last heard from each member over Raft, in either direction.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Last signs of life by Raft id, and when each last had everything. Bounded by the members that ever spoke to this process.
#[derive(Debug, Default)]
pub(super) struct Peers {
    heard: Mutex<BTreeMap<u64, Instant>>,
    caught_up: Mutex<BTreeMap<u64, Instant>>,
}

/// More ids than any quorum has seen: beyond it the oldest is forgotten.
const MAX_PEERS: usize = 1024;

impl Peers {
    pub(super) fn heard_from(&self, raft_id: u64) {
        let mut heard = self.heard.lock();
        heard.insert(raft_id, Instant::now());
        if heard.len() > MAX_PEERS
            && let Some(oldest) = heard.iter().min_by_key(|(_, at)| **at).map(|(id, _)| *id)
        {
            heard.remove(&oldest);
            self.caught_up.lock().remove(&oldest);
        }
    }

    /// The member had everything when it was last heard; told by the leader's replication.
    pub(super) fn is_caught_up(&self, raft_id: u64) {
        let heard = self.heard.lock().get(&raft_id).copied();
        if let Some(heard) = heard {
            self.caught_up.lock().insert(raft_id, heard);
        }
    }

    /// Time since the member last had everything; `None`: never in this process.
    pub(super) fn behind(&self, raft_id: u64) -> Option<Duration> {
        self.caught_up.lock().get(&raft_id).map(Instant::elapsed)
    }

    /// Time since the last sign of life; `None`: none in this process.
    pub(super) fn silence(&self, raft_id: u64) -> Option<Duration> {
        self.heard.lock().get(&raft_id).map(Instant::elapsed)
    }
}
