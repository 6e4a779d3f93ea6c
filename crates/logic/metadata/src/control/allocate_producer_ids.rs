//! A broker takes a block of producer ids (KIP-730). An id is given once in a cluster's life.

use types::{BrokerEpoch, BrokerId, ErrorCode};

use super::decision::check_broker_epoch;
use super::{Decision, Refusal};
use crate::image::MetadataImage;
use crate::proto::{AllocateProducerIdsRequest, AllocateProducerIdsResponse, ProducerIds};

/// How many ids a broker gets at a time, as in Kafka.
pub const PRODUCER_ID_BLOCK_SIZE: i32 = 1000;

/// Decides on the next block.
///
/// # Errors
/// When another incarnation of the broker is registered by now, or no ids are left.
pub fn allocate_producer_ids(
    image: &MetadataImage,
    request: &AllocateProducerIdsRequest,
) -> Result<Decision<AllocateProducerIdsResponse>, Refusal> {
    check_broker_epoch(image, BrokerId(request.broker_id), BrokerEpoch(request.broker_epoch))?;
    let first_producer_id = image.next_producer_id().0;
    let next_producer_id = first_producer_id
        .checked_add(i64::from(PRODUCER_ID_BLOCK_SIZE))
        .ok_or_else(|| Refusal::new(ErrorCode::UnknownServerError, "no producer ids are left"))?;
    let record = ProducerIds {
        broker_id: request.broker_id,
        broker_epoch: request.broker_epoch,
        next_producer_id,
    }
    .into();
    let response = AllocateProducerIdsResponse {
        first_producer_id,
        count: PRODUCER_ID_BLOCK_SIZE,
    };
    Ok(Decision {
        records: vec![record],
        response,
    })
}
