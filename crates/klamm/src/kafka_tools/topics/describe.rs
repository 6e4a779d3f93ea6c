//! `kafka-topics --describe`: one line for a topic, one for each partition.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use types::TopicId;

use super::listing::{all_topics, ensure_found, matching};
use crate::commands::brokers::Brokers;
use crate::commands::cluster::{Reassignment, list_reassignments};
use crate::commands::config::{ConfigEntry, ConfigResource, ResourceType, describe_each};
use crate::commands::connection::Connection;
use crate::commands::group::TopicPartition;
use crate::commands::output::write_line;
use crate::commands::topic::{PartitionDescription, TopicDescription, describe_topics};
use crate::kafka_tools::columns::joined;
use crate::kafka_tools::options::Options;

/// What shall be shown of what there is.
#[derive(Debug)]
struct Shown {
    under_replicated: bool,
    unavailable: bool,
    under_min_isr: bool,
    at_min_isr: bool,
    overrides: bool,
    live: BTreeSet<i32>,
}

impl Shown {
    fn of(options: &Options, live: BTreeSet<i32>) -> Self {
        Self {
            under_replicated: options.has("under-replicated-partitions"),
            unavailable: options.has("unavailable-partitions"),
            under_min_isr: options.has("under-min-isr-partitions"),
            at_min_isr: options.has("at-min-isr-partitions"),
            overrides: options.has("topics-with-overrides"),
            live,
        }
    }

    fn whole_topics(&self) -> bool {
        !(self.under_replicated || self.unavailable || self.under_min_isr || self.at_min_isr)
    }

    fn includes(&self, partition: &PartitionDescription, factor: usize, min_isr: usize) -> bool {
        let isr = partition.isr.len();
        let is_available = partition.leader.is_some_and(|leader| self.live.contains(&leader));
        self.whole_topics()
            || (self.under_replicated && isr < factor)
            || (self.unavailable && !is_available)
            || (self.under_min_isr && (partition.leader.is_none() || isr < min_isr))
            || (self.at_min_isr && isr == min_isr)
    }
}

pub(super) async fn describe(options: &Options, connection: &Connection) -> Result<()> {
    let mut cluster = connection.connect().await?;
    let mut brokers = Brokers::reach(connection).await?;
    // A limit of the answers' size changes nothing of what is printed.
    let _limit: Option<i32> = options.number("partition-size-limit-per-response")?;
    let id = match options.value("topic-id")? {
        Some(text) => Some(TopicId::parse(text).with_context(|| format!("{text} is no topic id"))?),
        None => None,
    };
    let mut topics = match id.filter(|id| *id != TopicId::ZERO) {
        Some(id) => {
            let topics = all_topics(&mut cluster).await?;
            let named = topics
                .iter()
                .filter(|topic| !(topic.internal && options.has("exclude-internal")));
            let found: Vec<String> = named
                .filter(|topic| TopicId(topic.id) == id)
                .map(|topic| topic.name.clone())
                .collect();
            if found.is_empty() && !options.has("if-exists") {
                bail!("TopicId '{id}' does not exist as expected");
            }
            let mut topics = described(&mut cluster, &found).await?;
            // Kafka's tool asks for a topic by its id in a request that doesn't know of the ELR.
            for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                partition.elr = None;
                partition.last_known_elr = None;
            }
            topics
        }
        None => {
            let found = matching(&mut cluster, options).await?;
            ensure_found(&found, options)?;
            described(&mut cluster, &found).await?
        }
    };
    topics.retain(|topic| !topic.partitions.is_empty());
    let places: Vec<TopicPartition> = topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|one| (topic.topic.clone(), one.partition)))
        .collect();
    let moving = list_reassignments(&mut brokers, Some(&places)).await?;
    let moving: BTreeMap<TopicPartition, Reassignment> = moving.into_iter().map(|one| (one.place(), one)).collect();
    let shown = Shown::of(options, brokers.ids().into_iter().collect());
    let resources: Vec<ConfigResource> = topics
        .iter()
        .map(|topic| ConfigResource::new(ResourceType::Topic, &topic.topic))
        .collect();
    let configs = describe_each(&mut brokers, &resources).await?;
    for (topic, configs) in topics.iter().zip(configs) {
        for line in lines(topic, &configs, &moving, &shown) {
            write_line(&line)?;
        }
    }
    Ok(())
}

async fn described(
    cluster: &mut crate::commands::connection::Cluster,
    names: &[String],
) -> Result<Vec<TopicDescription>> {
    // No names would mean all of them.
    if names.is_empty() {
        return Ok(Vec::new());
    }
    describe_topics(cluster, names).await
}

