//! What a node's metadata quorum is started with.
//!
//! Timeouts are calm on purpose (heartbeat 250 ms, election 500 to 1000 ms): a controller whose port refuses is replaced
//! at once by the fast election, so that the timeouts only have to cover hosts that fall silent.

use std::path::PathBuf;
use std::time::Duration;

use types::{BrokerId, ClusterId, DirectoryId};

/// Where a controller is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VoterAddress {
    /// Its `node.id`; `None` for an entry of `controller.quorum.bootstrap.servers`, which carries none.
    pub node_id: Option<BrokerId>,
    /// Host name or address, resolved anew for each connection.
    pub host: String,
    /// TCP port of its controller listener.
    pub port: u16,
}

impl std::fmt::Display for VoterAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.node_id {
            Some(node) => write!(f, "{node}@{}:{}", self.host, self.port),
            None => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Who writes and syncs the metadata log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogIo {
    /// One thread of its own: what is queued while it syncs is written and synced together (group commit).
    Thread,
    /// On the calling task, at once: for the simulator, whose disk takes no real time.
    Inline,
}

/// Where Raft's tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RaftThreads {
    /// A runtime with a thread of its own, so that a saturated data plane costs no election. What takes long, or waits for the disk,
    /// is handed over.
    Own,
    /// The runtime that calls [`MetadataQuorum::start`](super::MetadataQuorum::start): for the simulator and tests.
    Current,
}

/// Everything that a quorum member needs to know before it meets the others.
#[derive(Debug, Clone)]
pub struct QuorumConfig {
    /// This node's `node.id`.
    pub node_id: BrokerId,
    /// Where the others reach this node's controller listener.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The metadata log directory; created when missing.
    pub directory: PathBuf,
    /// The directory id that `meta.properties` already holds. `None`: the one stored in `directory`, or a new one.
    pub directory_id: Option<DirectoryId>,
    /// The configured cluster id, which wins over a generated one. Another cluster's id is refused.
    pub cluster_id: Option<ClusterId>,
    /// The cluster that this node's broker has registered with, by its log directories: no other one is joined, and none is
    /// founded over that data.
    pub registered_in: Option<ClusterId>,
    /// `controller.quorum.voters`, or `controller.quorum.bootstrap.servers` (without node ids). May include this node.
    pub voters: Vec<VoterAddress>,
    /// Whether this node asks to be admitted as a voter when it finds a cluster; else it stays a learner.
    pub wants_vote: bool,
    /// `controller.quorum.auto.join.enable`: a controller that finds a cluster asks to become a voter of it.
    pub auto_join: bool,
    /// Interval of the leader's heartbeats.
    pub heartbeat: Duration,
    /// Shortest election timeout.
    pub election_min: Duration,
    /// Longest election timeout, and the leader's lease.
    pub election_max: Duration,
    /// A snapshot is built after so many entries since the last one.
    pub snapshot_entries: u64,
    /// Or after so many bytes of entries.
    pub snapshot_bytes: u64,
    /// How long one follower may take to receive and install a snapshot.
    pub install_snapshot_timeout: Duration,
    /// A segment of the log is closed at this size.
    pub segment_bytes: u64,
    /// Largest size of the records of one [`write`](super::MetadataQuorum::write).
    pub max_entry_bytes: usize,
    /// How much of the log's tail, and how many bytes of applied batches, are kept in memory.
    pub recent_bytes: usize,
    /// Who syncs the log.
    pub log_io: LogIo,
    /// Where Raft's tasks run.
    pub threads: RaftThreads,
    /// Directory (on the real disk) of the sled cache of the applied image. `None`: no cache.
    pub image_cache: Option<PathBuf>,
    /// Seed of generated ids. `None`: the operating system's randomness. A simulated node needs another seed after
    /// each wipe, else its new disk would claim to be the old one.
    pub seed: Option<u64>,
}

impl QuorumConfig {
    /// The defaults of production for this node.
    #[must_use]
    pub fn new(node_id: BrokerId, host: impl Into<String>, port: u16, directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self {
            node_id,
            host: host.into(),
            port,
            image_cache: Some(directory.join("image-cache")),
            directory,
            directory_id: None,
            cluster_id: None,
            registered_in: None,
            voters: Vec::new(),
            wants_vote: true,
            auto_join: true,
            heartbeat: Duration::from_millis(250),
            election_min: Duration::from_millis(500),
            election_max: Duration::from_millis(1000),
            snapshot_entries: 10_000,
            snapshot_bytes: 64 << 20,
            install_snapshot_timeout: Duration::from_secs(300),
            segment_bytes: 16 << 20,
            max_entry_bytes: metadata::record::MAX_ENTRY_BYTES,
            recent_bytes: 16 << 20,
            log_io: LogIo::Thread,
            threads: RaftThreads::Own,
            seed: None,
        }
    }

    /// A leader that is silent for so long is dialled.
    pub(super) fn patience(&self) -> Duration {
        self.heartbeat * 3 / 2
    }

    /// This node's own address.
    #[must_use]
    pub fn address(&self) -> VoterAddress {
        VoterAddress {
            node_id: Some(self.node_id),
            host: self.host.clone(),
            port: self.port,
        }
    }
}
