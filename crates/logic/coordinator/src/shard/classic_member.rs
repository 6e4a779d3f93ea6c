//! Members of the classic protocol in a consumer group: what is left of the old when a group moves from one protocol to the other
//! without stopping (KIP-848). To them the coordinator is the leader: a join is answered at once, a sync with what they hold. A
//! heartbeat sends them back to join while there is something for them to do.

use std::borrow::Cow;
use std::sync::Arc;

use types::{ErrorCode, TimestampMs};

use super::GroupShard;
use super::consumer_draft::Draft;
use super::consumer_group_heartbeat::Refusal;
use super::consumer_place::replace;
use super::join_group::FIRST_VERSION_REQUIRING_MEMBER_ID;
use crate::consumer::{
    AWAY, ClusterView, ConsumerGroup, ConsumerMember, EmbeddedSubscription, NamedPartitions, decode_subscription,
    encode_assignment,
};
use crate::effects::Undo;
use crate::group::CONSUMER;
use crate::record::{Assignment, ClassicMember, HeldPartitions, MemberState};
use crate::{
    Effects, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    LeavingMember, LeftMember, ReplyToken, SyncGroupRequest, SyncGroupResponse,
};

impl GroupShard {
    /// Joins a classic member to a consumer group that has members.
    pub(super) fn join_consumer_group(
        &mut self,
        now: TimestampMs,
        token: ReplyToken,
        request: &JoinGroupRequest,
        cluster: &dyn ClusterView,
    ) -> Effects {
        let mut effects = Effects::default();
        match self.on_classic_join(now, request, cluster) {
            Ok((draft_records, response, replaced)) => {
                let id = self.group_id(&request.group_id);
                let timers = self.consumer_timers.entry(id).or_default();
                if let Some(replaced) = replaced {
                    timers.forget(&replaced);
                }
                timers.seen_version = Some(cluster.version());
                let session = now.plus_ms(i64::from(request.session_timeout_ms.max(0)));
                timers.restart_session(&response.member_id, session);
                // It has that long to ask for its assignment.
                let until = now.plus_ms(i64::from(request.rebalance_timeout_ms.max(0)));
                timers.start_rebalance(&response.member_id, response.generation_id, until);
                self.arm(&request.group_id);
                effects.records = draft_records;
                effects.undo = Undo::Consumers(vec![Arc::from(request.group_id.as_str())]);
                effects.reply_committed(token, response);
            }
            Err((error, member_id)) => effects.reply(token, JoinGroupResponse::error(error, &member_id)),
        }
        effects
    }

