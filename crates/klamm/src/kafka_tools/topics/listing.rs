//! `kafka-topics --list`, and which topics a pattern means.

use anyhow::{Result, bail};
use wire::messages::MetadataRequest;

use crate::commands::connection::{Cluster, Connection};
use crate::commands::error_advice::refusal;
use crate::commands::output::write_line;
use crate::kafka_tools::options::Options;
use crate::kafka_tools::topic_filter::TopicFilter;

/// A topic as metadata names it.
#[derive(Debug)]
pub(in crate::kafka_tools) struct NamedTopic {
    pub(in crate::kafka_tools) name: String,
    pub(in crate::kafka_tools) id: types::Uuid,
    pub(in crate::kafka_tools) internal: bool,
}

pub(super) async fn list(options: &Options, connection: &Connection) -> Result<()> {
    let mut cluster = connection.connect().await?;
    let topics = matching(&mut cluster, options).await?;
    write_line(&topics.join("\n"))
}

/// The topics that exist, by name.
pub(in crate::kafka_tools) async fn all_topics(cluster: &mut Cluster) -> Result<Vec<NamedTopic>> {
    let request = MetadataRequest::default()
        .with_topics(None)
        .with_allow_auto_topic_creation(false);
    let response = cluster.call(&request).await?;
    if let Some(error) = refusal("listing topics", response.error_code, None) {
        return Err(error);
    }
    let named = response.topics.into_iter().filter_map(|topic| {
        Some(NamedTopic {
            name: topic.name?.to_string(),
            id: topic.topic_id,
            internal: topic.is_internal,
        })
    });
    let mut topics: Vec<NamedTopic> = named.collect();
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(topics)
}

/// The names of the topics that `--topic` means, or of all.
pub(super) async fn matching(cluster: &mut Cluster, options: &Options) -> Result<Vec<String>> {
    let filter = match options.value("topic")? {
        Some(pattern) => TopicFilter::parse(pattern)?,
        None => TopicFilter::all()?,
    };
    let without_internal = options.has("exclude-internal");
    let topics = all_topics(cluster).await?.into_iter();
    let meant = topics.filter(|topic| filter.includes(&topic.name) && !(topic.internal && without_internal));
    Ok(meant.map(|topic| topic.name).collect())
}

/// At least one topic must be there when one is asked for by name, unless `--if-exists` is given.
pub(super) fn ensure_found(found: &[String], options: &Options) -> Result<()> {
    let asked = options.value("topic")?.unwrap_or_default();
    if !asked.is_empty() && found.is_empty() && !options.has("if-exists") {
        bail!("Topic '{asked}' does not exist as expected");
    }
    Ok(())
}
