//! A topic's settings: validating what clients set, and resolving it with the broker's defaults into typed values.
//!
//! The controller validates (`validate_topic_config`, `validate_topic_configs`), brokers resolve. A value that got
//! past validation always resolves; should an older record hold one that doesn't, the broker's default stands in,
//! so that one bad value never takes a partition offline.

use std::collections::BTreeMap;

use crate::defaults::BrokerDefaults;
use crate::error::ConfigError;
use crate::nearest::nearest;
use crate::throttled_replicas::ThrottledReplicas;
use crate::topic_keys::{TOPIC_KEYS, topic_key};
use crate::value;

/// Checks one topic configuration's name, type and range.
///
/// # Errors
/// Unknown keys and bad values; both answer `INVALID_CONFIG`.
pub fn validate_topic_config(key: &str, value: &str) -> Result<(), ConfigError> {
    match topic_key(key) {
        Some(row) => row.validate(value),
        None => {
            let nearest = nearest(key, TOPIC_KEYS.iter().map(|row| row.name)).map(str::to_owned);
            Err(ConfigError::Unknown {
                key: key.to_owned(),
                nearest,
            })
        }
    }
}

/// Checks a topic's whole set of configurations: each one, and what they say together.
///
/// # Errors
/// The first that is wrong, as Kafka reports it.
pub fn validate_topic_configs<K, V>(
    overrides: impl IntoIterator<Item = (K, V)>,
    broker: &BrokerDefaults,
) -> Result<(), ConfigError>
where
    K: AsRef<str>,
    V: AsRef<str>,
{
    let overrides = owned(overrides);
    for (key, value) in &overrides {
        validate_topic_config(key, value)?;
    }
    let settings = TopicSettings::resolve(&overrides, broker);
    if settings.min_compaction_lag_ms > settings.max_compaction_lag_ms {
        return Err(ConfigError::invalid(
            "min.compaction.lag.ms",
            settings.min_compaction_lag_ms.to_string(),
            format!(
                "must not exceed max.compaction.lag.ms ({})",
                settings.max_compaction_lag_ms
            ),
        ));
    }
    if settings.remote_storage_enable {
        return Err(ConfigError::invalid(
            "remote.storage.enable",
            "true",
            "tiered storage is disabled in the brokers: a topic can't use it",
        ));
    }
    Ok(())
}

/// What happens to old segments. Neither keeps everything for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Segments are deleted by age and size.
    pub delete: bool,
    /// Only the last record of each key is kept.
    pub compact: bool,
}

/// The codec in which a topic's batches are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicCompression {
    /// As the producer sent them.
    Producer,
    /// Not compressed.
    Uncompressed,
    /// gzip; level 1 to 9, or -1 for the codec's default.
    Gzip {
        /// The level.
        level: i32,
    },
    /// LZ4; level 1 to 17.
    Lz4 {
        /// The level.
        level: i32,
    },
    /// Snappy.
    Snappy,
    /// Zstandard; level up to 22.
    Zstd {
        /// The level.
        level: i32,
    },
}

/// Whose clock stamps records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The leader's.
    LogAppendTime,
}

/// A topic's settings with every default filled in. Times are in milliseconds, sizes in bytes, both as in Kafka's keys.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicSettings {
    /// A segment is closed at this size. At least 1 MiB unless `internal.segment.bytes` says otherwise.
    pub segment_bytes: u64,
    /// A segment is closed at this age. At least 1.
    pub segment_ms: i64,
    /// At most this is taken from `segment_ms` at random.
    pub segment_jitter_ms: i64,
    /// A segment is closed when its index reaches this size.
    pub segment_index_bytes: u64,
    /// Bytes between two entries of the offset index.
    pub index_interval_bytes: u64,
    /// Segments older than this are deleted; `None` is never.
    pub retention_ms: Option<i64>,
    /// The oldest segments above this size are deleted; `None` is never.
    pub retention_bytes: Option<u64>,
    /// What happens to old segments.
    pub cleanup_policy: CleanupPolicy,
    /// The largest batch taken.
    pub max_message_bytes: u32,
    /// In-sync replicas an acks=all write needs. At least 1.
    pub min_insync_replicas: u32,
    /// The codec in which batches are stored.
    pub compression: TopicCompression,
    /// Whose clock stamps records.
    pub timestamp_type: TimestampType,
    /// A record's own timestamp may be this much older than now.
    pub timestamp_before_max_ms: i64,
    /// A record's own timestamp may be this much ahead of now.
    pub timestamp_after_max_ms: i64,
    /// Sync after this many records; `None` leaves it to the background. At least 1.
    pub flush_messages: Option<i64>,
    /// Sync this long after a write at the latest; `None` leaves it to the background.
    pub flush_ms: Option<i64>,
    /// Whether a replica outside ISR and ELR may lead.
    pub unclean_leader_election_enable: bool,
    /// Files that left the log stay this long.
    pub file_delete_delay_ms: i64,
    /// Compaction keeps tombstones this long.
    pub delete_retention_ms: i64,
    /// Records younger than this aren't compacted.
    pub min_compaction_lag_ms: i64,
    /// Records older than this must be compacted.
    pub max_compaction_lag_ms: i64,
    /// The uncompacted share of a log that makes compaction start, 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// A new segment's file gets its full size at once.
    pub preallocate: bool,
    /// Whether tiered storage is asked for.
    pub remote_storage_enable: bool,
    /// Replicas to which their leader sends no faster than its throttle allows.
    pub leader_throttled_replicas: ThrottledReplicas,
    /// Replicas that take no more than their broker's throttle allows.
    pub follower_throttled_replicas: ThrottledReplicas,
}

