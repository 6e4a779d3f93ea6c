//! Partitions move to other replicas, or a move is cancelled (KIP-455).
//!
//! Added replicas join first; when all are in the ISR the removed ones go, in the decision that lets the last one in.
//! A cancellation takes the added ones away at once, so it works with a target that is dead.

use std::collections::BTreeSet;

use thiserror::Error;
use types::{ErrorCode, PartitionIndex, TopicIdPartition};

use super::assignment::{AssignmentError, check_replicas};
use super::partition_change::{Liveness, PartitionChangeBuilder, difference};
use super::{ControlContext, Decision, Refusal};
use crate::image::{MetadataImage, PartitionRegistration, broker_ids};
use crate::proto::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, MetadataRecord, ReassignmentItem,
    ReassignmentResult,
};

/// Why a partition isn't moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReassignmentError {
    /// No such topic or partition.
    #[error("no such partition")]
    UnknownPartition,
    /// Nothing to cancel.
    #[error("no partition reassignment is in progress")]
    NotInProgress,
    /// Replicas that can't be.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// None of the replicas that would remain is in sync.
    #[error("no remaining replica is in sync")]
    NobodyInSync,
    /// More or fewer replicas, which the request forbids (KIP-860).
    #[error("the replication factor would change from {from} to {to}")]
    OtherReplicationFactor {
        /// Replicas now.
        from: usize,
        /// Replicas afterwards.
        to: usize,
    },
    /// The partition is named twice.
    #[error("the partition is named twice")]
    Duplicate,
}

impl ReassignmentError {
    /// Kafka's code.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::NotInProgress => ErrorCode::NoReassignmentInProgress,
            Self::Assignment(error) => Refusal::from(error).code,
            Self::NobodyInSync => ErrorCode::InvalidReplicaAssignment,
            Self::OtherReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
            Self::Duplicate => ErrorCode::InvalidRequest,
        }
    }
}

/// Decides on moves, each partition for itself.
pub fn alter_partition_reassignments(
    image: &MetadataImage,
    request: &AlterPartitionReassignmentsRequest,
    context: &ControlContext<'_>,
) -> Decision<AlterPartitionReassignmentsResponse> {
    let mut records = Vec::new();
    let mut partitions = Vec::with_capacity(request.partitions.len());
    let mut seen = BTreeSet::new();
    for item in &request.partitions {
        let decided = if seen.insert((item.name.as_str(), item.partition)) {
            reassign(image, item, request.keep_replication_factor, context)
        } else {
            Err(ReassignmentError::Duplicate)
        };
        let error = decided.as_ref().err();
        partitions.push(ReassignmentResult {
            name: item.name.clone(),
            partition: item.partition,
            error_code: error.map_or(0, |error| error.code().code().into()),
            error_message: error.map(ToString::to_string).unwrap_or_default(),
        });
        records.extend(decided.ok().flatten());
    }
    Decision {
        records,
        response: AlterPartitionReassignmentsResponse { partitions },
    }
}

fn reassign(
    image: &MetadataImage,
    item: &ReassignmentItem,
    keep_replication_factor: bool,
    context: &ControlContext<'_>,
) -> Result<Option<MetadataRecord>, ReassignmentError> {
    let topic = image.topic(&item.name).ok_or(ReassignmentError::UnknownPartition)?;
    let id = TopicIdPartition {
        topic_id: topic.id,
        partition: PartitionIndex(item.partition),
    };
    let builder = PartitionChangeBuilder::new(Liveness::of(image), id, context.defaults)
        .ok_or(ReassignmentError::UnknownPartition)?;
    let partition = builder.partition();
    let (replicas, adding, removing) = match &item.replicas {
        None if !partition.is_reassigning() => return Err(ReassignmentError::NotInProgress),
        None => {
            let original = difference(&partition.replicas, &partition.adding);
            (original, Vec::new(), Vec::new())
        }
        Some(target) => {
            let target = broker_ids(&target.ids);
            check_replicas(image, &target, None)?;
            // Of a move that goes on, what it leads to.
            let from = difference(&partition.replicas, &partition.removing).len();
            if keep_replication_factor && target.len() != from {
                return Err(ReassignmentError::OtherReplicationFactor { from, to: target.len() });
            }
            // As in Kafka, what an earlier move has brought into the ISR goes when this one is done: writes may wait for it.
            // So does who left the ISR while it was too small: it may be elected (KIP-966).
            let not_in_sync = difference(&partition.adding, &partition.isr);
            let not_there_yet = difference(&not_in_sync, &partition.elr);
            let present = difference(&partition.replicas, &not_there_yet);
            let adding = difference(&target, &present);
            let removing = difference(&present, &target);
            (
                target.into_iter().chain(removing.iter().copied()).collect(),
                adding,
                removing,
            )
        }
    };
    if leaves_nobody_in_sync(partition, &replicas) {
        return Err(ReassignmentError::NobodyInSync);
    }
    Ok(builder.replicas(replicas, adding, removing).build())
}

/// Whether everybody who may lead would go: of those in sync, or, when an unclean shutdown has emptied the ISR, of those who were.
fn leaves_nobody_in_sync(partition: &PartitionRegistration, replicas: &[types::BrokerId]) -> bool {
    let may_lead = [&partition.isr, &partition.elr, &partition.last_known_elr];
    let may_lead = may_lead.into_iter().find(|members| !members.is_empty());
    may_lead.is_some_and(|members| !members.iter().any(|member| replicas.contains(member)))
}
