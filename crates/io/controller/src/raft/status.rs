//! What DescribeQuorum, metrics and the readiness probe show of the quorum.

use std::time::Duration;

use types::{BrokerId, ClusterId, DirectoryId};

use super::VoterAddress;

/// The quorum as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumStatus {
    /// The cluster's id, once known.
    pub cluster_id: Option<ClusterId>,
    /// This node's directory id.
    pub directory_id: DirectoryId,
    /// Current term: Kafka's leader epoch of the metadata partition.
    pub term: u64,
    /// The leader, if one is known.
    pub leader: Option<BrokerId>,
    /// Index of the last committed entry known here; 0 before the first.
    pub commit_index: u64,
    /// Index of the last applied entry; 0 before the first.
    pub applied_index: u64,
    /// Index of the last entry in this node's log; 0 before the first.
    pub last_index: u64,
    /// Index of the newest snapshot's last entry; 0 without one.
    pub snapshot_index: u64,
    /// Entries up to here are gone from the log; 0 when none are.
    pub purged_index: u64,
    /// Members that vote.
    pub voters: Vec<ReplicaStatus>,
    /// Members that only follow.
    pub learners: Vec<ReplicaStatus>,
}

/// One member of the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Its node and controller listener.
    pub address: VoterAddress,
    /// Its `node.id`.
    pub node_id: BrokerId,
    /// Its metadata log directory.
    pub directory_id: DirectoryId,
    /// Index up to which its log equals the leader's; known on the leader only.
    pub matched_index: Option<u64>,
    /// Entries that it lacks; known on the leader only.
    pub lag: Option<u64>,
    /// Time since it last had every entry; known on the leader only. `None`: never under this leader. Zero for the leader.
    pub last_caught_up: Option<Duration>,
    /// Time since this node last heard from it over Raft; `None`: never in this process. Zero for this node itself.
    pub last_contact: Option<Duration>,
}
