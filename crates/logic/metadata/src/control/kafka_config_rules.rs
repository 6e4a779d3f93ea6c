//! Kafka's rules of configuration, from the tables of crate `config`.

use config::group_keys::{GROUP_KEYS, validate_group_config};
use config::topic::validate_topic_configs;
use config::topic_keys::topic_key;
use config::{BrokerDefaults, BrokerScope, ConfigType, broker_keys, validate_broker_config};

use super::ConfigRules;
use crate::image::{ConfigMap, ConfigResource};

/// The keys of a client metrics subscription (KIP-714).
const CLIENT_METRICS_KEYS: [&str; 3] = ["interval.ms", "match", "metrics"];

/// Validates as Kafka does; defaults of topics are those of this broker.
#[derive(Debug, Clone, Default)]
pub struct KafkaConfigRules {
    broker: BrokerDefaults,
}

impl KafkaConfigRules {
    /// Rules with these broker defaults.
    #[must_use]
    pub fn new(broker: BrokerDefaults) -> Self {
        Self { broker }
    }
}

impl ConfigRules for KafkaConfigRules {
    fn validate(&self, resource: &ConfigResource, configs: &ConfigMap) -> Result<(), String> {
        let each = |check: &dyn Fn(&str, &str) -> Result<(), String>| {
            configs.iter().try_for_each(|(key, value)| check(key, value))
        };
        match resource {
            ConfigResource::Topic(_) => {
                validate_topic_configs(configs, &self.broker).map_err(|error| error.to_string())
            }
            ConfigResource::Broker(_) => each(&|key, value| {
                validate_broker_config(key, value, BrokerScope::Broker).map_err(|error| error.to_string())
            }),
            ConfigResource::DefaultBroker => each(&|key, value| {
                validate_broker_config(key, value, BrokerScope::Cluster).map_err(|error| error.to_string())
            }),
            ConfigResource::Group(_) => {
                each(&|key, value| validate_group_config(key, value).map_err(|error| error.to_string()))
            }
            ConfigResource::ClientMetrics(_) => each(&|key, _| {
                if CLIENT_METRICS_KEYS.contains(&key) {
                    Ok(())
                } else {
                    Err(format!("unknown config '{key}'"))
                }
            }),
        }
    }

    fn is_list(&self, resource: &ConfigResource, key: &str) -> bool {
        let row = match resource {
            ConfigResource::Topic(_) => topic_key(key),
            ConfigResource::Broker(_) | ConfigResource::DefaultBroker => broker_keys::broker_key(key),
            ConfigResource::Group(_) => GROUP_KEYS.iter().find(|row| row.name == key),
            ConfigResource::ClientMetrics(_) => return matches!(key, "match" | "metrics"),
        };
        row.is_some_and(|row| row.kind == ConfigType::List)
    }

    fn default_value(&self, resource: &ConfigResource, key: &str) -> Option<String> {
        match resource {
            ConfigResource::Topic(_) => self.broker.topic_value(key),
            ConfigResource::Broker(_) | ConfigResource::DefaultBroker => self
                .broker
                .get(key)
                .or_else(|| broker_keys::broker_key(key)?.default_text())
                .map(str::to_owned),
            ConfigResource::Group(_) | ConfigResource::ClientMetrics(_) => None,
        }
    }
}
