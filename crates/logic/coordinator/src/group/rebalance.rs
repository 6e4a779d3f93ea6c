//! The rebalance: joining, choosing, handing out. Mirrors `GroupMetadataManager`'s classic path.
//!
//! Called by the operations of the shard and by its timers. Nothing here writes the log; what must be written is added
//! to the turn's effects.

use bytes::Bytes;
use types::{ErrorCode, Offset, TimestampMs};

use super::timers::JoinTimer;
use super::{ClassicGroup, Due, GroupState, Member};
use crate::record::GroupMetadata;
use crate::{Effects, GroupConfig, JoinGroupResponse, JoinProtocol, ReplyToken, SyncGroupResponse};

/// How long a new member may be silent while it waits for its first answer; it can't heartbeat before. Kafka's constant.
pub(crate) const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

/// One call's context.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) config: GroupConfig,
    pub(crate) now: TimestampMs,
    pub(crate) effects: Effects,
}

impl Turn {
    pub(crate) fn new(config: GroupConfig, now: TimestampMs) -> Self {
        Self {
            config,
            now,
            effects: Effects::default(),
        }
    }

    fn after(&self, millis: i64) -> TimestampMs {
        self.now.plus_ms(millis)
    }
}

impl ClassicGroup {
    /// A new member, or one that comes back with the id it was given: it waits for the next generation.
    pub(crate) fn add_joining(&mut self, turn: &mut Turn, token: ReplyToken, member_id: String, mut member: Member) {
        if self.state == GroupState::PreparingRebalance && self.previous_state == GroupState::Empty {
            self.new_member_added = true;
        }
        member.awaiting_join = Some(token);
        member.is_new = true;
        member.session_deadline = turn.after(NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.insert(member_id, member);
        self.rebalance_or_complete_join(turn);
    }

    /// A known member joins again, perhaps with other protocols and timeouts.
    pub(crate) fn rejoin(
        &mut self,
        turn: &mut Turn,
        token: ReplyToken,
        member_id: &str,
        protocols: &[JoinProtocol],
        timeouts: (i32, i32),
    ) {
        self.update_member(member_id, protocols, timeouts);
        self.park_join(turn, token, member_id);
        self.rebalance_or_complete_join(turn);
    }

    pub(crate) fn update_member(
        &mut self,
        member_id: &str,
        protocols: &[JoinProtocol],
        (rebalance_timeout_ms, session_timeout_ms): (i32, i32),
    ) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        let before = std::mem::replace(&mut member.protocols, protocols.to_vec());
        member.rebalance_timeout_ms = rebalance_timeout_ms;
        member.session_timeout_ms = session_timeout_ms;
        self.count_protocols(&before, false);
        self.count_protocols(protocols, true);
    }

    /// The member's join waits. An earlier one of the same member lost its client; it is still answered (GRP-3).
    pub(crate) fn park_join(&mut self, turn: &mut Turn, token: ReplyToken, member_id: &str) {
        if let Some(member) = self.members.get_mut(member_id)
            && let Some(replaced) = member.awaiting_join.replace(token)
        {
            turn.effects.reply(
                replaced,
                JoinGroupResponse::error(ErrorCode::RebalanceInProgress, member_id),
            );
        }
    }

    /// The member's sync waits for the committed assignment.
    pub(crate) fn park_sync(&mut self, turn: &mut Turn, token: ReplyToken, member_id: &str) {
        self.pending_sync.remove(member_id);
        if let Some(member) = self.members.get_mut(member_id)
            && let Some(replaced) = member.awaiting_sync.replace(token)
        {
            turn.effects
                .reply(replaced, SyncGroupResponse::error(ErrorCode::RebalanceInProgress));
        }
    }

    /// What a member is told about the current generation.
    pub(crate) fn join_response(&self, member_id: &str) -> JoinGroupResponse {
        let is_leader = self.is_leader(member_id);
        JoinGroupResponse {
            error: ErrorCode::None,
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: if is_leader {
                self.members_for_leader()
            } else {
                Vec::new()
            },
        }
    }

