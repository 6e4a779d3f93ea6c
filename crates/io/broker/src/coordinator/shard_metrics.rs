//! What a shard shows of itself on `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use coordinator::GroupShard;

use crate::metrics::BrokerMetrics;

/// One shard's part of the broker's numbers; dropped, it is taken out of them.
#[derive(Debug)]
pub(super) struct ShardMetrics {
    metrics: Arc<BrokerMetrics>,
    loading: i64,
    groups: i64,
}

impl ShardMetrics {
    /// Of a shard that begins to load.
    pub(super) fn new(metrics: Arc<BrokerMetrics>) -> Self {
        metrics.group_shards_loading.inc();
        Self {
            metrics,
            loading: 1,
            groups: 0,
        }
    }

    pub(super) fn on_loaded(&mut self, records: u64, took: Duration) {
        self.metrics.group_load_seconds.observe(took.as_secs_f64());
        self.metrics.group_loaded_records.inc_by(records);
        self.metrics
            .group_shards_loading
            .dec_by(std::mem::take(&mut self.loading));
    }

    /// Takes the shard's present number of groups.
    pub(super) fn count(&mut self, shard: &GroupShard) {
        self.set_groups(i64::try_from(shard.group_count()).unwrap_or(i64::MAX));
    }

    fn set_groups(&mut self, groups: i64) {
        self.metrics.group_count.inc_by(groups.saturating_sub(self.groups));
        self.groups = groups;
    }
}

impl Drop for ShardMetrics {
    fn drop(&mut self) {
        self.set_groups(0);
        self.metrics.group_shards_loading.dec_by(self.loading);
    }
}
