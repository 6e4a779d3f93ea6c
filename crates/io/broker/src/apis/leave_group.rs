//! LeaveGroup (13): one member, or from version 3 several (KIP-345).

use std::sync::Arc;

use coordinator::{LeaveGroupRequest, LeaveGroupResponse, LeavingMember};
use types::ErrorCode;
use wire::messages;
use wire::messages::leave_group_response::MemberResponse;

use super::exchange::{Handled, decode, respond, text};
use super::group_answers::{ask, check_group_id, owned, pick, wire_text};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::GroupRequest;

const FIRST_VERSION_WITH_MEMBERS: i16 = 3;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: messages::LeaveGroupRequest = decode(&header, request.body)?;
    let answer = match check_group_id(&body.group_id) {
        Ok(()) => {
            let group_id = body.group_id.0.to_string();
            let asked = asked(body, header.api_version);
            ask(&broker, &group_id, GroupRequest::LeaveGroup(asked), pick!(LeaveGroup)).await
        }
        Err(error) => Err(error),
    };
    respond(&header, &shown(answer, header.api_version))
}

fn asked(body: messages::LeaveGroupRequest, version: i16) -> LeaveGroupRequest {
    let members = if version >= FIRST_VERSION_WITH_MEMBERS {
        let members = body.members.into_iter().map(|member| LeavingMember {
            member_id: member.member_id.to_string(),
            group_instance_id: owned(member.group_instance_id),
        });
        members.collect()
    } else {
        vec![LeavingMember {
            member_id: body.member_id.to_string(),
            group_instance_id: None,
        }]
    };
    LeaveGroupRequest {
        group_id: body.group_id.0.to_string(),
        members,
    }
}

fn shown(answer: Result<LeaveGroupResponse, ErrorCode>, version: i16) -> messages::LeaveGroupResponse {
    let answer = answer.unwrap_or_else(|error| LeaveGroupResponse {
        error,
        members: Vec::new(),
    });
    if version < FIRST_VERSION_WITH_MEMBERS {
        // The only member's error is the request's.
        let error = match answer.members.first() {
            Some(member) if answer.error.is_none() => member.error,
            _ => answer.error,
        };
        return messages::LeaveGroupResponse::default().with_error_code(error.code());
    }
    let members = answer.members.into_iter().map(|member| {
        MemberResponse::default()
            .with_member_id(text(&member.member_id))
            .with_group_instance_id(wire_text(member.group_instance_id.as_deref()))
            .with_error_code(member.error.code())
    });
    messages::LeaveGroupResponse::default()
        .with_error_code(answer.error.code())
        .with_members(members.collect())
}

#[cfg(test)]
mod tests {
    use coordinator::LeftMember;
    use wire::encode_response;

    use super::*;

    #[test]
    fn before_version_three_the_members_error_is_the_requests() {
        let member = LeftMember {
            member_id: "m".to_owned(),
            group_instance_id: None,
            error: ErrorCode::UnknownMemberId,
        };
        for version in 0..=5 {
            let answer = LeaveGroupResponse {
                error: ErrorCode::None,
                members: vec![member.clone()],
            };
            let response = shown(Ok(answer), version);
            assert!(encode_response(13, version, 1, &response).is_ok(), "version {version}");
            assert_eq!(response.error_code == 25, version < 3);
            assert_eq!(response.members.len(), usize::from(version >= 3));
        }
    }
}
