//! A broker is about to stop: leaderships go over while it still serves (KIP-631).
//!
//! Unlike Kafka, a leadership that nobody can take over stays until the broker is gone: the partition is served
//! longer, and a follower that catches up meanwhile takes it (the leader's AlterPartition hands it over).

use types::{BrokerEpoch, BrokerId, TopicIdPartition};

use super::decision::check_broker_epoch;
use super::partition_change::{Liveness, PartitionChangeBuilder};
use super::{BrokerEpochError, ControlContext, Decision};
use crate::image::{MetadataImage, PartitionRegistration};
use crate::proto::metadata_record::Record;
use crate::proto::{BrokerChange, ControlledShutdownRequest, ControlledShutdownResponse, MetadataRecord};

/// Decides on a shutdown; asked again until the answer is `ready_to_stop`, or the broker's patience ends.
///
/// # Errors
/// When another incarnation is registered by now.
pub fn controlled_shutdown(
    image: &MetadataImage,
    request: &ControlledShutdownRequest,
    context: &ControlContext<'_>,
) -> Result<Decision<ControlledShutdownResponse>, BrokerEpochError> {
    let id = BrokerId(request.broker_id);
    check_broker_epoch(image, id, BrokerEpoch(request.broker_epoch))?;
    let mut records = Vec::new();
    if image.broker(id).is_some_and(|broker| !broker.in_controlled_shutdown) {
        let change = BrokerChange {
            broker_id: id.0,
            broker_epoch: request.broker_epoch,
            fenced: None,
            in_controlled_shutdown: Some(true),
            ..BrokerChange::default()
        };
        records.push(change.into());
    }

    let mut response = ControlledShutdownResponse {
        ready_to_stop: true,
        ..ControlledShutdownResponse::default()
    };
    for partition_id in image.partitions_of(id) {
        let Some(partition) = image.partition(partition_id) else {
            continue;
        };
        let leads = partition.leader == Some(id);
        match leave(image, partition_id, id, context) {
            Some(record) if !leads => records.push(record),
            Some(record) if hands_over(&record) => {
                response.moved_leaderships += 1;
                records.push(record);
            }
            _ if leads => {
                response.remaining_leaderships += 1;
                response.ready_to_stop &= !somebody_may_catch_up(image, partition, id);
            }
            _ => {}
        }
    }
    Ok(Decision { records, response })
}

fn leave(
    image: &MetadataImage,
    partition: TopicIdPartition,
    id: BrokerId,
    context: &ControlContext<'_>,
) -> Option<MetadataRecord> {
    let liveness = Liveness::without(image, id);
    PartitionChangeBuilder::new(liveness, partition, context.defaults)?
        .election(super::partition_change::Election::Online)
        .without_in_sync(id)
        .build()
}

fn hands_over(record: &MetadataRecord) -> bool {
    matches!(&record.record, Some(Record::PartitionChange(change)) if change.leader.is_some_and(|leader| leader >= 0))
}

fn somebody_may_catch_up(image: &MetadataImage, partition: &PartitionRegistration, leaving: BrokerId) -> bool {
    partition
        .replicas
        .iter()
        .any(|replica| *replica != leaving && image.is_active(*replica))
}
