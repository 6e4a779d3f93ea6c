//! What the coordinator reads of the broker's configuration.

use crate::AssignorKind;

/// Limits and times of groups, with Kafka's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`: how long a new group waits for more members; 0 doesn't wait.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: members a group.
    pub max_size: i32,
    /// `offsets.retention.minutes`, in milliseconds (KIP-211).
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: i64,
    /// `offset.metadata.max.bytes`; Kafka counts UTF-16 units, so do we.
    pub offset_metadata_max_bytes: i32,
    /// `offsets.commit.timeout.ms`: how long SyncGroup waits for the assignment to be committed.
    pub offset_commit_timeout_ms: i32,
    /// `group.consumer.session.timeout.ms`
    pub consumer_session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`
    pub consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.assignment.interval.ms` (KIP-1263)
    pub consumer_assignment_interval_ms: i32,
    /// `group.consumer.max.size`: members a group.
    pub consumer_max_size: i32,
    /// `group.consumer.migration.policy`: classic groups may become consumer groups while they have members,
    pub consumer_upgrade: bool,
    /// and the other way round.
    pub consumer_downgrade: bool,
    /// The first of `group.consumer.assignors`.
    pub consumer_default_assignor: AssignorKind,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX,
            offsets_retention_ms: 10_080 * 60_000,
            offsets_retention_check_interval_ms: 600_000,
            offset_metadata_max_bytes: 4_096,
            offset_commit_timeout_ms: 5_000,
            consumer_session_timeout_ms: 45_000,
            consumer_heartbeat_interval_ms: 5_000,
            consumer_assignment_interval_ms: 1_000,
            consumer_max_size: i32::MAX,
            consumer_upgrade: true,
            consumer_downgrade: true,
            consumer_default_assignor: AssignorKind::Uniform,
        }
    }
}
