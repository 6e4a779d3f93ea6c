//! Nobody clean is left: the member of the last known ISR whose log goes farthest leads.
//!
//! Only once *every* member has come back and reported: a missing one could hold acknowledged records that nobody
//! else has. Until then the partition waits, or an operator decides by an unclean election.

use std::collections::BTreeMap;

use types::{BrokerEpoch, BrokerId, TopicIdPartition};

use super::partition_change::{Election, Liveness, PartitionChangeBuilder};
use super::{ControlContext, Decision};
use crate::image::{MetadataImage, PartitionRegistration};
use crate::proto::{ElectLastKnownRequest, ElectLastKnownResponse, LastKnownItem, LogEndReport};

/// Whether the partition can only get a leader by what its last known ISR reports (or uncleanly).
#[must_use]
pub fn is_waiting_for_reports(partition: &PartitionRegistration) -> bool {
    partition.leader.is_none()
        && partition.isr.is_empty()
        && partition.elr.is_empty()
        && !partition.last_known_elr.is_empty()
}

/// Decides by the reports that the controller has gathered; what isn't decidable yet is left out of the answer.
pub fn elect_last_known(
    image: &MetadataImage,
    request: &ElectLastKnownRequest,
    context: &ControlContext<'_>,
) -> Decision<ElectLastKnownResponse> {
    let mut records = Vec::new();
    let mut elected = BTreeMap::new();
    for item in &request.partitions {
        let id = item
            .partition
            .as_ref()
            .and_then(|id| TopicIdPartition::try_from(id).ok());
        let Some(id) = id.filter(|id| !elected.contains_key(id)) else {
            continue;
        };
        let leader = image
            .partition(id)
            .and_then(|partition| farthest(image, partition, item));
        let record = leader.and_then(|leader| {
            let builder = PartitionChangeBuilder::new(Liveness::of(image), id, context.defaults)?;
            builder.election(Election::LastKnown(leader)).build()
        });
        if let Some(record) = record {
            records.push(record);
            elected.insert(id, id.into());
        }
    }
    Decision {
        records,
        response: ElectLastKnownResponse {
            elected: elected.into_values().collect(),
        },
    }
}

fn farthest(image: &MetadataImage, partition: &PartitionRegistration, item: &LastKnownItem) -> Option<BrokerId> {
    if !is_waiting_for_reports(partition) {
        return None;
    }
    let current = |report: &&LogEndReport| {
        let id = BrokerId(report.broker_id);
        image.is_active(id)
            && image
                .broker(id)
                .is_some_and(|broker| broker.epoch == BrokerEpoch(report.broker_epoch))
    };
    let reports: BTreeMap<BrokerId, &LogEndReport> = item
        .reports
        .iter()
        .filter(current)
        .map(|report| (BrokerId(report.broker_id), report))
        .collect();
    let complete = partition
        .last_known_elr
        .iter()
        .all(|member| reports.contains_key(member));
    if !complete {
        return None;
    }
    // Of equal logs the more preferred replica: `max_by_key` takes the last one.
    let members = partition
        .replicas
        .iter()
        .rev()
        .filter(|replica| partition.last_known_elr.contains(replica));
    members
        .filter_map(|member| reports.get(member).map(|report| (*member, *report)))
        .max_by_key(|(_, report)| (report.last_epoch, report.log_end_offset))
        .map(|(member, _)| member)
}
