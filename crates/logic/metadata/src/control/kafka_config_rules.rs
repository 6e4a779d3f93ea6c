//! Kafka's rules of configuration, from the tables of crate `config`.

use config::client_metrics::{ClientMetricsError, ClientMetricsSubscription};
use config::group_keys::{GROUP_KEYS, validate_group_configs};
use config::topic::validate_topic_configs;
use config::topic_keys::topic_key;
use config::{BrokerDefaults, BrokerScope, ConfigError, ConfigType, broker_keys, validate_broker_config};

use super::{AlterConfigsError, ConfigRules};
use crate::image::{ConfigMap, ConfigResource};

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
    fn validate(&self, resource: &ConfigResource, configs: &ConfigMap) -> Result<(), AlterConfigsError> {
        let invalid = |error: ConfigError| AlterConfigsError::InvalidConfig(error.to_string());
        let texts = || configs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        // As Kafka's brokers answer for what is theirs.
        let of_broker = |scope| {
            let mut each = texts();
            each.try_for_each(|(key, value)| validate_broker_config(key, value, scope))
                .map_err(|error| AlterConfigsError::Invalid(error.to_string()))
        };
        match resource {
            ConfigResource::Topic(_) => validate_topic_configs(configs, &self.broker).map_err(invalid),
            ConfigResource::Broker(_) => of_broker(BrokerScope::Broker),
            ConfigResource::DefaultBroker => of_broker(BrokerScope::Cluster),
            ConfigResource::Group(_) => validate_group_configs(texts(), &self.broker).map_err(invalid),
            ConfigResource::ClientMetrics(_) => match ClientMetricsSubscription::parse(texts()) {
                Ok(_) => Ok(()),
                Err(ClientMetricsError::Request(why)) => Err(AlterConfigsError::Invalid(why)),
                Err(error @ ClientMetricsError::Pattern(_)) => Err(AlterConfigsError::InvalidConfig(error.to_string())),
            },
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
