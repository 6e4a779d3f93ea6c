//! ConsumerGroupHeartbeat (KIP-848): the one request of the consumer protocol. Members join, say what they want and have, and learn what
//! they are to have.

use std::borrow::Cow;

use types::{ErrorCode, TimestampMs};

use super::GroupShard;
use super::consumer_draft::Draft;
use super::consumer_group_describe::all_held;
use super::consumer_place::find_member;
use super::consumer_request::{check, is_full, updated};
use crate::consumer::{
    AWAY, AssignorKind, ClusterView, ConsumerGroup, GroupOverrides, Reconciliation, new_targets, next_assignment,
};
use crate::effects::Undo;
use crate::record::{Assignment, CurrentAssignment, GroupEpoch, HeldPartitions, MemberState, RecordKey};
use crate::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, CoordinatorRecord, Effects, GroupState, ReplyToken,
};

/// A member that leaves.
const LEAVES: i32 = -1;

/// Why a heartbeat is refused.
pub(super) type Refusal = (ErrorCode, String);

/// What a heartbeat comes to.
struct Outcome {
    response: ConsumerGroupHeartbeatResponse,
    records: Vec<CoordinatorRecord>,
    /// The member whose place this one takes.
    replaced: Option<String>,
    /// The group was a classic one.
    upgraded: bool,
    /// It left, or is away: nothing of it runs out any more, or only its session.
    leaves: Option<i32>,
    /// The epoch in which it must give partitions up, where that has changed.
    revokes_in: Option<Option<i32>>,
    rebalance_timeout_ms: i32,
}

impl GroupShard {
    /// Takes a member's heartbeat. The answer waits until all that it tells is committed.
    pub fn consumer_group_heartbeat(
        &mut self,
        now: TimestampMs,
        token: ReplyToken,
        request: &ConsumerGroupHeartbeatRequest,
        cluster: &dyn ClusterView,
    ) -> Effects {
        let mut effects = Effects::default();
        match self.on_consumer_heartbeat(now, request, cluster) {
            Ok(outcome) => {
                if outcome.upgraded {
                    self.hand_over_members(now, &request.group_id, &mut effects);
                }
                self.keep_consumer_time(now, &request.group_id, &outcome, cluster);
                effects.undo = Undo::Consumers(vec![self.group_id(&request.group_id)]);
                effects.records = outcome.records;
                effects.reply_committed(token, outcome.response);
            }
            Err((error, message)) => {
                effects.reply(token, ConsumerGroupHeartbeatResponse::error(error, Some(message)));
            }
        }
        effects
    }

    fn on_consumer_heartbeat(
        &self,
        now: TimestampMs,
        request: &ConsumerGroupHeartbeatRequest,
        cluster: &dyn ClusterView,
    ) -> Result<Outcome, Refusal> {
        check(request)?;
        let (mut draft, upgraded) = self.consumer_draft(request, cluster)?;
        if request.member_epoch < 0 {
            return self.leave(now, draft, request, cluster);
        }
        let joins = request.member_epoch == 0;
        let member_id = match request.member_id.as_str() {
            "" => request.fresh_member_id.as_str(),
            given => given,
        };
        let max_size = usize::try_from(self.config.consumer_max_size).unwrap_or(0);
        if draft.group.members.len() >= max_size && !draft.group.members.contains_key(member_id) {
            let message = format!("The consumer group has reached its maximum capacity of {max_size} members.");
            return Err((ErrorCode::GroupMaxSizeReached, message));
        }
        let replaced = find_member(&mut draft, request, member_id, joins)?;
        let before = draft
            .group
            .members
            .get(member_id)
            .map(|member| member.subscription.clone());
        let subscription = updated(before.clone().unwrap_or_default(), request);
        let rebalance_timeout_ms = subscription.rebalance_timeout_ms;
        let mut bump = false;
        if before.as_ref() != Some(&subscription) {
            bump = before
                .is_none_or(|before| before.topics != subscription.topics || before.pattern != subscription.pattern);
            draft.set_subscription(member_id, subscription);
            draft.forget_patterns();
        }
        let Step { before, current } =
            self.advance(&mut draft, now, member_id, bump, request.owned.as_ref(), cluster)?;
        let given_again = before
            .as_ref()
            .is_some_and(|before| before.assigned != current.assigned);
        let response = ConsumerGroupHeartbeatResponse {
            error: ErrorCode::None,
            message: None,
            member_id: Some(member_id.to_owned()),
            member_epoch: current.epoch,
            heartbeat_interval_ms: self.heartbeat_interval_ms(cluster.overrides(&request.group_id)),
            assignment: (is_full(request) || given_again).then(|| all_held(&current.assigned)),
        };
        Ok(Outcome {
            response,
            records: draft.records,
            replaced,
            leaves: None,
            upgraded,
            revokes_in: before.map(|_| (current.state == MemberState::Unrevoked).then_some(current.epoch)),
            rebalance_timeout_ms,
        })
    }

