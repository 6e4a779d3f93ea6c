//! Where the replicas of a broker go that is to be emptied. Pure: what is known of the cluster in, the new replicas out.
//!
//! A partition's new replica takes the old one's place in the order, so a preferred leader is replaced by another one.
//! Of the brokers that may take it, in this order: one in a rack where the partition has no replica yet; the one with the
//! fewest replicas (preferred leaders, if it becomes one); the one with most room; the lowest id.

use std::collections::{BTreeMap, BTreeSet};

use crate::commands::group::TopicPartition;

/// A broker that may take replicas.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidate {
    pub(super) rack: Option<String>,
    /// Bytes that still fit into its log directories; none when nobody knows.
    pub(super) room: Option<u64>,
}

/// A partition, and how large its replica on the emptied broker is.
#[derive(Debug, Clone)]
pub(super) struct PlacedPartition {
    pub(super) place: TopicPartition,
    pub(super) replicas: Vec<i32>,
    pub(super) bytes: u64,
}

/// Why a partition can't leave the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stuck {
    /// Every other live broker has a replica of it already.
    TooFewBrokers { replicas: usize, left: usize },
    /// There are brokers, but none with so much room.
    NoRoom { bytes: u64 },
}

/// What shall move, and what can't.
#[derive(Debug, Default)]
pub(super) struct DrainPlan {
    pub(super) targets: BTreeMap<TopicPartition, Vec<i32>>,
    pub(super) stuck: BTreeMap<TopicPartition, Stuck>,
}

#[derive(Debug, Default)]
struct Load {
    replicas: usize,
    leaders: usize,
    taken: u64,
}

