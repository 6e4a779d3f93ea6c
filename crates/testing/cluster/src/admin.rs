//! Who leads what, and topics: by librdkafka where it can say it, else by `klamm cluster describe`.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;

use crate::deadline::wait_until;
use crate::members::Cluster;

/// Kafka's name for the topic of the group coordinators.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// A topic to be created.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    name: String,
    partitions: i32,
    replication_factor: i32,
    configs: Vec<(String, String)>,
}

impl TopicSpec {
    /// A topic without configs of its own.
    pub fn new(name: &str, partitions: i32, replication_factor: i32) -> Self {
        Self {
            name: name.to_owned(),
            partitions,
            replication_factor,
            configs: Vec::new(),
        }
    }

    /// One topic config.
    #[must_use]
    pub fn config(mut self, key: &str, value: &str) -> Self {
        self.configs.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// One partition as the metadata shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// The partition's index.
    pub partition: i32,
    /// The leader's node id, -1 without one.
    pub leader: i32,
    /// Node ids, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Node ids.
    pub isr: Vec<i32>,
}

impl Cluster {
    /// Creates the topic and waits until each partition has a leader and its whole ISR.
    ///
    /// # Errors
    /// It was refused, or took more than 30 s.
    pub fn create_topic(&self, topic: &TopicSpec) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let replication = TopicReplication::Fixed(topic.replication_factor);
        let mut new = NewTopic::new(&topic.name, topic.partitions, replication);
        for (key, value) in &topic.configs {
            new = new.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let results = runtime.block_on(admin.create_topics([&new], &options))?;
        for result in results {
            result.map_err(|(name, code)| anyhow::anyhow!("creating {name}: {code}"))?;
        }
        self.wait_for_isr(&topic.name, usize::try_from(topic.replication_factor)?, 30)
    }

    /// The topic's partitions, by index.
    ///
    /// # Errors
    /// No broker answered, or the topic is unknown.
    pub fn partitions(&self, topic: &str) -> anyhow::Result<Vec<PartitionState>> {
        let metadata = self.metadata(Some(topic))?;
        let found = metadata
            .topics()
            .iter()
            .find(|found| found.name() == topic)
            .context("topic not in the metadata")?;
        ensure!(found.error().is_none(), "{topic}: {:?}", found.error());
        ensure!(!found.partitions().is_empty(), "{topic} has no partitions");
        let mut partitions: Vec<PartitionState> = found
            .partitions()
            .iter()
            .map(|partition| PartitionState {
                partition: partition.id(),
                leader: partition.leader(),
                replicas: partition.replicas().to_vec(),
                isr: partition.isr().to_vec(),
            })
            .collect();
        partitions.sort_by_key(|partition| partition.partition);
        Ok(partitions)
    }

    /// The partition's leader, as soon as there is one.
    ///
    /// # Errors
    /// None within 30 s.
    pub fn leader(&self, topic: &str, partition: i32) -> anyhow::Result<i32> {
        wait_until(&format!("a leader of {topic}-{partition}"), 30, || {
            let partitions = self.partitions(topic)?;
            let found = partitions.iter().find(|state| state.partition == partition);
            Ok(found.map(|state| state.leader).filter(|leader| *leader >= 0))
        })
    }

    /// The node that leads the metadata quorum.
    ///
    /// # Errors
    /// No command gave one within 30 s.
    pub fn active_controller(&self) -> anyhow::Result<i32> {
        wait_until("an active controller", 30, || {
            controller_of(&self.describe()?).map(Some)
        })
    }

    /// What `klamm cluster describe --output json` says.
    ///
    /// # Errors
    /// The command failed, or its output isn't JSON.
    pub fn describe(&self) -> anyhow::Result<Value> {
        self.klamm_json(&["cluster", "describe"])
    }

    /// The coordinator of a group: the leader of its partition of the offsets topic, which must exist.
    ///
    /// # Errors
    /// There is no offsets topic, or no leader within 30 s.
    pub fn coordinator(&self, group: &str) -> anyhow::Result<i32> {
        let count = i32::try_from(self.partitions(OFFSETS_TOPIC)?.len())?;
        self.leader(OFFSETS_TOPIC, (java_hash(group) & i32::MAX) % count)
    }
}

/// Finds the controller's id under the names that Kafka's answers use for it.
fn controller_of(description: &Value) -> anyhow::Result<i32> {
    let places = [
        "/controller/id",
        "/controller/node_id",
        "/controller",
        "/controller_id",
        "/quorum/leader_id",
        "/leader_id",
    ];
    let found = places
        .iter()
        .find_map(|place| description.pointer(place).and_then(Value::as_i64));
    match found {
        Some(id) if id >= 0 => Ok(i32::try_from(id)?),
        _ => bail!("no controller in {description}"),
    }
}

/// `String.hashCode` of Java, by which Kafka spreads groups over the partitions of the offsets topic.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16()
        .fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_hashed_as_java_does() {
        assert_eq!(java_hash("console-consumer"), -648_006_740);
        assert_eq!(java_hash("workers"), 1_525_161_141);
        assert_eq!(java_hash("group-Ω"), 293_428_187);
    }

    #[test]
    fn the_controller_is_found_under_its_names() {
        for text in [
            r#"{"controller":2}"#,
            r#"{"controller":{"id":2}}"#,
            r#"{"quorum":{"leader_id":2}}"#,
        ] {
            assert_eq!(controller_of(&serde_json::from_str(text).unwrap()).unwrap(), 2);
        }
    }
}