    /// Removes a member that left or fell silent; whatever it waits for is answered.
    pub(crate) fn expel(&mut self, turn: &mut Turn, member_id: &str) {
        let Some(removed) = self.remove(member_id) else {
            return;
        };
        if let Some(token) = removed.awaiting_join {
            turn.effects
                .reply(token, JoinGroupResponse::error(ErrorCode::UnknownMemberId, ""));
        }
        if let Some(token) = removed.awaiting_sync {
            turn.effects
                .reply(token, SyncGroupResponse::error(ErrorCode::UnknownMemberId));
        }
    }

    pub(crate) fn rebalance_or_complete_join(&mut self, turn: &mut Turn) {
        match self.state {
            GroupState::Empty | GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(turn),
            GroupState::PreparingRebalance | GroupState::Dead => self.maybe_complete_join(turn),
        }
    }

    pub(crate) fn prepare_rebalance(&mut self, turn: &mut Turn) {
        if self.state == GroupState::CompletingRebalance {
            self.fail_assignment(turn, ErrorCode::RebalanceInProgress);
        }
        self.pending_sync.clear();
        self.sync_deadline = None;
        let initial = self.state == GroupState::Empty;
        self.transition_to(GroupState::PreparingRebalance, turn.now);
        if initial {
            let delay_ms = i64::from(turn.config.initial_rebalance_delay_ms.max(0));
            let remaining_ms = (self.rebalance_timeout_ms() - delay_ms).max(0);
            self.new_member_added = false;
            self.join_timer = Some(JoinTimer::Initial {
                at: turn.after(delay_ms),
                delay_ms,
                remaining_ms,
            });
        } else if self.all_joined() {
            self.complete_join(turn);
        } else {
            self.await_joins(turn);
        }
    }

    /// At least 1 ms, so that a member without a rebalance timeout can't make the timer spin.
    fn await_joins(&mut self, turn: &Turn) {
        self.join_timer = Some(JoinTimer::Rebalance {
            at: turn.after(self.rebalance_timeout_ms().max(1)),
        });
    }

    /// Ends the join phase early if everyone is there; the initial delay is kept, though.
    pub(crate) fn maybe_complete_join(&mut self, turn: &mut Turn) {
        if self.state == GroupState::PreparingRebalance && self.previous_state != GroupState::Empty && self.all_joined()
        {
            self.complete_join(turn);
        }
    }

