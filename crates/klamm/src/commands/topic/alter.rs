//! `klamm topic alter`: more partitions, other configurations.

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use wire::messages::create_partitions_request::CreatePartitionsTopic;
use wire::messages::{CreatePartitionsRequest, TopicName};
use wire::protocol::StrBytes;

use super::describe::describe_one;
use super::topic_command::{ConfigAssignment, parse_config};
use crate::commands::brokers::Brokers;
use crate::commands::config::{ConfigChange, ConfigResource, ResourceType, alter_configs};
use crate::commands::connection::{Cluster, Connection};
use crate::commands::error_advice::refusal;
use crate::commands::output::Output;

/// `klamm topic alter`.
#[derive(Debug, Args)]
pub(crate) struct AlterArgs {
    /// The topic
    name: String,
    /// Partitions the topic shall have; they can only be added. Keys then map to other partitions than before
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// A configuration to set; may be given more than once
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = parse_config)]
    configs: Vec<ConfigAssignment>,
    /// A configuration to delete, so that the cluster's value holds; may be given more than once
    #[arg(long = "delete-config", value_name = "KEY")]
    delete_configs: Vec<String>,
    /// Check everything, change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AlteredTopic {
    topic: String,
    partitions: Option<i32>,
    configs_set: Vec<String>,
    configs_deleted: Vec<String>,
    altered: bool,
}

impl AlterArgs {
    pub(super) async fn run(self) -> Result<()> {
        let configs = !self.configs.is_empty() || !self.delete_configs.is_empty();
        if self.partitions.is_none() && !configs {
            bail!("nothing to alter: give --partitions, --config or --delete-config");
        }
        let mut cluster = self.connection.connect().await?;
        // IncrementalAlterConfigs comes first: it can be taken back, added partitions can't.
        if configs {
            self.alter_configs().await?;
        }
        if let Some(count) = self.partitions {
            self.add_partitions(&mut cluster, count).await?;
        }
        let result = AlteredTopic {
            topic: self.name.clone(),
            partitions: self.partitions,
            configs_set: self
                .configs
                .iter()
                .map(|config| format!("{}={}", config.key, config.value))
                .collect(),
            configs_deleted: self.delete_configs.clone(),
            altered: !self.dry_run,
        };
        self.output.write(&result, |result| {
            let done = if result.altered { "altered" } else { "would alter" };
            let partitions = result.partitions.map(|count| format!("partitions {count}"));
            let set = result.configs_set.iter().map(|config| format!("set {config}"));
            let deleted = result.configs_deleted.iter().map(|key| format!("deleted {key}"));
            let changes: Vec<String> = set.chain(deleted).chain(partitions).collect();
            format!("{done} topic {}: {}", result.topic, changes.join(", "))
        })
    }

    async fn alter_configs(&self) -> Result<()> {
        let set = self
            .configs
            .iter()
            .map(|config| ConfigChange::set(&config.key, &config.value));
        let delete = self.delete_configs.iter().map(ConfigChange::delete);
        let topic = ConfigResource::new(ResourceType::Topic, &self.name);
        let mut brokers = Brokers::reach(&self.connection).await?;
        alter_configs(&mut brokers, &[(topic, set.chain(delete).collect())], self.dry_run).await
    }

    async fn add_partitions(&self, cluster: &mut Cluster, count: i32) -> Result<()> {
        let before = describe_one(cluster, &self.name).await?.partitions.len();
        if usize::try_from(count).is_ok_and(|count| count == before) {
            // As wished already: saying it twice must not fail.
            return Ok(());
        }
        let topic = CreatePartitionsTopic::default()
            .with_name(TopicName(StrBytes::from_string(self.name.clone())))
            .with_count(count)
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(self.connection.timeout_ms())
            .with_validate_only(self.dry_run);
        let response = cluster.call(&request).await?;
        let what = format!(
            "changing the partitions of topic {} from {before} to {count}",
            self.name
        );
        for result in response.results {
            if let Some(error) = refusal(&what, result.error_code, result.error_message.as_deref()) {
                return Err(error);
            }
        }
        Ok(())
    }
}
