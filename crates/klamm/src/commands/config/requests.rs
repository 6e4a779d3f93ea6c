//! DescribeConfigs, IncrementalAlterConfigs, ListConfigResources.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use wire::messages::describe_configs_request::DescribeConfigsResource;
use wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use wire::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest};
use wire::protocol::StrBytes;

use super::resource::{ConfigResource, ResourceType};
use crate::commands::brokers::Brokers;
use crate::commands::error_advice::refusal;

/// So many are asked for in one request: an answer has some kilobytes for each.
const RESOURCES_AT_ONCE: usize = 500;

/// ListConfigResources: from here on of every kind, before it of client metrics only.
const VERSION_WITH_TYPES: i16 = 1;

/// A configuration as it holds for a resource.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfigEntry {
    pub(crate) key: String,
    /// None when it is nobody's to see.
    pub(crate) value: Option<String>,
    /// Kafka's name of where the value comes from.
    pub(crate) source: &'static str,
    pub(crate) read_only: bool,
    pub(crate) sensitive: bool,
    /// What else was set for it, the one that holds first.
    pub(crate) synonyms: Vec<ConfigSynonym>,
}

/// A value that holds, or would if those before it were taken away.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfigSynonym {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) source: &'static str,
}

impl ConfigEntry {
    fn of(found: DescribeConfigsResourceResult) -> Self {
        let text = |text: Option<StrBytes>| text.map(|text| text.to_string());
        let synonyms = found.synonyms.into_iter().map(|synonym| ConfigSynonym {
            key: synonym.name.to_string(),
            value: text(synonym.value),
            source: source_name(synonym.source),
        });
        Self {
            key: found.name.to_string(),
            value: text(found.value),
            source: source_name(found.config_source),
            read_only: found.read_only,
            sensitive: found.is_sensitive,
            synonyms: synonyms.collect(),
        }
    }

    /// Whether nobody has set it.
    pub(crate) fn is_default(&self) -> bool {
        self.source == source_name(DEFAULT_SOURCE)
    }
}

const DEFAULT_SOURCE: i8 = 5;

fn source_name(code: i8) -> &'static str {
    match code {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        DEFAULT_SOURCE => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

/// All configurations of each resource, by key, in the resources' order: many resources in one request.
pub(crate) async fn describe_each(
    brokers: &mut Brokers,
    resources: &[ConfigResource],
) -> Result<Vec<Vec<ConfigEntry>>> {
    let mut described = BTreeMap::new();
    // What only one broker knows is asked for by itself.
    for part in resources.chunk_by(|one, other| one.broker() == other.broker()) {
        for part in part.chunks(RESOURCES_AT_ONCE) {
            let asked = part.iter().map(|resource| {
                DescribeConfigsResource::default()
                    .with_resource_type(resource.code())
                    .with_resource_name(text(resource.name()))
                    .with_configuration_keys(None)
            });
            let request = DescribeConfigsRequest::default()
                .with_resources(asked.collect())
                .with_include_synonyms(true);
            let response = match part.first().and_then(ConfigResource::broker) {
                Some(broker) => brokers.call(broker, &request).await?,
                None => brokers.call_any(&request).await?,
            };
            for result in response.results {
                let resource = part.iter().find(|one| one.name() == result.resource_name.as_str());
                let Some(resource) = resource else { continue };
                let what = format!("reading the configurations of {}", resource.title());
                if let Some(error) = refusal(&what, result.error_code, result.error_message.as_deref()) {
                    return Err(error);
                }
                let mut entries: Vec<ConfigEntry> = result.configs.into_iter().map(ConfigEntry::of).collect();
                entries.sort_by(|one, other| one.key.cmp(&other.key));
                described.insert(resource, entries);
            }
        }
    }
    Ok(resources
        .iter()
        .map(|resource| described.remove(resource).unwrap_or_default())
        .collect())
}

/// What to do with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigOperation {
    /// Give it this value.
    Set,
    /// Go back to what holds without it.
    Delete,
    /// Add to a list.
    Append,
    /// Take out of a list.
    Subtract,
}

/// A change of one configuration; deletions have no value.
#[derive(Debug, Clone)]
pub(crate) struct ConfigChange {
    pub(crate) key: String,
    pub(crate) operation: ConfigOperation,
    pub(crate) value: Option<String>,
}

impl ConfigChange {
    /// This value from now on.
    pub(crate) fn set(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            operation: ConfigOperation::Set,
            value: Some(value.into()),
        }
    }

    /// No value of its own from now on.
    pub(crate) fn delete(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            operation: ConfigOperation::Delete,
            value: None,
        }
    }

    fn on_the_wire(&self) -> AlterableConfig {
        let operation = match self.operation {
            ConfigOperation::Set => 0,
            ConfigOperation::Delete => 1,
            ConfigOperation::Append => 2,
            ConfigOperation::Subtract => 3,
        };
        AlterableConfig::default()
            .with_name(text(&self.key))
            .with_config_operation(operation)
            .with_value(self.value.as_deref().map(text))
    }
}

/// Changes configurations, or only checks whether that could be done. Each resource's changes are made together or not at all.
pub(crate) async fn alter_configs(
    brokers: &mut Brokers,
    resources: &[(ConfigResource, Vec<ConfigChange>)],
    validate_only: bool,
) -> Result<()> {
    // As Kafka's admin client: a broker changes its own, any other change is anybody's to pass on.
    for (resource, changes) in resources {
        let asked = AlterConfigsResource::default()
            .with_resource_type(resource.code())
            .with_resource_name(text(resource.name()))
            .with_configs(changes.iter().map(ConfigChange::on_the_wire).collect());
        let request = IncrementalAlterConfigsRequest::default()
            .with_resources(vec![asked])
            .with_validate_only(validate_only);
        let response = match resource.broker() {
            Some(broker) => brokers.call(broker, &request).await?,
            None => brokers.call_any(&request).await?,
        };
        let what = format!("changing the configurations of {}", resource.title());
        for result in response.responses {
            if let Some(error) = refusal(&what, result.error_code, result.error_message.as_deref()) {
                return Err(error);
            }
        }
    }
    Ok(())
}

/// The resources of a kind that have configurations of their own, by name. None when the cluster can't tell.
pub(crate) async fn config_resources(brokers: &mut Brokers, kind: ResourceType) -> Result<Option<Vec<String>>> {
    let Some(first) = brokers.ids().first().copied() else {
        return Ok(None);
    };
    let version = brokers.version_of::<ListConfigResourcesRequest>(first).await?;
    let with_types = version.is_some_and(|version| version >= VERSION_WITH_TYPES);
    if version.is_none() || (kind != ResourceType::ClientMetrics && !with_types) {
        return Ok(None);
    }
    let mut request = ListConfigResourcesRequest::default();
    if with_types {
        request = request.with_resource_types(vec![kind.code()]);
    }
    let response = brokers.call(first, &request).await?;
    let what = format!("listing the configurations of every {}", kind.name());
    if let Some(error) = refusal(&what, response.error_code, None) {
        return Err(error);
    }
    let names = response.config_resources.into_iter();
    let mut names: Vec<String> = names.map(|resource| resource.resource_name.to_string()).collect();
    names.sort_unstable();
    Ok(Some(names))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
