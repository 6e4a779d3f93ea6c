//! Heartbeat: answered from memory.

use types::{ErrorCode, TimestampMs};

use super::GroupShard;
use crate::consumer::ClusterView;
use crate::{Effects, GroupState, HeartbeatRequest, HeartbeatResponse, ReplyToken};

impl GroupShard {
    /// Keeps a member's session alive; tells it when to join again.
    pub fn heartbeat(
        &mut self,
        now: TimestampMs,
        token: ReplyToken,
        request: &HeartbeatRequest,
        cluster: &dyn ClusterView,
    ) -> Effects {
        let error = self
            .on_heartbeat(now, request, cluster)
            .err()
            .unwrap_or(ErrorCode::None);
        let mut effects = Effects::default();
        effects.reply(token, HeartbeatResponse { error });
        effects
    }

    fn on_heartbeat(
        &mut self,
        now: TimestampMs,
        request: &HeartbeatRequest,
        cluster: &dyn ClusterView,
    ) -> Result<(), ErrorCode> {
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        if self.consumer_groups.contains_key(request.group_id.as_str()) {
            return self.heartbeat_consumer_group(now, request, cluster);
        }
        let group = self
            .groups
            .get_mut(request.group_id.as_str())
            .ok_or(ErrorCode::UnknownMemberId)?;
        group.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != group.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let preparing = group.state == GroupState::PreparingRebalance;
        self.restart_session(now, &request.group_id, &request.member_id);
        if preparing {
            Err(ErrorCode::RebalanceInProgress)
        } else {
            Ok(())
        }
    }

    /// A session that only gets longer leaves the group's timer as it is: one heartbeat costs two look-ups, whatever the
    /// group's size. The timer then fires early once a session and is set anew.
    pub(super) fn restart_session(&mut self, now: TimestampMs, group_id: &str, member_id: &str) {
        let armed_at = self.armed_at(group_id);
        let member = self
            .groups
            .get_mut(group_id)
            .and_then(|group| group.members.get_mut(member_id));
        if let Some(member) = member {
            member.restart_session(now);
            if armed_at.is_none_or(|at| member.session_deadline < at) {
                self.arm(group_id);
            }
        }
    }
}
