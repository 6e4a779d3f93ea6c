//! The configurations by which a cluster slows reassignments down: set by `--execute --throttle`, taken away by `--verify`
//! and `--cancel`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::{ClusterState, planned_directories, plural};
use crate::commands::cluster::{PlannedReplicas, Reassignment};
use crate::commands::config::{ConfigChange, ConfigResource, ResourceType, alter_configs};
use crate::commands::group::TopicPartition;
use crate::commands::output::write_line;
use crate::kafka_tools::columns::joined;

const LEADER_RATE: &str = "leader.replication.throttled.rate";
const FOLLOWER_RATE: &str = "follower.replication.throttled.rate";
const DIRECTORIES_RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";
const LEADER_REPLICAS: &str = "leader.replication.throttled.replicas";
const FOLLOWER_REPLICAS: &str = "follower.replication.throttled.replicas";

/// Takes all of them away: from every broker, and from the topics of the plan.
pub(super) async fn clear(state: &mut ClusterState, plan: &[PlannedReplicas]) -> Result<()> {
    let live = state.brokers.ids();
    let mut brokers: BTreeSet<i32> = live.iter().copied().collect();
    brokers.extend(plan.iter().flat_map(|planned| &planned.replicas));
    let brokers: Vec<i32> = brokers.into_iter().collect();
    write_line(&format!(
        "Clearing broker-level throttles on broker{} {}",
        plural(brokers.len()),
        joined(&brokers)
    ))?;
    let changes = [LEADER_RATE, FOLLOWER_RATE, DIRECTORIES_RATE].map(ConfigChange::delete);
    // One that isn't there can't be asked to change its own.
    let brokers = brokers.iter().filter(|broker| live.contains(broker));
    let changes = brokers.map(|broker| {
        (
            ConfigResource::new(ResourceType::Broker, broker.to_string()),
            changes.to_vec(),
        )
    });
    let changes: Vec<_> = changes.collect();
    alter_configs(&mut state.brokers, &changes, false).await?;
    let topics: BTreeSet<&str> = plan.iter().map(|planned| planned.topic.as_str()).collect();
    let names: Vec<&str> = topics.into_iter().collect();
    write_line(&format!(
        "Clearing topic-level throttles on topic{} {}",
        plural(names.len()),
        names.join(",")
    ))?;
    let changes = [LEADER_REPLICAS, FOLLOWER_REPLICAS].map(ConfigChange::delete);
    let changes = names
        .iter()
        .map(|topic| (ConfigResource::new(ResourceType::Topic, *topic), changes.to_vec()));
    let changes: Vec<_> = changes.collect();
    alter_configs(&mut state.brokers, &changes, false).await
}

/// From where to where a partition moves.
#[derive(Debug, Default, Clone)]
struct Move {
    sources: BTreeSet<i32>,
    destinations: BTreeSet<i32>,
}

/// Sets them for what moves already and what shall move.
pub(super) async fn set(
    state: &mut ClusterState,
    moving: &[Reassignment],
    current: &BTreeMap<TopicPartition, Vec<i32>>,
    plan: &[PlannedReplicas],
    rate: i64,
) -> Result<()> {
    let moves = moves(moving, current, plan);
    let mut topics: BTreeMap<&str, [BTreeSet<String>; 2]> = BTreeMap::new();
    let mut brokers = BTreeSet::new();
    for ((topic, partition), one) in &moves {
        let [leaders, followers] = topics.entry(topic).or_default();
        leaders.extend(one.sources.iter().map(|broker| format!("{partition}:{broker}")));
        followers.extend(one.destinations.iter().map(|broker| format!("{partition}:{broker}")));
        brokers.extend(one.sources.iter().chain(&one.destinations).copied());
    }
    let list = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(",");
    let mut changes = Vec::new();
    for (topic, [leaders, followers]) in topics {
        let set = vec![
            ConfigChange::set(LEADER_REPLICAS, list(leaders)),
            ConfigChange::set(FOLLOWER_REPLICAS, list(followers)),
        ];
        changes.push((ConfigResource::new(ResourceType::Topic, topic), set));
    }
    for broker in brokers {
        let set = vec![
            ConfigChange::set(LEADER_RATE, rate.to_string()),
            ConfigChange::set(FOLLOWER_RATE, rate.to_string()),
        ];
        changes.push((ConfigResource::new(ResourceType::Broker, broker.to_string()), set));
    }
    alter_configs(&mut state.brokers, &changes, false).await?;
    write_line(&format!("The inter-broker throttle limit was set to {rate} B/s"))
}

/// Sets that of moves between directories, for the brokers of which the plan names one.
pub(super) async fn set_between_directories(
    state: &mut ClusterState,
    plan: &[PlannedReplicas],
    rate: i64,
) -> Result<()> {
    let brokers: BTreeSet<i32> = planned_directories(plan)
        .into_keys()
        .map(|(broker, _)| broker)
        .collect();
    let change = ConfigChange::set(DIRECTORIES_RATE, rate.to_string());
    let changes = brokers.into_iter().map(|broker| {
        let resource = ConfigResource::new(ResourceType::Broker, broker.to_string());
        (resource, vec![change.clone()])
    });
    let changes: Vec<_> = changes.collect();
    alter_configs(&mut state.brokers, &changes, false).await?;
    write_line(&format!("The replica-alter-dir throttle limit was set to {rate} B/s"))
}

fn moves(
    moving: &[Reassignment],
    current: &BTreeMap<TopicPartition, Vec<i32>>,
    plan: &[PlannedReplicas],
) -> BTreeMap<TopicPartition, Move> {
    let mut moves: BTreeMap<TopicPartition, Move> = BTreeMap::new();
    for one in moving {
        let sources = one.replicas.iter().filter(|replica| !one.adding.contains(replica));
        let held = Move {
            sources: sources.copied().collect(),
            destinations: one.adding.iter().copied().collect(),
        };
        moves.insert(one.place(), held);
    }
    for planned in plan {
        let place = planned.place();
        let sources = match moves.get(&place) {
            Some(held) => held.sources.clone(),
            None => current.get(&place).into_iter().flatten().copied().collect(),
        };
        let destinations = planned.replicas.iter().filter(|replica| !sources.contains(replica));
        let destinations = destinations.copied().collect();
        moves.insert(place, Move { sources, destinations });
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_goes_from_the_replicas_that_are_there_to_those_that_are_new() {
        let place = ("t".to_owned(), 0);
        let planned = PlannedReplicas {
            topic: "t".to_owned(),
            partition: 0,
            replicas: vec![2, 4],
            log_dirs: None,
        };
        let current = BTreeMap::from([(place.clone(), vec![1, 2])]);
        let found = moves(&[], &current, std::slice::from_ref(&planned));
        assert_eq!(found[&place].sources, BTreeSet::from([1, 2]));
        assert_eq!(found[&place].destinations, BTreeSet::from([4]));
        let moving = Reassignment {
            topic: "t".to_owned(),
            partition: 0,
            replicas: vec![1, 2, 3],
            adding: vec![3],
            removing: vec![1],
        };
        let found = moves(&[moving], &current, &[planned]);
        assert_eq!(found[&place].sources, BTreeSet::from([1, 2]));
        assert_eq!(found[&place].destinations, BTreeSet::from([4]));
    }
}
