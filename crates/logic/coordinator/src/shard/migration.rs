//! A group moves from one protocol to the other while it works (KIP-848): the first member of the consumer protocol makes a classic
//! group of consumers a consumer group; when the last one is gone, those that are left make a classic group again.

use std::borrow::Cow;
use std::collections::BTreeSet;

use types::{ErrorCode, TimestampMs};

use super::GroupShard;
use super::classic_member::{by_id, by_name, embedded};
use super::consumer_draft::Draft;
use crate::consumer::{ClusterView, ConsumerGroup, decode_assignment, decode_subscription, encode_assignment};
use crate::group::{CONSUMER, ClassicGroup, Member};
use crate::record::{
    Assignment, ClassicMember, CurrentAssignment, GroupEpoch, HeldPartitions, MemberState, MemberSubscription,
    RecordKey,
};
use crate::{CoordinatorRecord, Effects, JoinGroupResponse, SyncGroupResponse};

impl GroupShard {
    /// The consumer group that a classic one becomes: its generation is the epoch, and everybody holds what they held.
    ///
    /// # Errors
    /// Its members aren't consumers that can be understood, or have an assignor that this coordinator can't stand in for.
    pub(super) fn upgraded(&self, classic: &ClassicGroup, cluster: &dyn ClusterView) -> Result<Draft<'static>, String> {
        let protocol = classic.protocol.as_deref();
        let id = &classic.id;
        if !self.config.consumer_upgrade || !classic.is_consumers() {
            return Err(format!("Group {id} is not a consumer group."));
        }
        let malformed = || {
            format!(
                "Cannot upgrade classic group {id} to consumer group because the embedded consumer protocol is malformed."
            )
        };
        let mut draft = Draft::new(Cow::Owned(ConsumerGroup::new(classic.id.clone())));
        draft.records.push(CoordinatorRecord {
            key: RecordKey::encode_group_metadata(&classic.id),
            value: None,
        });
        draft.set_epoch(GroupEpoch {
            epoch: classic.generation,
            // Not known: it is found by the heartbeat that comes.
            metadata_hash: 0,
        });
        let mut taken = BTreeSet::new();
        for (member_id, member) in &classic.members {
            let first = || member.protocols.first().map(|first| first.metadata.clone());
            let metadata = protocol
                .map(|_| member.metadata(protocol))
                .filter(|bytes| !bytes.is_empty());
            let metadata = metadata.or_else(first).ok_or_else(malformed)?;
            let subscription = decode_subscription(&metadata).map_err(|_| malformed())?;
            let assignment = decode_assignment(&member.assignment).map_err(|_| malformed())?;
            if assignment.has_user_data {
                return Err(format!(
                    "Cannot upgrade classic group {id} to consumer group because an unsupported custom assignor is in use. \
                     Please refer to the documentation or switch to a default assignor before re-attempting the upgrade."
                ));
            }
            let mut held = by_id(&assignment.assigned, cluster);
            // An assignor of the clients' own may have given a partition to several.
            for (topic, partitions) in &mut held {
                partitions.retain(|partition| taken.insert((*topic, *partition)));
            }
            held.retain(|_, partitions| !partitions.is_empty());
            draft.set_subscription(
                member_id,
                MemberSubscription {
                    instance_id: member.group_instance_id.clone(),
                    rack_id: subscription.rack_id,
                    client_id: member.client_id.clone(),
                    client_host: member.client_host.clone(),
                    topics: subscription.topics.into_iter().collect(),
                    pattern: None,
                    rebalance_timeout_ms: member.rebalance_timeout_ms,
                    assignor: None,
                    classic: Some(ClassicMember {
                        session_timeout_ms: member.session_timeout_ms,
                        protocols: member.protocols.clone(),
                    }),
                },
            );
            draft.set_target(member_id, held.clone());
            draft.set_current(member_id, holding(held, classic.generation));
        }
        // Made long ago: who comes is assigned something at once.
        draft.keep_targets(TimestampMs::default());
        Ok(draft)
    }

    /// Where only classic members are left, the group is a classic one again, in the generation that they know. They are all sent back
    /// to join, by this coordinator or the next; until then each is known to hold what it holds.
    pub(super) fn downgrade_if_classic(&self, draft: &mut Draft<'_>, now: TimestampMs, cluster: &dyn ClusterView) {
        let members = &draft.group.members;
        let all_classic = members.values().all(|member| member.subscription.classic.is_some());
        let max_size = usize::try_from(self.config.max_size).unwrap_or(0);
        if !self.config.consumer_downgrade || members.is_empty() || members.len() > max_size || !all_classic {
            return;
        }
        let mut group = ClassicGroup::new(draft.group.id.clone(), now);
        group.protocol_type = Some(CONSUMER.to_owned());
        group.generation = draft.group.epoch.epoch;
        for (member_id, member) in members {
            let wants = &member.subscription;
            let Some(classic) = &wants.classic else { continue };
            let version = embedded(classic).map_or(0, |subscription| subscription.version);
            group.insert(
                member_id.clone(),
                Member {
                    group_instance_id: wants.instance_id.clone(),
                    client_id: wants.client_id.clone(),
                    client_host: wants.client_host.clone(),
                    rebalance_timeout_ms: wants.rebalance_timeout_ms,
                    session_timeout_ms: classic.session_timeout_ms,
                    protocols: classic.protocols.clone(),
                    assignment: encode_assignment(version, &by_name(&held_by(&member.current), cluster)),
                    awaiting_join: None,
                    awaiting_sync: None,
                    is_new: false,
                    session_deadline: now,
                },
            );
        }
        group.protocol = group.select_protocol();
        // Nobody has assigned this: whoever reads the record sends them back to join.
        group.leader = None;
        let record = group.to_record(|_, member| member.assignment.clone());
        draft.remove_group();
        draft.records.push(record);
    }

    /// The classic group is a consumer group from now on: whoever waits joins again, and everyone has a session.
    pub(super) fn hand_over_members(&mut self, now: TimestampMs, group_id: &str, effects: &mut Effects) {
        let id = self.group_id(group_id);
        let Some(group) = self.groups.get_mut(group_id) else {
            return;
        };
        let timers = self.consumer_timers.entry(id).or_default();
        for (member_id, member) in &mut group.members {
            if let Some(token) = member.awaiting_join.take() {
                effects.reply(
                    token,
                    JoinGroupResponse::error(ErrorCode::RebalanceInProgress, member_id),
                );
            }
            if let Some(token) = member.awaiting_sync.take() {
                effects.reply(token, SyncGroupResponse::error(ErrorCode::RebalanceInProgress));
            }
            timers.restart_session(member_id, now.plus_ms(i64::from(member.session_timeout_ms.max(0))));
            // Should the records be refused, it waits for us no more.
            member.restart_session(now);
        }
    }
}

fn holding(held: Assignment, epoch: i32) -> CurrentAssignment {
    let assigned = held.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|partition| (partition, epoch));
        (topic, partitions.collect())
    });
    CurrentAssignment {
        epoch,
        previous_epoch: epoch,
        state: MemberState::Stable,
        assigned: assigned.collect(),
        pending_revocation: std::collections::BTreeMap::new(),
    }
}

/// What a member may be at work on, given up already or not.
fn held_by(current: &CurrentAssignment) -> HeldPartitions {
    let mut held = current.assigned.clone();
    for (topic, partitions) in &current.pending_revocation {
        held.entry(*topic).or_default().extend(partitions);
    }
    held
}
