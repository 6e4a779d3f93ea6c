//! Every broker configuration of Kafka 4.x, in tables by subject, and the few keys of our own.
//!
//! Names, types, defaults, bounds, importance and update modes are Kafka's but for `differences::DEFAULTS`. A key
//! marked `Accepts` is checked, kept and shown by DescribeConfigs, and has no effect here (yet).

mod groups;
mod log;
mod network;
mod nodes;
mod replication;
mod security;
mod tiered;
mod transactions;

use crate::error::ConfigError;
use crate::key::{ConfigKey, UpdateMode};
use crate::nearest::nearest;
use crate::table::find;

/// The tables of keys that are described, by subject; each is ordered by name.
pub const BROKER_TABLES: &[&[ConfigKey]] = &[
    nodes::KEYS,
    network::KEYS,
    log::KEYS,
    replication::KEYS,
    groups::KEYS,
    transactions::KEYS,
    security::KEYS,
    tiered::KEYS,
];

const INTERNAL_TABLES: &[&[ConfigKey]] = &[
    nodes::INTERNAL_KEYS,
    log::INTERNAL_KEYS,
    replication::INTERNAL_KEYS,
    groups::INTERNAL_KEYS,
    tiered::INTERNAL_KEYS,
];

/// Keys of Kafka 3.x that 4.0 removed: named so that their warning says so instead of guessing at a slip.
const REMOVED_KEYS: &[&str] = &[
    "control.plane.listener.name",
    "inter.broker.protocol.version",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "offsets.commit.required.acks",
    "password.encoder.secret",
    "reserved.broker.max.id",
    "broker.id.generation.enable",
    "leader.imbalance.per.broker.percentage",
    "zookeeper.clientCnxnSocket",
    "zookeeper.connect",
    "zookeeper.connection.timeout.ms",
    "zookeeper.max.in.flight.requests",
    "zookeeper.metadata.migration.enable",
    "zookeeper.session.timeout.ms",
    "zookeeper.set.acl",
    "zookeeper.ssl.client.enable",
];

/// The row of a broker key, internal ones included.
///
/// A listener's own value, `listener.name.NAME.KEY`, is the row of `KEY` (KIP-226).
#[must_use]
pub fn broker_key(name: &str) -> Option<&'static ConfigKey> {
    let listeners_own = name
        .strip_prefix("listener.name.")
        .and_then(|rest| rest.split_once('.'));
    let name = listeners_own.map_or(name, |(_, key)| key);
    // A mechanism's own value has one more part: listener.name.NAME.MECHANISM.sasl.jaas.config.
    let mechanisms_own = listeners_own.and_then(|_| name.split_once('.')).map(|(_, key)| key);
    let dynamic = [replication::DYNAMIC_KEYS];
    let tables = || BROKER_TABLES.iter().chain(INTERNAL_TABLES).chain(&dynamic).copied();
    find(tables(), name).or_else(|| find(tables(), mechanisms_own?))
}

/// Every broker key that DescribeConfigs shows, in no particular order.
pub fn broker_keys() -> impl Iterator<Item = &'static ConfigKey> {
    BROKER_TABLES.iter().copied().flatten()
}

/// The keys that exist only where somebody has set them on running brokers.
pub(crate) fn dynamic_keys() -> impl Iterator<Item = &'static ConfigKey> {
    replication::DYNAMIC_KEYS.iter()
}

/// Whether Kafka 4.0 removed this key.
pub(crate) fn is_removed(name: &str) -> bool {
    REMOVED_KEYS.contains(&name)
}

