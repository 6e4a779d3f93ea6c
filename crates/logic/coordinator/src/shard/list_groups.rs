//! ListGroups: this shard's part of the broker's list.

use types::ErrorCode;

use super::GroupShard;
use crate::group::CONSUMER;
use crate::{Effects, ListGroupsRequest, ListGroupsResponse, ListedGroup, ReplyToken};

/// Kafka's names for the types of groups.
const CLASSIC_TYPE: &str = "Classic";
const CONSUMER_TYPE: &str = "Consumer";

impl GroupShard {
    /// Lists groups by state (KIP-518) and type (KIP-848). Names that nobody knows match nothing.
    pub fn list_groups(&self, token: ReplyToken, request: &ListGroupsRequest) -> Effects {
        let matches = |filter: &[String], name: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
        };
        let mut groups = Vec::new();
        if matches(&request.types, CLASSIC_TYPE) {
            for group in self
                .groups
                .values()
                .filter(|group| matches(&request.states, group.state.name()))
            {
                groups.push(ListedGroup {
                    group_id: group.id.to_string(),
                    protocol_type: group.protocol_type.clone().unwrap_or_default(),
                    state: group.state.name(),
                    group_type: CLASSIC_TYPE,
                });
            }
        }
        if matches(&request.types, CONSUMER_TYPE) {
            let listed = self.consumer_groups.values().map(|group| (group, group.state().name()));
            for (group, state) in listed.filter(|(_, state)| matches(&request.states, state)) {
                groups.push(ListedGroup {
                    group_id: group.id.to_string(),
                    protocol_type: CONSUMER.to_owned(),
                    state,
                    group_type: CONSUMER_TYPE,
                });
            }
        }
        groups.sort_by(|left, right| left.group_id.cmp(&right.group_id));
        Effects::read(
            token,
            ListGroupsResponse {
                error: ErrorCode::None,
                groups,
            },
        )
    }
}
