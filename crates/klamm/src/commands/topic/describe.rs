//! `klamm topic describe`: partitions with their replicas, and the configurations a topic has of its own.
//!
//! `DescribeTopicPartitions` knows the ELR (KIP-966) and answers in pages; a broker without it is asked for Metadata.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;
use types::{ErrorCode, TopicId};
use wire::messages::describe_configs_request::DescribeConfigsResource;
use wire::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use wire::messages::metadata_request::MetadataRequestTopic;
use wire::messages::{BrokerId, DescribeConfigsRequest, DescribeTopicPartitionsRequest, MetadataRequest, TopicName};
use wire::protocol::StrBytes;

use crate::commands::connection::{Cluster, Connection};
use crate::commands::error_advice::refusal;
use crate::commands::output::{Output, join_ids, note, table};

/// Partitions asked for at a time; Kafka's brokers give no more than that by default.
const PAGE_PARTITIONS: i32 = 2000;

/// The number of topics among the resources of configuration requests.
pub(super) const TOPIC_RESOURCE: i8 = 2;

/// The source of a topic's own configuration in DescribeConfigs.
const DYNAMIC_TOPIC_CONFIG: i8 = 1;

/// `klamm topic describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// Topics to describe [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only partitions that have fewer in-sync replicas than replicas
    #[arg(long, alias = "under-replicated-partitions")]
    under_replicated: bool,
    /// Only partitions that have no leader
    #[arg(long, alias = "unavailable-partitions")]
    unavailable: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// A topic as it is described.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TopicDescription {
    pub(crate) topic: String,
    pub(crate) topic_id: Option<String>,
    pub(crate) internal: bool,
    pub(crate) partition_count: usize,
    pub(crate) replication_factor: usize,
    configs: BTreeMap<String, Option<String>>,
    pub(crate) partitions: Vec<PartitionDescription>,
}

/// One of its partitions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartitionDescription {
    pub(crate) partition: i32,
    /// `None`: nobody leads, nobody can write or read.
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    /// `None`: the broker doesn't say.
    pub(crate) elr: Option<Vec<i32>>,
    pub(crate) last_known_elr: Option<Vec<i32>>,
    pub(crate) offline_replicas: Vec<i32>,
}

impl PartitionDescription {
    /// Whether a replica is out of sync.
    pub(crate) fn is_under_replicated(&self) -> bool {
        self.isr.len() < self.replicas.len()
    }
}

impl DescribeArgs {
    pub(super) async fn run(self) -> Result<()> {
        let mut cluster = self.connection.connect().await?;
        let mut topics = describe_topics(&mut cluster, &self.names).await?;
        add_configs(&mut cluster, &mut topics).await?;
        let filtered = self.under_replicated || self.unavailable;
        if filtered {
            for topic in &mut topics {
                topic.partitions.retain(|partition| {
                    (self.under_replicated && partition.is_under_replicated())
                        || (self.unavailable && partition.leader.is_none())
                });
            }
            topics.retain(|topic| !topic.partitions.is_empty());
        }
        self.output.write(&topics, |topics| match topics.is_empty() {
            true if filtered => "no such partitions".to_owned(),
            true => "no topics yet; create one with `klamm topic create NAME`".to_owned(),
            false => topics.iter().map(render).collect::<Vec<_>>().join("\n\n"),
        })
    }
}

/// Describes the named topics, or all of them, ordered by name and partition, without configurations.
pub(crate) async fn describe_topics(cluster: &mut Cluster, names: &[String]) -> Result<Vec<TopicDescription>> {
    let mut topics = if cluster.version_of::<DescribeTopicPartitionsRequest>().is_some() {
        by_pages(cluster, names).await?
    } else {
        by_metadata(cluster, names).await?
    };
    for topic in &mut topics {
        topic.partitions.sort_unstable_by_key(|partition| partition.partition);
        topic.partition_count = topic.partitions.len();
        topic.replication_factor = topic.partitions.iter().map(|one| one.replicas.len()).max().unwrap_or(0);
    }
    topics.sort_unstable_by(|one, other| one.topic.cmp(&other.topic));
    Ok(topics)
}

async fn by_pages(cluster: &mut Cluster, names: &[String]) -> Result<Vec<TopicDescription>> {
    // Kafka wants them sorted: the cursor is a place in that order.
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut topics: BTreeMap<String, TopicDescription> = BTreeMap::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let request = DescribeTopicPartitionsRequest::default()
            .with_topics(
                sorted
                    .iter()
                    .map(|name| TopicRequest::default().with_name(topic_name(name)))
                    .collect(),
            )
            .with_response_partition_limit(PAGE_PARTITIONS)
            .with_cursor(cursor.take());
        let response = cluster.call(&request).await?;
        for topic in response.topics {
            let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
            check(&name, topic.error_code)?;
            let entry = topics
                .entry(name.clone())
                .or_insert_with(|| TopicDescription::new(name, topic.topic_id, topic.is_internal));
            entry
                .partitions
                .extend(topic.partitions.into_iter().map(|partition| PartitionDescription {
                    partition: partition.partition_index,
                    leader: live(partition.leader_id),
                    leader_epoch: partition.leader_epoch,
                    replicas: ids(&partition.replica_nodes),
                    isr: ids(&partition.isr_nodes),
                    elr: Some(ids(&partition.eligible_leader_replicas.unwrap_or_default())),
                    last_known_elr: Some(ids(&partition.last_known_elr.unwrap_or_default())),
                    offline_replicas: ids(&partition.offline_replicas),
                }));
        }
        let Some(next) = response.next_cursor else { break };
        let next = Cursor::default()
            .with_topic_name(next.topic_name)
            .with_partition_index(next.partition_index);
        // With a cursor, topics before it must not be named again.
        sorted.retain(|name| name.as_str() >= next.topic_name.as_str());
        cursor = Some(next);
    }
    Ok(topics.into_values().collect())
}

