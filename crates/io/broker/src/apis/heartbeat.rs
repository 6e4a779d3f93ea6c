//! Heartbeat (12): answered from memory.

use std::sync::Arc;

use coordinator::HeartbeatRequest;
use wire::messages::{self, HeartbeatResponse};

use super::exchange::{Handled, decode, respond};
use super::group_answers::{ask, check_group_id, owned, pick};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::GroupRequest;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: messages::HeartbeatRequest = decode(&header, request.body)?;
    let answer = match check_group_id(&body.group_id) {
        Ok(()) => {
            let asked = HeartbeatRequest {
                group_id: body.group_id.0.to_string(),
                generation_id: body.generation_id,
                member_id: body.member_id.to_string(),
                group_instance_id: owned(body.group_instance_id),
            };
            ask(
                &broker,
                &body.group_id.0,
                GroupRequest::Heartbeat(asked),
                pick!(Heartbeat),
            )
            .await
        }
        Err(error) => Err(error),
    };
    let error = answer.map_or_else(|error| error, |answer| answer.error);
    respond(&header, &HeartbeatResponse::default().with_error_code(error.code()))
}
