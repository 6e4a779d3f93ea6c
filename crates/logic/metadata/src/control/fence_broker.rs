//! A broker's session is over: its leaderships move, it leaves the ISRs (KIP-631, KIP-966).

use types::{BrokerEpoch, BrokerId};

use super::decision::check_broker_epoch;
use super::partition_change::{Liveness, PartitionChangeBuilder};
use super::{BrokerEpochError, ControlContext, Decision};
use crate::image::MetadataImage;
use crate::proto::{BrokerChange, FenceBrokerRequest, FenceBrokerResponse, MetadataRecord};

/// Decides on fencing. Costs only the partitions that the broker is a replica of.
///
/// The broker's record comes last: should the records be cut in between, the broker is still unfenced, and the next
/// active controller, which finds no session, fences it again.
///
/// # Errors
/// When another incarnation is registered by now: that one must not suffer.
pub fn fence_broker(
    image: &MetadataImage,
    request: &FenceBrokerRequest,
    context: &ControlContext<'_>,
) -> Result<Decision<FenceBrokerResponse>, BrokerEpochError> {
    let id = BrokerId(request.broker_id);
    check_broker_epoch(image, id, BrokerEpoch(request.broker_epoch))?;
    let mut records = leave_in_sync(image, id, context);
    if image.broker(id).is_some_and(|broker| !broker.fenced) {
        // A fenced broker isn't shutting down any more, it is down; when it comes back it starts anew.
        let change = BrokerChange {
            broker_id: id.0,
            broker_epoch: request.broker_epoch,
            fenced: Some(true),
            in_controlled_shutdown: None,
            ..BrokerChange::default()
        };
        records.push(change.into());
    }
    Ok(Decision {
        records,
        response: FenceBrokerResponse {},
    })
}

/// Takes the broker out of every leadership and, but for the last member, out of every ISR.
pub(crate) fn leave_in_sync(image: &MetadataImage, id: BrokerId, context: &ControlContext<'_>) -> Vec<MetadataRecord> {
    let liveness = Liveness::without(image, id);
    image
        .partitions_of(id)
        .filter_map(|partition| {
            PartitionChangeBuilder::new(liveness, partition, context.defaults)?
                .without_in_sync(id)
                .build()
        })
        .collect()
}
