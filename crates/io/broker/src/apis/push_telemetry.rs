//! PushTelemetry (72, KIP-714): a client's metrics, as they are shown on `/metrics` afterwards.

use std::sync::Arc;

use telemetry::{Push, Refusal};
use types::{ClientInstanceId, ErrorCode};
use wire::messages::{PushTelemetryRequest, PushTelemetryResponse};

use super::exchange::{Handled, decode, respond};
use super::get_telemetry_subscriptions::description;
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let client = description(&request);
    let header = request.header;
    let body: PushTelemetryRequest = decode(&header, request.body)?;
    let push = Push {
        instance_id: ClientInstanceId(body.client_instance_id),
        subscription_id: body.subscription_id,
        terminating: body.terminating,
        codec: body.compression_type,
        bytes: body.metrics.len(),
    };
    let image = broker.host.image.load_full();
    let outcome = broker.telemetry.push(&image, &push, body.metrics, &client).await;
    let error = outcome.err().map_or(ErrorCode::None, |Refusal(error)| error);
    respond(&header, &PushTelemetryResponse::default().with_error_code(error.code()))
}
