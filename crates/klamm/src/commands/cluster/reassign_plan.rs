//! What shall move where: from the command line, or from the JSON file of Kafka's own tool.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::commands::group::TopicPartition;

/// Kafka's word for "wherever the broker likes" in the file's `log_dirs`.
pub(crate) const ANY_LOG_DIR: &str = "any";

/// One partition of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct PlannedReplicas {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) replicas: Vec<i32>,
    /// One for each replica, if the file says which.
    #[serde(default)]
    pub(crate) log_dirs: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct PlanFile {
    #[serde(default = "first_version")]
    version: i32,
    #[serde(default)]
    partitions: Vec<PlannedReplicas>,
}

fn first_version() -> i32 {
    1
}

impl PlannedReplicas {
    /// Which one.
    pub(crate) fn place(&self) -> TopicPartition {
        (self.topic.clone(), self.partition)
    }

    /// Whether the file wants a certain directory on some broker.
    pub(crate) fn names_a_directory(&self) -> bool {
        let directories = self.log_dirs.iter().flatten();
        directories.into_iter().any(|directory| directory != ANY_LOG_DIR)
    }
}

/// Reads Kafka's file: `{"version":1,"partitions":[{"topic":"orders","partition":0,"replicas":[1,2,3]}]}`.
pub(crate) fn read_plan_file(path: &Path) -> Result<Vec<PlannedReplicas>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    parse_plan(&text)
}

fn parse_plan(text: &str) -> Result<Vec<PlannedReplicas>> {
    let file: PlanFile = serde_json::from_str(text).context("the plan isn't JSON as Kafka's tool writes it")?;
    ensure!(file.version == 1, "Not supported version field value {}", file.version);
    for planned in &file.partitions {
        let directories = planned.log_dirs.as_ref().map_or(planned.replicas.len(), Vec::len);
        ensure!(
            directories == planned.replicas.len(),
            "Size of replicas list {:?} is different from size of log dirs list {:?} for partition {}-{}",
            planned.replicas,
            planned.log_dirs.as_deref().unwrap_or_default(),
            planned.topic,
            planned.partition
        );
    }
    Ok(file.partitions)
}

/// Reads `orders/0=1,2,3`.
pub(super) fn parse_move(text: &str) -> Result<PlannedReplicas, String> {
    let expected = || "expected TOPIC/PARTITION=REPLICAS, as in orders/0=1,2,3".to_owned();
    let (place, replicas) = text.split_once('=').ok_or_else(expected)?;
    let (topic, partition) = parse_place(place)?;
    let replicas: Result<Vec<i32>, _> = replicas.split(',').map(|id| id.trim().parse()).collect();
    Ok(PlannedReplicas {
        topic,
        partition,
        replicas: replicas.map_err(|_| expected())?,
        log_dirs: None,
    })
}

/// Reads `orders/0`.
pub(super) fn parse_place(text: &str) -> Result<TopicPartition, String> {
    let expected = || "expected TOPIC/PARTITION, as in orders/0".to_owned();
    let (topic, partition) = text.rsplit_once('/').ok_or_else(expected)?;
    let partition = partition.parse().map_err(|_| expected())?;
    if topic.is_empty() {
        return Err(expected());
    }
    Ok((topic.to_owned(), partition))
}

/// The plan by partition; nothing twice.
pub(super) fn as_targets(plan: &[PlannedReplicas]) -> Result<BTreeMap<TopicPartition, Vec<i32>>> {
    let mut targets = BTreeMap::new();
    for planned in plan {
        let name = format!("{}-{}", planned.topic, planned.partition);
        let distinct: BTreeSet<i32> = planned.replicas.iter().copied().collect();
        ensure!(!planned.replicas.is_empty(), "{name} needs at least one replica");
        ensure!(
            distinct.len() == planned.replicas.len(),
            "{name} names a broker twice: {:?}",
            planned.replicas
        );
        if planned.names_a_directory() {
            bail!("{name} names a log directory; only \"any\" can be asked for");
        }
        let before = targets.insert(planned.place(), planned.replicas.clone());
        ensure!(before.is_none(), "{name} stands in the plan twice");
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_topic_partition_and_replicas() {
        let planned = parse_move("a.b/12=3, 1").unwrap();
        assert_eq!(
            (planned.place(), planned.replicas),
            (("a.b".to_owned(), 12), vec![3, 1])
        );
        for bad in ["a=1", "a/0", "a/x=1", "/0=1", "a/0=", "a/0=1,x"] {
            parse_move(bad).unwrap_err();
        }
        assert_eq!(parse_place("a/1"), Ok(("a".to_owned(), 1)));
    }

    #[test]
    fn kafkas_file_is_read_with_and_without_directories() {
        let text = r#"{"version":1,"partitions":[
            {"topic":"a","partition":0,"replicas":[1,2],"log_dirs":["any","any"]},
            {"topic":"a","partition":1,"replicas":[2]}]}"#;
        let plan = parse_plan(text).unwrap();
        let targets = as_targets(&plan).unwrap();
        assert_eq!(targets.get(&("a".to_owned(), 0)), Some(&vec![1, 2]));
        assert_eq!(targets.len(), 2);
        parse_plan("{").unwrap_err();
        parse_plan(r#"{"version":2}"#).unwrap_err();
        parse_plan(r#"{"partitions":[{"topic":"a","partition":0,"replicas":[1],"log_dirs":[]}]}"#).unwrap_err();
    }

    #[test]
    fn a_plan_names_nothing_twice_and_no_directory() {
        let refused = |moves: &[&str]| {
            let plan: Vec<_> = moves.iter().map(|text| parse_move(text).unwrap()).collect();
            as_targets(&plan).unwrap_err().to_string()
        };
        assert!(refused(&["a/0=1", "a/0=2"]).contains("twice"));
        assert!(refused(&["a/0=1,1"]).contains("twice"));
        let mut planned = parse_move("a/0=1").unwrap();
        planned.log_dirs = Some(vec!["/data".to_owned()]);
        as_targets(&[planned]).unwrap_err();
    }
}
