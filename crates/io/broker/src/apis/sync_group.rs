//! SyncGroup (14).

use std::sync::Arc;

use coordinator::{MemberAssignment, SyncGroupRequest};
use types::ErrorCode;
use wire::messages::{self, SyncGroupResponse};

use super::exchange::{Handled, decode, respond};
use super::group_answers::{ask, check_group_id, owned, pick, wire_text};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::GroupRequest;

const FIRST_VERSION_WITH_PROTOCOL: i16 = 5;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: messages::SyncGroupRequest = decode(&header, request.body)?;
    let group_id = body.group_id.0.to_string();
    let unnamed = body.protocol_type.is_none() || body.protocol_name.is_none();
    let answer = match check_group_id(&body.group_id) {
        Ok(()) if unnamed && header.api_version >= FIRST_VERSION_WITH_PROTOCOL => {
            Err(ErrorCode::InconsistentGroupProtocol)
        }
        Ok(()) => {
            ask(
                &broker,
                &group_id,
                GroupRequest::SyncGroup(asked(body)),
                pick!(SyncGroup),
            )
            .await
        }
        Err(error) => Err(error),
    };
    let response = match answer {
        Ok(answer) => {
            let response = SyncGroupResponse::default()
                .with_error_code(answer.error.code())
                .with_assignment(answer.assignment);
            if header.api_version >= FIRST_VERSION_WITH_PROTOCOL {
                response
                    .with_protocol_type(wire_text(answer.protocol_type.as_deref()))
                    .with_protocol_name(wire_text(answer.protocol_name.as_deref()))
            } else {
                response
            }
        }
        Err(error) => SyncGroupResponse::default().with_error_code(error.code()),
    };
    respond(&header, &response)
}

fn asked(body: messages::SyncGroupRequest) -> SyncGroupRequest {
    let assignments = body.assignments.into_iter().map(|assignment| MemberAssignment {
        member_id: assignment.member_id.to_string(),
        assignment: assignment.assignment,
    });
    SyncGroupRequest {
        group_id: body.group_id.0.to_string(),
        generation_id: body.generation_id,
        member_id: body.member_id.to_string(),
        group_instance_id: owned(body.group_instance_id),
        protocol_type: owned(body.protocol_type),
        protocol_name: owned(body.protocol_name),
        assignments: assignments.collect(),
    }
}
