//! Producer ids for idempotent producers, out of blocks that the controller hands to this incarnation of the broker.
//!
//! PID-1: an id is handed out once in the cluster's life; a block whose answer was lost is wasted, never shared. PID-6: an id is
//! at most [`BLOCK_AGE`] older than its producer: partitions tell by it who can't have been forgotten (`producer_state`, PID-5).

use std::ops::Range;
use std::time::Duration;

use metadata::proto::AllocateProducerIdsRequest;
use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use tokio::sync::Mutex;
use tokio::time::Instant;
use types::{ErrorCode, ProducerId};

use super::error_codes::KafkaError;
use crate::context::BrokerContext;

/// A client asks again after its request timeout; by then another controller is active.
const BLOCK_WAIT: Duration = Duration::from_secs(5);

/// What is left of an older block is wasted.
const BLOCK_AGE: Duration = Duration::from_secs(10);

/// The block in use, and when it came. Async: whoever finds it empty fetches the next one while the others wait for that.
#[derive(Debug, Default)]
pub(super) struct ProducerIdAllocator {
    block: Mutex<Option<(Range<i64>, Instant)>>,
}

impl ProducerIdAllocator {
    /// A fresh id.
    pub(super) async fn next(&self, broker: &BrokerContext) -> Result<ProducerId, ErrorCode> {
        let mut block = self.block.lock().await;
        if let Some((ids, came)) = &mut *block
            && came.elapsed() < BLOCK_AGE
            && let Some(id) = ids.next()
        {
            return Ok(ProducerId(id));
        }
        let asked = Instant::now();
        let (ids, _) = block.insert((next_block(broker).await?, asked));
        ids.next().map(ProducerId).ok_or(ErrorCode::UnknownServerError)
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
