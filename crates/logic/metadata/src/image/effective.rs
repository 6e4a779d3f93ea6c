//! Effective values of the few topic settings that decisions depend on.
//!
//! A topic's own value, else the dynamic default of all brokers, else the static default that the caller passes.
//! A broker's own dynamic value never counts here: a decision about a partition can't depend on who leads it.

use types::TopicName;

use super::MetadataImage;

/// `min.insync.replicas`, for topics and brokers alike.
pub(crate) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
/// `unclean.leader.election.enable`, for topics and brokers alike.
const UNCLEAN_LEADER_ELECTION: &str = "unclean.leader.election.enable";

impl MetadataImage {
    /// `min.insync.replicas` as it holds for the topic; `static_default` is the node's own.
    ///
    /// Not bounded by the number of replicas: who compares takes the smaller of both, as Kafka does.
    #[must_use]
    pub fn min_insync_replicas(&self, topic: &TopicName, static_default: usize) -> usize {
        self.effective(topic, MIN_INSYNC_REPLICAS)
            .and_then(|value| value.parse().ok())
            .unwrap_or(static_default)
            .max(1)
    }

    /// `unclean.leader.election.enable` as it holds for the topic.
    #[must_use]
    pub fn unclean_leader_election(&self, topic: &TopicName, static_default: bool) -> bool {
        self.effective(topic, UNCLEAN_LEADER_ELECTION)
            .map_or(static_default, |value| value.eq_ignore_ascii_case("true"))
    }

    fn effective(&self, topic: &TopicName, key: &str) -> Option<&str> {
        self.topic_config(topic)
            .get(key)
            .or_else(|| self.broker_config(None).get(key))
            .map(|value| value.trim())
    }
}
