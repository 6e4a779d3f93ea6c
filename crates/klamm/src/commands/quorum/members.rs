//! The quorum as DescribeQuorum tells it.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use serde::Serialize;
use types::DirectoryId;
use wire::messages::describe_quorum_request::{PartitionData, TopicData};
use wire::messages::describe_quorum_response::{Node as QuorumNode, PartitionData as QuorumState};
use wire::messages::{DescribeQuorumRequest, TopicName};
use wire::protocol::StrBytes;

use crate::commands::connection::Cluster;
use crate::commands::error_advice::refusal;

/// Kafka's name of the metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Leader, voters and observers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuorumDescription {
    /// The active controller.
    pub(crate) leader: Option<i32>,
    /// Counts elections.
    pub(super) epoch: i32,
    pub(super) high_watermark: i64,
    /// Ordered: the leader, the other voters, the observers.
    pub(crate) replicas: Vec<QuorumReplica>,
}

/// One directory of one node.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuorumReplica {
    pub(crate) node: i32,
    pub(crate) role: QuorumRole,
    pub(super) directory_id: Option<String>,
    pub(super) address: Option<String>,
    pub(super) log_end_offset: i64,
    /// Entries that it lacks, compared with the leader.
    pub(super) lag: Option<i64>,
    /// How long ago the leader last heard of it.
    pub(crate) last_fetch_ms_ago: Option<i64>,
    /// How long ago it last had everything.
    pub(super) last_caught_up_ms_ago: Option<i64>,
}

/// What a replica is to the quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum QuorumRole {
    Leader,
    Voter,
    Observer,
}

impl QuorumRole {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Voter => "voter",
            Self::Observer => "observer",
        }
    }

    pub(crate) fn votes(self) -> bool {
        self != Self::Observer
    }
}

/// The quorum as the broker tells it, and where its nodes are reached.
pub(crate) async fn quorum_state(cluster: &mut Cluster) -> Result<(QuorumState, Vec<QuorumNode>)> {
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
    let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
    let partition = partition.ok_or_else(|| anyhow!("{what}: the answer holds no partition"))?;
    if let Some(error) = refusal(what, partition.error_code, partition.error_message.as_deref()) {
        return Err(error);
    }
    Ok((partition, response.nodes))
}

/// Asks for it.
pub(crate) async fn describe_quorum(cluster: &mut Cluster) -> Result<QuorumDescription> {
    let (partition, nodes) = quorum_state(cluster).await?;
    let addresses: BTreeMap<i32, String> = nodes
        .iter()
        .filter_map(|node| {
            let listener = node.listeners.first()?;
            Some((node.node_id.0, format!("{}:{}", listener.host.as_str(), listener.port)))
        })
        .collect();
    let leader = partition.leader_id.0;
    let state = partition
        .current_voters
        .iter()
        .find(|voter| voter.replica_id.0 == leader);
    let leader_end = state.map(|leader| leader.log_end_offset).filter(|end| *end >= 0);
    // The leader's own time is when it answered.
    let now = state.map(|leader| leader.last_fetch_timestamp).filter(|time| *time > 0);
    let voters = partition.current_voters.iter().map(|replica| (replica, true));
    let observers = partition.observers.iter().map(|replica| (replica, false));
    let mut replicas: Vec<QuorumReplica> = voters
        .chain(observers)
        .map(|(replica, votes)| {
            let node = replica.replica_id.0;
            let ago = |time: i64| now.filter(|_| time > 0).map(|now| now.saturating_sub(time).max(0));
            QuorumReplica {
                node,
                role: match (node == leader && votes, votes) {
                    (true, _) => QuorumRole::Leader,
                    (false, true) => QuorumRole::Voter,
                    (false, false) => QuorumRole::Observer,
                },
                directory_id: Some(DirectoryId(replica.replica_directory_id))
                    .filter(|id| *id != DirectoryId::ZERO)
                    .map(|id| id.to_string()),
                address: addresses.get(&node).cloned(),
                log_end_offset: replica.log_end_offset,
                lag: leader_end
                    .filter(|_| replica.log_end_offset >= 0)
                    .map(|end| (end - replica.log_end_offset).max(0)),
                last_fetch_ms_ago: ago(replica.last_fetch_timestamp),
                last_caught_up_ms_ago: ago(replica.last_caught_up_timestamp),
            }
        })
        .collect();
    replicas.sort_by_key(|replica| (replica.role, replica.node));
    Ok(QuorumDescription {
        leader: Some(leader).filter(|leader| *leader >= 0),
        epoch: partition.leader_epoch,
        high_watermark: partition.high_watermark,
        replicas,
    })
}

/// The directory that a change is about: the one given, else the node's only one among those that `votes` or don't.
pub(super) fn directory_of(
    quorum: &QuorumDescription,
    node: i32,
    votes: bool,
    given: Option<&str>,
) -> Result<DirectoryId> {
    if let Some(text) = given {
        return DirectoryId::parse(text)
            .ok_or_else(|| anyhow!("{text:?} is no directory id; `klamm quorum describe` shows them"));
    }
    let of_node: Vec<&QuorumReplica> = quorum.replicas.iter().filter(|replica| replica.node == node).collect();
    let candidates: Vec<&str> = of_node
        .iter()
        .filter(|replica| replica.role.votes() == votes)
        .filter_map(|replica| replica.directory_id.as_deref())
        .collect();
    match (candidates.as_slice(), votes) {
        ([one], _) => DirectoryId::parse(one).ok_or_else(|| anyhow!("the cluster named an odd directory id: {one}")),
        ([], false) if of_node.iter().any(|replica| replica.role.votes()) => {
            bail!("node {node} is a voter already; see `klamm quorum describe`")
        }
        ([], false) => bail!(
            "node {node} doesn't follow the metadata quorum; start it with process.roles=controller and the controllers' \
             addresses, and add it when `klamm quorum describe` shows it as an observer"
        ),
        ([], true) => bail!("node {node} is no voter; `klamm quorum describe` shows who is"),
        (several, _) => bail!(
            "node {node} has several directories: {}; say which with --directory-id",
            several.join(", ")
        ),
    }
}
