//! JoinGroup (11).

use std::sync::Arc;

use coordinator::{JoinGroupRequest, JoinGroupResponse, JoinProtocol, new_member_id};
use types::ErrorCode;
use wire::RequestHeader;
use wire::messages::join_group_response::JoinGroupResponseMember;
use wire::messages::{self};

use super::exchange::{Handled, decode, respond, text};
use super::group_answers::{ask, check_group_id, owned, pick, wire_text};
use crate::context::{ApiRequest, BrokerContext, ClientConnection};
use crate::coordinator::GroupRequest;

/// From this version the protocol's name is null where there is none.
const FIRST_VERSION_WITH_NULL_PROTOCOL: i16 = 7;
const FIRST_VERSION_WITH_INSTANCE_IDS: i16 = 5;
const FIRST_VERSION_WITH_SKIPPED_ASSIGNMENT: i16 = 9;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: messages::JoinGroupRequest = decode(&header, request.body)?;
    let member_id = body.member_id.to_string();
    let group_id = body.group_id.0.to_string();
    let answer = match check_group_id(&body.group_id) {
        Ok(()) => {
            let asked = asked(&broker, &header, &request.client, body);
            ask(
                &broker,
                &group_id,
                GroupRequest::JoinGroup(Box::new(asked)),
                pick!(JoinGroup),
            )
            .await
        }
        Err(error) => Err(error),
    };
    respond(&header, &shown(answer, &member_id, header.api_version))
}

fn asked(
    broker: &BrokerContext,
    header: &RequestHeader,
    client: &ClientConnection,
    body: messages::JoinGroupRequest,
) -> JoinGroupRequest {
    let client_id = header.client_id.clone().unwrap_or_default();
    let group_instance_id = owned(body.group_instance_id);
    let fresh_member_id = new_member_id(&client_id, group_instance_id.as_deref(), broker.new_uuid.new_uuid());
    let protocols = body.protocols.into_iter().map(|protocol| JoinProtocol {
        name: protocol.name.to_string(),
        metadata: protocol.metadata,
    });
    JoinGroupRequest {
        api_version: header.api_version,
        group_id: body.group_id.0.to_string(),
        member_id: body.member_id.to_string(),
        group_instance_id,
        fresh_member_id,
        client_id,
        client_host: format!("/{}", client.address),
        session_timeout_ms: body.session_timeout_ms,
        // Version 0 has one timeout for both.
        rebalance_timeout_ms: if header.api_version == 0 {
            body.session_timeout_ms
        } else {
            body.rebalance_timeout_ms
        },
        protocol_type: body.protocol_type.to_string(),
        protocols: protocols.collect(),
    }
}

fn shown(answer: Result<JoinGroupResponse, ErrorCode>, member_id: &str, version: i16) -> messages::JoinGroupResponse {
    let mut response = messages::JoinGroupResponse::default();
    match answer {
        Ok(answer) => {
            let members = answer.members.into_iter().map(|member| {
                let instance = member
                    .group_instance_id
                    .filter(|_| version >= FIRST_VERSION_WITH_INSTANCE_IDS);
                JoinGroupResponseMember::default()
                    .with_member_id(text(&member.member_id))
                    .with_group_instance_id(wire_text(instance.as_deref()))
                    .with_metadata(member.metadata)
            });
            response = response
                .with_error_code(answer.error.code())
                .with_generation_id(answer.generation_id)
                .with_protocol_name(wire_text(answer.protocol_name.as_deref()))
                .with_leader(text(&answer.leader))
                .with_skip_assignment(answer.skip_assignment && version >= FIRST_VERSION_WITH_SKIPPED_ASSIGNMENT)
                .with_member_id(text(&answer.member_id))
                .with_members(members.collect());
            if version >= FIRST_VERSION_WITH_NULL_PROTOCOL {
                response.protocol_type = wire_text(answer.protocol_type.as_deref());
            }
        }
        Err(error) => {
            response = response
                .with_error_code(error.code())
                .with_protocol_name(None)
                .with_member_id(text(member_id));
        }
    }
    if version < FIRST_VERSION_WITH_NULL_PROTOCOL && response.protocol_name.is_none() {
        response.protocol_name = Some(text(""));
    }
    response
}

#[cfg(test)]
mod tests {
    use wire::encode_response;

    use super::*;

    #[test]
    fn every_version_can_say_that_there_is_no_coordinator() {
        for version in 0..=9 {
            let response = shown(Err(ErrorCode::NotCoordinator), "m", version);
            assert!(encode_response(11, version, 1, &response).is_ok(), "version {version}");
        }
    }

    #[test]
    fn every_version_can_carry_a_leaders_answer() {
        let member = coordinator::JoinGroupMember {
            member_id: "m".to_owned(),
            group_instance_id: Some("i".to_owned()),
            metadata: bytes::Bytes::from_static(b"x"),
        };
        let answer = JoinGroupResponse {
            error: ErrorCode::None,
            generation_id: 1,
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            leader: "m".to_owned(),
            skip_assignment: true,
            member_id: "m".to_owned(),
            members: vec![member],
        };
        for version in 0..=9 {
            let response = shown(Ok(answer.clone()), "m", version);
            assert!(encode_response(11, version, 1, &response).is_ok(), "version {version}");
        }
    }
}