impl TopicSettings {
    /// The settings of a topic with these configurations of its own on a broker with these defaults.
    ///
    /// Takes any map by reference: `&BTreeMap<String, String>`, `&imbl::OrdMap<String, String>` …
    #[must_use]
    pub fn resolve<K, V>(overrides: impl IntoIterator<Item = (K, V)>, broker: &BrokerDefaults) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        Resolver {
            overrides: owned(overrides),
            broker,
        }
        .settings()
    }

    /// Whether a record may be acknowledged only when it has been synced: the topic asks for syncs (design: replication).
    #[must_use]
    pub fn acknowledges_synced_end(&self) -> bool {
        self.flush_messages.is_some() || self.flush_ms.is_some()
    }
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self::resolve(std::iter::empty::<(&str, &str)>(), &BrokerDefaults::default())
    }
}

struct Resolver<'a> {
    overrides: BTreeMap<String, String>,
    broker: &'a BrokerDefaults,
}

impl Resolver<'_> {
    fn settings(&self) -> TopicSettings {
        TopicSettings {
            segment_bytes: self
                .overrides
                .get("internal.segment.bytes")
                .and_then(|text| value::long(text).ok())
                .map_or_else(
                    || self.unsigned("segment.bytes"),
                    |bytes| u64::try_from(bytes).unwrap_or(1),
                ),
            segment_ms: self.long("segment.ms").max(1),
            segment_jitter_ms: self.long("segment.jitter.ms").max(0),
            segment_index_bytes: self.unsigned("segment.index.bytes"),
            index_interval_bytes: self.unsigned("index.interval.bytes"),
            retention_ms: Some(self.long("retention.ms")).filter(|limit| *limit >= 0),
            retention_bytes: u64::try_from(self.long("retention.bytes")).ok(),
            cleanup_policy: self.cleanup_policy(),
            max_message_bytes: u32::try_from(self.unsigned("max.message.bytes")).unwrap_or(u32::MAX),
            min_insync_replicas: u32::try_from(self.long("min.insync.replicas")).unwrap_or(1).max(1),
            compression: self.compression(),
            timestamp_type: self.timestamp_type(),
            timestamp_before_max_ms: self.long("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: self.long("message.timestamp.after.max.ms"),
            flush_messages: Some(self.long("flush.messages")).filter(|limit| *limit != i64::MAX),
            flush_ms: Some(self.long("flush.ms")).filter(|limit| *limit != i64::MAX),
            unclean_leader_election_enable: self.boolean("unclean.leader.election.enable"),
            file_delete_delay_ms: self.long("file.delete.delay.ms"),
            delete_retention_ms: self.long("delete.retention.ms"),
            min_compaction_lag_ms: self.long("min.compaction.lag.ms"),
            max_compaction_lag_ms: self.long("max.compaction.lag.ms"),
            min_cleanable_dirty_ratio: self.typed("min.cleanable.dirty.ratio", value::double).unwrap_or(0.5),
            preallocate: self.boolean("preallocate"),
            remote_storage_enable: self.boolean("remote.storage.enable"),
            leader_throttled_replicas: self.throttled_replicas("leader.replication.throttled.replicas"),
            follower_throttled_replicas: self.throttled_replicas("follower.replication.throttled.replicas"),
        }
    }

    /// The topic's own value if it parses, else the broker's, else the table's.
    fn typed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let row = topic_key(key)?;
        let valid = |text: &str| row.validate(text).ok().and_then(|()| parse(text).ok());
        let own = self.overrides.get(key).and_then(|text| valid(text));
        own.or_else(|| self.broker.topic_value(key).and_then(|text| parse(&text).ok()))
            .or_else(|| row.default_text().and_then(|text| parse(text).ok()))
    }

    fn long(&self, key: &str) -> i64 {
        self.typed(key, value::long).unwrap_or_default()
    }

    fn unsigned(&self, key: &str) -> u64 {
        u64::try_from(self.long(key)).unwrap_or_default()
    }

    fn boolean(&self, key: &str) -> bool {
        self.typed(key, value::boolean).unwrap_or_default()
    }

    fn text(&self, key: &str) -> String {
        self.typed(key, |text| Ok(text.trim().to_owned())).unwrap_or_default()
    }

    fn level(&self, key: &str) -> i32 {
        self.typed(key, value::int).unwrap_or_default()
    }

    fn cleanup_policy(&self) -> CleanupPolicy {
        let text = self.text("cleanup.policy");
        let entries = value::list(&text);
        CleanupPolicy {
            delete: entries.contains(&"delete"),
            compact: entries.contains(&"compact"),
        }
    }

    fn compression(&self) -> TopicCompression {
        match self.text("compression.type").as_str() {
            "uncompressed" => TopicCompression::Uncompressed,
            "gzip" => TopicCompression::Gzip {
                level: self.level("compression.gzip.level"),
            },
            "lz4" => TopicCompression::Lz4 {
                level: self.level("compression.lz4.level"),
            },
            "snappy" => TopicCompression::Snappy,
            "zstd" => TopicCompression::Zstd {
                level: self.level("compression.zstd.level"),
            },
            _ => TopicCompression::Producer,
        }
    }

    fn throttled_replicas(&self, key: &str) -> ThrottledReplicas {
        self.typed(key, ThrottledReplicas::parse).unwrap_or_default()
    }

    fn timestamp_type(&self) -> TimestampType {
        match self.text("message.timestamp.type").as_str() {
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        }
    }
}