    #[expect(clippy::type_complexity, reason = "one caller")]
    fn on_classic_join(
        &self,
        now: TimestampMs,
        request: &JoinGroupRequest,
        cluster: &dyn ClusterView,
    ) -> Result<(Vec<crate::CoordinatorRecord>, JoinGroupResponse, Option<String>), (ErrorCode, String)> {
        let refuse = |error: ErrorCode| (error, request.member_id.clone());
        let group = self
            .consumer_groups
            .get(request.group_id.as_str())
            .ok_or_else(|| refuse(ErrorCode::UnknownMemberId))?;
        let is_new = request.member_id.is_empty();
        let member_id = if is_new {
            request.fresh_member_id.as_str()
        } else {
            request.member_id.as_str()
        };
        let max_size = usize::try_from(self.config.consumer_max_size).unwrap_or(0);
        if group.members.len() >= max_size && !group.members.contains_key(member_id) {
            return Err((ErrorCode::GroupMaxSizeReached, String::new()));
        }
        let subscription = supported_subscription(group, member_id, request)
            .ok_or_else(|| refuse(ErrorCode::InconsistentGroupProtocol))?;
        if is_new && request.group_instance_id.is_none() && request.api_version >= FIRST_VERSION_REQUIRING_MEMBER_ID {
            return Err((ErrorCode::MemberIdRequired, member_id.to_owned()));
        }
        let mut draft = Draft::new(Cow::Borrowed(group));
        let mut replaced = None;
        if let Some(instance) = &request.group_instance_id {
            match draft.group.static_members.get(instance).cloned() {
                Some(holder) if holder == member_id => {}
                Some(holder) if is_new => {
                    replace(&mut draft, &holder, member_id);
                    replaced = Some(holder);
                }
                Some(_) => return Err(refuse(ErrorCode::FencedInstanceId)),
                None if is_new => {}
                None => return Err(refuse(ErrorCode::UnknownMemberId)),
            }
        }
        let before = draft
            .group
            .members
            .get(member_id)
            .map(|member| member.subscription.clone());
        let mut wanted = before.clone().unwrap_or_default();
        wanted.instance_id.clone_from(&request.group_instance_id);
        wanted.rack_id.clone_from(&subscription.rack_id);
        wanted.rebalance_timeout_ms = request.rebalance_timeout_ms;
        wanted.topics = subscription.topics.iter().cloned().collect();
        wanted.client_id.clone_from(&request.client_id);
        wanted.client_host.clone_from(&request.client_host);
        wanted.classic = Some(ClassicMember {
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.clone(),
        });
        let mut bump = false;
        if before.as_ref() != Some(&wanted) {
            bump = before.is_none_or(|before| before.topics != wanted.topics);
            draft.set_subscription(member_id, wanted);
        }
        let owned = by_id(&subscription.owned, cluster);
        let step = self
            .advance(&mut draft, now, member_id, bump, Some(&owned), cluster)
            .map_err(|(error, _): Refusal| refuse(error))?;
        let generation_id = step.current.epoch;
        if replaced.is_some() {
            self.downgrade_if_classic(&mut draft, now, cluster);
        }
        let response = JoinGroupResponse {
            error: ErrorCode::None,
            generation_id,
            protocol_type: Some(CONSUMER.to_owned()),
            protocol_name: request.protocols.first().map(|protocol| protocol.name.clone()),
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        };
        Ok((draft.records, response, replaced))
    }

    /// Tells a classic member what it holds.
    pub(super) fn sync_consumer_group(
        &mut self,
        now: TimestampMs,
        token: ReplyToken,
        request: &SyncGroupRequest,
        cluster: &dyn ClusterView,
    ) -> Effects {
        let mut effects = Effects::default();
        match self.on_classic_sync(now, request, cluster) {
            Ok((response, session_timeout_ms)) => {
                let id = self.group_id(&request.group_id);
                let timers = self.consumer_timers.entry(id).or_default();
                timers.stop_rebalance(&request.member_id);
                timers.restart_session(&request.member_id, now.plus_ms(i64::from(session_timeout_ms.max(0))));
                effects.reply_committed(token, response);
            }
            Err(error) => {
                if error == ErrorCode::RebalanceInProgress {
                    self.expect_join(now, &request.group_id, &request.member_id);
                }
                effects.reply(token, SyncGroupResponse::error(error));
            }
        }
        self.arm(&request.group_id);
        effects
    }

    fn on_classic_sync(
        &self,
        now: TimestampMs,
        request: &SyncGroupRequest,
        cluster: &dyn ClusterView,
    ) -> Result<(SyncGroupResponse, i32), ErrorCode> {
        let speaker = (request.member_id.as_str(), request.group_instance_id.as_deref());
        let (group, member, classic) = self.classic_in_generation(&request.group_id, speaker, request.generation_id)?;
        let offered = |name: &String| classic.protocols.iter().any(|protocol| protocol.name == *name);
        if request.protocol_type.as_deref().is_some_and(|kind| kind != CONSUMER)
            || request.protocol_name.as_ref().is_some_and(|name| !offered(name))
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        // One that is to give something up learns what by this answer. Until the assignment interval is over the old targets hold: sent
        // back to join, members would come again at once, and again.
        let overrides = cluster.overrides(&request.group_id);
        let behind = member.current.epoch < group.target_epoch.epoch || self.is_to_be_assigned(group, now, overrides);
        if behind && member.current.state != MemberState::Unrevoked {
            return Err(ErrorCode::RebalanceInProgress);
        }
        let version = embedded(classic).map_or(0, |subscription| subscription.version);
        let response = SyncGroupResponse {
            error: ErrorCode::None,
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment: encode_assignment(version, &by_name(&member.current.assigned, cluster)),
        };
        Ok((response, classic.session_timeout_ms))
    }

