//! `kafka-reassign-partitions --generate`: a plan for whole topics on given brokers.
//!
//! Where Kafka's tool throws dice, this one goes round the brokers: the same question gets the same plan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{ClusterState, Directories, plan_json};
use crate::commands::group::TopicPartition;
use crate::commands::output::write_line;
use crate::kafka_tools::kafka_words::exception;
use crate::kafka_tools::options::Options;

#[derive(Debug, Deserialize)]
struct TopicsFile {
    #[serde(default = "first_version")]
    version: i32,
    #[serde(default)]
    topics: Vec<NamedTopic>,
}

#[derive(Debug, Deserialize)]
struct NamedTopic {
    topic: String,
}

fn first_version() -> i32 {
    1
}

pub(super) async fn generate(state: &mut ClusterState, options: &Options) -> Result<()> {
    let listed = options.value("broker-list")?.unwrap_or_default();
    let brokers: Result<Vec<i32>, _> = listed.split(',').map(str::parse).collect();
    let brokers = brokers.with_context(|| format!("For input string: \"{listed}\""))?;
    let duplicates = |count: usize, distinct: usize| count != distinct;
    let distinct: BTreeSet<i32> = brokers.iter().copied().collect();
    if duplicates(brokers.len(), distinct.len()) {
        bail!("Broker list contains duplicate entries: {listed}");
    }
    let path = options.value("topics-to-move-json-file")?.unwrap_or_default();
    let topics = read_topics(Path::new(path))?;
    let mut current = BTreeMap::new();
    for topic in &topics {
        let Some(partitions) = state.topic(topic) else {
            let said = format!("Topic {topic} not found.");
            bail!(exception(3, Some(&said)));
        };
        current.extend(
            partitions
                .into_iter()
                .map(|(index, replicas)| ((topic.clone(), index), replicas)),
        );
    }
    let holders = current.values().flatten().copied().collect();
    let directories = state.directories(&holders).await?;
    let racks = racks(state, &distinct, !options.has("disable-rack-aware"))?;
    let proposed = propose(&current, &racks)?;
    write_line(&format!(
        "Current partition replica assignment\n{}\n",
        plan_json(&current, &directories)?
    ))?;
    write_line(&format!(
        "Proposed partition reassignment configuration\n{}",
        plan_json(&proposed, &Directories::new())?
    ))
}

fn read_topics(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("Unable to read file {}", path.display()))?;
    let file: TopicsFile = serde_json::from_str(&text).context("The input string is not a valid JSON")?;
    if file.version != 1 {
        bail!("Not supported version field value {}", file.version);
    }
    let topics: Vec<String> = file.topics.into_iter().map(|topic| topic.topic).collect();
    let distinct: BTreeSet<&String> = topics.iter().collect();
    if distinct.len() != topics.len() {
        bail!(
            "List of topics to reassign contains duplicate entries: {}",
            topics.join(", ")
        );
    }
    Ok(topics)
}

/// The live ones of these brokers with their racks.
fn racks(state: &ClusterState, brokers: &BTreeSet<i32>, rack_aware: bool) -> Result<BTreeMap<i32, Option<String>>> {
    let live = state
        .metadata
        .brokers
        .iter()
        .filter(|broker| brokers.contains(&broker.node_id.0));
    let racks: BTreeMap<i32, Option<String>> = live
        .map(|broker| {
            let rack = broker.rack.as_ref().filter(|_| rack_aware).map(|rack| rack.to_string());
            (broker.node_id.0, rack)
        })
        .collect();
    let without = racks.values().filter(|rack| rack.is_none()).count();
    if rack_aware && without != 0 && without != racks.len() {
        bail!(
            "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without \
             rack information."
        );
    }
    Ok(racks)
}

/// As many replicas as each topic's first partition has, in as many racks as there are, evenly.
fn propose(
    current: &BTreeMap<TopicPartition, Vec<i32>>,
    racks: &BTreeMap<i32, Option<String>>,
) -> Result<BTreeMap<TopicPartition, Vec<i32>>> {
    let mut factors: BTreeMap<&str, usize> = BTreeMap::new();
    let mut held: BTreeMap<i32, (usize, usize)> = BTreeMap::new();
    let mut proposed = BTreeMap::new();
    for (place, replicas) in current {
        let factor = *factors.entry(&place.0).or_insert(replicas.len());
        if factor > racks.len() {
            let said = format!(
                "The target replication factor of {factor} cannot be reached because only {} broker(s) are registered.",
                racks.len()
            );
            bail!("org.apache.kafka.common.errors.InvalidReplicationFactorException: {said}");
        }
        let mut chosen: Vec<i32> = Vec::new();
        while chosen.len() < factor {
            let used = |rack: &Option<String>| {
                let of_chosen = chosen.iter().filter_map(|id| racks.get(id));
                of_chosen.filter(|other| rack.is_some() && *other == rack).count()
            };
            let free = racks.iter().filter(|(id, _)| !chosen.contains(id));
            let best = free.min_by_key(|(id, rack)| {
                let (leads, holds) = held.get(id).copied().unwrap_or_default();
                let leads = if chosen.is_empty() { leads } else { 0 };
                (used(rack), leads, holds, **id)
            });
            let Some((best, _)) = best else { break };
            let load = held.entry(*best).or_default();
            load.0 += usize::from(chosen.is_empty());
            load.1 += 1;
            chosen.push(*best);
        }
        proposed.insert(place.clone(), chosen);
    }
    Ok(proposed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposal_is_even_and_uses_every_rack() {
        let racks = [(1, "a"), (2, "a"), (3, "b"), (4, "b")];
        let racks = racks
            .map(|(id, rack)| (id, Some(rack.to_owned())))
            .into_iter()
            .collect();
        let current = (0..8).map(|index| (("t".to_owned(), index), vec![1, 2])).collect();
        let proposed = propose(&current, &racks).unwrap();
        let mut held: BTreeMap<i32, (usize, usize)> = BTreeMap::new();
        for replicas in proposed.values() {
            assert_ne!(racks[&replicas[0]], racks[&replicas[1]], "{replicas:?}");
            held.entry(replicas[0]).or_default().0 += 1;
            replicas.iter().for_each(|id| held.entry(*id).or_default().1 += 1);
        }
        assert_eq!(
            held,
            BTreeMap::from([(1, (2, 4)), (2, (2, 4)), (3, (2, 4)), (4, (2, 4))])
        );
    }

    #[test]
    fn too_few_brokers_are_refused() {
        let current = BTreeMap::from([(("t".to_owned(), 0), vec![1, 2])]);
        let error = propose(&current, &BTreeMap::from([(1, None)])).unwrap_err().to_string();
        assert!(error.contains("replication factor of 2 cannot be reached"), "{error}");
    }
}
