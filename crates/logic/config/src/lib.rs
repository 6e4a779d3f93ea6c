//! Kafka's configuration keys: name, type, default, validator, doc; properties and environment parsing.
//!
//! - Text: [`Properties`] reads `server.properties`, [`properties_from_environment`] maps `KAFKA_*` variables.
//! - Tables: [`broker_keys`], [`topic_keys`], [`group_keys`] hold one [`ConfigKey`] a row; [`differences`] lists where defaults differ.
//! - Types: [`ServerConfig`] is a node's configuration, checked as a whole; [`TopicSettings`] a topic's.
//! - Answers: [`describe`] gives what DescribeConfigs shows.
//!
//! Pure: the caller reads files and the environment. Nothing here panics on any text.

pub mod broker_keys;
pub mod client_metrics;
mod defaults;
pub mod describe;
pub mod differences;
mod environment;
mod error;
pub mod group_keys;
mod key;
mod listeners;
mod nearest;
mod properties;
mod quorum;
mod reader;
mod server;
mod table;
mod throttled_replicas;
pub mod topic;
pub mod topic_keys;
mod validator;
mod value;

pub use broker_keys::{BrokerScope, validate_broker_config};
pub use defaults::BrokerDefaults;
pub use describe::{ConfigEntry, ConfigSource, ConfigSynonym};
pub use environment::properties_from_environment;
pub use error::{ConfigError, ConfigErrors, Warning};
pub use key::{ConfigKey, ConfigType, DefaultValue, Importance, Support, UpdateMode};
pub use listeners::{Endpoint, Listener, Listeners, SecurityProtocol};
pub use properties::Properties;
pub use quorum::{QuorumConfig, QuorumVoter};
pub use server::{
    GroupConfig, LogConfig, NetworkConfig, ProcessRoles, QuotaConfig, ReplicationConfig, ServerConfig, SessionConfig,
    TopicCreationConfig, TransactionConfig, refuse_unknown_keys,
};
pub use throttled_replicas::ThrottledReplicas;
pub use topic::{CleanupPolicy, TimestampType, TopicCompression, TopicSettings};
pub use validator::Validator;
