//! Counters and gauges under Kafka's familiar quantities.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Labels of per-API metrics.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ApiLabels {
    /// The API's name, as in Kafka.
    pub api: &'static str,
}

/// A broker's metrics.
#[derive(Debug)]
pub struct BrokerMetrics {
    /// Requests by API.
    pub requests: Family<ApiLabels, Counter>,
    /// Seconds from a request's arrival to its answer.
    pub request_seconds: Family<ApiLabels, Histogram, fn() -> Histogram>,
    /// Open client connections.
    pub connections: Gauge,
    /// Bytes of record batches appended by producers.
    pub produced_bytes: Counter,
    /// Records appended by producers.
    pub produced_records: Counter,
    /// Bytes of record batches read by consumers.
    pub fetched_bytes: Counter,
    /// Bytes of record batches taken from leaders.
    pub replicated_bytes: Counter,
    /// ISR shrinks that this broker proposed.
    pub isr_shrinks: Counter,
    /// ISR expansions that this broker proposed.
    pub isr_expands: Counter,
    /// Partitions led here.
    pub leader_count: Gauge,
    /// Replicas hosted here.
    pub partition_count: Gauge,
    /// Partitions led here whose ISR lacks a replica.
    pub under_replicated_partitions: Gauge,
    /// Partitions led here whose ISR is below min ISR.
    pub under_min_isr_partitions: Gauge,
    /// Partitions of the cluster without a leader.
    pub offline_partitions: Gauge,
    /// Requests that wait for a high watermark.
    pub purgatory_produce: Gauge,
    /// Metadata offset applied here.
    pub metadata_offset: Gauge,
    /// 1 while the controller has this broker fenced.
    pub fenced: Gauge,
    /// Data directories that failed.
    pub offline_log_directories: Gauge,
    /// Data directories without room for records.
    pub full_log_directories: Gauge,
    /// Replicas that compaction has given up.
    pub uncleanable_partitions: Gauge,
    /// Bytes of segments that were compacted.
    pub cleaner_read_bytes: Counter,
    /// Bytes of the segments that took their place.
    pub cleaner_written_bytes: Counter,
    /// Groups coordinated here.
    pub group_count: Gauge,
    /// Partitions of the offsets topic that are being loaded.
    pub group_shards_loading: Gauge,
    /// Seconds that loading one of them took.
    pub group_load_seconds: Histogram,
    /// Records that were replayed for it.
    pub group_loaded_records: Counter,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 16))
}

impl Default for BrokerMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl BrokerMetrics {
    /// Metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            connections: Gauge::default(),
            produced_bytes: Counter::default(),
            produced_records: Counter::default(),
            fetched_bytes: Counter::default(),
            replicated_bytes: Counter::default(),
            cleaner_read_bytes: Counter::default(),
            cleaner_written_bytes: Counter::default(),
            uncleanable_partitions: Gauge::default(),
            group_count: Gauge::default(),
            group_shards_loading: Gauge::default(),
            group_load_seconds: seconds(),
            group_loaded_records: Counter::default(),
            isr_shrinks: Counter::default(),
            isr_expands: Counter::default(),
            leader_count: Gauge::default(),
            partition_count: Gauge::default(),
            under_replicated_partitions: Gauge::default(),
            under_min_isr_partitions: Gauge::default(),
            offline_partitions: Gauge::default(),
            purgatory_produce: Gauge::default(),
            metadata_offset: Gauge::default(),
            fenced: Gauge::default(),
            offline_log_directories: Gauge::default(),
            full_log_directories: Gauge::default(),
        }
    }

    /// Shows them in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let mut gauge = |name: &str, text: &str, gauge: &Gauge| registry.register(name, text, gauge.clone());
        gauge(
            "klamm_server_replica_manager_leader_count",
            "Partitions led here",
            &self.leader_count,
        );
        gauge(
            "klamm_server_replica_manager_partition_count",
            "Replicas hosted here",
            &self.partition_count,
        );
        gauge(
            "klamm_server_replica_manager_under_replicated_partitions",
            "Partitions led here whose ISR lacks a replica",
            &self.under_replicated_partitions,
        );
        gauge(
            "klamm_server_replica_manager_under_min_isr_partition_count",
            "Partitions led here whose ISR is below min.insync.replicas",
            &self.under_min_isr_partitions,
        );
        gauge(
            "klamm_controller_offline_partitions_count",
            "Partitions of the cluster without a leader",
            &self.offline_partitions,
        );
        gauge(
            "klamm_network_connections",
            "Open client connections",
            &self.connections,
        );
        gauge(
            "klamm_server_purgatory_produce",
            "Requests that wait for a high watermark",
            &self.purgatory_produce,
        );
        gauge(
            "klamm_metadata_applied_offset",
            "Metadata offset applied here",
            &self.metadata_offset,
        );
        gauge(
            "klamm_server_fenced",
            "1 while the controller has this broker fenced",
            &self.fenced,
        );
        gauge(
            "klamm_log_manager_offline_log_directory_count",
            "Data directories that failed",
            &self.offline_log_directories,
        );
        gauge(
            "klamm_log_manager_full_log_directory_count",
            "Data directories without room for records",
            &self.full_log_directories,
        );
        gauge(
            "klamm_group_coordinator_groups",
            "Groups coordinated here",
            &self.group_count,
        );
        gauge(
            "klamm_group_coordinator_loading_partitions",
            "Partitions of the offsets topic that are being loaded",
            &self.group_shards_loading,
        );
        gauge(
            "klamm_log_cleaner_uncleanable_partitions_count",
            "Replicas that compaction has given up until the next start",
            &self.uncleanable_partitions,
        );
        let mut counter = |name: &str, text: &str, counter: &Counter| registry.register(name, text, counter.clone());
        counter(
            "klamm_server_produced_bytes",
            "Bytes appended by producers",
            &self.produced_bytes,
        );
        counter(
            "klamm_server_produced_records",
            "Records appended by producers",
            &self.produced_records,
        );
        counter(
            "klamm_server_fetched_bytes",
            "Bytes read by consumers",
            &self.fetched_bytes,
        );
        counter(
            "klamm_server_replicated_bytes",
            "Bytes taken from leaders",
            &self.replicated_bytes,
        );
        counter(
            "klamm_group_coordinator_loaded_records",
            "Records of the offsets topic that were replayed",
            &self.group_loaded_records,
        );
        counter(
            "klamm_log_cleaner_read_bytes",
            "Bytes of segments that were compacted",
            &self.cleaner_read_bytes,
        );
        counter(
            "klamm_log_cleaner_written_bytes",
            "Bytes of the segments that took their place",
            &self.cleaner_written_bytes,
        );
        counter(
            "klamm_server_isr_shrinks",
            "ISR shrinks proposed here",
            &self.isr_shrinks,
        );
        counter(
            "klamm_server_isr_expands",
            "ISR expansions proposed here",
            &self.isr_expands,
        );
        registry.register(
            "klamm_group_coordinator_load_seconds",
            "Seconds that loading a partition of the offsets topic took",
            self.group_load_seconds.clone(),
        );
        registry.register("klamm_network_requests", "Requests by API", self.requests.clone());
        registry.register(
            "klamm_network_request_seconds",
            "Seconds from a request's arrival to its answer",
            self.request_seconds.clone(),
        );
    }
}
