//! Moving partitions and waiting until they have moved: a few at a time, so that the brokers keep up with their clients.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};

use super::reassignments::{alter_reassignments, list_reassignments};
use crate::commands::brokers::Brokers;
use crate::commands::group::TopicPartition;
use crate::commands::progress::Progress;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// What became of them.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) done: BTreeSet<TopicPartition>,
    pub(super) refused: BTreeMap<TopicPartition, Error>,
    /// Not done in time, or not begun.
    pub(super) remaining: BTreeSet<TopicPartition>,
}

/// Starts the moves, at most `at_once` at a time, and waits for them until `deadline`. What was begun goes on behind it.
pub(super) async fn carry_out(
    brokers: &mut Brokers,
    targets: &BTreeMap<TopicPartition, Vec<i32>>,
    at_once: usize,
    deadline: Option<Instant>,
) -> Result<Moved> {
    let mut progress = Progress::new();
    let mut moved = Moved::default();
    let mut waiting: Vec<&TopicPartition> = targets.keys().rev().collect();
    let mut under_way: BTreeSet<TopicPartition> = BTreeSet::new();
    loop {
        let room = at_once.saturating_sub(under_way.len()).min(waiting.len());
        let next: BTreeMap<TopicPartition, Option<Vec<i32>>> = waiting
            .split_off(waiting.len() - room)
            .into_iter()
            .map(|place| (place.clone(), targets.get(place).cloned()))
            .collect();
        if !next.is_empty() {
            let refused = alter_reassignments(brokers, &next, true).await?;
            under_way.extend(next.into_keys().filter(|place| !refused.contains_key(place)));
            moved.refused.extend(refused);
        }
        let asked: Vec<TopicPartition> = under_way.iter().cloned().collect();
        let moving = list_reassignments(brokers, Some(&asked)).await?;
        let moving: BTreeSet<TopicPartition> = moving.iter().map(|one| one.place()).collect();
        moved.done.extend(under_way.difference(&moving).cloned());
        under_way = moving;
        if under_way.is_empty() && waiting.is_empty() {
            break;
        }
        let done = moved.done.len() + moved.refused.len();
        progress.show(done as f64 / targets.len() as f64, done as u64, |_| {
            format!("{done} of {} partitions have moved", targets.len())
        });
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            break;
        }
        if !under_way.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    progress.clear();
    moved.remaining = under_way;
    moved.remaining.extend(waiting.into_iter().cloned());
    Ok(moved)
}
