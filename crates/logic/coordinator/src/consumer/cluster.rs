//! What a shard needs to know of the cluster.

use types::{TopicId, TopicName};

/// A topic as an assignor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicView {
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
}

/// A group's own settings (KIP-848's group configs); where there is none, the broker's holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupOverrides {
    /// `consumer.session.timeout.ms`
    pub session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`
    pub heartbeat_interval_ms: Option<i32>,
    /// `consumer.assignment.interval.ms`
    pub assignment_interval_ms: Option<i32>,
}

/// The cluster as the coordinator's broker knows it at present.
pub trait ClusterView {
    /// Grows with every change of what is told here.
    fn version(&self) -> i64;

    /// A topic that exists.
    fn topic(&self, name: &TopicName) -> Option<TopicView>;

    /// The name of a topic that exists.
    fn name_of(&self, topic: TopicId) -> Option<TopicName>;

    /// All topics, in any order.
    fn topic_names(&self) -> Vec<TopicName>;

    /// A group's own settings.
    fn overrides(&self, group_id: &str) -> GroupOverrides;
}
