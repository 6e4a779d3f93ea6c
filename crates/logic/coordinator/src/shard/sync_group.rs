//! SyncGroup: the leader brings the assignment, everyone gets theirs once it is committed.

use std::collections::BTreeMap;

use types::{ErrorCode, TimestampMs};

use super::GroupShard;
use crate::consumer::ClusterView;
use crate::effects::Undo;
use crate::group::{ClassicGroup, Turn};
use crate::{Effects, GroupState, ReplyToken, SyncGroupRequest, SyncGroupResponse};

impl GroupShard {
    /// Asks for a member's assignment. In CompletingRebalance the answer comes after the leader's was committed.
    pub fn sync_group(
        &mut self,
        now: TimestampMs,
        token: ReplyToken,
        request: SyncGroupRequest,
        cluster: &dyn ClusterView,
    ) -> Effects {
        if self.consumer_groups.contains_key(request.group_id.as_str()) {
            return self.sync_consumer_group(now, token, &request, cluster);
        }
        let mut turn = self.turn(now);
        let group_id = request.group_id.clone();
        let refusal = if group_id.is_empty() {
            Err(ErrorCode::InvalidGroupId)
        } else {
            match self.groups.get_mut(group_id.as_str()) {
                Some(group) if group.state != GroupState::Empty => sync(group, &mut turn, token, request),
                Some(_) | None => Err(ErrorCode::UnknownMemberId),
            }
        };
        if let Err(error) = refusal {
            turn.effects.reply(token, SyncGroupResponse::error(error));
        }
        self.settle(&group_id, turn)
    }
}

fn sync(
    group: &mut ClassicGroup,
    turn: &mut Turn,
    token: ReplyToken,
    request: SyncGroupRequest,
) -> Result<(), ErrorCode> {
    let differs = |asked: &Option<String>, held: &Option<String>| asked.is_some() && held.is_some() && asked != held;
    group.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
    if request.generation_id != group.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    if differs(&request.protocol_type, &group.protocol_type) || differs(&request.protocol_name, &group.protocol) {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    match group.state {
        GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
        GroupState::CompletingRebalance => {
            group.park_sync(turn, token, &request.member_id);
            if group.assignment_at.is_some() {
                // The first assignment of a generation holds (GRP-4): a leader that asks again waits for it, too.
                group.await_commit(turn);
            } else if group.is_leader(&request.member_id) {
                let assignments: BTreeMap<_, _> = request
                    .assignments
                    .into_iter()
                    .map(|each| (each.member_id, each.assignment))
                    .collect();
                let record = group.to_record(|member_id, _| assignments.get(member_id).cloned().unwrap_or_default());
                turn.effects.records.push(record);
                turn.effects.undo = Undo::Assignment {
                    group_id: group.id.clone(),
                    generation: group.generation,
                };
                group.await_commit(turn);
            }
            Ok(())
        }
        GroupState::Stable => {
            group.pending_sync.remove(&request.member_id);
            let member = group
                .members
                .get(&request.member_id)
                .ok_or(ErrorCode::UnknownMemberId)?;
            let response = SyncGroupResponse {
                error: ErrorCode::None,
                protocol_type: group.protocol_type.clone(),
                protocol_name: group.protocol.clone(),
                assignment: member.assignment.clone(),
            };
            // A group that was just loaded may be Stable by a record that isn't committed yet.
            turn.effects.reply_committed(token, response);
            Ok(())
        }
        GroupState::Empty | GroupState::Dead => Err(ErrorCode::UnknownMemberId),
    }
}
