//! `klamm topic list`.

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use types::TopicId;
use wire::messages::MetadataRequest;

use crate::commands::connection::Connection;
use crate::commands::error_advice::refusal;
use crate::commands::output::{Output, table};

/// `klamm topic list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Leave out the cluster's own topics, such as __consumer_offsets
    #[arg(long)]
    exclude_internal: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedTopic {
    topic: String,
    topic_id: Option<String>,
    partitions: usize,
    replication_factor: usize,
    internal: bool,
}

impl ListArgs {
    pub(super) async fn run(self) -> Result<()> {
        let mut cluster = self.connection.connect().await?;
        let request = MetadataRequest::default()
            .with_topics(None)
            .with_allow_auto_topic_creation(false);
        let response = cluster.call(&request).await?;
        if let Some(error) = refusal("listing topics", response.error_code, None) {
            return Err(error);
        }
        let mut topics: Vec<ListedTopic> = response
            .topics
            .into_iter()
            .filter(|topic| !(self.exclude_internal && topic.is_internal))
            .filter_map(|topic| {
                Some(ListedTopic {
                    topic: topic.name?.to_string(),
                    topic_id: Some(TopicId(topic.topic_id))
                        .filter(|id| *id != TopicId::ZERO)
                        .map(|id| id.to_string()),
                    partitions: topic.partitions.len(),
                    replication_factor: topic
                        .partitions
                        .iter()
                        .map(|one| one.replica_nodes.len())
                        .max()
                        .unwrap_or(0),
                    internal: topic.is_internal,
                })
            })
            .collect();
        topics.sort_unstable_by(|one, other| one.topic.cmp(&other.topic));
        self.output.write(&topics, |topics| {
            if topics.is_empty() {
                return "no topics yet; create one with `klamm topic create NAME`".to_owned();
            }
            table(
                &["topic", "partitions", "replicas"],
                topics.iter().map(|topic| {
                    [
                        topic.topic.clone(),
                        topic.partitions.to_string(),
                        topic.replication_factor.to_string(),
                    ]
                }),
            )
        })
    }
}
