//! `klamm config describe`.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::config_command::Subject;
use super::requests::{ConfigEntry, config_resources, describe_each};
use super::resource::{ConfigResource, ResourceType};
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::group::listed_groups;
use crate::commands::output::{Output, table};

/// `klamm config describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    #[command(flatten)]
    subject: Subject,
    /// Also what nobody has set, and what a broker's file sets
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedResource {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Empty for what all brokers share.
    name: String,
    configs: Vec<ConfigEntry>,
}

impl DescribeArgs {
    pub(super) async fn run(self) -> Result<()> {
        let kind = self.subject.kind;
        let (mut brokers, names) = match self.subject.resource()? {
            Some(one) => (Brokers::reach(&self.connection).await?, vec![one.name().to_owned()]),
            None => names(&self.connection, kind).await?,
        };
        let own = own_source(kind);
        let resources: Vec<ConfigResource> = names.into_iter().map(|name| ConfigResource::new(kind, name)).collect();
        let mut described = Vec::new();
        for (resource, mut configs) in resources.iter().zip(describe_each(&mut brokers, &resources).await?) {
            let own = if kind == ResourceType::Broker && resource.name().is_empty() {
                "DYNAMIC_DEFAULT_BROKER_CONFIG"
            } else {
                own
            };
            configs.retain(|config| self.all || config.source == own);
            described.push(DescribedResource {
                kind: kind.name(),
                name: resource.name().to_owned(),
                configs,
            });
        }
        self.output.write(&described, |described| render(described))
    }
}

/// The source of what a resource of this kind has of its own.
fn own_source(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::Topic => "DYNAMIC_TOPIC_CONFIG",
        ResourceType::Broker => "DYNAMIC_BROKER_CONFIG",
        ResourceType::Group => "DYNAMIC_GROUP_CONFIG",
        ResourceType::ClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
    }
}

/// All of a kind: those that exist, and those that only have configurations.
async fn names(connection: &Connection, kind: ResourceType) -> Result<(Brokers, Vec<String>)> {
    let (mut brokers, metadata) = Brokers::of(connection).await?;
    let names: BTreeSet<String> = match kind {
        ResourceType::Topic => {
            let topics = metadata.topics.into_iter().filter_map(|topic| topic.name);
            topics.map(|name| name.to_string()).collect()
        }
        ResourceType::Broker => {
            let mut names = vec![String::new()];
            names.extend(brokers.ids().iter().map(ToString::to_string));
            return Ok((brokers, names));
        }
        ResourceType::Group => {
            let groups = listed_groups(&mut brokers).await?;
            let configured = config_resources(&mut brokers, kind).await?.unwrap_or_default();
            groups.into_iter().map(|group| group.group).chain(configured).collect()
        }
        ResourceType::ClientMetrics => {
            let configured = config_resources(&mut brokers, kind).await?;
            configured.unwrap_or_default().into_iter().collect()
        }
    };
    Ok((brokers, names.into_iter().collect()))
}

fn render(described: &[DescribedResource]) -> String {
    let rows: Vec<[String; 6]> = described
        .iter()
        .flat_map(|resource| {
            let name = match (resource.kind, resource.name.as_str()) {
                ("broker", "") => "(all)".to_owned(),
                (_, name) => name.to_owned(),
            };
            resource.configs.iter().map(move |config| {
                [
                    resource.kind.to_owned(),
                    name.clone(),
                    config.key.clone(),
                    match (&config.value, config.sensitive) {
                        (Some(value), _) => value.clone(),
                        (None, true) => "(hidden)".to_owned(),
                        (None, false) => String::new(),
                    },
                    config.source.to_owned(),
                    if config.read_only { "yes" } else { "no" }.to_owned(),
                ]
            })
        })
        .collect();
    if rows.is_empty() {
        return "no configurations of their own; --all shows what holds".to_owned();
    }
    table(&["type", "name", "key", "value", "source", "read only"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_brokers_share_and_what_is_hidden_have_a_word_in_the_table() {
        let entry = ConfigEntry {
            key: "ssl.key.password".to_owned(),
            value: None,
            source: "DYNAMIC_DEFAULT_BROKER_CONFIG",
            read_only: false,
            sensitive: true,
            synonyms: Vec::new(),
        };
        let described = DescribedResource {
            kind: "broker",
            name: String::new(),
            configs: vec![entry],
        };
        let text = render(&[described]);
        assert!(
            text.ends_with("broker  (all)  ssl.key.password  (hidden)  DYNAMIC_DEFAULT_BROKER_CONFIG  no"),
            "{text}"
        );
        assert!(render(&[]).contains("--all"));
    }
}
