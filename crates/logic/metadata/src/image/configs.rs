//! What dynamic configuration belongs to, and the values as committed.

use std::collections::BTreeMap;

use types::{BrokerId, TopicName};

use crate::proto::ConfigResourceType;

/// Keys and values of one resource; only what was set dynamically.
pub type ConfigMap = BTreeMap<String, String>;

/// What a dynamic configuration belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResource {
    /// A topic.
    Topic(TopicName),
    /// One broker.
    Broker(BrokerId),
    /// Every broker that hasn't its own value.
    DefaultBroker,
    /// A consumer or share group.
    Group(String),
    /// A client metrics subscription.
    ClientMetrics(String),
}

impl ConfigResource {
    /// Reads Kafka's pair of type and name; none for an unknown type or a broker that is no number.
    #[must_use]
    pub fn from_wire(resource_type: ConfigResourceType, name: &str) -> Option<Self> {
        match resource_type {
            ConfigResourceType::Topic => Some(Self::Topic(TopicName::new(name))),
            ConfigResourceType::Broker if name.is_empty() => Some(Self::DefaultBroker),
            ConfigResourceType::Broker => name
                .parse()
                .ok()
                .filter(|id| *id >= 0)
                .map(|id| Self::Broker(BrokerId(id))),
            ConfigResourceType::Group => Some(Self::Group(name.to_owned())),
            ConfigResourceType::ClientMetrics => Some(Self::ClientMetrics(name.to_owned())),
            ConfigResourceType::Unknown => None,
        }
    }

    /// Kafka's type of it.
    #[must_use]
    pub fn resource_type(&self) -> ConfigResourceType {
        match self {
            Self::Topic(_) => ConfigResourceType::Topic,
            Self::Broker(_) | Self::DefaultBroker => ConfigResourceType::Broker,
            Self::Group(_) => ConfigResourceType::Group,
            Self::ClientMetrics(_) => ConfigResourceType::ClientMetrics,
        }
    }

    /// Kafka's name of it; the default of all brokers is the empty name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Topic(name) => name.as_str().to_owned(),
            Self::Broker(id) => id.to_string(),
            Self::DefaultBroker => String::new(),
            Self::Group(name) | Self::ClientMetrics(name) => name.clone(),
        }
    }
}
