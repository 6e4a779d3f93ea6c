//! `uniform`: numbers of partitions differ by one at most where all are subscribed to the same, and by as little as can be where not.
//! A member keeps what it has as far as that allows.
//!
//! Two steps: everybody keeps what is still theirs, up to their share; then what nobody has goes to whoever has least. With different
//! subscriptions a third step moves partitions from those who have more to those who have less, while that makes them more even.

use std::collections::{BTreeMap, BTreeSet};

use types::{PartitionIndex, TopicId};

use super::Subscriber;
use crate::record::Assignment;

type Key = (TopicId, PartitionIndex);

pub(super) fn assign(
    subscribers: &[Subscriber<'_>],
    partitions: &BTreeMap<TopicId, i32>,
) -> BTreeMap<String, Assignment> {
    let mut plan = Plan::new(subscribers, partitions);
    let alike = subscribers
        .windows(2)
        .all(|pair| matches!(pair, [left, right] if left.topics == right.topics));
    if alike {
        plan.keep_up_to_share();
        plan.give_to_least();
    } else {
        plan.keep_all();
        plan.give_to_least();
        plan.balance();
    }
    plan.finish()
}

struct Plan<'a> {
    subscribers: &'a [Subscriber<'a>],
    partitions: &'a BTreeMap<TopicId, i32>,
    /// Of each subscriber.
    assigned: Vec<BTreeSet<Key>>,
    free: BTreeSet<Key>,
    /// Who is subscribed to each topic.
    readers: BTreeMap<TopicId, Vec<usize>>,
}

impl<'a> Plan<'a> {
    fn new(subscribers: &'a [Subscriber<'a>], partitions: &'a BTreeMap<TopicId, i32>) -> Self {
        let mut readers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
        for (at, subscriber) in subscribers.iter().enumerate() {
            for topic in &subscriber.topics {
                readers.entry(*topic).or_default().push(at);
            }
        }
        let mut free = BTreeSet::new();
        for (topic, count) in partitions {
            if readers.contains_key(topic) {
                free.extend((0..*count).map(|partition| (*topic, PartitionIndex(partition))));
            }
        }
        Self {
            subscribers,
            partitions,
            assigned: vec![BTreeSet::new(); subscribers.len()],
            free,
            readers,
        }
    }

    /// What the subscriber has and may keep.
    fn still_valid(&self, at: usize) -> Vec<Key> {
        let subscriber = &self.subscribers[at];
        let has = subscriber.has.into_iter().flatten();
        let has = has.filter(|(topic, _)| subscriber.topics.contains(*topic));
        has.flat_map(|(topic, partitions)| partitions.iter().map(|partition| (*topic, *partition)))
            .filter(|key| self.free.contains(key))
            .collect()
    }

    fn take(&mut self, at: usize, key: Key) {
        if self.free.remove(&key) {
            self.assigned[at].insert(key);
        }
    }

    fn keep_all(&mut self) {
        for at in 0..self.subscribers.len() {
            for key in self.still_valid(at) {
                self.take(at, key);
            }
        }
    }

    /// Nobody keeps more than an even share; those who have more than it get what doesn't divide.
    fn keep_up_to_share(&mut self) {
        let members = self.subscribers.len().max(1);
        let (share, mut extra) = (self.free.len() / members, self.free.len() % members);
        for at in 0..self.subscribers.len() {
            let has = self.still_valid(at);
            let mut limit = share;
            if has.len() > share && extra > 0 {
                limit += 1;
                extra -= 1;
            }
            for key in has.into_iter().take(limit) {
                self.take(at, key);
            }
        }
    }

    fn give_to_least(&mut self) {
        // The topics with the fewest readers first: they have the fewest choices.
        let mut free: Vec<Key> = self.free.iter().copied().collect();
        free.sort_by_key(|(topic, partition)| (self.readers.get(topic).map_or(0, Vec::len), *topic, *partition));
        for key in free {
            let readers = self.readers.get(&key.0).into_iter().flatten().copied();
            if let Some(least) = readers.min_by_key(|at| self.assigned[*at].len()) {
                self.take(least, key);
            }
        }
    }

    /// Moves one partition at a time, from the reader with the most to the one with the least, while they differ by two or more. Each move
    /// brings the sum of squares down, so this ends.
    fn balance(&mut self) {
        let topics: Vec<TopicId> = self.partitions.keys().copied().collect();
        let mut moved = true;
        while moved {
            moved = false;
            for topic in &topics {
                while let Some((from, to, key)) = self.improvement(*topic) {
                    self.assigned[from].remove(&key);
                    self.assigned[to].insert(key);
                    moved = true;
                }
            }
        }
    }

    fn improvement(&self, topic: TopicId) -> Option<(usize, usize, Key)> {
        let readers = self.readers.get(&topic)?;
        let to = *readers.iter().min_by_key(|at| self.assigned[**at].len())?;
        let of_topic = |at: usize| {
            let all = (topic, PartitionIndex(i32::MIN))..=(topic, PartitionIndex(i32::MAX));
            self.assigned[at].range(all).next_back().copied()
        };
        let (from, key) = readers
            .iter()
            .filter_map(|at| Some((*at, of_topic(*at)?)))
            .max_by_key(|(at, _)| self.assigned[*at].len())?;
        (self.assigned[from].len() >= self.assigned[to].len() + 2).then_some((from, to, key))
    }

    fn finish(self) -> BTreeMap<String, Assignment> {
        let named = self.subscribers.iter().zip(self.assigned);
        let by_topic = named.map(|(subscriber, keys)| {
            let mut assignment = Assignment::new();
            for (topic, partition) in keys {
                assignment.entry(topic).or_default().insert(partition);
            }
            (subscriber.member_id.to_owned(), assignment)
        });
        by_topic.collect()
    }
}