fn owned<K: AsRef<str>, V: AsRef<str>>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<String, String> {
    entries
        .into_iter()
        .map(|(key, value)| (key.as_ref().to_owned(), value.as_ref().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::Properties;

    fn resolved(overrides: &[(&str, &str)], broker: &str) -> TopicSettings {
        TopicSettings::resolve(
            overrides.iter().copied(),
            &BrokerDefaults::new(Properties::parse(broker)),
        )
    }

    #[test]
    fn without_a_word_from_anyone_settings_are_kafkas_defaults() {
        let settings = TopicSettings::default();
        assert_eq!(settings.segment_bytes, 1 << 30);
        assert_eq!(settings.segment_ms, 604_800_000);
        assert_eq!(settings.retention_ms, Some(604_800_000));
        assert_eq!(settings.retention_bytes, None);
        assert_eq!(
            settings.cleanup_policy,
            CleanupPolicy {
                delete: true,
                compact: false
            }
        );
        assert_eq!(settings.max_message_bytes, 1_048_588);
        assert_eq!(settings.min_insync_replicas, 1);
        assert_eq!(settings.compression, TopicCompression::Producer);
        assert_eq!(settings.timestamp_type, TimestampType::CreateTime);
        assert_eq!(settings.flush_messages, None);
        assert!(!settings.acknowledges_synced_end());
        assert_eq!(settings.max_compaction_lag_ms, i64::MAX);
    }

    #[test]
    fn a_topics_own_value_wins_over_the_brokers() {
        let broker =
            "log.retention.hours=1\nmin.insync.replicas=2\nlog.cleanup.policy=compact,delete\ncompression.type=zstd";
        let settings = resolved(&[("retention.ms", "-1"), ("flush.messages", "1")], broker);
        assert_eq!(settings.retention_ms, None);
        assert_eq!(settings.min_insync_replicas, 2);
        assert_eq!(
            settings.cleanup_policy,
            CleanupPolicy {
                delete: true,
                compact: true
            }
        );
        assert_eq!(settings.compression, TopicCompression::Zstd { level: 3 });
        assert!(settings.acknowledges_synced_end());
        assert_eq!(resolved(&[], broker).retention_ms, Some(3_600_000));
    }

    #[test]
    fn a_value_that_got_past_validation_somehow_falls_back() {
        assert_eq!(
            resolved(&[("segment.ms", "soon")], "log.roll.hours=1").segment_ms,
            3_600_000
        );
        assert_eq!(
            resolved(&[("min.insync.replicas", "-3")], "min.insync.replicas=x").min_insync_replicas,
            1
        );
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused_with_what_is_allowed() {
        let unknown = validate_topic_config("retention.mss", "1").unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "unknown configuration retention.mss; did you mean retention.ms?"
        );
        let bad = validate_topic_config("cleanup.policy", "shred")
            .unwrap_err()
            .to_string();
        assert!(bad.contains("shred") && bad.contains("compact, delete"), "{bad}");
        for (key, value) in [
            ("segment.bytes", "14"),
            ("retention.ms", "-2"),
            ("compression.type", "GZIP"),
            ("preallocate", "1"),
        ] {
            assert!(validate_topic_config(key, value).is_err(), "{key}={value}");
        }
        for (key, value) in [
            ("segment.bytes", " +1048576 "),
            ("retention.bytes", "-5"),
            ("preallocate", "TRUE"),
            ("cleanup.policy", ""),
        ] {
            assert_eq!(validate_topic_config(key, value), Ok(()), "{key}={value}");
        }
    }

    #[test]
    fn configurations_that_contradict_each_other_are_refused() {
        let broker = BrokerDefaults::default();
        let lags = [("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")];
        assert_eq!(
            validate_topic_configs(lags, &broker).unwrap_err().key(),
            "min.compaction.lag.ms"
        );
        assert!(validate_topic_configs([("remote.storage.enable", "true")], &broker).is_err());
        assert_eq!(
            validate_topic_configs([("retention.ms", "1"), ("flush.ms", "0")], &broker),
            Ok(())
        );
    }

    #[test]
    fn tests_may_ask_for_small_segments() {
        assert_eq!(resolved(&[("internal.segment.bytes", "1000")], "").segment_bytes, 1000);
    }
}
