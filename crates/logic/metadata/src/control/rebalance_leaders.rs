//! Leaderships go back to preferred replicas when these are in sync again, and leaderless partitions get another try.
//!
//! Asked by the controller from time to time and after a broker's return. Bounded, so that a broker's return doesn't
//! move thousands of leaderships at once.

use types::TopicIdPartition;

use super::partition_change::{Election, Liveness, PartitionChangeBuilder};
use super::{ControlContext, Decision, after};
use crate::image::MetadataImage;
use crate::proto::{MetadataRecord, RebalanceLeadersRequest, RebalanceLeadersResponse};

/// Decides on at most `max_moves` moves. The answer's count is below it when nothing more is to be moved.
pub fn rebalance_leaders(
    image: &MetadataImage,
    request: &RebalanceLeadersRequest,
    context: &ControlContext<'_>,
) -> Decision<RebalanceLeadersResponse> {
    let max_moves = usize::try_from(request.max_moves).unwrap_or(usize::MAX);
    let leaderless = image.leaderless_partitions().filter_map(|id| {
        // A topic may allow unclean elections by now.
        let builder = PartitionChangeBuilder::new(Liveness::of(image), id, context.defaults)?;
        builder.build()
    });
    let misplaced = image.brokers().filter(|broker| broker.is_active()).flat_map(|broker| {
        let preferred = broker.id;
        image
            .partitions_of(preferred)
            .filter_map(move |id| give_back(image, id, preferred, context))
    });
    let records: Vec<_> = leaderless.chain(misplaced).take(max_moves).collect();
    let moved = u32::try_from(records.len()).unwrap_or(u32::MAX);
    Decision {
        records,
        response: RebalanceLeadersResponse { moved },
    }
}

fn give_back(
    image: &MetadataImage,
    id: TopicIdPartition,
    preferred: types::BrokerId,
    context: &ControlContext<'_>,
) -> Option<MetadataRecord> {
    let partition = image.partition(id)?;
    let misplaced = partition.preferred_leader() == Some(preferred)
        && partition.leader.is_some_and(|leader| leader != preferred)
        && partition.isr.contains(&preferred);
    if !misplaced {
        return None;
    }
    let builder = PartitionChangeBuilder::new(Liveness::of(image), id, context.defaults)?;
    let record = builder.election(Election::Preferred).build()?;
    after(partition, Some(&record)).has_preferred_leader().then_some(record)
}
