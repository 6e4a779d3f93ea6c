//! A leader proposes the ISR of its partitions (KIP-497, KIP-841, KIP-903, KIP-704).
//!
//! Compare-and-set on the partition epoch. Only members that are active, and whose incarnation is the one that the
//! leader knows, get in: a replica that restarted with an older log under the same id is refused.
//!
//! ISR-4: such a refusal raises the partition epoch, so that no copy of the request which is still on its way can be taken when
//! the member has become eligible: the leader commits without it as soon as it learns of the refusal. Kafka's leader goes by
//! the answer alone.

use std::collections::BTreeSet;

use thiserror::Error;
use types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicIdPartition};

use super::decision::check_broker_epoch;
use super::partition_change::{Liveness, PartitionChangeBuilder};
use super::{BrokerEpochError, ControlContext, Decision};
use crate::image::{LeaderRecovery, MetadataImage, PartitionRegistration, numbers};
use crate::proto::{
    AlterPartitionItem, AlterPartitionRequest, AlterPartitionResponse, AlterPartitionResult, IsrMember, MetadataRecord,
};

/// Why one partition's proposal is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlterPartitionError {
    /// The topic doesn't exist (any more).
    #[error("no topic with this id")]
    UnknownTopicId,
    /// The topic has no such partition.
    #[error("no such partition")]
    UnknownPartition,
    /// The leader knows a newer epoch: this controller isn't the active one any more.
    #[error("the leader knows a newer epoch than this controller")]
    NotController,
    /// Another leadership has begun.
    #[error("leader epoch {requested} is fenced, the partition has {present}")]
    FencedLeaderEpoch {
        /// The partition's.
        present: LeaderEpoch,
        /// The request's.
        requested: LeaderEpoch,
    },
    /// Something else changed the partition first.
    #[error("partition epoch {requested} is old, the partition has {present}")]
    InvalidUpdateVersion {
        /// The partition's.
        present: PartitionEpoch,
        /// The request's.
        requested: PartitionEpoch,
    },
    /// Not from the leader, or an ISR that can't be.
    #[error("{0}")]
    Invalid(&'static str),
    /// A member is fenced, shutting down, not registered or another incarnation.
    #[error("broker {0} isn't eligible for the ISR")]
    IneligibleReplica(BrokerId),
    /// The change was made, and with it another replica became the leader.
    #[error("another leader was elected")]
    NewLeaderElected,
}

impl AlterPartitionError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopicId => ErrorCode::UnknownTopicId,
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::NotController => ErrorCode::NotController,
            Self::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            Self::InvalidUpdateVersion { .. } => ErrorCode::InvalidUpdateVersion,
            Self::Invalid(_) => ErrorCode::InvalidRequest,
            Self::IneligibleReplica(_) => ErrorCode::IneligibleReplica,
            Self::NewLeaderElected => ErrorCode::NewLeaderElected,
        }
    }
}

/// Decides on proposed ISRs; every partition has its own result, with the partition's state after the decision.
///
/// # Errors
/// When the broker isn't the registered incarnation.
pub fn alter_partition(
    image: &MetadataImage,
    request: &AlterPartitionRequest,
    context: &ControlContext<'_>,
) -> Result<Decision<AlterPartitionResponse>, BrokerEpochError> {
    let leader = BrokerId(request.broker_id);
    check_broker_epoch(image, leader, BrokerEpoch(request.broker_epoch))?;
    let mut records = Vec::new();
    let mut partitions = Vec::with_capacity(request.partitions.len());
    let mut seen = BTreeSet::new();
    for item in &request.partitions {
        let twice = AlterPartitionError::Invalid("the partition is named twice");
        let first = item
            .partition
            .as_ref()
            .is_none_or(|id| seen.insert((id.topic_id.clone(), id.index)));
        let decided = if first {
            decide(image, leader, item, context)
        } else {
            Decided::from(Err(twice))
        };
        partitions.push(result(image, item, leader, &decided));
        records.extend(decided.record);
    }
    Ok(Decision {
        records,
        response: AlterPartitionResponse { partitions },
    })
}

struct Decided {
    record: Option<MetadataRecord>,
    error: Option<AlterPartitionError>,
}

impl From<Result<Option<MetadataRecord>, AlterPartitionError>> for Decided {
    fn from(decided: Result<Option<MetadataRecord>, AlterPartitionError>) -> Self {
        match decided {
            Ok(record) => Self { record, error: None },
            Err(error) => Self {
                record: None,
                error: Some(error),
            },
        }
    }
}

fn decide(image: &MetadataImage, leader: BrokerId, item: &AlterPartitionItem, context: &ControlContext<'_>) -> Decided {
    let decided = change(image, leader, item, context);
    let Err(error @ AlterPartitionError::IneligibleReplica(_)) = decided else {
        return decided.into();
    };
    let builder =
        partition_id(item).and_then(|id| PartitionChangeBuilder::new(Liveness::of(image), id, context.defaults));
    Decided {
        record: builder.and_then(|builder| builder.refused().build()),
        error: Some(error),
    }
}

