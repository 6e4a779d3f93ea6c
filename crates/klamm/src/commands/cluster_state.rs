//! What the cluster says of itself: who leads, who is in sync, who is the active controller; and the topic's creation.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::runtime::Runtime;
use types::ErrorCode;
use wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use wire::messages::delete_topics_request::DeleteTopicState;
use wire::messages::describe_quorum_request::{PartitionData, TopicData};
use wire::messages::describe_quorum_response::PartitionData as QuorumState;
use wire::messages::metadata_request::MetadataRequestTopic;
use wire::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, DescribeQuorumRequest, FindCoordinatorRequest, MetadataRequest,
    MetadataResponse, TopicName,
};
use wire::protocol::StrBytes;

use super::connection::Connection;
use super::duration::deadline_in;
use super::error_advice::refusal;

/// Kafka's name of the metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// Since this version of DeleteTopics a topic may be named by its id, too.
const VERSION_WITH_STATES: i16 = 6;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// A way to ask the cluster; each question takes a connection of its own, because nodes come and go.
#[derive(Debug)]
pub(super) struct ClusterState {
    connection: Connection,
    runtime: Runtime,
}

impl ClusterState {
    /// Through these bootstrap servers.
    pub(super) fn new(connection: Connection) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { connection, runtime })
    }

    /// Creates the topic; without a replication factor the cluster's default counts. `asked` are its configs, by name.
    pub(super) fn create_topic(
        &self,
        topic: &str,
        partitions: u32,
        replication_factor: Option<i16>,
        asked: &[(String, String)],
    ) -> Result<()> {
        let config = |name: &str, value: &str| {
            CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
        };
        // Nothing may disappear by itself: neither by age, nor by size.
        let mut configs = BTreeMap::from([("retention.ms", "-1"), ("retention.bytes", "-1")]);
        if replication_factor.is_some_and(|factor| factor >= 3) {
            configs.insert("min.insync.replicas", "2");
        }
        configs.extend(asked.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let configs = configs.into_iter().map(|(name, value)| config(name, value)).collect();
        let topic = CreatableTopic::default()
            .with_name(TopicName(text(topic)))
            .with_num_partitions(i32::try_from(partitions)?)
            .with_replication_factor(replication_factor.unwrap_or(-1))
            .with_configs(configs);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(self.connection.timeout_ms());
        let attempt = || {
            self.runtime.block_on(async {
                let mut cluster = self.connection.connect().await?;
                cluster.call(&request).await
            })
        };
        // A cluster that has just begun on a busy disk may need longer than one answer may take.
        let first = attempt();
        let unanswered = first.is_err();
        let response = first.or_else(|_| attempt())?;
        for topic in response.topics {
            if topic.error_code == ErrorCode::TopicAlreadyExists.code() {
                if unanswered {
                    continue;
                }
                bail!(
                    "topic {} exists already; a run needs one of its own: give another --topic, or none",
                    topic.name.as_str()
                );
            }
            let what = format!("creating topic {}", topic.name.as_str());
            if let Some(error) = refusal(&what, topic.error_code, topic.error_message.as_deref()) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Deletes the topic.
    pub(super) fn delete_topic(&self, topic: &str) -> Result<()> {
        let name = TopicName(text(topic));
        let response = self.runtime.block_on(async {
            let mut cluster = self.connection.connect().await?;
            let by_state = cluster
                .version_of::<DeleteTopicsRequest>()
                .is_some_and(|newest| newest >= VERSION_WITH_STATES);
            let request = DeleteTopicsRequest::default().with_timeout_ms(self.connection.timeout_ms());
            let request = if by_state {
                request.with_topics(vec![DeleteTopicState::default().with_name(Some(name))])
            } else {
                request.with_topic_names(vec![name])
            };
            cluster.call(&request).await
        })?;
        let failed = response.responses.iter().find_map(|topic| {
            let what = "deleting the run's topic";
            refusal(what, topic.error_code, topic.error_message.as_deref())
        });
        failed.map_or(Ok(()), Err)
    }

    /// Waits until `brokers` brokers are there, every partition of these topics has a leader and all its replicas in sync, and
    /// every voter of the metadata quorum is in step: one whose disk was wiped must be a voter again before another one is wiped.
    /// Each bootstrap server is asked: one that has just come back may still tell of the past.
    pub(super) fn wait_until_whole(
        &self,
        topics: &[&str],
        brokers: usize,
        within: Duration,
        stop: impl Fn() -> bool,
    ) -> Result<()> {
        let servers = self.servers()?;
        let mut since = i64::MAX;
        wait_while(within, stop, || {
            lacking_anywhere(&servers, topics, brokers).or_else(|| match self.quorum() {
                Ok(quorum) => lacking_voter(&quorum, &mut since),
                Err(error) => Some(format!("{error:#}")),
            })
        })
        .context("the cluster isn't whole")
    }

    /// Waits until every partition of the topic has a leader and all its replicas in sync, as each bootstrap server tells it.
    pub(super) fn wait_until_in_sync(&self, topic: &str, within: Duration, stop: impl Fn() -> bool) -> Result<()> {
        let servers = self.servers()?;
        wait_while(within, stop, || lacking_anywhere(&servers, &[topic], 0))
            .with_context(|| format!("topic {topic} isn't in sync"))
    }

    /// Each bootstrap server by itself.
    fn servers(&self) -> Result<Vec<Self>> {
        self.connection.each().into_iter().map(Self::new).collect()
    }

    /// How many partitions the topic has, if the broker that answers knows it.
    pub(super) fn partitions(&self, topic: &str) -> Result<Option<u32>> {
        let metadata = self.metadata(&[topic])?;
        let found = metadata
            .topics
            .first()
            .ok_or_else(|| anyhow!("no answer for topic {topic}"))?;
        if found.error_code == ErrorCode::UnknownTopicOrPartition.code() {
            return Ok(None);
        }
        let what = format!("looking for topic {topic}");
        match refusal(&what, found.error_code, None) {
            Some(error) => Err(error),
            None => Ok(Some(u32::try_from(found.partitions.len())?)),
        }
    }

    /// Who leads a partition now.
    pub(super) fn leader(&self, topic: &str, partition: u32) -> Result<i32> {
        let metadata = self.metadata(&[topic])?;
        let partition = metadata
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .find(|found| u32::try_from(found.partition_index).is_ok_and(|index| index == partition));
        partition
            .map(|partition| partition.leader_id.0)
            .filter(|leader| *leader >= 0)
            .ok_or_else(|| anyhow!("nobody leads it"))
    }

    /// Where each partition's leader is reached now, in the partitions' order.
    pub(super) fn leader_addresses(&self, topic: &str) -> Result<Vec<String>> {
        let metadata = self.metadata(&[topic])?;
        let addresses: BTreeMap<i32, String> = metadata
            .brokers
            .iter()
            .map(|broker| (broker.node_id.0, format!("{}:{}", broker.host.as_str(), broker.port)))
            .collect();
        let mut leaders = BTreeMap::new();
        for partition in metadata.topics.iter().flat_map(|topic| &topic.partitions) {
            let address = addresses.get(&partition.leader_id.0);
            let address = address.with_context(|| format!("nobody leads {topic}-{}", partition.partition_index))?;
            leaders.insert(partition.partition_index, address.clone());
        }
        Ok(leaders.into_values().collect())
    }

    /// Who leads the metadata quorum now.
    pub(super) fn active_controller(&self) -> Result<i32> {
        Some(self.quorum()?.leader_id.0)
            .filter(|leader| *leader >= 0)
            .ok_or_else(|| anyhow!("no controller is active"))
    }

    fn quorum(&self) -> Result<QuorumState> {
        let topic = TopicData::default()
            .with_topic_name(TopicName(text(METADATA_TOPIC)))
            .with_partitions(vec![PartitionData::default().with_partition_index(0)]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        let response = self.runtime.block_on(async {
            let mut cluster = self.connection.connect().await?;
            cluster.call(&request).await
        })?;
        let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
        partition.ok_or_else(|| anyhow!("the broker knows nothing of the metadata quorum"))
    }

    /// Who coordinates a group now.
    pub(super) fn coordinator(&self, group: &str) -> Result<i32> {
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(group)]);
        let response = self.runtime.block_on(async {
            let mut cluster = self.connection.connect().await?;
            cluster.call(&request).await
        })?;
        let found = response.coordinators.first();
        found
            .filter(|found| found.error_code == 0)
            .map(|found| found.node_id.0)
            .ok_or_else(|| anyhow!("nobody coordinates it"))
    }

    /// The brokers' ids.
    pub(super) fn brokers(&self) -> Result<Vec<i32>> {
        let mut ids: Vec<i32> = self
            .metadata(&[])?
            .brokers
            .iter()
            .map(|broker| broker.node_id.0)
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    fn metadata(&self, topics: &[&str]) -> Result<MetadataResponse> {
        let topics = topics
            .iter()
            .map(|name| MetadataRequestTopic::default().with_name(Some(TopicName(text(name)))))
            .collect();
        let request = MetadataRequest::default()
            .with_topics(Some(topics))
            .with_allow_auto_topic_creation(false);
        self.runtime.block_on(async {
            let mut cluster = self.connection.connect().await?;
            cluster.call(&request).await
        })
    }
}

/// Looks again and again, until nothing is lacking.
fn wait_while(within: Duration, stop: impl Fn() -> bool, mut lacking: impl FnMut() -> Option<String>) -> Result<()> {
    let deadline = deadline_in(within);
    while let Some(lacking) = lacking() {
        if deadline.is_some_and(|deadline| Instant::now() > deadline) || stop() {
            bail!("after {} s: {lacking}", within.as_secs());
        }
        std::thread::park_timeout(PAUSE);
    }
    Ok(())
}

/// What isn't as it should be on the first of these servers that lacks something.
fn lacking_anywhere(servers: &[ClusterState], topics: &[&str], brokers: usize) -> Option<String> {
    servers.iter().find_map(|server| match server.metadata(topics) {
        Ok(metadata) => lacking(&metadata, brokers),
        Err(error) => Some(format!("{error:#}")),
    })
}

/// What isn't as it should be, if anything.
fn lacking(metadata: &MetadataResponse, brokers: usize) -> Option<String> {
    if metadata.brokers.len() < brokers {
        return Some(format!("{} of {brokers} brokers are there", metadata.brokers.len()));
    }
    for topic in &metadata.topics {
        let name = topic.name.as_ref().map_or("", |name| name.as_str());
        if topic.partitions.is_empty() {
            return Some(format!("nobody told that broker of topic {name} yet"));
        }
        for partition in &topic.partitions {
            let index = partition.partition_index;
            if partition.leader_id.0 < 0 {
                return Some(format!("nobody leads {name}-{index}"));
            }
            if partition.isr_nodes.len() < partition.replica_nodes.len() {
                return Some(format!(
                    "{} of {} replicas of {name}-{index} are in sync",
                    partition.isr_nodes.len(),
                    partition.replica_nodes.len()
                ));
            }
        }
    }
    None
}

/// Which voter hasn't been in step since the first look, if any: the directory of a node that was wiped a moment ago is still
/// listed, and was in step then. Until the new one has taken its place the node is an observer. `since` is the leader's clock.
fn lacking_voter(quorum: &QuorumState, since: &mut i64) -> Option<String> {
    let voters = &quorum.current_voters;
    // The leader itself is always in step. Its clock may have been set back, or be another node's now.
    let now = voters.iter().map(|voter| voter.last_caught_up_timestamp).max()?;
    *since = now.min(*since);
    let observes = |id| quorum.observers.iter().any(|observer| observer.replica_id == id);
    let behind = voters
        .iter()
        .find(|voter| voter.last_caught_up_timestamp < *since || observes(voter.replica_id))?;
    Some(format!(
        "voter {} of the metadata quorum isn't in step",
        behind.replica_id.0
    ))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

#[cfg(test)]
mod tests {
    use wire::messages::describe_quorum_response::ReplicaState;

    use super::*;

    fn quorum(voters: &[(i32, i64)], observers: &[i32]) -> QuorumState {
        let replica = |id: i32, caught_up: i64| {
            ReplicaState::default()
                .with_replica_id(id.into())
                .with_last_caught_up_timestamp(caught_up)
        };
        QuorumState::default()
            .with_current_voters(voters.iter().map(|(id, caught_up)| replica(*id, *caught_up)).collect())
            .with_observers(observers.iter().map(|id| replica(*id, -1)).collect())
    }

    #[test]
    fn the_quorum_is_whole_when_every_voter_was_in_step_since_the_first_look() {
        let mut since = i64::MAX;
        let lacks = |state: &QuorumState, since: &mut i64| lacking_voter(state, since).is_some();
        // Node 2 was wiped a moment ago: its old directory was in step then.
        assert!(lacks(&quorum(&[(1, 1_000), (2, 900), (3, 990)], &[]), &mut since));
        assert!(lacks(&quorum(&[(1, 1_100), (2, 900), (3, 1_090)], &[]), &mut since));
        assert!(lacks(&quorum(&[(1, 1_200), (2, 900), (3, 1_190)], &[2]), &mut since));
        assert!(!lacks(&quorum(&[(1, 1_300), (2, 1_290), (3, 1_290)], &[4]), &mut since));
        // The leader's clock was an hour ahead at the first look.
        let mut since = 3_600_000;
        assert!(lacks(&quorum(&[(1, 2_000), (2, 1_990)], &[]), &mut since));
        assert!(!lacks(&quorum(&[(1, 2_100), (2, 2_090)], &[]), &mut since));
    }
}