    /// After a removal: whoever stays needs a new generation, or nobody is missing any more.
    fn on_member_removed(&mut self, turn: &mut Turn) {
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(turn),
            GroupState::PreparingRebalance if self.all_joined() => self.complete_join(turn),
            GroupState::PreparingRebalance | GroupState::Empty | GroupState::Dead => {}
        }
    }

    /// Does what is due.
    pub(crate) fn on_due(&mut self, turn: &mut Turn, due: Due) {
        match due {
            Due::Pending(member_id) => {
                self.remove(&member_id);
                if self.state == GroupState::PreparingRebalance && self.all_joined() {
                    self.complete_join(turn);
                }
            }
            Due::Session(member_id) => {
                self.expel(turn, &member_id);
                self.on_member_removed(turn);
            }
            Due::Join => self.on_join_timer(turn),
            Due::Sync => {
                self.sync_deadline = None;
                let silent = std::mem::take(&mut self.pending_sync);
                for member_id in &silent {
                    self.expel(turn, member_id);
                }
                if !silent.is_empty() {
                    self.prepare_rebalance(turn);
                }
            }
            Due::Commit => {
                // The record may still be committed: members that ask again wait for it, so no generation is wasted.
                self.commit_deadline = None;
                self.answer_syncs(turn, ErrorCode::CoordinatorNotAvailable);
            }
        }
    }

    fn on_join_timer(&mut self, turn: &mut Turn) {
        match self.join_timer {
            Some(JoinTimer::Initial {
                delay_ms, remaining_ms, ..
            }) if self.new_member_added && remaining_ms > 0 => {
                self.new_member_added = false;
                let next_ms = i64::from(turn.config.initial_rebalance_delay_ms.max(0)).min(remaining_ms);
                self.join_timer = Some(JoinTimer::Initial {
                    at: turn.after(next_ms),
                    delay_ms: next_ms,
                    remaining_ms: (remaining_ms - delay_ms).max(0),
                });
            }
            Some(_) => self.complete_join(turn),
            None => {}
        }
    }

    /// Ends the join phase: dynamic members that didn't join are out, the others get a generation.
    fn complete_join(&mut self, turn: &mut Turn) {
        self.join_timer = None;
        let missing = self
            .members
            .iter()
            .filter(|(_, member)| member.awaiting_join.is_none() && !member.is_static());
        for member_id in missing.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.remove(&member_id);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only silent static members are left: wait until their sessions end.
            self.await_joins(turn);
            return;
        }
        self.generation = self.generation.saturating_add(1);
        self.pending_sync.clear();
        self.protocol = self.select_protocol();
        self.subscribed_topics = self.compute_subscribed_topics();
        if self.members.is_empty() {
            self.transition_to(GroupState::Empty, turn.now);
            turn.effects.records.push(self.to_record(|_, _| Bytes::new()));
            return;
        }
        self.transition_to(GroupState::CompletingRebalance, turn.now);
        let responses: Vec<_> = self
            .members
            .keys()
            .map(|member_id| self.join_response(member_id))
            .collect();
        for (member, response) in self.members.values_mut().zip(responses) {
            self.pending_sync.insert(response.member_id.clone());
            if let Some(token) = member.awaiting_join.take() {
                turn.effects.reply(token, response);
            }
            member.restart_session(turn.now);
            member.is_new = false;
        }
        self.sync_deadline = Some(turn.after(self.rebalance_timeout_ms().max(1)));
    }

    /// The leader must be someone who joined. Says whether anybody did.
    fn elect_joined_leader(&mut self) -> bool {
        let joined = |group: &Self, id: &String| group.members.get(id).is_some_and(|m| m.awaiting_join.is_some());
        if self.leader.as_ref().is_some_and(|leader| joined(self, leader)) {
            return true;
        }
        let first = self.members.keys().find(|id| joined(self, id)).cloned();
        let found = first.is_some();
        if found {
            self.leader = first;
        }
        found
    }

    /// The leader's assignment is in the log and waits for its commit.
    pub(crate) fn on_assignment_appended(&mut self, offset: Offset) {
        if self.state == GroupState::CompletingRebalance {
            self.assignment_at = Some(offset);
        }
    }

    pub(crate) fn await_commit(&mut self, turn: &Turn) {
        self.commit_deadline = Some(turn.after(i64::from(turn.config.offset_commit_timeout_ms.max(1))));
    }

    /// The assignment can't be lost any more: members get it (GRP-4), from the record itself.
    pub(crate) fn on_assignment_committed(&mut self, turn: &mut Turn, record: &GroupMetadata) {
        for persisted in &record.members {
            if let Some(member) = self.members.get_mut(&persisted.member_id) {
                member.assignment = persisted.assignment.clone();
            }
        }
        self.assignment_at = None;
        self.commit_deadline = None;
        self.answer_syncs(turn, ErrorCode::None);
        self.transition_to(GroupState::Stable, turn.now);
    }

    /// No assignment for this generation.
    pub(crate) fn fail_assignment(&mut self, turn: &mut Turn, error: ErrorCode) {
        self.assignment_at = None;
        self.commit_deadline = None;
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        self.answer_syncs(turn, error);
    }

    fn answer_syncs(&mut self, turn: &mut Turn, error: ErrorCode) {
        for member in self.members.values_mut() {
            let Some(token) = member.awaiting_sync.take() else {
                continue;
            };
            let response = if error.is_none() {
                SyncGroupResponse {
                    error,
                    protocol_type: self.protocol_type.clone(),
                    protocol_name: self.protocol.clone(),
                    assignment: member.assignment.clone(),
                }
            } else {
                SyncGroupResponse::error(error)
            };
            turn.effects.reply(token, response);
            member.restart_session(turn.now);
        }
    }
}
