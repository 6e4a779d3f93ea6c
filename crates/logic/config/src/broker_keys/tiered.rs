//! Tiered storage: known, checked and shown, not served.

use crate::key::ConfigKey;
use crate::table::keys;
use crate::validator::Validator::{Any, AtLeast, BetweenReal, NonEmpty};

/// Ordered by name.
pub(super) const KEYS: &[ConfigKey] = keys! {
    "remote.fetch.max.wait.ms": Int = "500", AtLeast(1); Medium ClusterWide Accepts;
        "How long a fetch waits for tiered storage.";
    "remote.list.offsets.request.timeout.ms": Long = "30000", AtLeast(1); Medium ClusterWide Accepts;
        "How long looking up an offset waits for tiered storage.";
    "remote.log.index.file.cache.total.size.bytes": Long = "1073741824", AtLeast(1); Low ClusterWide Accepts;
        "Disk space for indexes of remote segments.";
    "remote.log.manager.copier.thread.pool.size": Int = "10", AtLeast(1); Medium ClusterWide Accepts;
        "Threads that copy segments to tiered storage.";
    "remote.log.manager.copy.max.bytes.per.second": Long = "9223372036854775807", AtLeast(1); Medium ClusterWide Accepts;
        "The most bytes per second that are copied to tiered storage.";
    "remote.log.manager.copy.quota.window.num": Int = "11", AtLeast(1); Medium ReadOnly Accepts;
        "Windows over which that rate is measured.";
    "remote.log.manager.copy.quota.window.size.seconds": Int = "1", AtLeast(1); Medium ReadOnly Accepts;
        "The length of one such window.";
    "remote.log.manager.expiration.thread.pool.size": Int = "10", AtLeast(1); Medium ClusterWide Accepts;
        "Threads that delete from tiered storage.";
    "remote.log.manager.fetch.max.bytes.per.second": Long = "9223372036854775807", AtLeast(1); Medium ClusterWide Accepts;
        "The most bytes per second that are read from tiered storage.";
    "remote.log.manager.fetch.quota.window.num": Int = "11", AtLeast(1); Medium ReadOnly Accepts;
        "Windows over which that rate is measured.";
    "remote.log.manager.fetch.quota.window.size.seconds": Int = "1", AtLeast(1); Medium ReadOnly Accepts;
        "The length of one such window.";
    "remote.log.manager.follower.thread.pool.size": Int = "2", AtLeast(1); Medium ClusterWide Accepts;
        "Threads that follow tiered storage for follower replicas.";
    "remote.log.manager.task.interval.ms": Long = "30000", AtLeast(1); Low ReadOnly Accepts;
        "How often each partition's tiered storage is attended to.";
    "remote.log.manager.thread.pool.size": Int = "2", AtLeast(1); Medium ReadOnly Accepts;
        "Threads that schedule the work on tiered storage.";
    "remote.log.metadata.custom.metadata.max.bytes": Int = "128", AtLeast(0); Low ReadOnly Accepts;
        "The most bytes that a storage plugin may add to a segment's metadata.";
    "remote.log.metadata.manager.class.name": String = "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", NonEmpty; Medium ReadOnly Accepts;
        "The Java class that remembers what is stored remotely. Not loaded here.";
    "remote.log.metadata.manager.class.path": String = null, Any; Medium ReadOnly Accepts;
        "Where that class and what it needs are found.";
    "remote.log.metadata.manager.impl.prefix": String = "rlmm.config.", NonEmpty; Medium ReadOnly Accepts;
        "The prefix of the keys that are handed to that class.";
    "remote.log.metadata.manager.listener.name": String = null, NonEmpty; Medium ReadOnly Accepts;
        "The listener through which that class reaches the brokers.";
    "remote.log.reader.max.pending.tasks": Int = "100", AtLeast(1); Medium ReadOnly Accepts;
        "Reads from tiered storage that may wait.";
    "remote.log.reader.threads": Int = "10", AtLeast(1); Medium ClusterWide Accepts;
        "Threads that read from tiered storage.";
    "remote.log.storage.manager.class.name": String = null, NonEmpty; Medium ReadOnly Accepts;
        "The Java class that stores segments remotely. Not loaded here.";
    "remote.log.storage.manager.class.path": String = null, Any; Medium ReadOnly Accepts;
        "Where that class and what it needs are found.";
    "remote.log.storage.manager.impl.prefix": String = "rsm.config.", NonEmpty; Medium ReadOnly Accepts;
        "The prefix of the keys that are handed to that class.";
    "remote.log.storage.system.enable": Boolean = "false", Any; Medium ReadOnly Accepts;
        "Whether the cluster has tiered storage. It can't be turned on here yet.";
};

/// Keys that Kafka hides: taken from files, not described.
pub(super) const INTERNAL_KEYS: &[ConfigKey] = keys! {
    "remote.log.index.file.cache.ttl.ms": Long = "900000", AtLeast(-1); Low ReadOnly Accepts;
        "How long an unused index of a remote segment is kept; -1 means for ever.";
    "remote.log.manager.task.retry.backoff.max.ms": Long = "30000", AtLeast(1); Low ReadOnly Accepts;
        "The longest pause before failed work on tiered storage is tried again.";
    "remote.log.manager.task.retry.backoff.ms": Long = "500", AtLeast(1); Low ReadOnly Accepts;
        "The pause before failed work on tiered storage is tried again.";
    "remote.log.manager.task.retry.jitter": Double = "0.2", BetweenReal(0.0, 0.5); Low ReadOnly Accepts;
        "How much chance goes into these pauses.";
};
