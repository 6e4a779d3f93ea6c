//! Replicas that a request assigns by hand, and the first state of new partitions.

use std::collections::BTreeSet;

use thiserror::Error;
use types::{BrokerId, ErrorCode, PartitionIndex, TopicId, TopicIdPartition};

use super::Refusal;
use crate::image::{MetadataImage, PartitionRegistration};
use crate::proto::MetadataRecord;

/// What is wrong with a manual assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AssignmentError {
    /// No replicas.
    #[error("the manual partition assignment includes an empty replica list")]
    Empty,
    /// A broker twice.
    #[error("the manual partition assignment includes the broker {0} more than once")]
    Twice(BrokerId),
    /// A broker that isn't registered.
    #[error("the manual partition assignment includes broker {0}, but no such broker is registered")]
    UnknownBroker(BrokerId),
    /// Another number of replicas than the topic's other partitions have.
    #[error(
        "the manual partition assignment includes a partition with {actual} replica(s), but this is not consistent with previous partitions, which have {expected} replica(s)"
    )]
    Inconsistent {
        /// What the others have.
        expected: usize,
        /// What this one has.
        actual: usize,
    },
    /// Nobody could lead.
    #[error("all brokers specified in the manual partition assignment are fenced or in controlled shutdown")]
    NobodyActive,
}

impl From<AssignmentError> for Refusal {
    fn from(error: AssignmentError) -> Self {
        Self::new(ErrorCode::InvalidReplicaAssignment, error)
    }
}

/// Checks a list of replicas: known brokers, each once, as many as expected.
pub(crate) fn check_replicas(
    image: &MetadataImage,
    replicas: &[BrokerId],
    expected: Option<usize>,
) -> Result<(), AssignmentError> {
    if replicas.is_empty() {
        return Err(AssignmentError::Empty);
    }
    let mut seen = BTreeSet::new();
    for replica in replicas {
        if image.broker(*replica).is_none() {
            return Err(AssignmentError::UnknownBroker(*replica));
        }
        if !seen.insert(*replica) {
            return Err(AssignmentError::Twice(*replica));
        }
    }
    match expected {
        Some(expected) if expected != replicas.len() => Err(AssignmentError::Inconsistent {
            expected,
            actual: replicas.len(),
        }),
        _ => Ok(()),
    }
}

/// The records of new partitions, from index `first` on. Only active brokers start in the ISR.
pub(crate) fn partition_records(
    image: &MetadataImage,
    topic_id: TopicId,
    first: i32,
    assignments: Vec<Vec<BrokerId>>,
) -> Result<Vec<MetadataRecord>, AssignmentError> {
    let indexes = (first..).map(PartitionIndex);
    let record = |(partition, replicas): (PartitionIndex, Vec<BrokerId>)| {
        let isr: Vec<_> = replicas
            .iter()
            .copied()
            .filter(|replica| image.is_active(*replica))
            .collect();
        if isr.is_empty() {
            return Err(AssignmentError::NobodyActive);
        }
        let registration = PartitionRegistration::new(replicas, isr);
        Ok(registration.to_record(TopicIdPartition { topic_id, partition }).into())
    };
    indexes.zip(assignments).map(record).collect()
}
