//! Producer ids for idempotent producers, out of blocks that the controller hands to this incarnation of the broker.
//!
//! PID-1: an id is handed out once in the cluster's life; a block whose answer was lost is wasted, never shared.

use std::ops::Range;
use std::time::Duration;

use metadata::proto::AllocateProducerIdsRequest;
use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use tokio::sync::Mutex;
use types::{ErrorCode, ProducerId};

use super::error_codes::KafkaError;
use crate::context::BrokerContext;

/// A client asks again after its request timeout; by then another controller is active.
const BLOCK_WAIT: Duration = Duration::from_secs(5);

/// The block in use. Async: whoever finds it empty fetches the next one while the others wait for that.
#[derive(Debug, Default)]
pub(super) struct ProducerIdAllocator {
    block: Mutex<Range<i64>>,
}

impl ProducerIdAllocator {
    /// A fresh id.
    pub(super) async fn next(&self, broker: &BrokerContext) -> Result<ProducerId, ErrorCode> {
        let mut block = self.block.lock().await;
        if let Some(id) = block.next() {
            return Ok(ProducerId(id));
        }
        *block = next_block(broker).await?;
        block.next().map(ProducerId).ok_or(ErrorCode::UnknownServerError)
    }
}

async fn next_block(broker: &BrokerContext) -> Result<Range<i64>, ErrorCode> {
    let request = AllocateProducerIdsRequest {
        broker_id: broker.host.local.0,
        broker_epoch: broker.host.broker_epoch().0,
    };
    let answer = broker
        .controllers
        .request(Request::AllocateProducerIds(request), BLOCK_WAIT)
        .await;
    let answer = answer.map_err(|error| error.code())?;
    match answer.response {
        Some(Response::AllocateProducerIds(block)) => {
            let first = block.first_producer_id;
            Ok(first..first.saturating_add(i64::from(block.count)))
        }
        _ => {
            tracing::warn!(error = answer.error_message, "the controller gave no producer ids");
            Err(i16::try_from(answer.error_code).map_or(ErrorCode::UnknownServerError, ErrorCode::from_code))
        }
    }
}
