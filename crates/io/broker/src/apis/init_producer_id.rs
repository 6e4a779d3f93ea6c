//! InitProducerId (22): an identity for an idempotent producer. Transactional ids aren't served yet.

use std::sync::Arc;

use types::{ErrorCode, ProducerId};
use wire::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::exchange::{Handled, decode, respond};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: InitProducerIdRequest = decode(&header, request.body)?;
    let outcome = if body.transactional_id.as_ref().is_some_and(|id| id.0.is_empty()) {
        Err(ErrorCode::InvalidRequest)
    } else if body.transactional_id.is_some() {
        // Not retriable, and clients show it as it is.
        Err(ErrorCode::UnsupportedVersion)
    } else {
        broker.apis.producer_ids.next(&broker).await.map_err(retriable)
    };
    let response = match outcome {
        Ok(ProducerId(id)) => InitProducerIdResponse::default()
            .with_producer_id(id.into())
            .with_producer_epoch(0),
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(ProducerId::NONE.0.into())
            .with_producer_epoch(-1),
    };
    respond(&header, &response)
}

/// While no ids can be had, Kafka answers what every producer retries.
fn retriable(error: ErrorCode) -> ErrorCode {
    tracing::debug!(%error, "no producer id");
    ErrorCode::CoordinatorLoadInProgress
}
