//! Topics, brokers, groups and client metrics: DescribeConfigs and IncrementalAlterConfigs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow};

use super::entities::EntityType;
use crate::commands::brokers::Brokers;
use crate::commands::config::{
    ConfigChange, ConfigEntry, ConfigResource, ResourceType, alter_configs, config_resources, describe_each,
};
use crate::commands::connection::Connection;
use crate::commands::group::listed_groups;
use crate::commands::output::write_line;

/// The resource type, its word in the singular, and the source of what a resource has of its own.
fn resource(kind: EntityType) -> Result<(ResourceType, &'static str, &'static str)> {
    match kind {
        EntityType::Topics => Ok((ResourceType::Topic, "topic", "DYNAMIC_TOPIC_CONFIG")),
        EntityType::Brokers => Ok((ResourceType::Broker, "broker", "DYNAMIC_BROKER_CONFIG")),
        EntityType::Groups => Ok((ResourceType::Group, "group", "DYNAMIC_GROUP_CONFIG")),
        EntityType::ClientMetrics => {
            // As Kafka's tool makes a word of one of them: without its last letter.
            Ok((
                ResourceType::ClientMetrics,
                "client-metric",
                "DYNAMIC_CLIENT_METRICS_CONFIG",
            ))
        }
        EntityType::Clients | EntityType::Users | EntityType::Ips => Err(anyhow!("{} have quotas only", kind.name())),
    }
}

pub(super) async fn describe(kind: EntityType, name: Option<&str>, all: bool, connection: &Connection) -> Result<()> {
    let (resource_type, singular, own) = resource(kind)?;
    let (mut brokers, metadata) = Brokers::of(connection).await?;
    let topics = metadata.topics.into_iter().filter_map(|topic| topic.name);
    let topics: Vec<String> = topics.map(|name| name.to_string()).collect();
    let known = match resource_type {
        ResourceType::Topic => Some(topics.into_iter().collect()),
        ResourceType::Broker => Some(brokers.ids().iter().map(ToString::to_string).collect()),
        ResourceType::ClientMetrics | ResourceType::Group if all && name.is_some() => None,
        ResourceType::ClientMetrics | ResourceType::Group => configured(resource_type, &mut brokers).await?,
    };
    let known: Option<BTreeSet<String>> = known;
    let names: Vec<String> = match name {
        Some(name) => {
            let is_there = name.is_empty() || known.is_none_or(|known| known.contains(name));
            if !all && !is_there {
                return write_line(&format!(
                    "The {singular} '{name}' doesn't exist and doesn't have dynamic config."
                ));
            }
            vec![name.to_owned()]
        }
        None => {
            let mut names: Vec<String> = known.into_iter().flatten().collect();
            if resource_type == ResourceType::Broker {
                names.push(String::new());
            }
            names
        }
    };
    let resources: Vec<ConfigResource> = names
        .into_iter()
        .map(|name| ConfigResource::new(resource_type, name))
        .collect();
    for (resource, configs) in resources.iter().zip(describe_each(&mut brokers, &resources).await?) {
        let name = resource.name();
        write_line(&match name {
            "" => format!("Default configs for {} in the cluster are:", kind.name()),
            name => format!(
                "{} configs for {singular} {name} are:",
                if all { "All" } else { "Dynamic" }
            ),
        })?;
        let own = match (resource_type, name) {
            (ResourceType::Broker, "") => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            _ => own,
        };
        for config in configs {
            if all || config.source == own {
                write_line(&line(&config))?;
            }
        }
    }
    Ok(())
}

/// Groups and client metrics: those that are there, or have configurations without being there. None: nobody can tell.
async fn configured(kind: ResourceType, brokers: &mut Brokers) -> Result<Option<BTreeSet<String>>> {
    let configured = config_resources(brokers, kind).await?;
    if kind != ResourceType::Group {
        return Ok(Some(configured.unwrap_or_default().into_iter().collect()));
    }
    let groups = listed_groups(brokers).await?.into_iter().map(|group| group.group);
    Ok(configured.map(|configured| configured.into_iter().chain(groups).collect()))
}

fn line(config: &ConfigEntry) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonyms = config
        .synonyms
        .iter()
        .map(|synonym| format!("{}:{}={}", synonym.source, synonym.key, text(&synonym.value)));
    format!(
        "  {}={} sensitive={} synonyms={{{}}}",
        config.key,
        text(&config.value),
        config.sensitive,
        synonyms.collect::<Vec<_>>().join(", ")
    )
}

pub(super) async fn alter(
    kind: EntityType,
    name: &str,
    added: &BTreeMap<String, String>,
    deleted: &[String],
    connection: &Connection,
) -> Result<()> {
    let (resource_type, _, _) = resource(kind)?;
    let mut brokers = Brokers::reach(connection).await?;
    let deleted = deleted.iter().map(ConfigChange::delete);
    let added = added.iter().map(|(key, value)| ConfigChange::set(key, value));
    let changes = deleted.chain(added).collect();
    let resource = ConfigResource::new(resource_type, name);
    alter_configs(&mut brokers, &[(resource, changes)], false).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::config::ConfigSynonym;

    #[test]
    fn a_configuration_is_a_line_with_its_synonyms() {
        let synonym = |source, value: &str| ConfigSynonym {
            key: "retention.ms".to_owned(),
            value: Some(value.to_owned()),
            source,
        };
        let config = ConfigEntry {
            key: "retention.ms".to_owned(),
            value: Some("1".to_owned()),
            source: "DYNAMIC_TOPIC_CONFIG",
            read_only: false,
            sensitive: false,
            synonyms: vec![synonym("DYNAMIC_TOPIC_CONFIG", "1"), synonym("DEFAULT_CONFIG", "2")],
        };
        assert_eq!(
            line(&config),
            "  retention.ms=1 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1, DEFAULT_CONFIG:retention.ms=2}"
        );
    }
}
