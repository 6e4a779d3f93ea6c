//! What DescribeConfigs answers for topics, brokers and the cluster's default: value, where it comes from, synonyms.
//!
//! The precedence is Kafka's (KIP-226): the topic's own value, then this broker's, all brokers', the file's, and the
//! table's default. Secrets never have a value here, so that no caller can leak one. `apis/describe_configs` maps an
//! entry to the wire and filters by the names asked for.

use std::collections::BTreeMap;

use crate::broker_keys::{broker_key, broker_keys, dynamic_keys};
use crate::defaults::BrokerDefaults;
use crate::group_keys::{GROUP_KEYS, broker_key_of};
use crate::key::{ConfigKey, ConfigType, UpdateMode};
use crate::topic_keys::{BrokerSynonym, TOPIC_KEYS, broker_synonyms};
use crate::value;

/// Where a value comes from; of a broker's places, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigSource {
    /// The topic's own.
    Topic,
    /// Set for this broker while it runs.
    DynamicBroker,
    /// Set for all brokers while they run.
    DynamicDefaultBroker,
    /// The broker's file.
    StaticBroker,
    /// The table.
    Default,
    /// The group's own.
    Group,
}

impl ConfigSource {
    /// The number in DescribeConfigs responses.
    #[must_use]
    pub fn wire_code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
            Self::Group => 8,
        }
    }
}

/// One of the places that give a key its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key there, which may be another one: `log.retention.hours` for `retention.ms`.
    pub name: String,
    /// The value there, in that key's unit; `None` for secrets.
    pub value: Option<String>,
    /// The place.
    pub source: ConfigSource,
}

/// One key of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: &'static str,
    /// The value in force; `None` when unset or secret.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// The value's type.
    pub kind: ConfigType,
    /// Every place that gives a value, the one in force first.
    pub synonyms: Vec<ConfigSynonym>,
    /// Whether only a restart changes it.
    pub read_only: bool,
    /// Whether the value is a secret.
    pub sensitive: bool,
    /// The table's words.
    pub documentation: &'static str,
}

/// All configurations of a topic with these of its own on this broker, ordered by name.
#[must_use]
pub fn describe_topic<K, V>(overrides: impl IntoIterator<Item = (K, V)>, broker: &BrokerDefaults) -> Vec<ConfigEntry>
where
    K: AsRef<str>,
    V: AsRef<str>,
{
    topic_entries(overrides, |name, chain| places_of(name, chain, broker), broker)
}

/// The same, for the answer to the topic's creation: there a value that is set in another unit has its place as well, as in
/// Kafka.
#[must_use]
pub fn effective_topic<K, V>(overrides: impl IntoIterator<Item = (K, V)>, broker: &BrokerDefaults) -> Vec<ConfigEntry>
where
    K: AsRef<str>,
    V: AsRef<str>,
{
    topic_entries(overrides, |_, chain| all_places_of(chain, broker), broker)
}

