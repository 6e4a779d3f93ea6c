//! `klamm topic create`.

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;
use types::{ErrorCode, TopicId};
use wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use wire::messages::{CreateTopicsRequest, TopicName};
use wire::protocol::StrBytes;

use super::topic_command::{ConfigAssignment, parse_config};
use crate::commands::connection::Connection;
use crate::commands::error_advice::refusal;
use crate::commands::output::{Output, table};

/// `klamm topic create`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Partitions [default: the cluster's num.partitions]
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Replicas of each partition [default: the cluster's default.replication.factor]
    #[arg(short, long, value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A configuration of the topic; may be given more than once
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = parse_config)]
    configs: Vec<ConfigAssignment>,
    /// Succeed when there is such a topic already, whatever it is like
    #[arg(long)]
    if_not_exists: bool,
    /// Check everything, create nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedTopic {
    topic: String,
    topic_id: Option<String>,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    created: bool,
}

impl CreateArgs {
    pub(super) async fn run(self) -> Result<()> {
        let mut cluster = self.connection.connect().await?;
        let response = cluster.call(&self.request()).await?;
        let mut results = Vec::new();
        let mut failures = Vec::new();
        for topic in response.topics {
            let name = topic.name.to_string();
            let exists = topic.error_code == ErrorCode::TopicAlreadyExists.code();
            if exists && self.if_not_exists {
                results.push(CreatedTopic {
                    topic: name,
                    topic_id: None,
                    partitions: None,
                    replication_factor: None,
                    created: false,
                });
                continue;
            }
            let message = topic.error_message.as_deref();
            if let Some(error) = refusal(&format!("creating topic {name}"), topic.error_code, message) {
                failures.push(error.to_string());
                continue;
            }
            results.push(CreatedTopic {
                topic: name,
                topic_id: Some(TopicId(topic.topic_id))
                    .filter(|id| *id != TopicId::ZERO)
                    .map(|id| id.to_string()),
                // Versions before 5 don't say.
                partitions: Some(topic.num_partitions).filter(|count| *count > 0),
                replication_factor: Some(topic.replication_factor).filter(|count| *count > 0),
                created: !self.dry_run,
            });
        }
        if !results.is_empty() {
            self.output.write(&results, |results| render(results))?;
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(anyhow!(failures.join("\n")))
        }
    }

    fn request(&self) -> CreateTopicsRequest {
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let configs: Vec<CreatableTopicConfig> = self
            .configs
            .iter()
            .map(|config| {
                CreatableTopicConfig::default()
                    .with_name(text(&config.key))
                    .with_value(Some(text(&config.value)))
            })
            .collect();
        let topics = self
            .names
            .iter()
            .map(|name| {
                CreatableTopic::default()
                    .with_name(TopicName(text(name)))
                    .with_num_partitions(self.partitions.unwrap_or(-1))
                    .with_replication_factor(self.replication_factor.unwrap_or(-1))
                    .with_configs(configs.clone())
            })
            .collect();
        CreateTopicsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(self.connection.timeout_ms())
            .with_validate_only(self.dry_run)
    }
}

fn render(results: &[CreatedTopic]) -> String {
    let number = |count: Option<i32>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    table(
        &["topic", "topic id", "partitions", "replicas", "created"],
        results.iter().map(|topic| {
            [
                topic.topic.clone(),
                topic.topic_id.clone().unwrap_or_else(|| "-".to_owned()),
                number(topic.partitions),
                number(topic.replication_factor.map(i32::from)),
                if topic.created { "yes" } else { "no" }.to_owned(),
            ]
        }),
    )
}