    /// What follows from a change of what a member wants, or of the cluster: another epoch, other targets, and the member's step towards
    /// its own.
    pub(super) fn advance(
        &self,
        draft: &mut Draft<'_>,
        now: TimestampMs,
        member_id: &str,
        mut bump: bool,
        owned: Option<&Assignment>,
        cluster: &dyn ClusterView,
    ) -> Result<Step, Refusal> {
        let group_id = draft.group.id.clone();
        let seen = self
            .consumer_timers
            .get(&group_id)
            .and_then(|timers| timers.seen_version);
        let unknown = draft.group.epoch.metadata_hash == 0;
        if bump || unknown || seen != Some(cluster.version()) {
            let patterns = draft.resolve_patterns(cluster, now);
            bump |= patterns.map_err(|error| {
                (
                    error,
                    "SubscribedTopicRegex is not a valid regular expression.".to_owned(),
                )
            })?;
            let hash = draft.metadata_hash(cluster);
            bump |= !unknown && hash != draft.group.epoch.metadata_hash;
            if bump {
                draft.bump_epoch(hash);
            } else if unknown {
                // It was bumped when the hash was lost.
                let epoch = draft.group.epoch.epoch;
                draft.set_epoch(GroupEpoch {
                    epoch,
                    metadata_hash: hash,
                });
            }
        }
        self.maybe_assign(draft, now, cluster.overrides(&group_id), cluster);
        reconcile(draft, member_id, owned, cluster)
    }

    /// The group that a request is for; one that begins may take the place of an empty classic one.
    fn consumer_draft(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        cluster: &dyn ClusterView,
    ) -> Result<(Draft<'_>, bool), Refusal> {
        let group_id = request.group_id.as_str();
        if let Some(group) = self.consumer_groups.get(group_id) {
            return Ok((Draft::new(Cow::Borrowed(group)), false));
        }
        let classic = self.groups.get(group_id);
        // Who is about to join an empty one as a classic member may do so in a consumer group.
        if let Some(classic) = classic.filter(|group| group.state != GroupState::Empty) {
            let upgraded = match request.member_epoch {
                0 => self.upgraded(classic, cluster),
                _ => Err(format!("Group {group_id} is not a consumer group.")),
            };
            return match upgraded {
                Ok(draft) => Ok((draft, true)),
                Err(message) => Err((ErrorCode::GroupIdNotFound, message)),
            };
        }
        if request.member_epoch != 0 {
            return Err((ErrorCode::GroupIdNotFound, format!("Group {group_id} not found.")));
        }
        let mut draft = Draft::new(Cow::Owned(ConsumerGroup::new(self.group_id(group_id))));
        if self.metadata.contains_key(group_id) {
            draft.records.push(CoordinatorRecord {
                key: RecordKey::encode_group_metadata(group_id),
                value: None,
            });
        }
        Ok((draft, false))
    }

    fn maybe_assign(
        &self,
        draft: &mut Draft<'_>,
        now: TimestampMs,
        overrides: GroupOverrides,
        cluster: &dyn ClusterView,
    ) {
        let group = &draft.group;
        if !self.is_to_be_assigned(group, now, overrides) {
            return;
        }
        let preferred = group.preferred_assignor().and_then(AssignorKind::from_name);
        let assignor = preferred.unwrap_or(self.config.consumer_default_assignor);
        let targets = new_targets(group, assignor, cluster);
        draft.set_targets(targets, now);
    }

    /// Whether the group's targets are of an earlier epoch, and may be made anew by now.
    pub(super) fn is_to_be_assigned(&self, group: &ConsumerGroup, now: TimestampMs, overrides: GroupOverrides) -> bool {
        let interval = overrides
            .assignment_interval_ms
            .unwrap_or(self.config.consumer_assignment_interval_ms);
        let made_at = group.target_epoch.made_at;
        // KIP-1263: who joins together is assigned together. Another coordinator's clock may have been ahead.
        let early = made_at <= now && now.since(made_at) < i64::from(interval);
        group.epoch.epoch > group.target_epoch.epoch && !early
    }

