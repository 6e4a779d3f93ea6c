//! A fenced broker asks to serve; it may when it has applied its own registration.

use types::{BrokerEpoch, BrokerId};

use super::decision::check_broker_epoch;
use super::partition_change::{Liveness, PartitionChangeBuilder};
use super::{BrokerEpochError, ControlContext, Decision};
use crate::image::MetadataImage;
use crate::proto::{BrokerChange, UnfenceBrokerRequest, UnfenceBrokerResponse};

/// Decides on unfencing, and lets the broker lead the partitions that waited for it.
///
/// Caught up means that the broker's image holds the record of its registration: then it also knows of every
/// leadership that its former incarnation lost.
///
/// # Errors
/// When another incarnation is registered by now.
pub fn unfence_broker(
    image: &MetadataImage,
    request: &UnfenceBrokerRequest,
    context: &ControlContext<'_>,
) -> Result<Decision<UnfenceBrokerResponse>, BrokerEpochError> {
    let id = BrokerId(request.broker_id);
    check_broker_epoch(image, id, BrokerEpoch(request.broker_epoch))?;
    if image.broker(id).is_some_and(|broker| !broker.fenced) {
        return Ok(Decision::unchanged(UnfenceBrokerResponse { unfenced: true }));
    }
    // The registration has the offset of its epoch; an image that holds it ends after it.
    if request.metadata_offset <= request.broker_epoch {
        return Ok(Decision::unchanged(UnfenceBrokerResponse { unfenced: false }));
    }
    let change = BrokerChange {
        broker_id: id.0,
        broker_epoch: request.broker_epoch,
        fenced: Some(false),
        in_controlled_shutdown: Some(false),
        ..BrokerChange::default()
    };
    let mut records = vec![change.into()];
    let liveness = Liveness::with(image, id);
    let waiting = image.partitions_of(id).filter(|partition| {
        image
            .partition(*partition)
            .is_some_and(|partition| partition.leader.is_none())
    });
    records.extend(
        waiting.filter_map(|partition| PartitionChangeBuilder::new(liveness, partition, context.defaults)?.build()),
    );
    Ok(Decision {
        records,
        response: UnfenceBrokerResponse { unfenced: true },
    })
}
