//! Replicas: when they count as in sync, how they fetch, who leads.

use crate::key::ConfigKey;
use crate::table::keys;
use crate::validator::Validator::{Any, AtLeast};

/// Ordered by name.
pub(super) const KEYS: &[ConfigKey] = keys! {
    "auto.leader.rebalance.enable": Boolean = "true", Any; High ReadOnly Acts;
        "Whether the preferred replica gets the leadership back by itself.";
    "follower.fetch.last.tiered.offset.enable": Boolean = "false", Any; Medium ClusterWide Accepts;
        "With tiered storage: whether an empty follower starts at the last tiered offset.";
    "leader.imbalance.check.interval.seconds": Long = "300", AtLeast(1); High ReadOnly Acts;
        "How often the controller looks for leaderships to be given back.";
    "min.insync.replicas": Int = "1", AtLeast(1); High ClusterWide Acts;
        "Replicas that must be in sync for an acks=all write to be taken.";
    "num.replica.fetchers": Int = "1", AtLeast(1); High ClusterWide Accepts;
        "Threads with which a follower fetches from one leader. Streams do that here.";
    "replica.fetch.backoff.ms": Int = "1000", AtLeast(0); Medium ReadOnly Accepts;
        "The pause before a follower fetches again from a partition that failed.";
    "replica.fetch.max.bytes": Int = "1048576", AtLeast(0); Medium ReadOnly Accepts;
        "The bytes of one partition that a follower fetches at a time.";
    "replica.fetch.min.bytes": Int = "1", Any; High ReadOnly Accepts;
        "The least bytes a follower's fetch waits for. Leaders push them here.";
    "replica.fetch.response.max.bytes": Int = "10485760", AtLeast(0); Medium ReadOnly Accepts;
        "The bytes of all partitions that a follower fetches at a time.";
    "replica.fetch.wait.max.ms": Int = "500", Any; High ReadOnly Accepts;
        "How long a follower's fetch waits for new records. Leaders push them here.";
    "replica.high.watermark.checkpoint.interval.ms": Long = "5000", Any; High ReadOnly Acts;
        "How often the high watermarks are written down.";
    "replica.lag.time.max.ms": Long = "30000", Any; High ReadOnly Acts;
        "A follower that hasn't caught up for this long leaves the in-sync replicas.";
    "replica.selector.class": String = null, Any; Medium ReadOnly Acts;
        "Which replica a consumer should read from: org.apache.kafka.common.replica.RackAwareReplicaSelector sends it to an in-sync one in its rack, no other class is known here.";
    "replica.socket.receive.buffer.bytes": Int = "65536", Any; High ReadOnly Accepts;
        "The receive buffer of a follower's sockets.";
    "replica.socket.timeout.ms": Int = "30000", Any; High ReadOnly Accepts;
        "How long a follower waits for the leader's socket.";
    "unclean.leader.election.enable": Boolean = "false", Any; High ClusterWide Acts;
        "Whether a replica that may lack acknowledged records can lead when no other is left. Loses data.";
};

/// Set while a broker runs, mostly by `kafka-reassign-partitions.sh --throttle`; shown where they are set.
pub(super) const DYNAMIC_KEYS: &[ConfigKey] = keys! {
    "follower.replication.throttled.rate": Long = "9223372036854775807", AtLeast(0); Medium ClusterWide Acts;
        "Bytes a second that throttled replicas fetch from their leaders.";
    "leader.replication.throttled.rate": Long = "9223372036854775807", AtLeast(0); Medium ClusterWide Acts;
        "Bytes a second that leaders send to throttled replicas.";
    "replica.alter.log.dirs.io.max.bytes.per.second": Long = "9223372036854775807", AtLeast(0); Medium ClusterWide Acts;
        "Bytes a second that replicas are moved between a broker's log directories with.";
};

/// Keys that Kafka hides: taken from files, not described.
pub(super) const INTERNAL_KEYS: &[ConfigKey] = keys! {
    "unclean.leader.election.interval.ms": Long = "300000", AtLeast(1); Medium ReadOnly Accepts;
        "How often the controller looks for partitions that an unclean election would help.";
};
