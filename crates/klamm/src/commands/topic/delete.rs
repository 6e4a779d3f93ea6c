//! `klamm topic delete`.

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;
use types::ErrorCode;
use wire::messages::delete_topics_request::DeleteTopicState;
use wire::messages::{DeleteTopicsRequest, TopicName};
use wire::protocol::StrBytes;

use crate::commands::connection::Connection;
use crate::commands::error_advice::refusal;
use crate::commands::output::{Output, table};

/// From this version on a topic is named by a structure that can hold its id instead.
const VERSION_WITH_STATES: i16 = 6;

/// `klamm topic delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Succeed when there is no such topic
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeletedTopic {
    topic: String,
    deleted: bool,
}

impl DeleteArgs {
    pub(super) async fn run(self) -> Result<()> {
        let mut cluster = self.connection.connect().await?;
        let names = self
            .names
            .iter()
            .map(|name| TopicName(StrBytes::from_string(name.clone())));
        let request = DeleteTopicsRequest::default().with_timeout_ms(self.connection.timeout_ms());
        let by_state = cluster
            .version_of::<DeleteTopicsRequest>()
            .is_some_and(|newest| newest >= VERSION_WITH_STATES);
        let request = if by_state {
            request.with_topics(
                names
                    .map(|name| DeleteTopicState::default().with_name(Some(name)))
                    .collect(),
            )
        } else {
            request.with_topic_names(names.collect())
        };
        let response = cluster.call(&request).await?;
        let mut results = Vec::new();
        let mut failures = Vec::new();
        for topic in response.responses {
            let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
            let is_missing = topic.error_code == ErrorCode::UnknownTopicOrPartition.code();
            if is_missing && self.if_exists {
                results.push(DeletedTopic {
                    topic: name,
                    deleted: false,
                });
                continue;
            }
            let what = format!("deleting topic {name}");
            match refusal(&what, topic.error_code, topic.error_message.as_deref()) {
                Some(error) => failures.push(error.to_string()),
                None => results.push(DeletedTopic {
                    topic: name,
                    deleted: true,
                }),
            }
        }
        if !results.is_empty() {
            self.output.write(&results, |results| {
                let word = |deleted: bool| if deleted { "yes" } else { "no" }.to_owned();
                table(
                    &["topic", "deleted"],
                    results.iter().map(|topic| [topic.topic.clone(), word(topic.deleted)]),
                )
            })?;
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(anyhow!(failures.join("\n")))
        }
    }
}
