//! `klamm cluster describe`: DescribeCluster for the brokers, DescribeQuorum for the controllers, the topics' partitions.
//!
//! A cluster that can't answer one of them (an older one, access rules) is still shown, with a note of what is missing.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use types::DirectoryId;
use wire::messages::describe_quorum_request::{PartitionData, TopicData};
use wire::messages::{DescribeClusterRequest, DescribeQuorumRequest, TopicName};
use wire::protocol::StrBytes;

use crate::commands::connection::{Cluster, Connection};
use crate::commands::error_advice::refusal;
use crate::commands::output::{Output, note, table};
use crate::commands::topic::{TopicDescription, describe_topics};

/// Kafka's name of the metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Since this version fenced brokers can be asked for.
const VERSION_WITH_FENCED: i16 = 2;

/// Since this version the caller says whether it means brokers or controllers.
const BROKERS: i8 = 1;

/// `klamm cluster describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterDescription {
    cluster_id: String,
    /// The active controller.
    controller: Option<i32>,
    /// Counts elections of controllers.
    controller_epoch: Option<i32>,
    /// The offset up to which the metadata is committed.
    metadata_high_watermark: Option<i64>,
    nodes: Vec<NodeDescription>,
    partitions: PartitionHealth,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeDescription {
    id: i32,
    roles: Vec<&'static str>,
    /// Where clients reach the broker, or other nodes the controller.
    address: Option<String>,
    rack: Option<String>,
    /// Out of every leadership until it comes back; `None` for nodes that aren't brokers.
    fenced: Option<bool>,
    quorum: Option<QuorumReplica>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QuorumReplica {
    role: &'static str,
    directory_id: Option<String>,
    log_end_offset: i64,
    /// Metadata records that the node hasn't yet, compared with the leader.
    lag: Option<i64>,
    /// How far back the node last had everything, in milliseconds.
    lag_ms: Option<i64>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct PartitionHealth {
    topics: usize,
    partitions: usize,
    under_replicated: Vec<String>,
    /// Nobody leads: nobody can write or read.
    offline: Vec<String>,
}

impl DescribeArgs {
    pub(super) async fn run(self) -> Result<()> {
        let mut cluster = self.connection.connect().await?;
        let mut description = describe_brokers(&mut cluster).await?;
        if let Err(error) = add_quorum(&mut cluster, &mut description).await {
            note(&format!("note: nothing is known of the metadata quorum: {error:#}"));
        }
        match describe_topics(&mut cluster, &[]).await {
            Ok(topics) => description.partitions = PartitionHealth::of(&topics),
            Err(error) => note(&format!("note: nothing is known of the partitions: {error:#}")),
        }
        self.output.write(&description, render)
    }
}

async fn describe_brokers(cluster: &mut Cluster) -> Result<ClusterDescription> {
    let fenced = cluster
        .version_of::<DescribeClusterRequest>()
        .is_some_and(|newest| newest >= VERSION_WITH_FENCED);
    let request = DescribeClusterRequest::default()
        .with_endpoint_type(BROKERS)
        .with_include_fenced_brokers(fenced);
    let response = cluster.call(&request).await?;
    if let Some(error) = refusal(
        "describing the cluster",
        response.error_code,
        response.error_message.as_deref(),
    ) {
        return Err(error);
    }
    let nodes = response.brokers.into_iter().map(|broker| NodeDescription {
        id: broker.broker_id.0,
        roles: vec!["broker"],
        address: Some(address(&broker.host, broker.port)),
        rack: broker.rack.map(|rack| rack.to_string()),
        fenced: Some(broker.is_fenced),
        quorum: None,
    });
    Ok(ClusterDescription {
        cluster_id: response.cluster_id.to_string(),
        nodes: nodes.collect(),
        ..ClusterDescription::default()
    })
}

async fn add_quorum(cluster: &mut Cluster, description: &mut ClusterDescription) -> Result<()> {
    let topic = TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str(METADATA_TOPIC)))
        .with_partitions(vec![PartitionData::default().with_partition_index(0)]);
    let response = cluster
        .call(&DescribeQuorumRequest::default().with_topics(vec![topic]))
        .await?;
    let what = "describing the metadata quorum";
    if let Some(error) = refusal(what, response.error_code, response.error_message.as_deref()) {
        return Err(error);
    }
    let addresses: BTreeMap<i32, String> = response
        .nodes
        .iter()
        .filter_map(|node| {
            let listener = node.listeners.first()?;
            Some((node.node_id.0, address(&listener.host, i32::from(listener.port))))
        })
        .collect();
    let Some(partition) = response.topics.into_iter().flat_map(|topic| topic.partitions).next() else {
        return Ok(());
    };
    if let Some(error) = refusal(what, partition.error_code, partition.error_message.as_deref()) {
        return Err(error);
    }
    let leader = partition.leader_id.0;
    description.controller = Some(leader).filter(|leader| *leader >= 0);
    description.controller_epoch = Some(partition.leader_epoch);
    description.metadata_high_watermark = Some(partition.high_watermark);
    let state = partition
        .current_voters
        .iter()
        .find(|voter| voter.replica_id.0 == leader);
    let leader_end = state.map(|leader| leader.log_end_offset).filter(|end| *end >= 0);
    let leader_time = state
        .map(|leader| leader.last_caught_up_timestamp)
        .filter(|time| *time > 0);
    let voters = partition.current_voters.iter().map(|replica| (replica, true));
    let observers = partition.observers.iter().map(|replica| (replica, false));
    for (replica, is_voter) in voters.chain(observers) {
        let id = replica.replica_id.0;
        let caught_up = Some(replica.last_caught_up_timestamp).filter(|time| *time > 0);
        let quorum = QuorumReplica {
            role: match (id == leader, is_voter) {
                (true, _) => "leader",
                (false, true) => "voter",
                (false, false) => "observer",
            },
            directory_id: Some(DirectoryId(replica.replica_directory_id))
                .filter(|id| *id != DirectoryId::ZERO)
                .map(|id| id.to_string()),
            log_end_offset: replica.log_end_offset,
            lag: leader_end
                .filter(|_| replica.log_end_offset >= 0)
                .map(|end| (end - replica.log_end_offset).max(0)),
            lag_ms: leader_time
                .zip(caught_up)
                .map(|(leader, own)| leader.saturating_sub(own).max(0)),
        };
        let node = match description.nodes.iter_mut().find(|node| node.id == id) {
            Some(node) => node,
            None => {
                description.nodes.push(NodeDescription {
                    id,
                    roles: Vec::new(),
                    address: addresses.get(&id).cloned(),
                    rack: None,
                    fenced: None,
                    quorum: None,
                });
                let Some(node) = description.nodes.last_mut() else {
                    continue;
                };
                node
            }
        };
        if is_voter {
            node.roles.push("controller");
        }
        node.quorum = Some(quorum);
    }
    description.nodes.sort_unstable_by_key(|node| node.id);
    Ok(())
}

