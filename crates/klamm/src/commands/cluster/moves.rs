//! Moving partitions and waiting until they have moved: a few at a time, so that the brokers keep up with their clients.
//!
//! MOVE-1: a partition counts as moved only when fresh metadata shows it on its target. A move that isn't listed any more
//! may as well have been taken back or replaced by somebody else, or the topic may be deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow};
use wire::messages::metadata_request::MetadataRequestTopic;
use wire::messages::{AlterPartitionReassignmentsRequest, MetadataRequest, MetadataResponse};

use super::reassignments::{alter_reassignments, list_reassignments};
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::group::{TopicPartition, topic_name};
use crate::commands::output::join_ids;
use crate::commands::progress::Progress;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// A broker's metadata may be a moment behind the controller's: so long it is asked again for what has ended.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);
/// AlterPartitionReassignments: from here on it can forbid another replication factor (KIP-860).
const VERSION_WITH_FACTOR: i16 = 1;

/// What shall move, and how.
#[derive(Debug)]
pub(super) struct Moves<'a> {
    pub(super) targets: &'a BTreeMap<TopicPartition, Vec<i32>>,
    /// Those that are on their way to their targets already: they are only waited for.
    pub(super) begun: BTreeSet<TopicPartition>,
    /// At most so many at a time.
    pub(super) at_once: usize,
    /// False: the controller refuses targets with more or fewer replicas, if it is new enough to be told.
    pub(super) factor_may_change: bool,
    pub(super) deadline: Option<Instant>,
}

/// What became of them.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) done: BTreeSet<TopicPartition>,
    pub(super) refused: BTreeMap<TopicPartition, Error>,
    /// They don't move any more, and aren't where they should be.
    pub(super) missed: BTreeMap<TopicPartition, Error>,
    /// Not done in time, or not begun.
    pub(super) remaining: BTreeSet<TopicPartition>,
}

/// Starts the moves and waits for them until the deadline. What was begun goes on behind it.
pub(super) async fn carry_out(connection: &Connection, brokers: &mut Brokers, moves: Moves<'_>) -> Result<Moved> {
    let targets = moves.targets;
    let mut progress = Progress::new();
    let mut refused = BTreeMap::new();
    let mut waiting: Vec<&TopicPartition> = targets
        .keys()
        .rev()
        .filter(|place| !moves.begun.contains(*place))
        .collect();
    let mut under_way = UnderWay::new(targets, moves.begun);
    let mut factor_may_change = moves.factor_may_change;
    if !factor_may_change && !waiting.is_empty() {
        let version = brokers.version_of_any::<AlterPartitionReassignmentsRequest>().await?;
        factor_may_change = version.is_none_or(|version| version < VERSION_WITH_FACTOR);
    }
    loop {
        let room = moves.at_once.saturating_sub(under_way.moving.len()).min(waiting.len());
        let next: BTreeMap<TopicPartition, Option<Vec<i32>>> = waiting
            .split_off(waiting.len() - room)
            .into_iter()
            .map(|place| (place.clone(), targets.get(place).cloned()))
            .collect();
        if !next.is_empty() {
            let answers = alter_reassignments(brokers, &next, factor_may_change).await?;
            let begun = next.into_keys().filter(|place| !answers.contains_key(place));
            under_way.moving.extend(begun);
            refused.extend(answers);
        }
        let listed = list_reassignments(brokers, Some(&under_way.places())).await?;
        under_way.on_listed(listed.iter().map(|one| one.place()).collect(), Instant::now());
        if !under_way.settling.is_empty() {
            let found = replicas_now(connection, under_way.settling.keys()).await?;
            under_way.on_metadata(&found, Instant::now());
        }
        if under_way.is_empty() && waiting.is_empty() {
            break;
        }
        let done = under_way.done.len() + refused.len();
        progress.show(done as f64 / targets.len() as f64, done as u64, |_| {
            format!("{done} of {} partitions have moved", targets.len())
        });
        if moves.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            break;
        }
        if !under_way.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    progress.clear();
    let mut remaining: BTreeSet<TopicPartition> = under_way.places().into_iter().collect();
    remaining.extend(waiting.into_iter().cloned());
    Ok(Moved {
        done: under_way.done,
        refused,
        missed: under_way.missed,
        remaining,
    })
}

/// Moves that were begun. Pure: what the controller lists and what brokers tell comes in.
#[derive(Debug)]
struct UnderWay<'a> {
    targets: &'a BTreeMap<TopicPartition, Vec<i32>>,
    moving: BTreeSet<TopicPartition>,
    /// Not listed any more, not seen on their targets yet; since when.
    settling: BTreeMap<TopicPartition, Instant>,
    done: BTreeSet<TopicPartition>,
    missed: BTreeMap<TopicPartition, Error>,
}