/// Plans to take all replicas off `broker`. `others` are the live brokers but this one; `partitions` are the cluster's.
pub(super) fn plan_drain(broker: i32, others: &BTreeMap<i32, Candidate>, partitions: &[PlacedPartition]) -> DrainPlan {
    let mut loads: BTreeMap<i32, Load> = BTreeMap::new();
    for partition in partitions {
        for (at, replica) in partition.replicas.iter().enumerate() {
            let load = loads.entry(*replica).or_default();
            load.replicas += 1;
            load.leaders += usize::from(at == 0);
        }
    }
    let mut plan = DrainPlan::default();
    let mut leaving: Vec<&PlacedPartition> = partitions
        .iter()
        .filter(|partition| partition.replicas.contains(&broker))
        .collect();
    // The largest first: the small ones still fit where little room is left.
    leaving.sort_by(|one, other| other.bytes.cmp(&one.bytes).then_with(|| one.place.cmp(&other.place)));
    for partition in leaving {
        let leads = partition.replicas.first() == Some(&broker);
        let racks: BTreeSet<&str> = partition
            .replicas
            .iter()
            .filter_map(|replica| others.get(replica)?.rack.as_deref())
            .collect();
        let free = others.iter().filter(|(id, _)| !partition.replicas.contains(*id));
        let mut free: Vec<(&i32, &Candidate)> = free.collect();
        if free.is_empty() {
            let stuck = Stuck::TooFewBrokers {
                replicas: partition.replicas.len(),
                left: others.len(),
            };
            plan.stuck.insert(partition.place.clone(), stuck);
            continue;
        }
        let room = |id: &i32, candidate: &Candidate| {
            let taken = loads.get(id).map_or(0, |load| load.taken);
            candidate.room.map(|room| room.saturating_sub(taken))
        };
        free.retain(|(id, candidate)| room(id, candidate).is_none_or(|room| room >= partition.bytes));
        let best = free.into_iter().min_by_key(|(id, candidate)| {
            let same_rack = candidate.rack.as_deref().is_some_and(|rack| racks.contains(rack));
            let load = loads.get(*id);
            let (replicas, leaders) = load.map_or((0, 0), |load| (load.replicas, load.leaders));
            let busy = if leads { (leaders, replicas) } else { (replicas, 0) };
            let room = room(id, candidate).unwrap_or(u64::MAX);
            (same_rack, busy, u64::MAX - room, **id)
        });
        let Some((best, _)) = best else {
            let bytes = partition.bytes;
            plan.stuck.insert(partition.place.clone(), Stuck::NoRoom { bytes });
            continue;
        };
        let load = loads.entry(*best).or_default();
        load.replicas += 1;
        load.leaders += usize::from(leads);
        load.taken = load.taken.saturating_add(partition.bytes);
        let replicas = partition.replicas.iter();
        let replicas = replicas.map(|replica| if *replica == broker { *best } else { *replica });
        plan.targets.insert(partition.place.clone(), replicas.collect());
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(brokers: &[(i32, &str)]) -> BTreeMap<i32, Candidate> {
        let candidate = |rack: &str| Candidate {
            rack: Some(rack.to_owned()).filter(|rack| !rack.is_empty()),
            room: None,
        };
        brokers.iter().map(|(id, rack)| (*id, candidate(rack))).collect()
    }

    fn partitions(replicas: &[&[i32]]) -> Vec<PlacedPartition> {
        let replicas = replicas.iter().enumerate();
        replicas
            .map(|(index, replicas)| PlacedPartition {
                place: ("t".to_owned(), i32::try_from(index).unwrap()),
                replicas: replicas.to_vec(),
                bytes: 10,
            })
            .collect()
    }

    #[test]
    fn a_replica_goes_to_the_rack_that_it_left() {
        let others = others(&[(2, "b"), (3, "c"), (4, "a"), (5, "b")]);
        let plan = plan_drain(1, &others, &partitions(&[&[1, 2, 3], &[2, 1, 3]]));
        assert_eq!(plan.targets[&("t".to_owned(), 0)], [4, 2, 3]);
        assert_eq!(plan.targets[&("t".to_owned(), 1)], [2, 4, 3]);
        assert!(plan.stuck.is_empty());
    }

    #[test]
    fn replicas_and_preferred_leaders_are_spread() {
        let others = others(&[(2, ""), (3, ""), (4, ""), (5, "")]);
        let plan = plan_drain(
            1,
            &others,
            &partitions(&[&[1], &[1], &[1], &[1], &[1], &[1], &[1], &[1]]),
        );
        let mut count: BTreeMap<i32, usize> = BTreeMap::new();
        for replicas in plan.targets.values() {
            *count.entry(replicas[0]).or_default() += 1;
        }
        assert_eq!(count, BTreeMap::from([(2, 2), (3, 2), (4, 2), (5, 2)]));
    }

    #[test]
    fn a_partition_that_every_broker_has_is_stuck_and_the_others_move() {
        let others = others(&[(2, ""), (3, "")]);
        let plan = plan_drain(1, &others, &partitions(&[&[1, 2, 3], &[3, 1]]));
        let stuck = Stuck::TooFewBrokers { replicas: 3, left: 2 };
        assert_eq!(plan.stuck, BTreeMap::from([(("t".to_owned(), 0), stuck)]));
        assert_eq!(plan.targets[&("t".to_owned(), 1)], [3, 2]);
    }

    #[test]
    fn a_broker_takes_no_more_than_it_has_room_for() {
        let mut others = others(&[(2, ""), (3, "")]);
        others.get_mut(&2).unwrap().room = Some(15);
        others.get_mut(&3).unwrap().room = Some(9);
        let plan = plan_drain(1, &others, &partitions(&[&[1], &[1]]));
        assert_eq!(plan.targets, BTreeMap::from([(("t".to_owned(), 0), vec![2])]));
        assert_eq!(
            plan.stuck,
            BTreeMap::from([(("t".to_owned(), 1), Stuck::NoRoom { bytes: 10 })])
        );
    }

    #[test]
    fn partitions_that_are_elsewhere_stay() {
        let plan = plan_drain(1, &others(&[(2, ""), (3, "")]), &partitions(&[&[2, 3], &[3]]));
        assert!(plan.targets.is_empty() && plan.stuck.is_empty());
    }
}
