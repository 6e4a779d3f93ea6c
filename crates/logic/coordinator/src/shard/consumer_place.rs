//! Which member of a consumer group a heartbeat speaks for: its place by its id, or by the instance id that it takes over.

use super::consumer_draft::Draft;
use super::consumer_group_heartbeat::Refusal;
use crate::ConsumerGroupHeartbeatRequest;
use crate::consumer::{AWAY, ConsumerMember};
use crate::record::{Assignment, CurrentAssignment, HeldPartitions};
use types::ErrorCode;

/// Finds the member, or makes its place; returns whose place it takes.
pub(super) fn find_member(
    draft: &mut Draft<'_>,
    request: &ConsumerGroupHeartbeatRequest,
    member_id: &str,
    joins: bool,
) -> Result<Option<String>, Refusal> {
    let group_id = draft.group.id.clone();
    let mut replaced = None;
    if let Some(instance) = &request.instance_id {
        let holder = draft.group.static_members.get(instance).cloned();
        match holder {
            None if joins => {}
            None => {
                return Err((
                    ErrorCode::UnknownMemberId,
                    format!("Instance id {instance} is unknown."),
                ));
            }
            Some(holder) if holder == member_id => {}
            Some(holder) if joins => {
                // A classic member doesn't say that it goes.
                let gone =
                    |member: &ConsumerMember| member.current.epoch == AWAY || member.subscription.classic.is_some();
                if !draft.group.members.get(&holder).is_some_and(gone) {
                    let message = format!(
                        "Static member {member_id} with instance id {instance} cannot join the group {group_id} because the \
                         instance id is owned by member {holder}."
                    );
                    return Err((ErrorCode::UnreleasedInstanceId, message));
                }
                if draft.group.members.contains_key(member_id) {
                    draft.remove_member(member_id);
                    draft.end_removal();
                }
                replace(draft, &holder, member_id);
                replaced = Some(holder);
            }
            Some(holder) => {
                let message =
                    format!("Static member {member_id} with instance id {instance} was fenced by member {holder}.");
                return Err((ErrorCode::FencedInstanceId, message));
            }
        }
    }
    let Some(member) = draft.group.members.get(member_id) else {
        return if joins {
            Ok(replaced)
        } else {
            Err((
                ErrorCode::UnknownMemberId,
                format!("Member {member_id} is not a member of group {group_id}."),
            ))
        };
    };
    if joins {
        // It begins anew, and says that it holds nothing.
        if replaced.is_none() && member.current != CurrentAssignment::default() {
            let anew = CurrentAssignment {
                previous_epoch: 0,
                ..CurrentAssignment::default()
            };
            draft.set_current(member_id, anew);
        }
    } else {
        check_epoch(member, request.member_epoch, request.owned.as_ref())?;
    }
    Ok(replaced)
}

/// A static member comes back under another id: it takes over what it had.
pub(super) fn replace(draft: &mut Draft<'_>, before: &str, member_id: &str) {
    let Some(member) = draft.group.members.get(before).cloned() else {
        return;
    };
    let target = draft.group.target_of(before);
    draft.remove_member(before);
    draft.set_subscription(member_id, member.subscription);
    draft.set_target(member_id, target);
    let current = CurrentAssignment {
        epoch: 0,
        previous_epoch: 0,
        ..member.current
    };
    draft.set_current(member_id, current);
}

/// Whether the member is where the request says. It may be one answer behind, for that may have been lost.
fn check_epoch(member: &ConsumerMember, received: i32, owned: Option<&Assignment>) -> Result<(), Refusal> {
    let known = member.current.epoch;
    if received > known {
        let message = format!(
            "The consumer group member has a greater member epoch ({received}) than the one known by the group coordinator \
             ({known}). The member must abandon all its partitions and rejoin."
        );
        return Err((ErrorCode::FencedMemberEpoch, message));
    }
    let lost_answer = received == member.current.previous_epoch && is_subset(owned, &member.current.assigned);
    if received < known && !lost_answer {
        let message = format!(
            "The consumer group member has a smaller member epoch ({received}) than the one known by the group coordinator \
             ({known}). The member must abandon all its partitions and rejoin."
        );
        return Err((ErrorCode::FencedMemberEpoch, message));
    }
    Ok(())
}

fn is_subset(owned: Option<&Assignment>, assigned: &HeldPartitions) -> bool {
    owned.is_some_and(|owned| {
        owned.iter().all(|(topic, partitions)| {
            let held = assigned.get(topic);
            partitions
                .iter()
                .all(|partition| held.is_some_and(|held| held.contains_key(partition)))
        })
    })
}
