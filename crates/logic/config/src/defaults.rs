//! What a broker says about the topics that say nothing: its configuration in three layers.
//!
//! Of the layers the most specific wins: set for this broker while it runs, set for all brokers while they run
//! (both are metadata records, KIP-226), set in its file. Below them lie the tables' defaults.

use std::collections::BTreeMap;

use crate::describe::ConfigSource;
use crate::properties::Properties;
use crate::topic_keys::{BrokerSynonym, SynonymUnit, broker_synonyms, topic_key};
use crate::{broker_keys, value};

/// A broker's configuration as the metadata and its file give it, unparsed; the values are taken as validated.
///
/// The default holds nothing: everything is as the tables say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerDefaults {
    file: Properties,
    cluster: BTreeMap<String, String>,
    broker: BTreeMap<String, String>,
}

impl BrokerDefaults {
    /// A broker with a file and nothing set while it runs.
    #[must_use]
    pub fn new(file: Properties) -> Self {
        Self {
            file,
            ..Self::default()
        }
    }

    /// The same file under new values set while brokers run: for all of them (the broker resource with the empty
    /// name) and for this one.
    #[must_use]
    pub fn with_dynamic<K, V>(
        &self,
        cluster: impl IntoIterator<Item = (K, V)>,
        broker: impl IntoIterator<Item = (K, V)>,
    ) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        Self {
            file: self.file.clone(),
            cluster: owned(cluster),
            broker: owned(broker),
        }
    }

    /// The value set for a broker key on any layer, without the table's default.
    #[must_use]
    pub fn get(&self, broker_key: &str) -> Option<&str> {
        self.layers(broker_key).next().map(|(_, value)| value)
    }

    /// A broker key's whole number, the table's default where none is set; `None` where there is neither.
    #[must_use]
    pub fn number(&self, broker_key: &str) -> Option<i64> {
        let default = || broker_keys::broker_key(broker_key)?.default_text();
        value::long(self.get(broker_key).or_else(default)?).ok()
    }

    /// The file's own entries.
    #[must_use]
    pub fn file(&self) -> &Properties {
        &self.file
    }

    /// Every layer that sets a broker key, the one that wins first.
    pub(crate) fn layers<'a>(&'a self, key: &str) -> impl Iterator<Item = (ConfigSource, &'a str)> {
        let broker = self.broker.get(key).map(String::as_str);
        let cluster = self.cluster.get(key).map(String::as_str);
        [
            (ConfigSource::DynamicBroker, broker),
            (ConfigSource::DynamicDefaultBroker, cluster),
            (ConfigSource::StaticBroker, self.file.get(key)),
        ]
        .into_iter()
        .filter_map(|(source, value)| Some((source, value?)))
    }

    /// A topic configuration's value when the topic has none of its own, in the topic's unit. `None` only where
    /// the key is unknown or has no default.
    #[must_use]
    pub fn topic_value(&self, topic_key_name: &str) -> Option<String> {
        let synonyms = broker_synonyms(topic_key_name);
        let set = synonyms
            .iter()
            .find_map(|synonym| Some(converted(*synonym, self.get(synonym.name)?)));
        set.or_else(|| {
            synonyms.iter().find_map(|synonym| {
                let default = broker_keys::broker_key(synonym.name)?.default_text()?;
                Some(converted(*synonym, default))
            })
        })
        .or_else(|| topic_key(topic_key_name)?.default_text().map(str::to_owned))
    }
}

/// The broker's value in the topic's unit. Negative times mean unlimited and stay as they are.
fn converted(synonym: BrokerSynonym, text: &str) -> String {
    let factor_ms = match synonym.unit {
        SynonymUnit::Same => return text.trim().to_owned(),
        SynonymUnit::Minutes => 60_000,
        SynonymUnit::Hours => 3_600_000,
    };
    match value::long(text) {
        Ok(count) if count >= 0 => count.saturating_mul(factor_ms).to_string(),
        Ok(_) | Err(_) => text.trim().to_owned(),
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

    #[test]
    fn milliseconds_win_over_minutes_and_hours() {
        let broker = |text: &str| BrokerDefaults::new(Properties::parse(text));
        assert_eq!(broker("").topic_value("retention.ms").as_deref(), Some("604800000"));
        assert_eq!(
            broker("log.retention.hours=2").topic_value("retention.ms").as_deref(),
            Some("7200000")
        );
        let both = broker("log.retention.hours=2\nlog.retention.minutes=5");
        assert_eq!(both.topic_value("retention.ms").as_deref(), Some("300000"));
        let all = broker("log.retention.hours=2\nlog.retention.minutes=5\nlog.retention.ms=7");
        assert_eq!(all.topic_value("retention.ms").as_deref(), Some("7"));
        assert_eq!(
            broker("log.retention.hours=-1").topic_value("retention.ms").as_deref(),
            Some("-1")
        );
    }

    #[test]
    fn what_is_set_for_one_broker_wins_over_all_brokers_and_over_the_file() {
        let file = BrokerDefaults::new(Properties::parse("min.insync.replicas=1"));
        let cluster = file.with_dynamic([("min.insync.replicas", "2")], []);
        assert_eq!(cluster.topic_value("min.insync.replicas").as_deref(), Some("2"));
        let broker = file.with_dynamic([("min.insync.replicas", "2")], [("min.insync.replicas", "3")]);
        assert_eq!(broker.topic_value("min.insync.replicas").as_deref(), Some("3"));
    }
}