fn topic_entries<K, V>(
    overrides: impl IntoIterator<Item = (K, V)>,
    places: impl Fn(&str, &[&'static str]) -> Vec<ConfigSynonym>,
    broker: &BrokerDefaults,
) -> Vec<ConfigEntry>
where
    K: AsRef<str>,
    V: AsRef<str>,
{
    let own: BTreeMap<String, String> = overrides
        .into_iter()
        .map(|(key, value)| (key.as_ref().to_owned(), value.as_ref().to_owned()))
        .collect();
    TOPIC_KEYS
        .iter()
        .map(|row| {
            let mut synonyms: Vec<ConfigSynonym> = own
                .get(row.name)
                .map(|value| ConfigSynonym {
                    name: row.name.to_owned(),
                    value: Some(value.clone()),
                    source: ConfigSource::Topic,
                })
                .into_iter()
                .collect();
            let chain: Vec<_> = broker_synonyms(row.name).iter().map(|synonym| synonym.name).collect();
            if let Some(name) = chain.first() {
                synonyms.extend(places(name, &chain));
            }
            let value = own.get(row.name).cloned().or_else(|| broker.topic_value(row.name));
            entry(row, value, synonyms, false)
        })
        .collect()
}

/// All configurations of a broker, ordered by name.
#[must_use]
pub fn describe_broker(broker: &BrokerDefaults) -> Vec<ConfigEntry> {
    let mut entries: Vec<ConfigEntry> = broker_keys()
        .chain(dynamic_keys().filter(|row| broker.get(row.name).is_some()))
        .map(|row| {
            let value = broker.get(row.name).or_else(|| row.default_text()).map(str::to_owned);
            let synonyms = places_of(row.name, &names_for(row.name), broker);
            entry(row, value, synonyms, row.update == UpdateMode::ReadOnly)
        })
        .collect();
    entries.sort_unstable_by_key(|entry| entry.name);
    entries
}

/// A group's own values over those of the brokers' keys that give their defaults, ordered by name. The place of a group's own value is
/// [`ConfigSource::Group`].
#[must_use]
pub fn describe_group<'a>(own: impl Fn(&str) -> Option<&'a str>, broker: &BrokerDefaults) -> Vec<ConfigEntry> {
    GROUP_KEYS
        .iter()
        .map(|row| {
            let set = own(row.name).map(|value| ConfigSynonym {
                name: row.name.to_owned(),
                value: Some(value.to_owned()),
                source: ConfigSource::Group,
            });
            let mut synonyms: Vec<ConfigSynonym> = set.into_iter().collect();
            match broker_key_of(row.name) {
                Some(key) => synonyms.extend(broker_places(key, broker)),
                None => synonyms.extend(row.default_text().map(|value| ConfigSynonym {
                    name: row.name.to_owned(),
                    value: Some(value.to_owned()),
                    source: ConfigSource::Default,
                })),
            }
            // Of several assignors the first one is the default.
            let value = synonyms.first().and_then(|place| place.value.clone());
            let value = value.map(|value| match row.kind {
                ConfigType::String => value.split(',').next().unwrap_or_default().to_owned(),
                _ => value,
            });
            entry(row, value, synonyms, false)
        })
        .collect()
}

/// What is set for all brokers while they run (the broker resource with the empty name), ordered by name.
#[must_use]
pub fn describe_cluster_default(broker: &BrokerDefaults) -> Vec<ConfigEntry> {
    let mut entries: Vec<ConfigEntry> = broker_keys()
        .chain(dynamic_keys())
        .filter_map(|row| {
            let set =
                broker_places(row.name, broker).find(|place| place.source == ConfigSource::DynamicDefaultBroker)?;
            Some(entry(
                row,
                set.value.clone(),
                vec![set],
                row.update == UpdateMode::ReadOnly,
            ))
        })
        .collect();
    entries.sort_unstable_by_key(|entry| entry.name);
    entries
}

fn entry(row: &ConfigKey, value: Option<String>, synonyms: Vec<ConfigSynonym>, read_only: bool) -> ConfigEntry {
    ConfigEntry {
        name: row.name,
        value: value.filter(|_| !row.is_sensitive()).map(|text| shown(row.kind, &text)),
        source: synonyms.first().map_or(ConfigSource::Default, |first| first.source),
        kind: row.kind,
        synonyms,
        read_only,
        sensitive: row.is_sensitive(),
        documentation: row.doc,
    }
}

/// Every place that gives a broker key a value, the strongest first.
fn broker_places<'a>(name: &'static str, broker: &'a BrokerDefaults) -> impl Iterator<Item = ConfigSynonym> + 'a {
    let row = broker_key(name);
    let default = row
        .and_then(ConfigKey::default_text)
        .map(|value| (ConfigSource::Default, value));
    let sensitive = row.is_some_and(ConfigKey::is_sensitive);
    broker
        .layers(name)
        .chain(default)
        .map(move |(source, value)| ConfigSynonym {
            name: name.to_owned(),
            value: Some(value.to_owned()).filter(|_| !sensitive),
            source,
        })
}

/// Every place that gives one of these broker keys a value, the strongest first. As in Kafka, not those before the first that has
/// the key that is described: where only `log.retention.hours` is set, as in the file that Kafka comes with, `log.retention.ms` has
/// no place, and what it stands for counts as the default.
fn places_of(described: &str, names: &[&'static str], broker: &BrokerDefaults) -> Vec<ConfigSynonym> {
    let places = all_places_of(names, broker).into_iter();
    places.skip_while(|place| place.name != described).collect()
}

fn all_places_of(names: &[&'static str], broker: &BrokerDefaults) -> Vec<ConfigSynonym> {
    let mut places: Vec<_> = names.iter().flat_map(|name| broker_places(name, broker)).collect();
    places.sort_by_key(|place| place.source);
    places
}

/// The broker keys that stand for the same thing in other units, the one that wins first.
fn names_for(name: &'static str) -> Vec<&'static str> {
    TOPIC_KEYS
        .iter()
        .map(|row| broker_synonyms(row.name))
        .find(|chain| chain.len() > 1 && chain.iter().any(|synonym| synonym.name == name))
        .map_or_else(
            || vec![name],
            |chain| chain.iter().map(|synonym: &BrokerSynonym| synonym.name).collect(),
        )
}

/// A value as Kafka shows it: trimmed, lists without blanks.
fn shown(kind: ConfigType, text: &str) -> String {
    match kind {
        ConfigType::List => value::list(text).join(","),
        ConfigType::Boolean => text.trim().to_ascii_lowercase(),
        ConfigType::String
        | ConfigType::Int
        | ConfigType::Short
        | ConfigType::Long
        | ConfigType::Double
        | ConfigType::Class
        | ConfigType::Password => text.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::Properties;

    fn named(entries: Vec<ConfigEntry>, name: &str) -> ConfigEntry {
        entries.into_iter().find(|entry| entry.name == name).unwrap()
    }

    fn places(entry: &ConfigEntry) -> Vec<(&str, Option<&str>, ConfigSource)> {
        entry
            .synonyms
            .iter()
            .map(|place| (place.name.as_str(), place.value.as_deref(), place.source))
            .collect()
    }

    #[test]
    fn a_topics_entry_shows_its_value_and_every_synonym() {
        let broker = BrokerDefaults::new(Properties::parse("log.retention.minutes=5\nlog.retention.ms=6"));
        let broker = broker.with_dynamic([("log.retention.ms", "8")], []);
        let of_brokers = [
            ("log.retention.ms", Some("8"), ConfigSource::DynamicDefaultBroker),
            ("log.retention.ms", Some("6"), ConfigSource::StaticBroker),
            ("log.retention.minutes", Some("5"), ConfigSource::StaticBroker),
            ("log.retention.hours", Some("168"), ConfigSource::Default),
        ];
        let entry = named(describe_topic([("retention.ms", "7")], &broker), "retention.ms");
        assert_eq!(entry.value.as_deref(), Some("7"));
        assert_eq!(entry.source, ConfigSource::Topic);
        let own = ("retention.ms", Some("7"), ConfigSource::Topic);
        assert_eq!(places(&entry), [&[own], &of_brokers[..]].concat());
        let none: [(&str, &str); 0] = [];
        let entry = named(describe_topic(none, &broker), "retention.ms");
        assert_eq!(
            (entry.value.as_deref(), entry.source),
            (Some("8"), ConfigSource::DynamicDefaultBroker)
        );
        assert_eq!(places(&entry), of_brokers);
        let entry = named(describe_topic(none, &broker), "cleanup.policy");
        assert_eq!(
            (entry.value.as_deref(), entry.source),
            (Some("delete"), ConfigSource::Default)
        );
        assert!(!entry.read_only);
    }

    #[test]
    fn what_is_set_in_another_unit_alone_counts_as_the_default() {
        let broker = BrokerDefaults::new(Properties::parse("log.retention.hours=1"));
        let none: [(&str, &str); 0] = [];
        let of_the_topic = named(describe_topic(none, &broker), "retention.ms");
        assert_eq!(of_the_topic.value.as_deref(), Some("3600000"));
        assert_eq!(
            (of_the_topic.source, places(&of_the_topic)),
            (ConfigSource::Default, vec![])
        );
        let created = named(effective_topic(none, &broker), "retention.ms");
        assert_eq!(created.source, ConfigSource::StaticBroker);
        let of_the_broker = named(describe_broker(&broker), "log.retention.ms");
        assert_eq!(
            (of_the_broker.source, places(&of_the_broker)),
            (ConfigSource::Default, vec![])
        );
        let hours = named(describe_broker(&broker), "log.retention.hours");
        assert_eq!(
            places(&hours),
            [
                ("log.retention.hours", Some("1"), ConfigSource::StaticBroker),
                ("log.retention.hours", Some("168"), ConfigSource::Default),
            ]
        );
    }

    #[test]
    fn a_brokers_entries_hide_secrets_and_say_what_needs_a_restart() {
        let file = Properties::parse("ssl.key.password=geheim\nnum.partitions=3\nlog.cleanup.policy=compact, delete");
        let broker = BrokerDefaults::new(file).with_dynamic([("log.retention.ms", "9")], []);
        let secret = named(describe_broker(&broker), "ssl.key.password");
        assert!(secret.sensitive && secret.value.is_none() && secret.synonyms[0].value.is_none());
        let partitions = named(describe_broker(&broker), "num.partitions");
        assert!(partitions.read_only);
        assert_eq!(
            (partitions.value.as_deref(), partitions.source),
            (Some("3"), ConfigSource::StaticBroker)
        );
        let policy = named(describe_broker(&broker), "log.cleanup.policy");
        assert_eq!(policy.value.as_deref(), Some("compact,delete"));
        let retention = named(describe_broker(&broker), "log.retention.ms");
        assert_eq!(
            (retention.value.as_deref(), retention.source),
            (Some("9"), ConfigSource::DynamicDefaultBroker)
        );
        assert!(!retention.read_only);
        assert_eq!(describe_cluster_default(&broker).len(), 1);
    }

    #[test]
    fn a_throttle_is_described_where_it_is_set() {
        let key = "leader.replication.throttled.rate";
        let unset = describe_broker(&BrokerDefaults::default());
        assert!(unset.iter().all(|entry| entry.name != key));
        let broker = BrokerDefaults::default().with_dynamic([], [(key, "7")]);
        let set = named(describe_broker(&broker), key);
        assert_eq!(
            (set.value.as_deref(), set.source),
            (Some("7"), ConfigSource::DynamicBroker)
        );
        assert!(describe_cluster_default(&broker).is_empty());
    }

    #[test]
    fn internal_keys_are_not_described() {
        let entries = describe_broker(&BrokerDefaults::default());
        assert!(entries.iter().all(|entry| !entry.name.starts_with("unstable.")));
        assert!(entries.is_sorted_by_key(|entry| entry.name));
    }
}
