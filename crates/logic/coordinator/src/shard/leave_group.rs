//! LeaveGroup: by the member itself, or by an administrator.

use types::{ErrorCode, TimestampMs};

use super::GroupShard;
use crate::consumer::ClusterView;
use crate::group::{ClassicGroup, Turn};
use crate::{Effects, GroupState, LeaveGroupRequest, LeaveGroupResponse, LeavingMember, LeftMember, ReplyToken};

impl GroupShard {
    /// Removes members. The answer waits for the log only if the group became empty, which is stored.
    pub fn leave_group(
        &mut self,
        now: TimestampMs,
        token: ReplyToken,
        request: LeaveGroupRequest,
        cluster: &dyn ClusterView,
    ) -> Effects {
        if self.consumer_groups.contains_key(request.group_id.as_str()) {
            return self.leave_consumer_group(now, token, request, cluster);
        }
        let mut turn = self.turn(now);
        if request.group_id.is_empty() {
            let error = ErrorCode::InvalidGroupId;
            turn.effects.reply(
                token,
                LeaveGroupResponse {
                    error,
                    members: Vec::new(),
                },
            );
            return turn.effects;
        }
        let mut group = self.groups.get_mut(request.group_id.as_str());
        let mut members = Vec::new();
        for LeavingMember {
            member_id,
            group_instance_id,
        } in request.members
        {
            let left = match &mut group {
                Some(group) => leave(group, &mut turn, &member_id, group_instance_id.as_deref()),
                None => Err(ErrorCode::UnknownMemberId),
            };
            members.push(LeftMember {
                member_id,
                group_instance_id,
                error: left.err().unwrap_or(ErrorCode::None),
            });
        }
        if let Some(group) = group
            && members.iter().any(|member| member.error.is_none())
        {
            match group.state {
                GroupState::Stable | GroupState::CompletingRebalance => group.prepare_rebalance(&mut turn),
                GroupState::PreparingRebalance => group.maybe_complete_join(&mut turn),
                GroupState::Empty | GroupState::Dead => {}
            }
        }
        let response = LeaveGroupResponse {
            error: ErrorCode::None,
            members,
        };
        if turn.effects.records.is_empty() {
            turn.effects.reply(token, response);
        } else {
            turn.effects.reply_committed(token, response);
        }
        self.settle(&request.group_id, turn)
    }
}

fn leave(
    group: &mut ClassicGroup,
    turn: &mut Turn,
    member_id: &str,
    instance_id: Option<&str>,
) -> Result<(), ErrorCode> {
    if member_id.is_empty() {
        // An administrator names instances only.
        let holder = instance_id.and_then(|id| group.static_members.get(id)).cloned();
        group.expel(turn, &holder.ok_or(ErrorCode::UnknownMemberId)?);
    } else if group.pending.contains_key(member_id) {
        group.remove(member_id);
    } else {
        group.validate_member(member_id, instance_id)?;
        group.expel(turn, member_id);
    }
    Ok(())
}
