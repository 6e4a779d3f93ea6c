//! JoinGroup: becoming a member, or a member of the next generation.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use types::{ErrorCode, TimestampMs};

use super::GroupShard;
use super::consumer_draft::Draft;
use crate::consumer::{ClusterView, ConsumerGroup};
use crate::group::{ClassicGroup, Member, Turn};
use crate::record::MAX_STRING_BYTES;
use crate::{Effects, GroupState, JoinGroupRequest, JoinGroupResponse, ReplyToken};

/// Ids handed out and not come back with, a group. Kafka has no bound; a client in a loop must not fill the memory.
const MAX_PENDING_MEMBERS: usize = 10_000;

/// From this version a new dynamic member is sent back with its id first (KIP-394).
pub(super) const FIRST_VERSION_REQUIRING_MEMBER_ID: i16 = 4;

impl GroupShard {
    /// Joins a member. The answer comes when the group's join phase ends, unless something is wrong or nothing changed.
    pub fn join_group(
        &mut self,
        now: TimestampMs,
        token: ReplyToken,
        mut request: JoinGroupRequest,
        cluster: &dyn ClusterView,
    ) -> Effects {
        let mut turn = self.turn(now);
        if let Err(error) = self.validate_join(&request) {
            turn.effects
                .reply(token, JoinGroupResponse::error(error, &request.member_id));
            return turn.effects;
        }
        if request.api_version == 0 || request.rebalance_timeout_ms < 0 {
            request.rebalance_timeout_ms = request.session_timeout_ms;
        }
        let mut names = BTreeSet::new();
        request.protocols.retain(|protocol| names.insert(protocol.name.clone()));

        if let Some(group) = self.consumer_groups.get(request.group_id.as_str()) {
            return if group.members.is_empty() {
                make_way(group, token, &request)
            } else {
                self.join_consumer_group(now, token, &request, cluster)
            };
        }
        let group_id = request.group_id.clone();
        if !self.groups.contains_key(group_id.as_str()) {
            if !request.member_id.is_empty() {
                let error = JoinGroupResponse::error(ErrorCode::UnknownMemberId, &request.member_id);
                turn.effects.reply(token, error);
                return turn.effects;
            }
            let id: Arc<str> = Arc::from(group_id.as_str());
            self.groups.insert(id.clone(), ClassicGroup::new(id, now));
        }
        if let Some(group) = self.groups.get_mut(group_id.as_str()) {
            if !accepts(group, &request.member_id, turn.config.max_size) {
                group.expel(&mut turn, &request.member_id);
                turn.effects
                    .reply(token, JoinGroupResponse::error(ErrorCode::GroupMaxSizeReached, ""));
                group.maybe_complete_join(&mut turn);
            } else if request.member_id.is_empty() {
                join_new(group, &mut turn, token, request);
            } else {
                join_known(group, &mut turn, token, request);
            }
        }
        self.settle(&group_id, turn)
    }

    fn validate_join(&self, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let limits = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
        if !limits.contains(&request.session_timeout_ms) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        let texts = [
            &request.group_id,
            &request.fresh_member_id,
            &request.client_id,
            &request.client_host,
        ];
        let texts = texts
            .into_iter()
            .chain([&request.protocol_type])
            .chain(&request.group_instance_id);
        let texts = texts.chain(request.protocols.iter().map(|protocol| &protocol.name));
        if texts.into_iter().any(|text| text.len() > MAX_STRING_BYTES) {
            return Err(ErrorCode::InvalidRequest);
        }
        Ok(())
    }
}

/// A consumer group without members makes way: its records go, and the client, which is told to try again, finds no group there.
fn make_way(group: &ConsumerGroup, token: ReplyToken, request: &JoinGroupRequest) -> Effects {
    let mut draft = Draft::new(Cow::Borrowed(group));
    draft.remove_group();
    let mut effects = Effects {
        records: draft.records,
        ..Effects::default()
    };
    let response = JoinGroupResponse::error(ErrorCode::CoordinatorLoadInProgress, &request.member_id);
    effects.reply_committed(token, response);
    effects
}

