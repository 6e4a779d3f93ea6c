//! Errors in the words of Kafka's Java client: scripts look for them in what the tools print.

use anyhow::Error;
use types::ErrorCode;

use crate::commands::error_advice::{CONNECT_ADVICE, Refusal};
use crate::commands::output::note;

/// The message of Java's exception: the broker's own words if it had any, else those that belong to the code.
pub(super) fn message_of(error: &Error) -> String {
    match error.downcast_ref::<Refusal>() {
        Some(refusal) => message(refusal.code(), refusal.message()),
        None => without_advice(error),
    }
}

/// What klamm's own commands would say to a refusal, and what to do about it: to standard error, beside Kafka's words.
pub(super) fn note_advice(error: &Error) {
    if error.is::<Refusal>() {
        note(&format!("{error:#}"));
    }
}

/// The advice to klamm's own commands names what the tools don't have.
fn without_advice(error: &Error) -> String {
    let text = format!("{error:#}");
    text.strip_suffix(CONNECT_ADVICE).unwrap_or(&text).trim_end().to_owned()
}

/// The same with the exception's name before it, as Java prints a cause.
pub(super) fn exception_of(error: &Error) -> String {
    match error.downcast_ref::<Refusal>() {
        Some(refusal) => exception(refusal.code(), refusal.message()),
        None => without_advice(error),
    }
}

/// Of a code and what the broker said to it.
pub(super) fn message(code: i16, said: Option<&str>) -> String {
    said.map_or_else(|| words(code).1.to_owned(), str::to_owned)
}

/// The same with the exception's name before it.
pub(super) fn exception(code: i16, said: Option<&str>) -> String {
    format!("{}: {}", exception_name(code), message(code, said))
}

/// The full name of the exception that Java makes of a code.
pub(super) fn exception_name(code: i16) -> String {
    format!("org.apache.kafka.common.errors.{}", words(code).0)
}