async fn by_metadata(cluster: &mut Cluster, names: &[String]) -> Result<Vec<TopicDescription>> {
    let asked = names
        .iter()
        .map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))))
        .collect();
    let request = MetadataRequest::default()
        .with_topics(if names.is_empty() { None } else { Some(asked) })
        .with_allow_auto_topic_creation(false);
    let response = cluster.call(&request).await?;
    let mut topics = Vec::new();
    for topic in response.topics {
        let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
        check(&name, topic.error_code)?;
        let mut description = TopicDescription::new(name, topic.topic_id, topic.is_internal);
        description
            .partitions
            .extend(topic.partitions.into_iter().map(|partition| PartitionDescription {
                partition: partition.partition_index,
                leader: live(partition.leader_id),
                leader_epoch: partition.leader_epoch,
                replicas: ids(&partition.replica_nodes),
                isr: ids(&partition.isr_nodes),
                elr: None,
                last_known_elr: None,
                offline_replicas: ids(&partition.offline_replicas),
            }));
        topics.push(description);
    }
    Ok(topics)
}

/// A topic whose partitions have no leader is still described.
fn check(name: &str, code: i16) -> Result<()> {
    let code = if code == ErrorCode::LeaderNotAvailable.code() {
        0
    } else {
        code
    };
    refusal(&format!("describing topic {name}"), code, None).map_or(Ok(()), Err)
}

/// Adds the configurations that topics have of their own. What the cluster gives all topics isn't shown.
async fn add_configs(cluster: &mut Cluster, topics: &mut [TopicDescription]) -> Result<()> {
    if topics.is_empty() || cluster.version_of::<DescribeConfigsRequest>().is_none() {
        return Ok(());
    }
    let resources = topics
        .iter()
        .map(|topic| {
            DescribeConfigsResource::default()
                .with_resource_type(TOPIC_RESOURCE)
                .with_resource_name(StrBytes::from_string(topic.topic.clone()))
                .with_configuration_keys(None)
        })
        .collect();
    let response = cluster
        .call(&DescribeConfigsRequest::default().with_resources(resources))
        .await?;
    for result in response.results {
        let Some(topic) = topics
            .iter_mut()
            .find(|topic| topic.topic == result.resource_name.as_str())
        else {
            continue;
        };
        let what = format!("reading the configurations of {}", topic.topic);
        if let Some(error) = refusal(&what, result.error_code, result.error_message.as_deref()) {
            note(&format!("warning: {error}"));
            continue;
        }
        topic.configs = result
            .configs
            .into_iter()
            .filter(|config| config.config_source == DYNAMIC_TOPIC_CONFIG)
            .map(|config| (config.name.to_string(), config.value.map(|value| value.to_string())))
            .collect();
    }
    Ok(())
}

impl TopicDescription {
    fn new(topic: String, topic_id: types::Uuid, internal: bool) -> Self {
        Self {
            topic,
            topic_id: Some(TopicId(topic_id))
                .filter(|id| *id != TopicId::ZERO)
                .map(|id| id.to_string()),
            internal,
            partition_count: 0,
            replication_factor: 0,
            configs: BTreeMap::new(),
            partitions: Vec::new(),
        }
    }
}

/// The first line has the words of Kafka's own tool, which scripts look for.
fn render(topic: &TopicDescription) -> String {
    let configs: Vec<String> = topic
        .configs
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or_default()))
        .collect();
    let head = format!(
        "Topic: {}  TopicId: {}  PartitionCount: {}  ReplicationFactor: {}  Configs: {}",
        topic.topic,
        topic.topic_id.as_deref().unwrap_or("-"),
        topic.partition_count,
        topic.replication_factor,
        configs.join(",")
    );
    let rows = topic.partitions.iter().map(|partition| {
        [
            partition.partition.to_string(),
            partition
                .leader
                .map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            join_ids(&partition.replicas),
            join_ids(&partition.isr),
            join_ids(partition.elr.as_deref().unwrap_or_default()),
            join_ids(partition.last_known_elr.as_deref().unwrap_or_default()),
            join_ids(&partition.offline_replicas),
        ]
    });
    let header = [
        "partition",
        "leader",
        "replicas",
        "isr",
        "elr",
        "last known elr",
        "offline",
    ];
    format!("{}\n{}", head.trim_end(), table(&header, rows))
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn live(leader: BrokerId) -> Option<i32> {
    Some(leader.0).filter(|leader| *leader >= 0)
}

fn ids(nodes: &[BrokerId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}

/// The one topic of that name.
pub(super) async fn describe_one(cluster: &mut Cluster, name: &str) -> Result<TopicDescription> {
    let mut topics = describe_topics(cluster, &[name.to_owned()]).await?;
    topics
        .pop()
        .ok_or_else(|| anyhow!("the broker didn't answer for topic {name}; try again"))
}
