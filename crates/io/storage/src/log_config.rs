//! What one partition's log is told by its topic's configuration, by value.

use std::time::Duration;

/// How a log with `cleanup.policy=compact` is compacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactionConfig {
    /// `min.cleanable.dirty.ratio` in millionths: a pass begins when more of the log than this is uncompacted.
    pub min_dirty_millionths: u32,
    /// `min.compaction.lag.ms`: younger records aren't compacted.
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`: older records are compacted whatever the ratio; `i64::MAX` is never.
    pub max_lag_ms: i64,
    /// `delete.retention.ms`: how long tombstones stay.
    pub delete_retention_ms: i64,
    /// An active segment of this size is closed, so that it can be compacted, before `segment.bytes` is reached.
    pub roll_bytes: Option<u64>,
}

/// Limits of one log. The defaults are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment that an append would make larger is rolled first.
    pub segment_bytes: u32,
    /// `segment.ms`: an active segment older than this is rolled at the next append.
    pub segment_ms: i64,
    /// `segment.index.bytes`: a segment whose index reaches this size is rolled.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: log bytes between two index entries.
    pub index_interval_bytes: u32,
    /// `retention.ms`; `None` keeps for ever. Ignored unless `delete`.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`; `None` is without limit. Ignored unless `delete`.
    pub retention_bytes: Option<u64>,
    /// Whether `cleanup.policy` contains `delete`.
    pub delete: bool,
    /// `cleanup.policy` contains `compact`.
    pub compaction: Option<CompactionConfig>,
    /// `file.delete.delay.ms`: how long a removed file stays under its `.deleted` name.
    pub file_delete_delay: Duration,
    /// `flush.messages`; when set, replicas acknowledge their synced end only.
    pub flush_messages: Option<i64>,
    /// `flush.ms`; when set, replicas acknowledge their synced end only.
    pub flush_ms: Option<i64>,
    /// Bytes of just appended batches that stay in memory for followers and consumers at the tail; 0 turns it off.
    pub tail_cache_bytes: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: Some(7 * 24 * 3600 * 1000),
            retention_bytes: None,
            delete: true,
            compaction: None,
            file_delete_delay: Duration::from_secs(60),
            flush_messages: None,
            flush_ms: None,
            tail_cache_bytes: 1 << 20,
        }
    }
}

impl LogConfig {
    /// Whether an acknowledgement waits for a sync (`flush.messages` or `flush.ms` is set).
    #[must_use]
    pub fn acknowledges_synced_end(&self) -> bool {
        self.flush_messages.is_some() || self.flush_ms.is_some()
    }
}
