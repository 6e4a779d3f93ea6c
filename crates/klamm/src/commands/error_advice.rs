//! Kafka's error codes in words that say what to do next.

use std::fmt;

use anyhow::Error;
use types::ErrorCode;

/// What to do when nobody answers.
pub(crate) const CONNECT_ADVICE: &str =
    "start a cluster with `klamm dev`, or name one with --bootstrap-server or KLAMM_BOOTSTRAP";

/// An error out of a response: what was tried, and what the broker said to it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    what: String,
    code: i16,
    message: Option<String>,
}

impl Refusal {
    /// Kafka's number of the error.
    pub(crate) fn code(&self) -> i16 {
        self.code
    }

    /// The broker's own words, if it had any.
    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = ErrorCode::from_code(self.code);
        write!(f, "{} failed with ", self.what)?;
        if error == ErrorCode::UnknownServerError && self.code != error.code() {
            write!(f, "error {}", self.code)?;
        } else {
            write!(f, "{}", error.name())?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        advice(error).map_or(Ok(()), |text| write!(f, "\n{text}"))
    }
}

impl std::error::Error for Refusal {}

/// An error out of a response, `None` when there is none. `what` says what was tried, `message` is the broker's own.
pub(crate) fn refusal(what: &str, code: i16, message: Option<&str>) -> Option<Error> {
    if ErrorCode::from_code(code).is_none() {
        return None;
    }
    Some(Error::new(Refusal {
        what: what.to_owned(),
        code,
        message: message.filter(|text| !text.is_empty()).map(str::to_owned),
    }))
}

fn advice(error: ErrorCode) -> Option<&'static str> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only some errors have a remedy of their own"
    )]
    let text = match error {
        ErrorCode::UnknownTopicOrPartition => "see which topics there are with `klamm topic list`",
        ErrorCode::TopicAlreadyExists => "take another name, or add --if-not-exists if any topic of this name will do",
        ErrorCode::InvalidReplicationFactor => {
            "there can't be more replicas than live brokers: see `klamm cluster describe`, or lower --replication-factor"
        }
        ErrorCode::InvalidPartitions => {
            "partitions can only be added: see `klamm topic describe` for how many there are"
        }
        ErrorCode::InvalidConfig => {
            "see the topic configurations in Kafka's documentation; values are checked as there"
        }
        ErrorCode::InvalidTopicException => {
            "names have 1 to 249 letters, digits, dots, underscores and dashes, and aren't . or .."
        }
        ErrorCode::RequestTimedOut => "it may still have happened: look before trying again, or raise --timeout",
        ErrorCode::NotController | ErrorCode::CoordinatorNotAvailable | ErrorCode::BrokerNotAvailable => {
            "the cluster is choosing a controller: try again in a second, and see `klamm cluster describe`"
        }
        ErrorCode::TopicDeletionDisabled => "the brokers run with delete.topic.enable=false",
        ErrorCode::TopicAuthorizationFailed | ErrorCode::ClusterAuthorizationFailed => {
            "the cluster's access rules don't allow it to this client"
        }
        ErrorCode::NoReassignmentInProgress => "see what moves now with `klamm cluster reassign --list`",
        ErrorCode::PreferredLeaderNotAvailable => {
            "the preferred replica isn't in sync or not alive: see `klamm topic describe`"
        }
        ErrorCode::ReassignmentInProgress => "wait for the reassignment to finish, then try again",
        ErrorCode::PolicyViolation => "the cluster's own policy refuses it",
        ErrorCode::ThrottlingQuotaExceeded => "the quota for changes is used up: try again in a moment",
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_code_and_the_remedy() {
        let text = refusal("creating topic a", 36, Some("Topic 'a' already exists."))
            .unwrap()
            .to_string();
        assert!(text.starts_with("creating topic a failed with TOPIC_ALREADY_EXISTS: Topic 'a' already exists."));
        assert!(text.contains("--if-not-exists"));
        assert!(refusal("x", 0, None).is_none());
        assert!(refusal("x", 999, None).unwrap().to_string().contains("error 999"));
    }
}