impl PartitionHealth {
    fn of(topics: &[TopicDescription]) -> Self {
        let mut health = Self {
            topics: topics.len(),
            ..Self::default()
        };
        for topic in topics {
            health.partitions += topic.partitions.len();
            for partition in &topic.partitions {
                let name = || format!("{}-{}", topic.topic, partition.partition);
                if partition.is_under_replicated() {
                    health.under_replicated.push(name());
                }
                if partition.leader.is_none() {
                    health.offline.push(name());
                }
            }
        }
        health
    }
}

fn address(host: &str, port: i32) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

fn render(cluster: &ClusterDescription) -> String {
    let known = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
    let mut lines = vec![
        format!("Cluster:     {}", cluster.cluster_id),
        format!(
            "Controller:  {} (epoch {})",
            known(cluster.controller.map(|id| format!("node {id}"))),
            known(cluster.controller_epoch.map(|epoch| epoch.to_string()))
        ),
        format!(
            "Metadata:    committed to offset {}",
            known(cluster.metadata_high_watermark.map(|end| end.to_string()))
        ),
        format!(
            "Partitions:  {} of {} topics",
            cluster.partitions.partitions, cluster.partitions.topics
        ),
        format!("  under-replicated:  {}", count(&cluster.partitions.under_replicated)),
        format!("  offline:           {}", count(&cluster.partitions.offline)),
        String::new(),
    ];
    let dash = || "-".to_owned();
    let rows = cluster.nodes.iter().map(|node| {
        let quorum = node.quorum.as_ref();
        [
            node.id.to_string(),
            node.roles.join(","),
            node.address.clone().unwrap_or_else(dash),
            node.rack.clone().unwrap_or_else(dash),
            match node.fenced {
                Some(true) => "fenced",
                Some(false) => "alive",
                None => "-",
            }
            .to_owned(),
            quorum.map_or_else(dash, |quorum| quorum.role.to_owned()),
            quorum.map_or_else(dash, |quorum| quorum.log_end_offset.to_string()),
            quorum
                .and_then(|quorum| quorum.lag)
                .map_or_else(dash, |lag| lag.to_string()),
            quorum
                .and_then(|quorum| quorum.lag_ms)
                .map_or_else(dash, |lag| format!("{lag} ms")),
        ]
    });
    let header = [
        "node", "roles", "address", "rack", "broker", "quorum", "log end", "lag", "behind",
    ];
    lines.push(table(&header, rows));
    lines.join("\n")
}

/// How many, and the first few by name.
fn count(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len() {
        0 => "0".to_owned(),
        some if some <= SHOWN => format!("{some} ({})", shown.join(", ")),
        many => format!(
            "{many} ({}, …: see `klamm topic describe --under-replicated`)",
            shown.join(", ")
        ),
    }
}