    /// The classic member that speaks, in the generation that it names.
    fn classic_in_generation(
        &self,
        group_id: &str,
        (member_id, instance_id): (&str, Option<&str>),
        generation_id: i32,
    ) -> Result<(&ConsumerGroup, &ConsumerMember, &ClassicMember), ErrorCode> {
        let group = self.consumer_groups.get(group_id).ok_or(ErrorCode::UnknownMemberId)?;
        let (member, classic) = classic_member(group, member_id, instance_id)?;
        if generation_id != member.current.epoch {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok((group, member, classic))
    }

    /// A classic member's sign of life.
    ///
    /// # Errors
    /// REBALANCE_IN_PROGRESS while there is something for it to do.
    pub(super) fn heartbeat_consumer_group(
        &mut self,
        now: TimestampMs,
        request: &HeartbeatRequest,
        cluster: &dyn ClusterView,
    ) -> Result<(), ErrorCode> {
        let speaker = (request.member_id.as_str(), request.group_instance_id.as_deref());
        let (group, member, classic) = self.classic_in_generation(&request.group_id, speaker, request.generation_id)?;
        let session = now.plus_ms(i64::from(classic.session_timeout_ms.max(0)));
        // Its join makes the targets, where nobody else's heartbeat has.
        let rebalancing = is_rebalancing(group, &request.member_id, member)
            || self.is_to_be_assigned(group, now, cluster.overrides(&request.group_id));
        let id = self.group_id(&request.group_id);
        self.consumer_timers
            .entry(id)
            .or_default()
            .restart_session(&request.member_id, session);
        if rebalancing {
            self.expect_join(now, &request.group_id, &request.member_id);
        }
        self.arm(&request.group_id);
        if rebalancing {
            Err(ErrorCode::RebalanceInProgress)
        } else {
            Ok(())
        }
    }

    /// The member was told to join again, and has its rebalance timeout for it; being told once more doesn't begin it anew.
    fn expect_join(&mut self, now: TimestampMs, group_id: &str, member_id: &str) {
        let group = self.consumer_groups.get(group_id);
        let Some(member) = group.and_then(|group| group.members.get(member_id)) else {
            return;
        };
        let (epoch, timeout) = (member.current.epoch, member.subscription.rebalance_timeout_ms);
        if let Some(timers) = self.consumer_timers.get_mut(group_id)
            && !timers.is_rebalancing(member_id)
        {
            timers.start_rebalance(member_id, epoch, now.plus_ms(i64::from(timeout.max(0))));
        }
    }

    /// Classic members leave, or are removed by an administrator.
    pub(super) fn leave_consumer_group(
        &mut self,
        now: TimestampMs,
        token: ReplyToken,
        request: LeaveGroupRequest,
        cluster: &dyn ClusterView,
    ) -> Effects {
        let mut effects = Effects::default();
        let mut members = Vec::new();
        let mut gone = Vec::new();
        if let Some(group) = self.consumer_groups.get(request.group_id.as_str()) {
            let mut draft = Draft::new(Cow::Borrowed(group));
            for LeavingMember {
                member_id,
                group_instance_id,
            } in request.members
            {
                let found = leaving(&draft.group, &member_id, group_instance_id.as_deref());
                if let Ok(found) = &found {
                    draft.remove_member(found);
                    gone.push(found.clone());
                }
                members.push(LeftMember {
                    member_id,
                    group_instance_id,
                    error: found.err().unwrap_or(ErrorCode::None),
                });
            }
            if !gone.is_empty() {
                draft.end_removal();
                self.downgrade_if_classic(&mut draft, now, cluster);
            }
            effects.records = draft.records;
            effects.undo = Undo::Consumers(vec![group.id.clone()]);
        }
        if let Some(timers) = self.consumer_timers.get_mut(request.group_id.as_str()) {
            gone.iter().for_each(|member_id| timers.forget(member_id));
        }
        self.arm(&request.group_id);
        let response = LeaveGroupResponse {
            error: ErrorCode::None,
            members,
        };
        effects.reply_committed(token, response);
        effects
    }
}

fn leaving(group: &ConsumerGroup, member_id: &str, instance_id: Option<&str>) -> Result<String, ErrorCode> {
    let member_id = match instance_id {
        // An administrator names instances only.
        Some(instance) if member_id.is_empty() => {
            let holder = group.static_members.get(instance);
            holder.ok_or(ErrorCode::UnknownMemberId)?.clone()
        }
        _ => {
            // An administrator may remove members of either protocol.
            group.member(member_id, instance_id)?;
            member_id.to_owned()
        }
    };
    Ok(member_id)
}

fn classic_member<'a>(
    group: &'a ConsumerGroup,
    member_id: &str,
    instance_id: Option<&str>,
) -> Result<(&'a ConsumerMember, &'a ClassicMember), ErrorCode> {
    let member = group.member(member_id, instance_id)?;
    let classic = member.subscription.classic.as_ref();
    let classic = classic.filter(|_| member.current.epoch != AWAY);
    classic
        .map(|classic| (member, classic))
        .ok_or(ErrorCode::UnknownMemberId)
}

