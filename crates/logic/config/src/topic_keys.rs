//! Every topic configuration of Kafka 4.x, and the broker keys that give their defaults.
//!
//! A topic's own value wins over the broker's; of several broker synonyms the first that is set wins (retention in
//! milliseconds over minutes over hours). `topic` resolves, `describe` shows.

use crate::key::ConfigKey;
use crate::table::{find, keys};
use crate::validator::Validator::{Any, AtLeast, Between, BetweenReal, GzipLevel, ListOf, OneOf, ThrottledReplicas};

/// The compression types a topic can ask for.
pub(crate) const COMPRESSION_TYPES: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
/// What may happen to old segments.
pub(crate) const CLEANUP_POLICIES: &[&str] = &["compact", "delete"];
/// Whose clock stamps records.
pub(crate) const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];

/// The table of topic configurations, ordered by name.
pub const TOPIC_KEYS: &[ConfigKey] = keys! {
    "cleanup.policy": List = "delete", ListOf(CLEANUP_POLICIES); Medium ClusterWide Acts;
        "What happens to old segments: delete drops them by age and size, compact keeps the last record of each key. Both may be given; an empty list keeps everything for ever.";
    "compression.gzip.level": Int = "-1", GzipLevel; Medium ClusterWide Accepts;
        "Level used when compression.type is gzip; -1 is the codec's own default.";
    "compression.lz4.level": Int = "9", Between(1, 17); Medium ClusterWide Accepts;
        "Level used when compression.type is lz4.";
    "compression.type": String = "producer", OneOf(COMPRESSION_TYPES); Medium ClusterWide Accepts;
        "Codec in which batches are stored; producer keeps each batch as it was sent.";
    "compression.zstd.level": Int = "3", Between(-131_072, 22); Medium ClusterWide Accepts;
        "Level used when compression.type is zstd.";
    "delete.retention.ms": Long = "86400000", AtLeast(0); Medium ClusterWide Acts;
        "How long compaction keeps a tombstone, so that a reader from the start still sees the deletion.";
    "errors.deadletterqueue.group.enable": Boolean = "false", Any; Medium ClusterWide Accepts;
        "Whether share groups may write records that they couldn't deliver to this topic.";
    "file.delete.delay.ms": Long = "60000", AtLeast(0); Medium ClusterWide Acts;
        "How long a file that is no longer part of the log stays on disk.";
    "flush.messages": Long = "9223372036854775807", AtLeast(1); Medium ClusterWide Acts;
        "Sync to disk after this many records. With 1, an acknowledged record has been synced on every in-sync replica.";
    "flush.ms": Long = "9223372036854775807", AtLeast(0); Medium ClusterWide Acts;
        "Sync to disk at the latest this long after a record was written.";
    "follower.replication.throttled.replicas": List = "", ThrottledReplicas; Medium ClusterWide Acts;
        "Replicas whose fetching is throttled on the follower's side: partition:broker pairs, or * for all.";
    "index.interval.bytes": Int = "4096", AtLeast(0); Medium ClusterWide Acts;
        "How many bytes of batches lie between two entries of the offset index.";
    "leader.replication.throttled.replicas": List = "", ThrottledReplicas; Medium ClusterWide Acts;
        "Replicas whose fetching is throttled on the leader's side: partition:broker pairs, or * for all.";
    "local.retention.bytes": Long = "-2", AtLeast(-2); Medium ClusterWide Accepts;
        "With tiered storage: bytes of a partition kept on local disk; -2 means as much as retention.bytes.";
    "local.retention.ms": Long = "-2", AtLeast(-2); Medium ClusterWide Accepts;
        "With tiered storage: how long segments stay on local disk; -2 means as long as retention.ms.";
    "max.compaction.lag.ms": Long = "9223372036854775807", AtLeast(1); Medium ClusterWide Acts;
        "The longest that a record may stay out of compaction's reach.";
    "max.decompressed.message.bytes": Int = "2147483639", AtLeast(1); Medium ClusterWide Accepts;
        "The largest record that a compressed batch may hold, in bytes after decompression.";
    "max.message.bytes": Int = "1048588", AtLeast(0); Medium ClusterWide Acts;
        "The largest record batch taken, in bytes after compression. A larger one is refused with MESSAGE_TOO_LARGE.";
    "message.timestamp.after.max.ms": Long = "3600000", AtLeast(0); Medium ClusterWide Acts;
        "How far a record's own timestamp may lie in the broker's future.";
    "message.timestamp.before.max.ms": Long = "9223372036854775807", AtLeast(0); Medium ClusterWide Acts;
        "How far a record's own timestamp may lie in the broker's past.";
    "message.timestamp.type": String = "CreateTime", OneOf(TIMESTAMP_TYPES); Medium ClusterWide Acts;
        "Whose clock stamps records: the producer's (CreateTime) or the leader's (LogAppendTime).";
    "min.cleanable.dirty.ratio": Double = "0.5", BetweenReal(0.0, 1.0); Medium ClusterWide Acts;
        "The share of a log that must be uncompacted before compaction bothers.";
    "min.compaction.lag.ms": Long = "0", AtLeast(0); Medium ClusterWide Acts;
        "How long a record stays out of compaction's reach.";
    "min.insync.replicas": Int = "1", AtLeast(1); Medium ClusterWide Acts;
        "Replicas that must be in sync for an acks=all write to be taken, and for the high watermark to advance.";
    "preallocate": Boolean = "false", Any; Medium ClusterWide Accepts;
        "Whether a new segment's file gets its full size at once.";
    "remote.copy.lag.bytes": Long = "-1", AtLeast(-2); Medium ClusterWide Accepts;
        "With tiered storage: bytes behind the log's end at which a closed segment is copied; -1 leaves it to the age.";
    "remote.copy.lag.ms": Long = "0", AtLeast(-2); Medium ClusterWide Accepts;
        "With tiered storage: how long after its last record a closed segment is copied; 0 means at once.";
    "remote.log.copy.disable": Boolean = "false", Any; Medium ClusterWide Accepts;
        "With tiered storage: stop copying segments to it, keep what is there readable.";
    "remote.log.delete.on.disable": Boolean = "false", Any; Medium ClusterWide Accepts;
        "Whether turning tiered storage off deletes what it holds of this topic.";
    "remote.storage.enable": Boolean = "false", Any; Medium ClusterWide Accepts;
        "Whether this topic uses tiered storage.";
    "retention.bytes": Long = "-1", Any; Medium ClusterWide Acts;
        "A partition's size above which its oldest segments are deleted; -1 means no limit.";
    "retention.ms": Long = "604800000", AtLeast(-1); Medium ClusterWide Acts;
        "The age above which segments are deleted; -1 means no limit.";
    "segment.bytes": Int = "1073741824", AtLeast(1_048_576); Medium ClusterWide Acts;
        "The size at which a segment is closed and a new one begun.";
    "segment.index.bytes": Int = "10485760", AtLeast(4); Medium ClusterWide Acts;
        "The largest size of a segment's index; a full index closes the segment.";
    "segment.jitter.ms": Long = "0", AtLeast(0); Medium ClusterWide Acts;
        "The most that is taken at random from segment.ms, so that segments don't all roll at once.";
    "segment.ms": Long = "604800000", AtLeast(1); Medium ClusterWide Acts;
        "The age at which a segment is closed though it isn't full, so that retention can reach its records.";
    "unclean.leader.election.enable": Boolean = "false", Any; Medium ClusterWide Acts;
        "Whether a replica that may lack acknowledged records can become leader when no other is left. Loses data.";
};