fn lines(
    topic: &TopicDescription,
    configs: &[ConfigEntry],
    moving: &BTreeMap<TopicPartition, Reassignment>,
    shown: &Shown,
) -> Vec<String> {
    let mut lines = Vec::new();
    let reassignment = |partition: &PartitionDescription| moving.get(&(topic.topic.clone(), partition.partition));
    let own: Vec<String> = configs
        .iter()
        .filter(|config| !config.is_default())
        .map(|config| format!("{}={}", config.key, config.value.as_deref().unwrap_or("null")))
        .collect();
    if shown.whole_topics() && (!shown.overrides || !own.is_empty()) {
        let first = topic.partitions.first();
        let factor = first.map_or(0, |first| replication_factor(first, reassignment(first)));
        let id = topic.topic_id.as_ref().map(|id| format!("\tTopicId: {id}"));
        lines.push(format!(
            "Topic: {}{}\tPartitionCount: {}\tReplicationFactor: {factor}\tConfigs: {}",
            topic.topic,
            id.unwrap_or_default(),
            topic.partitions.len(),
            own.join(",")
        ));
    }
    if shown.overrides {
        return lines;
    }
    let min_isr = configs.iter().find(|config| config.key == "min.insync.replicas");
    let min_isr = min_isr
        .and_then(|config| config.value.as_ref()?.parse().ok())
        .unwrap_or(1);
    for partition in &topic.partitions {
        let reassignment = reassignment(partition);
        if shown.includes(partition, replication_factor(partition, reassignment), min_isr) {
            lines.push(partition_line(&topic.topic, partition, reassignment));
        }
    }
    lines
}

/// While replicas come and go, the new ones don't count.
fn replication_factor(partition: &PartitionDescription, moving: Option<&Reassignment>) -> usize {
    let Some(moving) = moving else {
        return partition.replicas.len();
    };
    // The move may have ended between the two questions.
    let mut changing = moving.adding.iter().chain(&moving.removing);
    if changing.any(|id| partition.replicas.contains(id)) {
        moving.replicas.len() - moving.adding.len()
    } else {
        partition.replicas.len()
    }
}

fn partition_line(topic: &str, partition: &PartitionDescription, moving: Option<&Reassignment>) -> String {
    let leader = partition
        .leader
        .map_or_else(|| "none".to_owned(), |leader| leader.to_string());
    let moving = moving.map(|moving| {
        let (adding, removing) = (joined(&moving.adding), joined(&moving.removing));
        format!("\tAdding Replicas: {adding}\tRemoving Replicas: {removing}")
    });
    let known = |ids: &Option<Vec<i32>>| ids.as_deref().map_or_else(|| "N/A".to_owned(), joined);
    format!(
        "\tTopic: {topic}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}{}\tElr: {}\tLastKnownElr: {}",
        partition.partition,
        joined(&partition.replicas),
        joined(&partition.isr),
        moving.unwrap_or_default(),
        known(&partition.elr),
        known(&partition.last_known_elr)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(leader: Option<i32>, replicas: &[i32], isr: &[i32]) -> PartitionDescription {
        PartitionDescription {
            partition: 0,
            leader,
            leader_epoch: 1,
            replicas: replicas.to_vec(),
            isr: isr.to_vec(),
            elr: Some(Vec::new()),
            last_known_elr: None,
            offline_replicas: Vec::new(),
        }
    }

    #[test]
    fn a_partitions_line_has_kafkas_columns() {
        assert_eq!(
            partition_line("t", &partition(Some(1), &[1, 2], &[1]), None),
            "\tTopic: t\tPartition: 0\tLeader: 1\tReplicas: 1,2\tIsr: 1\tElr: \tLastKnownElr: N/A"
        );
        let moving = Reassignment {
            topic: "t".to_owned(),
            partition: 0,
            replicas: vec![1, 2, 3],
            adding: vec![3],
            removing: vec![1],
        };
        let line = partition_line("t", &partition(None, &[1, 2, 3], &[2]), Some(&moving));
        assert!(line.contains("\tLeader: none\t"), "{line}");
        assert!(
            line.contains("\tIsr: 2\tAdding Replicas: 3\tRemoving Replicas: 1\tElr: "),
            "{line}"
        );
        assert_eq!(replication_factor(&partition(None, &[1, 2, 3], &[2]), Some(&moving)), 2);
    }

    #[test]
    fn reports_show_only_the_partitions_that_they_are_about() {
        let shown = |line: &str| {
            let options = Options::parse(
                crate::kafka_tools::topics::OPTIONS,
                line.split_whitespace().map(str::to_owned).collect(),
            );
            Shown::of(&options.unwrap(), BTreeSet::from([1, 2]))
        };
        let (whole, lacking) = (partition(Some(1), &[1, 2], &[1, 2]), partition(Some(3), &[1, 2], &[1]));
        assert!(shown("--describe").includes(&whole, 2, 1));
        assert!(!shown("--under-replicated-partitions").includes(&whole, 2, 1));
        assert!(shown("--under-replicated-partitions").includes(&lacking, 2, 1));
        assert!(shown("--unavailable-partitions").includes(&lacking, 2, 1));
        assert!(shown("--at-min-isr-partitions").includes(&lacking, 2, 1));
        assert!(!shown("--under-min-isr-partitions").includes(&lacking, 2, 1));
        assert!(shown("--under-min-isr-partitions").includes(&lacking, 2, 2));
    }
}