/// Whether the member has to join again.
fn is_rebalancing(group: &ConsumerGroup, member_id: &str, member: &ConsumerMember) -> bool {
    let waits = || {
        group.target_of(member_id).iter().any(|(topic, partitions)| {
            partitions
                .iter()
                .any(|partition| group.is_held_by_another(*topic, *partition, member_id))
        })
    };
    member.current.epoch < group.target_epoch.epoch
        || member.current.state == MemberState::Unrevoked
        || (member.current.state == MemberState::Unreleased && !waits())
}

/// The member's subscription, if its protocols fit to those of the group's other classic members.
fn supported_subscription(
    group: &ConsumerGroup,
    member_id: &str,
    request: &JoinGroupRequest,
) -> Option<EmbeddedSubscription> {
    let first = request
        .protocols
        .first()
        .filter(|_| request.protocol_type == CONSUMER)?;
    let others = group.members.iter().filter(|(id, _)| *id != member_id);
    let mut others = others.filter_map(|(_, member)| member.subscription.classic.as_ref());
    let fits = |name: &str| {
        let offers = |classic: &ClassicMember| classic.protocols.iter().any(|protocol| protocol.name == name);
        others.clone().all(offers)
    };
    let any = request.protocols.iter().any(|protocol| fits(&protocol.name));
    // Nobody else is classic: anything fits.
    let any = any || others.next().is_none();
    decode_subscription(&first.metadata).ok().filter(|_| any)
}

pub(super) fn embedded(classic: &ClassicMember) -> Option<EmbeddedSubscription> {
    decode_subscription(&classic.protocols.first()?.metadata).ok()
}

/// Partitions of topics that exist.
pub(super) fn by_id(named: &NamedPartitions, cluster: &dyn ClusterView) -> Assignment {
    let mut assignment = Assignment::new();
    for (name, partitions) in named {
        if let Some(topic) = cluster.topic(name) {
            assignment
                .entry(topic.id)
                .or_default()
                .extend(partitions.iter().copied());
        }
    }
    assignment
}

pub(super) fn by_name(held: &HeldPartitions, cluster: &dyn ClusterView) -> NamedPartitions {
    let named = held.iter().filter_map(|(topic, partitions)| {
        let name = cluster.name_of(*topic)?;
        Some((name, partitions.keys().copied().collect()))
    });
    named.collect()
}
