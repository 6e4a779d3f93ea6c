//! Whose configurations: Kafka's config resources.

use clap::ValueEnum;

/// A kind of them. The broker loggers of Kafka aren't here: they set log4j's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResourceType {
    /// A topic.
    #[value(alias = "topics")]
    Topic,
    /// One broker, or all of them.
    #[value(alias = "brokers")]
    Broker,
    /// A group of any type.
    #[value(alias = "groups")]
    Group,
    /// What clients are asked to report of themselves (KIP-714).
    #[value(alias = "client-metric")]
    ClientMetrics,
}

impl ResourceType {
    /// Kafka's number of it.
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    /// As it is said to people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Broker => "broker",
            Self::Group => "group",
            Self::ClientMetrics => "client-metrics",
        }
    }
}

/// One of them. A broker's name is its id, and empty for what all brokers share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConfigResource {
    code: i8,
    name: String,
}

impl ConfigResource {
    /// By its name.
    pub(crate) fn new(kind: ResourceType, name: impl Into<String>) -> Self {
        Self {
            code: kind.code(),
            name: name.into(),
        }
    }

    /// Kafka's number of its kind.
    pub(super) fn code(&self) -> i8 {
        self.code
    }

    /// Empty for all brokers.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The one broker that knows: its file's values are its own.
    pub(super) fn broker(&self) -> Option<i32> {
        let is_broker = self.code == ResourceType::Broker.code();
        is_broker.then(|| self.name.parse().ok()).flatten()
    }

    /// As errors name it.
    pub(super) fn title(&self) -> String {
        let kinds = ResourceType::value_variants();
        let kind = kinds.iter().find(|kind| kind.code() == self.code);
        match (kind, self.name.as_str()) {
            (Some(ResourceType::Broker), "") => "all brokers".to_owned(),
            (Some(kind), name) => format!("{} {name}", kind.name()),
            (None, name) => name.to_owned(),
        }
    }
}