/// Keys that Kafka hides and its tests use. Taken from clients, not described.
pub const INTERNAL_TOPIC_KEYS: &[ConfigKey] = keys! {
    "internal.segment.bytes": Int = null, Any; Medium ClusterWide Acts;
        "A segment size below the least that segment.bytes allows, for tests.";
};

/// A unit in which a broker key gives a topic's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynonymUnit {
    /// The same unit as the topic's.
    Same,
    /// Minutes, where the topic counts milliseconds.
    Minutes,
    /// Hours, where the topic counts milliseconds.
    Hours,
}

/// A broker key that gives a topic configuration its default.
#[derive(Debug, Clone, Copy)]
pub struct BrokerSynonym {
    /// The broker key.
    pub name: &'static str,
    /// Its unit.
    pub unit: SynonymUnit,
}

const fn same(name: &'static str) -> BrokerSynonym {
    BrokerSynonym {
        name,
        unit: SynonymUnit::Same,
    }
}

const fn minutes(name: &'static str) -> BrokerSynonym {
    BrokerSynonym {
        name,
        unit: SynonymUnit::Minutes,
    }
}

const fn hours(name: &'static str) -> BrokerSynonym {
    BrokerSynonym {
        name,
        unit: SynonymUnit::Hours,
    }
}

