//! One operation, or one thing that was done to the cluster.

use serde::{Deserialize, Serialize};

/// An event and when it was seen, in microseconds since the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Microseconds since the run began.
    pub us: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReaderKind {
    /// All partitions from their beginning, without a group, while the run lasts.
    Assigned,
    /// A member of this group.
    Member {
        /// Which group.
        group: u16,
    },
    /// All partitions from their beginning after the last record was sent: what it finds is what the log holds.
    Final,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitOutcome {
    /// Answered as done.
    Acked,
    /// Not answered as done: it may count or not.
    NotAcked,
}

/// Neighbouring records of one producer in one partition.
///
/// A record is named by its producer, its partition, and its sequence: how many records this producer has sent to this
/// partition before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// The producer.
    pub producer: u16,
    /// The partition.
    pub partition: u32,
    /// The first one's sequence.
    pub sequence: u64,
    /// How many.
    pub count: u32,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The first event: how much of everything there is.
    Begin {
        /// The run's own number; it stands in every record.
        run: u64,
        /// Partitions of the topic.
        partitions: u32,
        /// Producers.
        producers: u16,
        /// Groups.
        groups: u16,
        /// Readers, by their numbers.
        readers: Vec<ReaderKind>,
    },
    /// Records are about to be handed to a producer.
    Sent(Records),
    /// They were acknowledged.
    Acked {
        /// Which.
        records: Records,
        /// Where the first is; missing when the acknowledgement was that of a duplicate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<u64>,
    },
    /// They were refused: they are not in the log.
    Refused {
        /// Which.
        records: Records,
        /// Why.
        error: String,
    },
    /// Their producer gave up; they may be in the log.
    Unknown {
        /// Which.
        records: Records,
        /// Why.
        error: String,
    },
    /// A member of a group was given a partition.
    Assigned {
        /// Which reader.
        reader: u16,
        /// Which partition.
        partition: u32,
    },
    /// Records were read.
    Read {
        /// By whom.
        reader: u16,
        /// The first one's offset.
        offset: u64,
        /// Which.
        records: Records,
    },
    /// A record was read that no producer of this run has sent so.
    Foreign {
        /// By whom.
        reader: u16,
        /// Where.
        partition: u32,
        /// At which offset.
        offset: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The offset that a reader had reached was refused. librdkafka doesn't say in which partition.
    OutOfRange {
        /// Whose.
        reader: u16,
        /// What the broker said.
        error: String,
    },
    /// A member committed.
    Commit {
        /// Its group.
        group: u16,
        /// The partition.
        partition: u32,
        /// The offset.
        offset: u64,
        /// When it was asked for.
        began_us: u64,
        /// What was answered.
        outcome: CommitOutcome,
    },
    /// A group's committed offset was asked for and answered.
    Committed {
        /// The group.
        group: u16,
        /// The partition.
        partition: u32,
        /// The offset, if there is one.
        offset: Option<u64>,
        /// When it was asked for.
        asked_us: u64,
    },
    /// The end of a partition after the last record was sent.
    End {
        /// The partition.
        partition: u32,
        /// One above its last offset.
        offset: u64,
    },
    /// A fault was injected.
    FaultBegan {
        /// Counts from 0.
        fault: u32,
        /// What was done to whom.
        name: String,
        /// The kinds of what was done, by their names on the command line; more than one if faults overlap.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kinds: Vec<String>,
    },
    /// What was done was undone: the process runs again, the link is there again.
    FaultEnded {
        /// Which.
        fault: u32,
    },
    /// After it, every replica was in sync again.
    Whole {
        /// After which.
        fault: u32,
    },
    /// Something that should have happened within a bound didn't.
    Stalled {
        /// What.
        what: String,
    },
    /// Something a client said that is no outcome of an operation.
    Note {
        /// What.
        text: String,
    },
}
