//! A static member that comes back under a new id (KIP-345): it takes the place, and the assignment, of the old one.

use types::ErrorCode;

use crate::effects::Undo;
use crate::group::{ClassicGroup, Turn};
use crate::{GroupState, JoinGroupRequest, JoinGroupResponse, ReplyToken, SyncGroupResponse};

/// From this version a leader can be told to keep the assignment (KIP-814).
const FIRST_VERSION_SKIPPING_ASSIGNMENT: i16 = 9;

impl ClassicGroup {
    /// Puts the request's fresh id in the place of `old_member_id`. In a Stable group whose protocol stays the same no
    /// rebalance follows: the new id is stored, and the answer waits for that.
    pub(crate) fn replace_static_member(
        &mut self,
        turn: &mut Turn,
        token: ReplyToken,
        request: &JoinGroupRequest,
        old_member_id: &str,
    ) {
        let old_leader = self.leader.clone();
        let before = (self.state == GroupState::Stable).then(|| self.clone());
        if !self.rename_static_member(turn, request, old_member_id) {
            turn.effects
                .reply(token, JoinGroupResponse::error(ErrorCode::UnknownServerError, ""));
            return;
        }
        let member_id = request.fresh_member_id.as_str();
        if let Some(before) = before {
            if self.protocol.is_some() && self.protocol == self.select_protocol() {
                self.persist_static_member(turn, token, request, (before, old_leader));
                return;
            }
            self.park_join(turn, token, member_id);
            self.prepare_rebalance(turn);
            return;
        }
        self.park_join(turn, token, member_id);
        if self.state == GroupState::CompletingRebalance {
            // The leader may be assigning to the old id already: the new one would get nothing.
            self.prepare_rebalance(turn);
        } else {
            self.maybe_complete_join(turn);
        }
    }

    fn rename_static_member(&mut self, turn: &mut Turn, request: &JoinGroupRequest, old_member_id: &str) -> bool {
        let (Some(instance_id), Some(mut member)) = (&request.group_instance_id, self.members.remove(old_member_id))
        else {
            return false;
        };
        // The older process, if it still runs, learns at once that it was replaced.
        if let Some(fenced) = member.awaiting_join.take() {
            turn.effects.reply(
                fenced,
                JoinGroupResponse::error(ErrorCode::FencedInstanceId, old_member_id),
            );
        }
        if let Some(fenced) = member.awaiting_sync.take() {
            turn.effects
                .reply(fenced, SyncGroupResponse::error(ErrorCode::FencedInstanceId));
        }
        let member_id = request.fresh_member_id.clone();
        if self.pending_sync.remove(old_member_id) {
            self.pending_sync.insert(member_id.clone());
        }
        if self.is_leader(old_member_id) {
            self.leader = Some(member_id.clone());
        }
        member.is_new = false;
        self.static_members.insert(instance_id.clone(), member_id.clone());
        self.members.insert(member_id.clone(), member);
        let timeouts = (request.rebalance_timeout_ms, request.session_timeout_ms);
        self.update_member(&member_id, &request.protocols, timeouts);
        if let Some(member) = self.members.get_mut(&member_id) {
            member.restart_session(turn.now);
        }
        true
    }

    fn persist_static_member(
        &mut self,
        turn: &mut Turn,
        token: ReplyToken,
        request: &JoinGroupRequest,
        (before, old_leader): (Self, Option<String>),
    ) {
        let member_id = request.fresh_member_id.as_str();
        let mut response = self.join_response(member_id);
        if request.api_version >= FIRST_VERSION_SKIPPING_ASSIGNMENT {
            response.skip_assignment = self.is_leader(member_id);
        } else {
            // Told that it leads, an older client would assign again; so it hears of its predecessor as the leader.
            response.members.clear();
            response.leader = old_leader.unwrap_or_default();
        }
        turn.effects
            .records
            .push(self.to_record(|_, member| member.assignment.clone()));
        turn.effects.undo = Undo::Group(Box::new(before));
        turn.effects.reply_committed(token, response);
    }
}
