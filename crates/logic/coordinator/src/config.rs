//! What the coordinator reads of the broker's configuration.

/// Limits and times of classic groups, with Kafka's defaults.
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
        }
    }
}
