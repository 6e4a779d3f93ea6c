//! What a partition is told by its topic's configuration, by value.

use std::sync::Arc;

use config::ThrottledReplicas;
use storage::{CompactionConfig, LogConfig};

/// One partition's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionSettings {
    /// Limits of the log.
    pub log: LogConfig,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// `message.timestamp.type=LogAppendTime`.
    pub log_append_time: bool,
    /// `max.message.bytes`.
    pub max_message_bytes: usize,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy` contains `compact`: producers must give keys.
    pub compacted: bool,
    /// `leader.replication.throttled.replicas`.
    pub leader_throttled_replicas: Arc<ThrottledReplicas>,
    /// `follower.replication.throttled.replicas`.
    pub follower_throttled_replicas: Arc<ThrottledReplicas>,
}

/// Settings of a topic with these configurations on a broker with these defaults.
pub(crate) fn resolve(overrides: &metadata::ConfigMap, defaults: &config::BrokerDefaults) -> PartitionSettings {
    let topic = config::TopicSettings::resolve(overrides, defaults);
    let policy = topic.cleanup_policy;
    PartitionSettings {
        log: LogConfig {
            segment_bytes: u32::try_from(topic.segment_bytes).unwrap_or(u32::MAX),
            // What must be compacted by then has to be in a closed segment before.
            segment_ms: if policy.compact {
                topic.segment_ms.min(topic.max_compaction_lag_ms)
            } else {
                topic.segment_ms
            },
            segment_index_bytes: u32::try_from(topic.segment_index_bytes).unwrap_or(u32::MAX),
            index_interval_bytes: u32::try_from(topic.index_interval_bytes).unwrap_or(u32::MAX),
            retention_ms: topic.retention_ms,
            retention_bytes: topic.retention_bytes,
            delete: policy.delete,
            compaction: policy.compact.then(|| CompactionConfig {
                min_dirty_millionths: millionths(topic.min_cleanable_dirty_ratio),
                min_lag_ms: topic.min_compaction_lag_ms,
                max_lag_ms: topic.max_compaction_lag_ms,
                delete_retention_ms: topic.delete_retention_ms,
                roll_bytes: None,
            }),
            file_delete_delay: std::time::Duration::from_millis(u64::try_from(topic.file_delete_delay_ms).unwrap_or(0)),
            flush_messages: topic.flush_messages,
            flush_ms: topic.flush_ms,
            ..LogConfig::default()
        },
        min_insync_replicas: usize::try_from(topic.min_insync_replicas).unwrap_or(usize::MAX),
        log_append_time: topic.timestamp_type == config::TimestampType::LogAppendTime,
        max_message_bytes: usize::try_from(topic.max_message_bytes).unwrap_or(usize::MAX),
        timestamp_before_max_ms: topic.timestamp_before_max_ms,
        timestamp_after_max_ms: topic.timestamp_after_max_ms,
        compacted: policy.compact,
        leader_throttled_replicas: Arc::new(topic.leader_throttled_replicas),
        follower_throttled_replicas: Arc::new(topic.follower_throttled_replicas),
    }
}

fn millionths(share: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to a million, by the clamp"
    )]
    let millionths = (share.clamp(0.0, 1.0) * 1e6).round() as u32;
    millionths
}
