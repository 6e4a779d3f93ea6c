//! What can go wrong, one enum an operation.

use types::{BrokerId, ClusterId, DirectoryId, MetadataOffset};

/// Why a quorum member could not start.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    /// The directory could not be read or written.
    #[error("metadata log directory: {0}")]
    Io(#[from] std::io::Error),
    /// Another process holds the directory.
    #[error(
        "{0} is in use by another process: one node, one process; stop the other one, or give this one its own log.dirs"
    )]
    InUse(String),
    /// The stored directory belongs to another cluster than the configured one.
    #[error(
        "{directory} belongs to cluster {stored}, but cluster.id is {configured}; \
         set cluster.id={stored}, or start with an empty directory to join {configured}"
    )]
    ForeignCluster {
        /// The metadata log directory.
        directory: String,
        /// The cluster id found there.
        stored: ClusterId,
        /// The cluster id from the configuration.
        configured: ClusterId,
    },
    /// The stored directory belongs to another node, or carries another id than `meta.properties`.
    #[error(
        "{directory} belongs to node {stored} (directory id {stored_directory}), not to node {configured}; \
         give each node a directory of its own, or restore this node's node.id"
    )]
    ForeignDirectory {
        /// The metadata log directory.
        directory: String,
        /// The node id found there.
        stored: BrokerId,
        /// The directory id found there.
        stored_directory: DirectoryId,
        /// This node's id.
        configured: BrokerId,
    },
    /// The configuration can't work.
    #[error("configuration of the metadata quorum: {0}")]
    Config(String),
    /// Raft refused to start; its storage is damaged.
    #[error("metadata quorum: {0}")]
    Raft(String),
}

/// Why a batch of records was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// This node does not lead that term. Nothing was appended.
    #[error("not the active controller of that term")]
    NotLeader,
    /// Leadership was lost, or a majority out of reach, while the entry was on its way: it may still be committed.
    /// The writer must forget what it decided on top of it and start over from the image.
    #[error("leadership was lost before the entry was committed; it may or may not be kept")]
    Unknown,
    /// The entry was committed, but decided on another offset than it was replayed at: nobody applied it.
    #[error("decided on offset {decided_on}, but the image was at {actual}")]
    Refused {
        /// The offset that the records were decided on.
        decided_on: MetadataOffset,
        /// The image's offset when the entry's turn came.
        actual: MetadataOffset,
    },
    /// The records do not fit the image that they were decided on: a mistake in the decision. Nothing was appended.
    #[error("the records do not fit the image: {0}")]
    Invalid(String),
    /// The records are larger than one entry may be. Nothing was appended.
    #[error("{size} bytes of records do not fit into one entry of at most {limit}")]
    TooLarge {
        /// Encoded size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Raft stopped; the process must exit.
    #[error("metadata quorum stopped: {0}")]
    Fatal(String),
}

/// Why a read could not be confirmed by a majority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// This node does not lead, or no majority answered.
    #[error("not the active controller, or no majority answered")]
    NotLeader,
    /// Raft stopped; the process must exit.
    #[error("metadata quorum stopped: {0}")]
    Fatal(String),
}

/// Why the set of voters was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// Only the leader changes the voters.
    #[error("not the active controller")]
    NotLeader,
    /// Another change is not committed yet.
    #[error("another change of the voters is in progress")]
    InProgress,
    /// The node's former directory still answers.
    #[error(
        "node {node} is alive with directory id {live}, so directory id {new} is not admitted; \
         stop the node with the old directory, or give this one another node.id"
    )]
    StillAlive {
        /// The node in question.
        node: BrokerId,
        /// The directory id that answers.
        live: DirectoryId,
        /// The directory id that asks.
        new: DirectoryId,
    },
    /// The learner lacks entries that the leader has; it stays a learner, ask again.
    #[error("node {0} has not caught up yet")]
    NotCaughtUp(BrokerId),
    /// No such member.
    #[error(
        "node {0} with that directory id is no member of the metadata quorum: a controller is one seconds after its start, \
         a broker alone never; `klamm quorum describe` lists the directory ids"
    )]
    Unknown(BrokerId),
    /// It votes already.
    #[error("node {0} is a voter already")]
    AlreadyVoter(BrokerId),
    /// A newcomer must be reachable before it counts.
    #[error(
        "node {node} can't become a voter: {why}; start it with process.roles=controller and these controllers, then try again"
    )]
    Unreachable {
        /// The node in question.
        node: BrokerId,
        /// What its address answered.
        why: String,
    },
    /// It did not catch up before the deadline; the voters are as before.
    #[error(
        "node {node} did not catch up within {seconds} s, so it is no voter: is it up, and does its disk keep pace?"
    )]
    TooSlow {
        /// The node in question.
        node: BrokerId,
        /// The deadline.
        seconds: u64,
    },
    /// Of the voters after the change too few answer.
    #[error(
        "after that {needed} of {voters} voters would have to answer, and only {alive} do ({silent} don't): start those, or \
         remove them first"
    )]
    WouldLoseMajority {
        /// Voters after the change.
        voters: usize,
        /// A majority of them.
        needed: usize,
        /// Those that answer now.
        alive: usize,
        /// Those that don't, by name.
        silent: String,
    },
    /// The quorum needs somebody.
    #[error("node {0} is the last voter: add another one first")]
    LastVoter(BrokerId),
    /// Raft said no.
    #[error("change of voters refused: {0}")]
    Rejected(String),
}

/// Why the process must exit: the metadata log is not to be trusted any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("metadata quorum stopped: {0}")]
pub struct FatalError(pub String);
