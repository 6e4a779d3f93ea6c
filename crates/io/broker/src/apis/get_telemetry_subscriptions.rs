//! GetTelemetrySubscriptions (71, KIP-714): tells a client which of its metrics are asked for, and how often.

use std::sync::Arc;

use telemetry::{ClientDescription, Refusal, cut};
use types::ClientInstanceId;
use wire::messages::{GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse};

use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

/// What is taken, the best first: zstd, lz4, gzip, snappy.
const CODECS: [i8; 4] = [4, 3, 1, 2];

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let client = description(&request);
    let header = request.header;
    let body: GetTelemetrySubscriptionsRequest = decode(&header, request.body)?;
    let instance_id = match ClientInstanceId(body.client_instance_id) {
        ClientInstanceId::ZERO => ClientInstanceId(broker.new_uuid.new_uuid()),
        known => known,
    };
    let image = broker.host.image.load();
    let response = match broker.telemetry.ask(&image, instance_id, &client) {
        Ok(subscription) => GetTelemetrySubscriptionsResponse::default()
            .with_client_instance_id(instance_id.0)
            .with_subscription_id(subscription.id)
            .with_accepted_compression_types(CODECS.to_vec())
            .with_push_interval_ms(subscription.interval_ms)
            .with_telemetry_max_bytes(broker.telemetry.max_bytes())
            // What is shown is the last push: nothing is lost when one is.
            .with_delta_temporality(false)
            .with_requested_metrics(subscription.metrics.iter().map(|name| text(name)).collect()),
        Err(Refusal(error)) => GetTelemetrySubscriptionsResponse::default().with_error_code(error.code()),
    };
    respond(&header, &response)
}

/// Who speaks, as far as it is known. Longer texts are cut: they are kept as long as the client is.
pub(super) fn description(request: &ApiRequest) -> ClientDescription {
    let software = request.client.software.get().cloned().unwrap_or_default();
    ClientDescription {
        client_id: cut(request.header.client_id.as_deref().unwrap_or_default()).to_owned(),
        software_name: cut(&software.name).to_owned(),
        software_version: cut(&software.version).to_owned(),
        source_address: request.client.address.to_string(),
        source_port: request.client.port.to_string(),
    }
}