/// Whether the group has room. While members join again those who come first are counted, so that a group above a
/// lowered limit sheds its last ones.
fn accepts(group: &ClassicGroup, member_id: &str, max_size: i32) -> bool {
    let max_size = usize::try_from(max_size).unwrap_or(0);
    let member = group.members.get(member_id);
    match group.state {
        GroupState::Empty | GroupState::Dead => true,
        GroupState::PreparingRebalance => {
            member.is_some_and(|member| member.awaiting_join.is_some()) || group.awaiting_join_count() < max_size
        }
        GroupState::CompletingRebalance | GroupState::Stable => member.is_some() || group.members.len() < max_size,
    }
}

fn join_new(group: &mut ClassicGroup, turn: &mut Turn, token: ReplyToken, request: JoinGroupRequest) {
    let fresh = &request.fresh_member_id;
    if !group.supports(&request.protocol_type, &request.protocols) {
        turn.effects.reply(
            token,
            JoinGroupResponse::error(ErrorCode::InconsistentGroupProtocol, ""),
        );
    } else if fresh.is_empty() || group.members.contains_key(fresh) || group.pending.contains_key(fresh) {
        // The shell broke its promise of a fresh id; refusing it keeps two members apart.
        turn.effects
            .reply(token, JoinGroupResponse::error(ErrorCode::UnknownServerError, ""));
    } else if let Some(instance_id) = &request.group_instance_id {
        match group.static_members.get(instance_id).cloned() {
            Some(old_member_id) => group.replace_static_member(turn, token, &request, &old_member_id),
            None => add(group, turn, token, fresh.clone(), request),
        }
    } else if request.api_version < FIRST_VERSION_REQUIRING_MEMBER_ID {
        add(group, turn, token, fresh.clone(), request);
    } else if group.pending.len() >= MAX_PENDING_MEMBERS {
        turn.effects
            .reply(token, JoinGroupResponse::error(ErrorCode::GroupMaxSizeReached, ""));
    } else {
        group
            .pending
            .insert(fresh.clone(), turn.now.plus_ms(i64::from(request.session_timeout_ms)));
        turn.effects
            .reply(token, JoinGroupResponse::error(ErrorCode::MemberIdRequired, fresh));
    }
}

fn add(group: &mut ClassicGroup, turn: &mut Turn, token: ReplyToken, member_id: String, request: JoinGroupRequest) {
    if group.members.is_empty() {
        group.protocol_type = Some(request.protocol_type);
    }
    let member = Member {
        group_instance_id: request.group_instance_id,
        client_id: request.client_id,
        client_host: request.client_host,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        session_timeout_ms: request.session_timeout_ms,
        protocols: request.protocols,
        assignment: Bytes::new(),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: true,
        session_deadline: turn.now,
    };
    group.add_joining(turn, token, member_id, member);
}

fn join_known(group: &mut ClassicGroup, turn: &mut Turn, token: ReplyToken, request: JoinGroupRequest) {
    let member_id = request.member_id.as_str();
    let refusal = if !group.supports(&request.protocol_type, &request.protocols) {
        Err(ErrorCode::InconsistentGroupProtocol)
    } else if group.pending.contains_key(member_id) {
        if request.group_instance_id.is_none() {
            add(group, turn, token, request.member_id.clone(), request);
            return;
        }
        // Static members are never pending.
        Err(ErrorCode::UnknownServerError)
    } else {
        group.validate_member(member_id, request.group_instance_id.as_deref())
    };
    if let Err(error) = refusal {
        turn.effects.reply(token, JoinGroupResponse::error(error, member_id));
        return;
    }
    let unchanged = group
        .members
        .get(member_id)
        .is_some_and(|member| member.protocols == request.protocols);
    let answer_from_memory = match group.state {
        // It didn't get the answer of this generation.
        GroupState::CompletingRebalance => unchanged,
        // A follower that has nothing new; the leader's join asks for a rebalance.
        GroupState::Stable => unchanged && !group.is_leader(member_id),
        GroupState::PreparingRebalance | GroupState::Empty | GroupState::Dead => false,
    };
    if answer_from_memory {
        turn.effects.reply(token, group.join_response(member_id));
    } else {
        let timeouts = (request.rebalance_timeout_ms, request.session_timeout_ms);
        group.rejoin(turn, token, member_id, &request.protocols, timeouts);
    }
}
