//! A classic group's members and votes. Mirrors what Kafka's `ClassicGroup` decides.
//!
//! Invariants, checked by `broken_rule`:
//! - GRP-5: a group has members unless it is Empty or about to be; the leader is one of the members.
//! - GRP-6: each instance id maps to one member that carries it, and the other way round.
//! - GRP-7: the count of members that offer a protocol is right, and at least one protocol is offered by all.
//! - GRP-8: a member waits for a join only in PreparingRebalance, for a sync only in CompletingRebalance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use types::{ErrorCode, Offset, TimestampMs};

use super::timers::JoinTimer;
use super::{GroupState, Member};
use crate::record::{GroupMetadata, RecordKey};
use crate::{CoordinatorRecord, JoinGroupMember, JoinProtocol};

/// A group's name. Cheap to clone.
pub(crate) type GroupId = Arc<str>;

/// One group, alive on its coordinator.
#[derive(Debug, Clone)]
pub(crate) struct ClassicGroup {
    pub(crate) id: GroupId,
    pub(crate) state: GroupState,
    pub(super) previous_state: GroupState,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    pub(crate) current_state_timestamp: Option<TimestampMs>,
    pub(crate) members: BTreeMap<String, Member>,
    /// Instance id to member id.
    pub(crate) static_members: BTreeMap<String, String>,
    /// Ids handed out with `MEMBER_ID_REQUIRED`, until when they are waited for (KIP-394).
    pub(crate) pending: BTreeMap<String, TimestampMs>,
    /// Members of this generation that haven't asked for their assignment.
    pub(crate) pending_sync: BTreeSet<String>,
    /// Members that offer each protocol.
    pub(super) supported: BTreeMap<String, usize>,
    /// Someone joined during the initial delay, which is therefore extended.
    pub(super) new_member_added: bool,
    pub(crate) subscribed_topics: Option<BTreeSet<String>>,
    pub(super) join_timer: Option<JoinTimer>,
    pub(super) sync_deadline: Option<TimestampMs>,
    /// CompletingRebalance only: where the leader's assignment was appended; it is committed above it.
    pub(crate) assignment_at: Option<Offset>,
    /// Until when syncs wait for that.
    pub(super) commit_deadline: Option<TimestampMs>,
}

impl ClassicGroup {
    pub(crate) fn new(id: GroupId, now: TimestampMs) -> Self {
        Self {
            id,
            state: GroupState::Empty,
            previous_state: GroupState::Dead,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            current_state_timestamp: Some(now),
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            supported: BTreeMap::new(),
            new_member_added: false,
            subscribed_topics: None,
            join_timer: None,
            sync_deadline: None,
            assignment_at: None,
            commit_deadline: None,
        }
    }

    /// The group as its last record says: Stable with its members, or Empty. Their sessions start now.
    pub(crate) fn from_record(id: GroupId, record: &GroupMetadata, now: TimestampMs) -> Self {
        let mut group = Self::new(id, now);
        group.state = if record.members.is_empty() {
            GroupState::Empty
        } else {
            GroupState::Stable
        };
        group.generation = record.generation;
        group.protocol_type = Some(record.protocol_type.clone()).filter(|kind| !kind.is_empty());
        group.protocol = record.protocol.clone();
        group.current_state_timestamp = record.current_state_timestamp;
        for persisted in &record.members {
            // A record we didn't write could name an id or an instance twice: the later one holds.
            group.remove(&persisted.member_id);
            if let Some(taken) = persisted
                .group_instance_id
                .as_ref()
                .and_then(|id| group.static_members.get(id))
            {
                let taken = taken.clone();
                group.remove(&taken);
            }
            let member = Member::from_record(persisted, record.protocol.as_deref(), now);
            group.insert(persisted.member_id.clone(), member);
        }
        if let Some(leader) = record
            .leader
            .as_ref()
            .filter(|leader| group.members.contains_key(*leader))
        {
            group.leader = Some(leader.clone());
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// The record of the group as it is, with the given assignments.
    pub(crate) fn to_record(&self, assignment_of: impl Fn(&str, &Member) -> Bytes) -> CoordinatorRecord {
        let protocol = self.protocol.as_deref();
        let members = self.members.iter();
        let metadata = GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.current_state_timestamp,
            members: members
                .map(|(id, member)| member.to_record(id, protocol, assignment_of(id, member)))
                .collect(),
        };
        CoordinatorRecord {
            key: RecordKey::encode_group_metadata(&self.id),
            value: Some(metadata.encode()),
        }
    }

    pub(crate) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(super) fn transition_to(&mut self, state: GroupState, now: TimestampMs) {
        self.previous_state = self.state;
        self.state = state;
        self.current_state_timestamp = Some(now);
    }

    /// Adds a member that was found to be compatible; it is awaited no more.
    pub(crate) fn insert(&mut self, member_id: String, member: Member) {
        if let Some(instance) = &member.group_instance_id {
            self.static_members.insert(instance.clone(), member_id.clone());
        }
        self.count_protocols(&member.protocols, true);
        self.pending.remove(&member_id);
        self.leader.get_or_insert_with(|| member_id.clone());
        self.members.insert(member_id, member);
    }

    /// Removes a member, pending or not, without answering it. Another one becomes the leader.
    pub(crate) fn remove(&mut self, member_id: &str) -> Option<Member> {
        self.pending.remove(member_id);
        self.pending_sync.remove(member_id);
        let removed = self.members.remove(member_id)?;
        self.count_protocols(&removed.protocols, false);
        if let Some(instance) = &removed.group_instance_id {
            self.static_members.remove(instance);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(removed)
    }

    pub(super) fn count_protocols(&mut self, protocols: &[JoinProtocol], added: bool) {
        for protocol in protocols {
            if added {
                *self.supported.entry(protocol.name.clone()).or_default() += 1;
            } else if let Some(count) = self.supported.get_mut(&protocol.name) {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(&protocol.name);
                }
            }
        }
    }

    /// Whether a member with these protocols fits in: the same type, and one protocol that everyone offers.
    pub(crate) fn supports(&self, protocol_type: &str, protocols: &[JoinProtocol]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols
                .iter()
                .any(|offered| self.supported.get(&offered.name).copied().unwrap_or(0) == self.members.len())
    }

    /// Every member votes for the best of its protocols that all offer; most votes win, then the first name.
    pub(crate) fn select_protocol(&self) -> Option<String> {
        let offered_by_all = |name: &str| self.supported.get(name) == Some(&self.members.len());
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(choice) = member.protocols.iter().find(|offered| offered_by_all(&offered.name)) {
                *votes.entry(&choice.name).or_default() += 1;
            }
        }
        let winner = votes
            .into_iter()
            .reduce(|best, next| if next.1 > best.1 { next } else { best });
        winner.map(|(name, _)| name.to_owned())
    }