/// The row of a topic configuration, internal ones included.
#[must_use]
pub fn topic_key(name: &str) -> Option<&'static ConfigKey> {
    find([TOPIC_KEYS, INTERNAL_TOPIC_KEYS], name)
}

/// The broker keys that give a topic configuration its default, the one that wins first. Empty where the default is
/// the table's whatever the broker says.
#[must_use]
pub fn broker_synonyms(topic_key: &str) -> &'static [BrokerSynonym] {
    SYNONYMS
        .iter()
        .find(|(name, _)| *name == topic_key)
        .map_or(&[], |(_, synonyms)| synonyms)
}

const SYNONYMS: &[(&str, &[BrokerSynonym])] = &[
    ("cleanup.policy", &[same("log.cleanup.policy")]),
    ("compression.gzip.level", &[same("compression.gzip.level")]),
    ("compression.lz4.level", &[same("compression.lz4.level")]),
    ("compression.type", &[same("compression.type")]),
    ("compression.zstd.level", &[same("compression.zstd.level")]),
    ("delete.retention.ms", &[same("log.cleaner.delete.retention.ms")]),
    ("file.delete.delay.ms", &[same("log.segment.delete.delay.ms")]),
    ("flush.messages", &[same("log.flush.interval.messages")]),
    (
        "flush.ms",
        &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
    ),
    ("index.interval.bytes", &[same("log.index.interval.bytes")]),
    ("local.retention.bytes", &[same("log.local.retention.bytes")]),
    ("local.retention.ms", &[same("log.local.retention.ms")]),
    ("max.compaction.lag.ms", &[same("log.cleaner.max.compaction.lag.ms")]),
    (
        "max.decompressed.message.bytes",
        &[same("max.decompressed.message.bytes")],
    ),
    ("max.message.bytes", &[same("message.max.bytes")]),
    (
        "message.timestamp.after.max.ms",
        &[same("log.message.timestamp.after.max.ms")],
    ),
    (
        "message.timestamp.before.max.ms",
        &[same("log.message.timestamp.before.max.ms")],
    ),
    ("message.timestamp.type", &[same("log.message.timestamp.type")]),
    ("min.cleanable.dirty.ratio", &[same("log.cleaner.min.cleanable.ratio")]),
    ("min.compaction.lag.ms", &[same("log.cleaner.min.compaction.lag.ms")]),
    ("min.insync.replicas", &[same("min.insync.replicas")]),
    ("preallocate", &[same("log.preallocate")]),
    ("remote.copy.lag.bytes", &[same("log.remote.copy.lag.bytes")]),
    ("remote.copy.lag.ms", &[same("log.remote.copy.lag.ms")]),
    ("retention.bytes", &[same("log.retention.bytes")]),
    (
        "retention.ms",
        &[
            same("log.retention.ms"),
            minutes("log.retention.minutes"),
            hours("log.retention.hours"),
        ],
    ),
    ("segment.bytes", &[same("log.segment.bytes")]),
    ("segment.index.bytes", &[same("log.index.size.max.bytes")]),
    (
        "segment.jitter.ms",
        &[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")],
    ),
    ("segment.ms", &[same("log.roll.ms"), hours("log.roll.hours")]),
    (
        "unclean.leader.election.enable",
        &[same("unclean.leader.election.enable")],
    ),
];
