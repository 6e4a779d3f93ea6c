//! Which configurations decisions allow.

use super::AlterConfigsError;
use crate::image::{ConfigMap, ConfigResource};

/// The rules of configuration keys and values, of the node that decides.
pub trait ConfigRules {
    /// Checks everything that is set on a resource after a change.
    ///
    /// # Errors
    /// What is wrong, and with which of Kafka's errors it is answered.
    fn validate(&self, resource: &ConfigResource, configs: &ConfigMap) -> Result<(), AlterConfigsError>;

    /// Whether the key holds a comma-separated list, to which can be appended and subtracted.
    fn is_list(&self, resource: &ConfigResource, key: &str) -> bool;

    /// The value that holds when the key isn't set on the resource: what APPEND and SUBTRACT start from.
    fn default_value(&self, resource: &ConfigResource, key: &str) -> Option<String>;
}

/// Allows everything; for tests and simulations that aren't about configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyConfig;

impl ConfigRules for AnyConfig {
    fn validate(&self, _: &ConfigResource, _: &ConfigMap) -> Result<(), AlterConfigsError> {
        Ok(())
    }

    fn is_list(&self, _: &ConfigResource, key: &str) -> bool {
        matches!(key, "cleanup.policy") || key.ends_with(".replication.throttled.replicas")
    }

    fn default_value(&self, _: &ConfigResource, _: &str) -> Option<String> {
        None
    }
}