impl<'a> UnderWay<'a> {
    fn new(targets: &'a BTreeMap<TopicPartition, Vec<i32>>, begun: BTreeSet<TopicPartition>) -> Self {
        Self {
            targets,
            moving: begun,
            settling: BTreeMap::new(),
            done: BTreeSet::new(),
            missed: BTreeMap::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.moving.is_empty() && self.settling.is_empty()
    }

    fn places(&self) -> Vec<TopicPartition> {
        self.moving.iter().chain(self.settling.keys()).cloned().collect()
    }

    /// What moves of them: the others have ended, one way or another.
    fn on_listed(&mut self, listed: BTreeSet<TopicPartition>, now: Instant) {
        self.settling.retain(|place, _| !listed.contains(place));
        for place in self.moving.difference(&listed) {
            self.settling.entry(place.clone()).or_insert(now);
        }
        self.moving = listed;
    }

    /// Where the partitions are whose moves have ended.
    fn on_metadata(&mut self, found: &BTreeMap<TopicPartition, Vec<i32>>, now: Instant) {
        for (place, since) in std::mem::take(&mut self.settling) {
            let target = self.targets.get(&place).map(Vec::as_slice).unwrap_or_default();
            let replicas = found.get(&place);
            if replicas.is_some_and(|replicas| replicas == target) {
                self.done.insert(place);
            } else if now.saturating_duration_since(since) < SETTLED_WITHIN {
                self.settling.insert(place, since);
            } else {
                let (topic, index) = &place;
                let error = match replicas {
                    None => anyhow!("{topic}-{index} is gone"),
                    Some(replicas) => anyhow!(
                        "{topic}-{index} moves no more, but its replicas are {} and not {}: its move may have been taken \
                         back or replaced",
                        join_ids(replicas),
                        join_ids(target)
                    ),
                };
                self.missed.insert(place, error);
            }
        }
    }
}

/// The replicas of all partitions of these topics, as a broker knows them now.
async fn replicas_now(
    connection: &Connection,
    places: impl Iterator<Item = &TopicPartition>,
) -> Result<BTreeMap<TopicPartition, Vec<i32>>> {
    let topics: BTreeSet<&str> = places.map(|place| place.0.as_str()).collect();
    let topics = topics
        .into_iter()
        .map(|topic| MetadataRequestTopic::default().with_name(Some(topic_name(topic))));
    let request = MetadataRequest::default()
        .with_topics(Some(topics.collect()))
        .with_allow_auto_topic_creation(false);
    Ok(replicas_of(&connection.connect().await?.call(&request).await?))
}

/// By partition; topics that a broker has only an error for have none.
pub(super) fn replicas_of(metadata: &MetadataResponse) -> BTreeMap<TopicPartition, Vec<i32>> {
    let topics = metadata
        .topics
        .iter()
        .filter_map(|topic| Some((topic.name.as_ref()?, topic)));
    topics
        .flat_map(|(name, topic)| topic.partitions.iter().map(move |one| (name.to_string(), one)))
        .map(|(topic, partition)| {
            let replicas = partition.replica_nodes.iter().map(|node| node.0).collect();
            ((topic, partition.partition_index), replicas)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(index: i32) -> TopicPartition {
        ("t".to_owned(), index)
    }

    #[test]
    fn a_move_that_is_not_listed_any_more_is_done_when_the_replicas_are_the_target() {
        let targets: BTreeMap<_, _> = (0..4).map(|index| (place(index), vec![4, 2, 3])).collect();
        let mut under_way = UnderWay::new(&targets, targets.keys().cloned().collect());
        let start = Instant::now();
        under_way.on_listed(BTreeSet::from([place(3)]), start);
        assert_eq!(under_way.moving, BTreeSet::from([place(3)]));
        // The broker is behind for 1, never heard of 2.
        let mut found = BTreeMap::from([(place(0), vec![4, 2, 3]), (place(1), vec![4, 2, 3, 1])]);
        under_way.on_metadata(&found, start);
        assert_eq!(under_way.done, BTreeSet::from([place(0)]));
        assert!(under_way.missed.is_empty());
        assert_eq!(under_way.places(), [place(3), place(1), place(2)]);
        found.insert(place(1), vec![4, 2, 3]);
        under_way.on_listed(BTreeSet::from([place(3)]), start);
        under_way.on_metadata(&found, start);
        assert!(under_way.done.contains(&place(1)));
        // 3's move is taken back, 2 was deleted.
        let later = start + SETTLED_WITHIN;
        under_way.on_listed(BTreeSet::new(), start);
        found.insert(place(3), vec![1, 2, 3]);
        under_way.on_metadata(&found, later);
        assert!(under_way.is_empty());
        assert_eq!(under_way.done.len(), 2);
        assert_eq!(under_way.missed[&place(2)].to_string(), "t-2 is gone");
        let error = under_way.missed[&place(3)].to_string();
        assert!(error.contains("its replicas are 1,2,3 and not 4,2,3"), "{error}");
    }

    #[test]
    fn what_moves_again_is_waited_for_again() {
        let targets = BTreeMap::from([(place(0), vec![4])]);
        let mut under_way = UnderWay::new(&targets, BTreeSet::from([place(0)]));
        let start = Instant::now();
        under_way.on_listed(BTreeSet::new(), start);
        under_way.on_listed(BTreeSet::from([place(0)]), start);
        assert!(under_way.settling.is_empty());
        under_way.on_listed(BTreeSet::new(), start + SETTLED_WITHIN);
        under_way.on_metadata(&BTreeMap::new(), start + SETTLED_WITHIN);
        assert_eq!(under_way.places(), [place(0)]);
    }
}
