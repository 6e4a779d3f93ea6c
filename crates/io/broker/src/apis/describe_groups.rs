//! DescribeGroups (15).

use std::sync::Arc;

use coordinator::{DescribeGroupRequest, DescribeGroupResponse};
use futures::future::join_all;
use types::ErrorCode;
use wire::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use wire::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

use super::authorized_operations::{GROUP, NOT_ASKED};
use super::exchange::{Handled, decode, respond, text};
use super::group_answers::{ask, pick, wire_group, wire_text};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::GroupRequest;

const FIRST_VERSION_WITH_OPERATIONS: i16 = 3;
const FIRST_VERSION_WITH_INSTANCE_IDS: i16 = 4;
const FIRST_VERSION_WITH_MESSAGE: i16 = 6;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let version = header.api_version;
    let body: DescribeGroupsRequest = decode(&header, request.body)?;
    let described = body.groups.iter().map(|group| describe(&broker, group, version));
    let operations = version >= FIRST_VERSION_WITH_OPERATIONS && body.include_authorized_operations;
    let groups = join_all(described)
        .await
        .into_iter()
        .zip(&body.groups)
        .map(|(answer, group)| match answer {
            Ok(answer) => shown(answer, version, operations),
            Err(error) => DescribedGroup::default()
                .with_group_id(group.clone())
                .with_error_code(error.code()),
        });
    respond(
        &header,
        &DescribeGroupsResponse::default().with_groups(groups.collect()),
    )
}

async fn describe(broker: &BrokerContext, group: &GroupId, version: i16) -> Result<DescribeGroupResponse, ErrorCode> {
    let asked = DescribeGroupRequest {
        api_version: version,
        group_id: group.0.to_string(),
    };
    ask(
        broker,
        &group.0,
        GroupRequest::DescribeGroup(asked),
        pick!(DescribeGroup),
    )
    .await
}

fn shown(answer: DescribeGroupResponse, version: i16, operations: bool) -> DescribedGroup {
    let missing = answer.error == ErrorCode::GroupIdNotFound && version >= FIRST_VERSION_WITH_MESSAGE;
    let message = missing.then(|| text(&format!("Group {} not found.", answer.group_id)));
    let members = answer.members.into_iter().map(|member| {
        let instance = member
            .group_instance_id
            .filter(|_| version >= FIRST_VERSION_WITH_INSTANCE_IDS);
        DescribedGroupMember::default()
            .with_member_id(text(&member.member_id))
            .with_group_instance_id(wire_text(instance.as_deref()))
            .with_client_id(text(&member.client_id))
            .with_client_host(text(&member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    DescribedGroup::default()
        .with_group_id(wire_group(&answer.group_id))
        .with_error_code(answer.error.code())
        .with_error_message(message)
        .with_group_state(text(answer.state.name()))
        .with_protocol_type(text(&answer.protocol_type))
        .with_protocol_data(text(&answer.protocol_data))
        .with_members(members.collect())
        .with_authorized_operations(if operations && answer.error.is_none() {
            GROUP
        } else {
            NOT_ASKED
        })
}

#[cfg(test)]
mod tests {
    use coordinator::{DescribedMember, GroupState};
    use wire::encode_response;

    use super::*;

    #[test]
    fn every_version_can_be_encoded() {
        let member = DescribedMember {
            member_id: "m".to_owned(),
            group_instance_id: Some("i".to_owned()),
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            metadata: bytes::Bytes::new(),
            assignment: bytes::Bytes::new(),
        };
        let answer = DescribeGroupResponse {
            group_id: "g".to_owned(),
            error: ErrorCode::GroupIdNotFound,
            state: GroupState::Dead,
            protocol_type: "consumer".to_owned(),
            protocol_data: String::new(),
            members: vec![member],
        };
        for version in 0..=6 {
            let groups = vec![shown(answer.clone(), version, version >= 3)];
            let response = DescribeGroupsResponse::default().with_groups(groups);
            assert!(encode_response(15, version, 1, &response).is_ok(), "version {version}");
        }
    }
}