/// Whether the key belongs to a plugin: such keys have names of the plugin's choice.
pub(crate) fn is_plugins(name: &str) -> bool {
    ["rsm.config.", "rlmm.config.", "config.providers."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// The known key nearest to an unknown one.
pub(crate) fn nearest_broker_key(name: &str) -> Option<String> {
    nearest(name, broker_keys().map(|row| row.name)).map(str::to_owned)
}

/// Which broker resource a client changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerScope {
    /// One broker, named by its id.
    Broker,
    /// All brokers: the resource with the empty name.
    Cluster,
}

/// Checks a change of a broker's configuration while it runs (IncrementalAlterConfigs on a broker resource).
///
/// # Errors
/// Unknown keys, keys that need a restart, keys that only one broker at a time can change, and bad values; all
/// answer `INVALID_CONFIG` but for the middle two, which Kafka answers with `INVALID_REQUEST`.
pub fn validate_broker_config(key: &str, value: &str, scope: BrokerScope) -> Result<(), ConfigError> {
    let Some(row) = broker_key(key) else {
        return Err(ConfigError::Unknown {
            key: key.to_owned(),
            nearest: nearest_broker_key(key),
        });
    };
    let refused = |reason: &str| {
        Err(ConfigError::NotDynamic {
            key: key.to_owned(),
            reason: reason.to_owned(),
        })
    };
    match (row.update, scope) {
        (UpdateMode::ReadOnly, _) => refused("set it in the node's file and restart the node"),
        (UpdateMode::PerBroker, BrokerScope::Cluster) => refused("it can be set for one broker at a time only"),
        (UpdateMode::PerBroker, BrokerScope::Broker) | (UpdateMode::ClusterWide, _) => row.validate(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::DefaultValue;
    use crate::topic_keys::{INTERNAL_TOPIC_KEYS, TOPIC_KEYS, broker_synonyms};

    fn all() -> impl Iterator<Item = &'static ConfigKey> {
        BROKER_TABLES
            .iter()
            .chain(INTERNAL_TABLES)
            .copied()
            .chain([TOPIC_KEYS, INTERNAL_TOPIC_KEYS])
            .flatten()
    }

    #[test]
    fn every_default_passes_its_validator() {
        for row in all() {
            if let DefaultValue::Value(default) = row.default {
                assert_eq!(row.validate(default), Ok(()), "{}", row.name);
            }
        }
    }

    #[test]
    fn names_are_unique_and_ordered_within_their_table() {
        for table in BROKER_TABLES.iter().chain(INTERNAL_TABLES).copied().chain([TOPIC_KEYS]) {
            assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name));
        }
        let mut names: Vec<_> = BROKER_TABLES
            .iter()
            .chain(INTERNAL_TABLES)
            .copied()
            .flatten()
            .map(|row| row.name)
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        // Kafka 4.4's 370 and our own two.
        assert_eq!(count, 372);
    }

    #[test]
    fn every_synonym_is_a_broker_key_that_has_the_same_default() {
        for row in TOPIC_KEYS {
            let synonyms = broker_synonyms(row.name);
            assert!(
                synonyms.iter().all(|synonym| broker_key(synonym.name).is_some()),
                "{}",
                row.name
            );
            let resolved = crate::BrokerDefaults::default().topic_value(row.name);
            assert_eq!(resolved.as_deref(), row.default_text(), "{}", row.name);
        }
    }

    #[test]
    fn a_listeners_own_value_has_its_keys_row() {
        assert_eq!(
            broker_key("listener.name.internal.ssl.keystore.location").unwrap().name,
            "ssl.keystore.location"
        );
        assert_eq!(
            broker_key("listener.name.a.scram-sha-256.sasl.jaas.config")
                .unwrap()
                .name,
            "sasl.jaas.config"
        );
        assert!(broker_key("listener.name.internal").is_none());
        assert!(broker_key("zookeeper.connect").is_none());
    }

    #[test]
    fn a_running_broker_takes_only_what_may_change() {
        assert_eq!(
            validate_broker_config("log.retention.ms", "5", BrokerScope::Cluster),
            Ok(())
        );
        assert!(validate_broker_config("log.retention.ms", "x", BrokerScope::Cluster).is_err());
        assert!(validate_broker_config("node.id", "5", BrokerScope::Broker).is_err());
        assert!(validate_broker_config("listeners", "PLAINTEXT://:1", BrokerScope::Cluster).is_err());
        assert!(validate_broker_config("no.such.key", "5", BrokerScope::Broker).is_err());
    }
}
