//! What a ConsumerGroupHeartbeat says, whatever the group is like.

use types::ErrorCode;

use super::consumer_group_heartbeat::Refusal;
use crate::ConsumerGroupHeartbeatRequest;
use crate::consumer::{AWAY, AssignorKind};
use crate::record::{Assignment, MAX_STRING_BYTES, MemberSubscription};

/// What the member wants now. What it doesn't mention stays as it was.
pub(super) fn updated(
    mut subscription: MemberSubscription,
    request: &ConsumerGroupHeartbeatRequest,
) -> MemberSubscription {
    if request.instance_id.is_some() {
        subscription.instance_id.clone_from(&request.instance_id);
    }
    if request.rack_id.is_some() {
        subscription.rack_id.clone_from(&request.rack_id);
    }
    if request.rebalance_timeout_ms != -1 {
        subscription.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if request.assignor.is_some() {
        subscription.assignor.clone_from(&request.assignor);
    }
    if let Some(topics) = &request.topics {
        subscription.topics = topics.iter().cloned().collect();
    }
    if let Some(pattern) = &request.pattern {
        subscription.pattern = Some(pattern.clone()).filter(|pattern| !pattern.is_empty());
    }
    subscription.client_id.clone_from(&request.client_id);
    subscription.client_host.clone_from(&request.client_host);
    subscription.classic = None;
    subscription
}

/// Whether the member says everything, and is to be told everything.
pub(super) fn is_full(request: &ConsumerGroupHeartbeatRequest) -> bool {
    let subscribes = request.topics.is_some() || request.pattern.is_some();
    request.member_epoch == 0 || (request.rebalance_timeout_ms != -1 && subscribes && request.owned.is_some())
}

/// From this version the member chooses its id.
const FIRST_VERSION_WITH_CLIENTS_IDS: i16 = 1;

/// Refuses what Kafka refuses before it looks at the group.
pub(super) fn check(request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
    let invalid = |message: &str| Err((ErrorCode::InvalidRequest, message.to_owned()));
    let blank = |text: &Option<String>| text.as_deref() == Some("");
    let texts = [
        &request.group_id,
        &request.member_id,
        &request.client_id,
        &request.client_host,
    ];
    let given = [&request.instance_id, &request.rack_id, &request.pattern];
    let mut texts = texts.into_iter().chain(given.into_iter().flatten());
    let topics = request.topics.iter().flatten();
    if texts.any(|text| text.len() > MAX_STRING_BYTES)
        || topics.into_iter().any(|name| name.as_str().len() > MAX_STRING_BYTES)
    {
        return invalid("A text is too long.");
    }
    if blank(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if blank(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    let needs_id = request.api_version >= FIRST_VERSION_WITH_CLIENTS_IDS || request.member_epoch != 0;
    if needs_id && request.member_id.is_empty() {
        return invalid("MemberId can't be empty.");
    }
    match request.member_epoch {
        0 => {
            if request.rebalance_timeout_ms == -1 {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if !request.owned.as_ref().is_some_and(Assignment::is_empty) {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            // Either may be empty: a pattern that the client resolves may match nothing yet.
            if request.topics.is_none() && request.pattern.is_none() {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
                );
            }
        }
        AWAY if request.instance_id.is_none() => return invalid("InstanceId can't be null."),
        epoch if epoch < AWAY => return invalid("MemberEpoch is invalid."),
        _ => {}
    }
    if let Some(assignor) = request.assignor.as_deref()
        && AssignorKind::from_name(assignor).is_none()
    {
        let message = format!("ServerAssignor {assignor} is not supported. Supported assignors: uniform, range.");
        return Err((ErrorCode::UnsupportedAssignor, message));
    }
    Ok(())
}
