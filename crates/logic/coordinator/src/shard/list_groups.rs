//! ListGroups: this shard's part of the broker's list.

use types::ErrorCode;

use super::GroupShard;
use crate::{Effects, ListGroupsRequest, ListGroupsResponse, ListedGroup, ReplyToken};

/// Kafka's name for the type of all groups here.
const CLASSIC: &str = "Classic";

impl GroupShard {
    /// Lists groups by state (KIP-518) and type (KIP-848). Names that nobody knows match nothing.
    pub fn list_groups(&self, token: ReplyToken, request: &ListGroupsRequest) -> Effects {
        let matches = |filter: &[String], name: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
        };
        let mut groups = Vec::new();
        if matches(&request.types, CLASSIC) {
            for group in self
                .groups
                .values()
                .filter(|group| matches(&request.states, group.state.name()))
            {
                groups.push(ListedGroup {
                    group_id: group.id.to_string(),
                    protocol_type: group.protocol_type.clone().unwrap_or_default(),
                    state: group.state,
                    group_type: CLASSIC,
                });
            }
        }
        Effects::read(
            token,
            ListGroupsResponse {
                error: ErrorCode::None,
                groups,
            },
        )
    }
}
