//! UnregisterBroker (64): forgets a broker that is gone for good.

use std::sync::Arc;

use metadata::proto;
use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use wire::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::controller_call::{DEFAULT_TIMEOUT_MS, ask_controller, mismatched};
use super::exchange::{Handled, decode, respond};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: UnregisterBrokerRequest = decode(&header, request.body)?;
    let asked = proto::UnregisterBrokerRequest {
        broker_id: body.broker_id.0,
    };
    let refused = match ask_controller(&broker, Request::UnregisterBroker(asked), DEFAULT_TIMEOUT_MS).await {
        Ok(Response::UnregisterBroker(_)) => None,
        Ok(_) => Some(mismatched()),
        Err(refused) => Some(refused),
    };
    let response = match refused {
        None => UnregisterBrokerResponse::default(),
        Some(refused) => UnregisterBrokerResponse::default()
            .with_error_code(refused.code.code())
            .with_error_message(refused.text()),
    };
    respond(&header, &response)
}
