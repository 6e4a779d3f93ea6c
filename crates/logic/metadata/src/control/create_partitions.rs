//! Topics get more partitions (KIP-195), each topic for itself.

use std::collections::BTreeMap;

use thiserror::Error;
use types::{BrokerId, ErrorCode, PartitionIndex};

use super::assignment::{AssignmentError, check_replicas, partition_records};
use super::partition_change::difference;
use super::placement::{PlacementError, place};
use super::topic_rules::{Budget, BudgetError};
use super::{ControlContext, Decision, QuotaUsedUp, Refusal};
use crate::image::{MetadataImage, broker_ids};
use crate::proto::{
    CreatePartitionsItem, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsResult, MetadataRecord,
};

/// Why a topic gets no more partitions.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreatePartitionsError {
    /// The topic doesn't exist.
    #[error("this server does not host this topic-partition")]
    UnknownTopic,
    /// The topic is named twice.
    #[error("duplicate topic name")]
    Duplicate,
    /// The count isn't above the present one.
    #[error("the topic currently has {present} partition(s); {wanted} would not be an increase")]
    NoIncrease {
        /// How many there are.
        present: i32,
        /// How many were asked for.
        wanted: i32,
    },
    /// Not one assignment for each new partition.
    #[error("attempted to add {added} additional partition(s), but {assignments} assignment(s) were specified")]
    WrongAssignments {
        /// New partitions.
        added: usize,
        /// Assignments given.
        assignments: usize,
    },
    /// An assignment that can't be.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// Not enough brokers.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The client's quota is used up.
    #[error(transparent)]
    QuotaUsedUp(#[from] QuotaUsedUp),
    /// Too many partitions.
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

impl CreatePartitionsError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopic => ErrorCode::UnknownTopicOrPartition,
            Self::Duplicate => ErrorCode::InvalidRequest,
            Self::NoIncrease { .. } => ErrorCode::InvalidPartitions,
            Self::WrongAssignments { .. } => ErrorCode::InvalidReplicaAssignment,
            Self::Assignment(error) => Refusal::from(*error).code,
            Self::Placement(error) => Refusal::from(*error).code,
            Self::QuotaUsedUp(_) => ErrorCode::ThrottlingQuotaExceeded,
            Self::Budget(error) => Refusal::from(*error).code,
        }
    }
}

/// Decides on more partitions. With `validate_only` the answer is the same, without records.
pub fn create_partitions(
    image: &MetadataImage,
    request: &CreatePartitionsRequest,
    context: &mut ControlContext<'_>,
) -> Decision<CreatePartitionsResponse> {
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    for item in &request.topics {
        *named.entry(&item.name).or_default() += 1;
    }
    let mut records = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut budget = Budget::default();
    for item in &request.topics {
        let twice = named.get(item.name.as_str()).is_some_and(|times| *times > 1);
        let decided = if twice {
            Err(CreatePartitionsError::Duplicate)
        } else {
            grow(image, item, &mut budget, context)
        };
        let error = decided.as_ref().err();
        topics.push(CreatePartitionsResult {
            name: item.name.clone(),
            error_code: error.map_or(0, |error| error.code().code().into()),
            error_message: error.map(ToString::to_string).unwrap_or_default(),
        });
        records.extend(decided.into_iter().flatten());
    }
    if request.validate_only {
        records.clear();
    }
    Decision {
        records,
        response: CreatePartitionsResponse { topics },
    }
}

fn grow(
    image: &MetadataImage,
    item: &CreatePartitionsItem,
    budget: &mut Budget,
    context: &mut ControlContext<'_>,
) -> Result<Vec<MetadataRecord>, CreatePartitionsError> {
    let topic = image.topic(&item.name).ok_or(CreatePartitionsError::UnknownTopic)?;
    let present = topic.partition_count();
    let no_increase = CreatePartitionsError::NoIncrease {
        present,
        wanted: item.count,
    };
    let added = item
        .count
        .checked_sub(present)
        .and_then(|added| usize::try_from(added).ok());
    let added = added.filter(|added| *added > 0).ok_or(no_increase)?;
    budget.check_partitions(added)?;
    let first = topic.partition(PartitionIndex(0));
    let factor = first.map_or(1, |partition| {
        difference(&partition.replicas, &partition.removing).len()
    });

    let assignments: Vec<Vec<BrokerId>> = if item.assignments.is_empty() {
        place(image, added, factor, context.random)?
    } else {
        if item.assignments.len() != added {
            let assignments = item.assignments.len();
            return Err(CreatePartitionsError::WrongAssignments { added, assignments });
        }
        item.assignments.iter().map(|list| broker_ids(&list.ids)).collect()
    };
    for replicas in &assignments {
        check_replicas(image, replicas, Some(factor))?;
    }
    let records = partition_records(image, topic.id, present, assignments)?;
    budget.take(image, added, added.saturating_mul(factor), context.defaults)?;
    context.charge(image, added)?;
    Ok(records)
}
