//! The keys of group coordinators.

use std::time::Duration;

use super::seconds;
use crate::reader::Reader;

/// The group coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupConfig {
    /// Partitions of `__consumer_offsets`.
    pub offsets_topic_num_partitions: i32,
    /// Replicas of `__consumer_offsets`.
    pub offsets_topic_replication_factor: i16,
    /// Segment size of `__consumer_offsets`.
    pub offsets_topic_segment_bytes: u32,
    /// A commit waits at most so long for the replicas.
    pub offsets_commit_timeout: Duration,
    /// Offsets of a group without members are kept so long.
    pub offsets_retention: Duration,
    /// How often expired offsets are looked for.
    pub offsets_retention_check_interval: Duration,
    /// The longest text beside an offset.
    pub offset_metadata_max_bytes: u32,
    /// A new classic group waits so long for more members.
    pub initial_rebalance_delay: Duration,
    /// The shortest session timeout of a classic member.
    pub min_session_timeout: Duration,
    /// The longest session timeout of a classic member.
    pub max_session_timeout: Duration,
    /// Members of one classic group.
    pub max_size: u32,
    /// Members of one consumer group (KIP-848).
    pub consumer_max_size: u32,
    /// A silent member of a consumer group is given up after this.
    pub consumer_session_timeout: Duration,
    /// How often members of a consumer group are to send heartbeats.
    pub consumer_heartbeat_interval: Duration,
    /// The shortest time between two assignments of a large consumer group (KIP-1263).
    pub consumer_assignment_interval: Duration,
    /// Classic groups may become consumer groups while they have members,
    pub consumer_upgrade: bool,
    /// and consumer groups classic ones.
    pub consumer_downgrade: bool,
    /// The assignor of a consumer group whose members name none: `uniform` or `range`.
    pub consumer_default_assignor: &'static str,
}

impl GroupConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Self {
        Self {
            offsets_topic_num_partitions: reader.int("offsets.topic.num.partitions"),
            offsets_topic_replication_factor: reader.short("offsets.topic.replication.factor"),
            offsets_topic_segment_bytes: reader.size("offsets.topic.segment.bytes").unwrap_or(u32::MAX),
            offsets_commit_timeout: reader.milliseconds("offsets.commit.timeout.ms"),
            offsets_retention: seconds(reader.long("offsets.retention.minutes").saturating_mul(60)),
            offsets_retention_check_interval: reader.milliseconds("offsets.retention.check.interval.ms"),
            offset_metadata_max_bytes: reader.size("offset.metadata.max.bytes").unwrap_or_default(),
            initial_rebalance_delay: reader.milliseconds("group.initial.rebalance.delay.ms"),
            min_session_timeout: reader.milliseconds("group.min.session.timeout.ms"),
            max_session_timeout: reader.milliseconds("group.max.session.timeout.ms"),
            max_size: reader.size("group.max.size").unwrap_or(1).max(1),
            consumer_max_size: reader.size("group.consumer.max.size").unwrap_or(1).max(1),
            consumer_session_timeout: reader.milliseconds("group.consumer.session.timeout.ms"),
            consumer_heartbeat_interval: reader.milliseconds("group.consumer.heartbeat.interval.ms"),
            consumer_assignment_interval: reader.milliseconds("group.consumer.assignment.interval.ms"),
            consumer_upgrade: migrates(reader, "UPGRADE"),
            consumer_downgrade: migrates(reader, "DOWNGRADE"),
            consumer_default_assignor: match reader.list("group.consumer.assignors").first() {
                // By its short name, or by the name of Kafka's class.
                Some(first) if *first == "range" || first.ends_with(".RangeAssignor") => "range",
                _ => "uniform",
            },
        }
    }
}

fn migrates(reader: &Reader<'_>, direction: &str) -> bool {
    let policy = reader
        .text("group.consumer.migration.policy")
        .unwrap_or("BIDIRECTIONAL");
    policy.eq_ignore_ascii_case("BIDIRECTIONAL") || policy.eq_ignore_ascii_case(direction)
}