/// The exception that Java makes of a code, and its words (`org.apache.kafka.common.protocol.Errors`): of those codes that
/// the tools' requests are answered with.
fn words(code: i16) -> (&'static str, &'static str) {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other codes answer requests of other clients"
    )]
    match ErrorCode::from_code(code) {
        ErrorCode::OffsetOutOfRange => (
            "OffsetOutOfRangeException",
            "The requested offset is not within the range of offsets maintained by the server.",
        ),
        ErrorCode::UnknownTopicOrPartition => (
            "UnknownTopicOrPartitionException",
            "This server does not host this topic-partition.",
        ),
        ErrorCode::LeaderNotAvailable => (
            "LeaderNotAvailableException",
            "There is no leader for this topic-partition as we are in the middle of a leadership election.",
        ),
        ErrorCode::NotLeaderOrFollower => (
            "NotLeaderOrFollowerException",
            "For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.",
        ),
        ErrorCode::RequestTimedOut => ("TimeoutException", "The request timed out."),
        ErrorCode::BrokerNotAvailable => ("BrokerNotAvailableException", "The broker is not available."),
        ErrorCode::ReplicaNotAvailable => (
            "ReplicaNotAvailableException",
            "The replica is not available for the requested topic-partition. Produce/Fetch requests and other requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not a replica of the topic-partition.",
        ),
        ErrorCode::CoordinatorLoadInProgress => (
            "CoordinatorLoadInProgressException",
            "The coordinator is loading and hence can't process requests.",
        ),
        ErrorCode::CoordinatorNotAvailable => ("CoordinatorNotAvailableException", "The coordinator is not available."),
        ErrorCode::NotCoordinator => ("NotCoordinatorException", "This is not the correct coordinator."),
        ErrorCode::InvalidTopicException => (
            "InvalidTopicException",
            "The request attempted to perform an operation on an invalid topic.",
        ),
        ErrorCode::InvalidGroupId => ("InvalidGroupIdException", "The group id is invalid."),
        ErrorCode::UnknownMemberId => (
            "UnknownMemberIdException",
            "The coordinator is not aware of this member.",
        ),
        ErrorCode::TopicAuthorizationFailed => ("TopicAuthorizationException", "Topic authorization failed."),
        ErrorCode::GroupAuthorizationFailed => ("GroupAuthorizationException", "Group authorization failed."),
        ErrorCode::ClusterAuthorizationFailed => ("ClusterAuthorizationException", "Cluster authorization failed."),
        ErrorCode::UnsupportedVersion => ("UnsupportedVersionException", "The version of API is not supported."),
        ErrorCode::TopicAlreadyExists => ("TopicExistsException", "Topic with this name already exists."),
        ErrorCode::InvalidPartitions => ("InvalidPartitionsException", "Number of partitions is below 1."),
        ErrorCode::InvalidReplicationFactor => (
            "InvalidReplicationFactorException",
            "Replication factor is below 1 or larger than the number of available brokers.",
        ),
        ErrorCode::InvalidReplicaAssignment => ("InvalidReplicaAssignmentException", "Replica assignment is invalid."),
        ErrorCode::InvalidConfig => ("InvalidConfigurationException", "Configuration is invalid."),
        ErrorCode::NotController => (
            "NotControllerException",
            "This is not the correct controller for this cluster.",
        ),
        ErrorCode::InvalidRequest => (
            "InvalidRequestException",
            "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.",
        ),
        ErrorCode::PolicyViolation => (
            "PolicyViolationException",
            "Request parameters do not satisfy the configured policy.",
        ),
        ErrorCode::KafkaStorageError => (
            "KafkaStorageException",
            "Disk error when trying to access log file on the disk.",
        ),
        ErrorCode::LogDirNotFound => (
            "LogDirNotFoundException",
            "The user-specified log directory is not found in the broker config.",
        ),
        ErrorCode::ReassignmentInProgress => (
            "ReassignmentInProgressException",
            "A partition reassignment is in progress.",
        ),
        ErrorCode::NonEmptyGroup => ("GroupNotEmptyException", "The group is not empty."),
        ErrorCode::GroupIdNotFound => ("GroupIdNotFoundException", "The group id does not exist."),
        ErrorCode::TopicDeletionDisabled => ("TopicDeletionDisabledException", "Topic deletion is disabled."),
        ErrorCode::PreferredLeaderNotAvailable => (
            "PreferredLeaderNotAvailableException",
            "The preferred leader was not available.",
        ),
        ErrorCode::EligibleLeadersNotAvailable => (
            "EligibleLeadersNotAvailableException",
            "Eligible topic partition leaders are not available.",
        ),
        ErrorCode::ElectionNotNeeded => (
            "ElectionNotNeededException",
            "Leader election not needed for topic partition.",
        ),
        ErrorCode::NoReassignmentInProgress => (
            "NoReassignmentInProgressException",
            "No partition reassignment is in progress.",
        ),
        ErrorCode::GroupSubscribedToTopic => (
            "GroupSubscribedToTopicException",
            "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.",
        ),
        ErrorCode::ThrottlingQuotaExceeded => (
            "ThrottlingQuotaExceededException",
            "The throttling quota has been exceeded.",
        ),
        ErrorCode::ResourceNotFound => (
            "ResourceNotFoundException",
            "A request illegally referred to a resource that does not exist.",
        ),
        ErrorCode::InvalidUpdateVersion => ("InvalidUpdateVersionException", "The given update version was invalid."),
        ErrorCode::FeatureUpdateFailed => (
            "FeatureUpdateFailedException",
            "Unable to update finalized features due to an unexpected server error.",
        ),
        ErrorCode::UnknownTopicId => ("UnknownTopicIdException", "This server does not host this topic ID."),
        ErrorCode::BrokerIdNotRegistered => (
            "BrokerIdNotRegisteredException",
            "The given broker ID was not registered.",
        ),
        _ => (
            "UnknownServerException",
            "The server experienced an unexpected error when processing the request.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::error_advice::refusal;

    #[test]
    fn the_brokers_words_go_before_those_of_the_code() {
        let said = refusal("x", 36, Some("Topic 'a' already exists.")).unwrap();
        assert_eq!(message_of(&said), "Topic 'a' already exists.");
        let silent = refusal("x", 68, None).unwrap();
        assert_eq!(
            exception_of(&silent),
            "org.apache.kafka.common.errors.GroupNotEmptyException: The group is not empty."
        );
        assert_eq!(message_of(&Error::msg("ours")), "ours");
        assert_eq!(message_of(&Error::msg(format!("nobody\n{CONNECT_ADVICE}"))), "nobody");
    }
}