    fn heartbeat_interval_ms(&self, overrides: GroupOverrides) -> i32 {
        overrides
            .heartbeat_interval_ms
            .unwrap_or(self.config.consumer_heartbeat_interval_ms)
    }

    fn leave(
        &self,
        now: TimestampMs,
        mut draft: Draft<'_>,
        request: &ConsumerGroupHeartbeatRequest,
        cluster: &dyn ClusterView,
    ) -> Result<Outcome, Refusal> {
        let member_id = request.member_id.as_str();
        let refuse = |error: ErrorCode| {
            let message = format!("Member {member_id} is not a member of group {}.", request.group_id);
            (error, message)
        };
        let member = draft
            .group
            .member(member_id, request.instance_id.as_deref())
            .map_err(refuse)?;
        if request.member_epoch == AWAY {
            let current = CurrentAssignment {
                epoch: AWAY,
                pending_revocation: HeldPartitions::new(),
                ..member.current.clone()
            };
            draft.set_current(member_id, current);
        } else {
            draft.remove_member(member_id);
            draft.end_removal();
            self.downgrade_if_classic(&mut draft, now, cluster);
        }
        Ok(Outcome {
            response: ConsumerGroupHeartbeatResponse {
                error: ErrorCode::None,
                message: None,
                member_id: Some(member_id.to_owned()),
                member_epoch: request.member_epoch,
                heartbeat_interval_ms: 0,
                assignment: None,
            },
            records: draft.records,
            replaced: None,
            leaves: Some(request.member_epoch),
            upgraded: false,
            revokes_in: None,
            rebalance_timeout_ms: 0,
        })
    }

    fn keep_consumer_time(&mut self, now: TimestampMs, group_id: &str, outcome: &Outcome, cluster: &dyn ClusterView) {
        let session = self.consumer_session_timeout_ms(group_id, cluster);
        let id = self.group_id(group_id);
        let timers = self.consumer_timers.entry(id).or_default();
        if let Some(replaced) = &outcome.replaced {
            timers.forget(replaced);
        }
        let Some(member_id) = &outcome.response.member_id else {
            return;
        };
        match outcome.leaves {
            Some(LEAVES) => timers.forget(member_id),
            // Its session runs on: it has that long to come back.
            Some(_) => timers.stop_rebalance(member_id),
            None => {
                timers.seen_version = Some(cluster.version());
                timers.restart_session(member_id, now.plus_ms(i64::from(session.max(0))));
                match outcome.revokes_in {
                    Some(Some(epoch)) => {
                        let until = now.plus_ms(i64::from(outcome.rebalance_timeout_ms.max(0)));
                        timers.start_rebalance(member_id, epoch, until);
                    }
                    Some(None) => timers.stop_rebalance(member_id),
                    None => {}
                }
            }
        }
        self.arm(group_id);
        if self.expiry_at.is_none() {
            self.expiry_at = Some(now.plus_ms(self.config.offsets_retention_check_interval_ms.max(1)));
        }
    }
}

/// What a member has after a heartbeat, and what it had before where that is something else.
pub(super) struct Step {
    pub(super) before: Option<CurrentAssignment>,
    pub(super) current: CurrentAssignment,
}

/// Takes the member a step towards its target. The group itself is left as it is: it would be copied for each of them.
fn reconcile(
    draft: &mut Draft<'_>,
    member_id: &str,
    owned: Option<&Assignment>,
    cluster: &dyn ClusterView,
) -> Result<Step, Refusal> {
    let group = &draft.group;
    let member = group.members.get(member_id);
    let current = member.map(|member| member.current.clone()).unwrap_or_default();
    let target_epoch = group.target_epoch.epoch;
    let Some(member) = member.filter(|member| !member.is_reconciled_to(target_epoch)) else {
        return Ok(Step { before: None, current });
    };
    let target = group.target_of(member_id);
    let topics = group.topics_of(member);
    let step = Reconciliation {
        target_epoch,
        target: &target,
        owned,
        is_held_by_another: &|topic, partition| group.is_held_by_another(topic, partition, member_id),
        subscribed: &|topic| cluster.name_of(topic).is_some_and(|name| topics.contains(&name)),
    };
    let next = next_assignment(&current, &step).map_err(|error| {
        let message =
            "The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin.";
        (error, message.to_owned())
    })?;
    if next == current {
        return Ok(Step { before: None, current });
    }
    draft.record_current(member_id, &next);
    Ok(Step {
        before: Some(current),
        current: next,
    })
}
