//! DescribeGroups, one group.

use types::ErrorCode;

use super::GroupShard;
use crate::{DescribeGroupRequest, DescribeGroupResponse, DescribedMember, Effects, GroupState, ReplyToken};

/// From this version an unknown group is an error (KIP-1043).
const FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND: i16 = 6;

impl GroupShard {
    /// Shows a group and its members.
    pub fn describe_group(&self, token: ReplyToken, request: DescribeGroupRequest) -> Effects {
        let DescribeGroupRequest { api_version, group_id } = request;
        let Some(group) = self.groups.get(group_id.as_str()) else {
            let missing = api_version >= FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND;
            let response = DescribeGroupResponse {
                group_id,
                error: if missing {
                    ErrorCode::GroupIdNotFound
                } else {
                    ErrorCode::None
                },
                state: GroupState::Dead,
                protocol_type: String::new(),
                protocol_data: String::new(),
                members: Vec::new(),
            };
            return Effects::read(token, response);
        };
        // Before the group is stable its members may not even share a protocol.
        let protocol = group.protocol.as_deref().filter(|_| group.state == GroupState::Stable);
        let members = group.members.iter().map(|(member_id, member)| DescribedMember {
            member_id: member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.metadata(protocol),
            assignment: member.assignment.clone(),
        });
        let response = DescribeGroupResponse {
            group_id,
            error: ErrorCode::None,
            state: group.state,
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.unwrap_or_default().to_owned(),
            members: members.collect(),
        };
        Effects::read(token, response)
    }
}
