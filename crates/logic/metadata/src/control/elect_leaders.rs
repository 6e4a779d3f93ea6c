//! An operator asks for elections: of preferred leaders, or unclean ones where nobody clean is left (KIP-460).

use std::collections::BTreeSet;

use thiserror::Error;
use types::{ErrorCode, PartitionIndex, TopicIdPartition};

use super::partition_change::{Election, Liveness, PartitionChangeBuilder};
use super::{ControlContext, Decision, after};
use crate::image::MetadataImage;
use crate::proto::{ElectLeadersRequest, ElectLeadersResponse, ElectLeadersResult, MetadataRecord};

/// Why a partition got no other leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ElectLeadersError {
    /// No such topic or partition.
    #[error("no such partition")]
    UnknownPartition,
    /// It has the leader that was asked for.
    #[error("leader election isn't needed for this partition")]
    ElectionNotNeeded,
    /// The preferred replica isn't in sync, or not active.
    #[error("the preferred leader isn't available")]
    PreferredLeaderNotAvailable,
    /// No replica is active.
    #[error("no eligible leader is available")]
    EligibleLeadersNotAvailable,
}

impl ElectLeadersError {
    /// Kafka's code.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::ElectionNotNeeded => ErrorCode::ElectionNotNeeded,
            Self::PreferredLeaderNotAvailable => ErrorCode::PreferredLeaderNotAvailable,
            Self::EligibleLeadersNotAvailable => ErrorCode::EligibleLeadersNotAvailable,
        }
    }
}

/// Decides on elections, each partition for itself.
pub fn elect_leaders(
    image: &MetadataImage,
    request: &ElectLeadersRequest,
    context: &ControlContext<'_>,
) -> Decision<ElectLeadersResponse> {
    let mut records = Vec::new();
    let mut partitions = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, partition) in wanted(image, request) {
        let id = image.topic(&name).map(|topic| TopicIdPartition {
            topic_id: topic.id,
            partition,
        });
        let decided = match id {
            None => Err(ElectLeadersError::UnknownPartition),
            Some(id) if !seen.insert(id) => Err(ElectLeadersError::ElectionNotNeeded),
            Some(id) => elect(image, id, request.unclean, context),
        };
        if request.all && decided.as_ref().err() == Some(&ElectLeadersError::ElectionNotNeeded) {
            continue;
        }
        let error = decided.as_ref().err();
        partitions.push(ElectLeadersResult {
            name,
            partition: partition.0,
            error_code: error.map_or(0, |error| error.code().code().into()),
            error_message: error.map(ToString::to_string).unwrap_or_default(),
        });
        records.extend(decided);
    }
    Decision {
        records,
        response: ElectLeadersResponse { partitions },
    }
}

fn wanted(image: &MetadataImage, request: &ElectLeadersRequest) -> Vec<(String, PartitionIndex)> {
    if request.all {
        let every = |topic: &std::sync::Arc<crate::image::TopicImage>| {
            let name = topic.name.as_str().to_owned();
            topic
                .partitions()
                .map(|(index, _)| (name.clone(), index))
                .collect::<Vec<_>>()
        };
        return image.topics().flat_map(every).collect();
    }
    let named = |topic: &crate::proto::TopicPartitions| {
        topic
            .partitions
            .iter()
            .map(|index| (topic.name.clone(), PartitionIndex(*index)))
            .collect::<Vec<_>>()
    };
    request.topics.iter().flat_map(named).collect()
}

fn elect(
    image: &MetadataImage,
    id: TopicIdPartition,
    unclean: bool,
    context: &ControlContext<'_>,
) -> Result<MetadataRecord, ElectLeadersError> {
    let builder = PartitionChangeBuilder::new(Liveness::of(image), id, context.defaults)
        .ok_or(ElectLeadersError::UnknownPartition)?;
    let partition = builder.partition();
    let (has_it, election, unavailable) = if unclean {
        (
            partition.leader.is_some(),
            Election::Unclean,
            ElectLeadersError::EligibleLeadersNotAvailable,
        )
    } else {
        (
            partition.has_preferred_leader(),
            Election::Preferred,
            ElectLeadersError::PreferredLeaderNotAvailable,
        )
    };
    if has_it {
        return Err(ElectLeadersError::ElectionNotNeeded);
    }
    let record = builder.election(election).build().ok_or(unavailable)?;
    let after = after(partition, Some(&record));
    let got_it = if unclean {
        after.leader.is_some()
    } else {
        after.has_preferred_leader()
    };
    if got_it { Ok(record) } else { Err(unavailable) }
}
