//! ConsumerGroupDescribe (KIP-848), one group.

use types::ErrorCode;

use super::GroupShard;
use crate::consumer::AssignorKind;
use crate::record::{Assignment, HeldPartitions};
use crate::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupState, DescribedConsumer, Effects,
    ReplyToken,
};

impl GroupShard {
    /// Shows a group, its members, what they have and what they are to have. A group of another kind isn't found.
    pub fn consumer_group_describe(&self, token: ReplyToken, request: ConsumerGroupDescribeRequest) -> Effects {
        let group_id = request.group_id;
        let Some(group) = self.consumer_groups.get(group_id.as_str()) else {
            let message = if self.groups.contains_key(group_id.as_str()) {
                format!("Group {group_id} is not a consumer group.")
            } else {
                format!("Group {group_id} not found.")
            };
            return Effects::read(
                token,
                ConsumerGroupDescribeResponse::error(group_id, ErrorCode::GroupIdNotFound, Some(message)),
            );
        };
        let members = group.members.iter().map(|(member_id, member)| DescribedConsumer {
            member_id: member_id.clone(),
            subscription: member.subscription.clone(),
            epoch: member.current.epoch,
            assigned: all_held(&member.current.assigned),
            target: group.target_of(member_id),
        });
        let preferred = group.preferred_assignor().and_then(AssignorKind::from_name);
        let response = ConsumerGroupDescribeResponse {
            group_id,
            error: ErrorCode::None,
            message: None,
            state: group.state(),
            epoch: group.epoch.epoch,
            target_epoch: group.target_epoch.epoch,
            assignor: preferred
                .unwrap_or(self.config.consumer_default_assignor)
                .name()
                .to_owned(),
            members: members.collect(),
        };
        Effects::read(token, response)
    }
}

/// Held partitions without since when.
pub(super) fn all_held(held: &HeldPartitions) -> Assignment {
    held.iter()
        .map(|(topic, partitions)| (*topic, partitions.keys().copied().collect()))
        .collect()
}

impl ConsumerGroupDescribeResponse {
    pub(crate) fn error(group_id: String, error: ErrorCode, message: Option<String>) -> Self {
        Self {
            group_id,
            error,
            message,
            state: ConsumerGroupState::Dead,
            epoch: 0,
            target_epoch: 0,
            assignor: String::new(),
            members: Vec::new(),
        }
    }
}