fn change(
    image: &MetadataImage,
    leader: BrokerId,
    item: &AlterPartitionItem,
    context: &ControlContext<'_>,
) -> Result<Option<MetadataRecord>, AlterPartitionError> {
    let id = partition_id(item).ok_or(AlterPartitionError::UnknownTopicId)?;
    image
        .topic_by_id(id.topic_id)
        .ok_or(AlterPartitionError::UnknownTopicId)?;
    let partition = image.partition(id).ok_or(AlterPartitionError::UnknownPartition)?;
    check_epochs(partition, leader, item)?;
    let isr: Vec<BrokerId> = item.new_isr.iter().map(|member| BrokerId(member.broker_id)).collect();
    check_isr(partition, &isr, leader, item.recovering)?;
    let ineligible = |member: &&IsrMember| {
        !is_eligible(image, leader, member) || image.is_replica_offline(id, BrokerId(member.broker_id))
    };
    if let Some(member) = item.new_isr.iter().find(ineligible) {
        return Err(AlterPartitionError::IneligibleReplica(BrokerId(member.broker_id)));
    }
    let builder = PartitionChangeBuilder::new(Liveness::of(image), id, context.defaults)
        .ok_or(AlterPartitionError::UnknownPartition)?
        .isr(isr);
    Ok(if item.recovering {
        builder.build()
    } else {
        builder.recovered().build()
    })
}

fn check_epochs(
    partition: &PartitionRegistration,
    leader: BrokerId,
    item: &AlterPartitionItem,
) -> Result<(), AlterPartitionError> {
    let requested = LeaderEpoch(item.leader_epoch);
    let version = PartitionEpoch(item.partition_epoch);
    if requested > partition.leader_epoch || version > partition.partition_epoch {
        return Err(AlterPartitionError::NotController);
    }
    if requested < partition.leader_epoch {
        return Err(AlterPartitionError::FencedLeaderEpoch {
            present: partition.leader_epoch,
            requested,
        });
    }
    if partition.leader != Some(leader) {
        return Err(AlterPartitionError::Invalid("only the leader proposes the ISR"));
    }
    if version < partition.partition_epoch {
        return Err(AlterPartitionError::InvalidUpdateVersion {
            present: partition.partition_epoch,
            requested: version,
        });
    }
    Ok(())
}

fn check_isr(
    partition: &PartitionRegistration,
    isr: &[BrokerId],
    leader: BrokerId,
    recovering: bool,
) -> Result<(), AlterPartitionError> {
    let distinct: BTreeSet<_> = isr.iter().collect();
    if distinct.len() != isr.len() || !isr.iter().all(|member| partition.replicas.contains(member)) {
        return Err(AlterPartitionError::Invalid(
            "the ISR must be distinct replicas of the partition",
        ));
    }
    if !isr.contains(&leader) {
        return Err(AlterPartitionError::Invalid("the leader must be a member of the ISR"));
    }
    if recovering && isr.len() > 1 {
        return Err(AlterPartitionError::Invalid(
            "the ISR of a recovering leader is the leader alone",
        ));
    }
    if recovering && partition.recovery == LeaderRecovery::Recovered {
        return Err(AlterPartitionError::Invalid(
            "a recovered leader can't be recovering again",
        ));
    }
    Ok(())
}

/// A leader that is shutting down may still let others in: they are who takes over.
fn is_eligible(image: &MetadataImage, leader: BrokerId, member: &IsrMember) -> bool {
    let id = BrokerId(member.broker_id);
    image.broker(id).is_some_and(|broker| {
        let is_leader = id == leader;
        let alive = if is_leader { !broker.fenced } else { broker.is_active() };
        let unchecked = is_leader && member.broker_epoch == BrokerEpoch::NONE.0;
        alive && (unchecked || broker.epoch == BrokerEpoch(member.broker_epoch))
    })
}

fn partition_id(item: &AlterPartitionItem) -> Option<TopicIdPartition> {
    item.partition
        .as_ref()
        .and_then(|id| TopicIdPartition::try_from(id).ok())
}

fn result(
    image: &MetadataImage,
    item: &AlterPartitionItem,
    leader: BrokerId,
    decided: &Decided,
) -> AlterPartitionResult {
    let partition = partition_id(item).and_then(|id| image.partition(id));
    let after = partition.map(|partition| super::after(partition, decided.record.as_ref()));
    let deposed = decided.error.is_none() && after.as_ref().is_some_and(|after| after.leader != Some(leader));
    let new_leader = AlterPartitionError::NewLeaderElected;
    let error = decided.error.as_ref().or(deposed.then_some(&new_leader));
    AlterPartitionResult {
        partition: Some(item.partition.clone().unwrap_or_default()),
        error_code: error.map_or(0, |error| error.code().code().into()),
        error_message: error.map(ToString::to_string).unwrap_or_default(),
        leader: after
            .as_ref()
            .and_then(|after| after.leader)
            .map_or(-1, |leader| leader.0),
        leader_epoch: after.as_ref().map_or(-1, |after| after.leader_epoch.0),
        partition_epoch: after.as_ref().map_or(-1, |after| after.partition_epoch.0),
        isr: after.as_ref().map(|after| numbers(&after.isr)).unwrap_or_default(),
        recovering: after.is_some_and(|after| after.recovery == LeaderRecovery::Recovering),
    }
}