    /// Whether a request speaks for the member it names (KIP-345's fencing).
    pub(crate) fn validate_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(holder) if holder != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }

    pub(crate) fn awaiting_join_count(&self) -> usize {
        self.members
            .values()
            .filter(|member| member.awaiting_join.is_some())
            .count()
    }

    pub(super) fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.awaiting_join.is_some())
    }

    /// The longest any member needs to finish its work before it joins again. Milliseconds.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max();
        i64::from(longest.unwrap_or(0).max(0))
    }

    /// The members as their leader needs them.
    pub(crate) fn members_for_leader(&self) -> Vec<JoinGroupMember> {
        let of_member = |(member_id, member): (&String, &Member)| JoinGroupMember {
            member_id: member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            metadata: member.metadata(self.protocol.as_deref()),
        };
        self.members.iter().map(of_member).collect()
    }

    /// The first rule of the module's header that doesn't hold.
    pub(crate) fn broken_rule(&self) -> Option<(&'static str, &'static str)> {
        let members = &self.members;
        let preparing = self.state == GroupState::PreparingRebalance;
        let completing = self.state == GroupState::CompletingRebalance;
        if members.is_empty() != (self.state == GroupState::Empty) && !(members.is_empty() && preparing) {
            return Some(("GRP-5", "a group without members isn't empty, or the other way round"));
        }
        if self
            .leader
            .as_ref()
            .map_or(!members.is_empty(), |leader| !members.contains_key(leader))
        {
            return Some(("GRP-5", "the leader isn't a member"));
        }
        let of = |member_id: &String| {
            members
                .get(member_id)
                .and_then(|member| member.group_instance_id.as_ref())
        };
        if self
            .static_members
            .iter()
            .any(|(instance, member_id)| of(member_id) != Some(instance))
            || members.values().filter(|member| member.is_static()).count() != self.static_members.len()
        {
            return Some(("GRP-6", "instance ids and members don't agree"));
        }
        let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
        for protocol in members.values().flat_map(|member| &member.protocols) {
            *counted.entry(&protocol.name).or_default() += 1;
        }
        if !counted.iter().eq(self
            .supported
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect::<BTreeMap<_, _>>()
            .iter())
        {
            return Some(("GRP-7", "the count of offered protocols is wrong"));
        }
        if !members.is_empty() && self.select_protocol().is_none() {
            return Some(("GRP-7", "no protocol is offered by all members"));
        }
        if members
            .values()
            .any(|m| (m.awaiting_join.is_some() && !preparing) || (m.awaiting_sync.is_some() && !completing))
        {
            return Some(("GRP-8", "a member waits for what its group isn't doing"));
        }
        if self.assignment_at.is_some() && !completing {
            return Some(("GRP-8", "an assignment waits for its commit in another state"));
        }
        None
    }
}
