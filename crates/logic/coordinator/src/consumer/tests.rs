//! The assignors alone.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use types::{PartitionIndex, TopicId, Uuid};

use super::assignor::{AssignorKind, Subscriber};
use crate::record::Assignment;

fn topic(id: u128) -> TopicId {
    TopicId(Uuid::from_u128(id))
}

fn assign(
    kind: AssignorKind,
    wants: &BTreeMap<String, BTreeSet<TopicId>>,
    partitions: &BTreeMap<TopicId, i32>,
    has: &BTreeMap<String, Assignment>,
) -> BTreeMap<String, Assignment> {
    let subscribers: Vec<Subscriber<'_>> = wants
        .iter()
        .map(|(member_id, topics)| Subscriber {
            member_id,
            instance_id: None,
            topics: topics
                .iter()
                .copied()
                .filter(|topic| partitions.contains_key(topic))
                .collect(),
            has: has.get(member_id),
        })
        .collect();
    kind.assign(&subscribers, partitions)
}

fn size(assignment: &Assignment) -> usize {
    assignment.values().map(BTreeSet::len).sum()
}

fn moved(before: &BTreeMap<String, Assignment>, after: &BTreeMap<String, Assignment>) -> usize {
    let keys = |all: &BTreeMap<String, Assignment>| -> BTreeSet<(String, TopicId, PartitionIndex)> {
        all.iter()
            .flat_map(|(member, assignment)| {
                assignment.iter().flat_map(move |(topic, partitions)| {
                    partitions
                        .iter()
                        .map(move |partition| (member.clone(), *topic, *partition))
                })
            })
            .collect()
    };
    keys(before).difference(&keys(after)).count()
}

fn cluster() -> impl Strategy<Value = (BTreeMap<String, BTreeSet<TopicId>>, BTreeMap<TopicId, i32>)> {
    let partitions = prop::collection::btree_map((1_u128..5).prop_map(topic), 1_i32..9, 0..5);
    let wants = prop::collection::btree_map(
        "[a-z]{2}",
        prop::collection::btree_set((1_u128..5).prop_map(topic), 0..5),
        1..8,
    );
    (wants, partitions)
}

proptest! {
    #[test]
    fn every_partition_that_is_wanted_goes_to_one_of_those_who_want_it((wants, partitions) in cluster(), (before, _) in cluster()) {
        for kind in [AssignorKind::Uniform, AssignorKind::Range] {
            let has = assign(kind, &before, &partitions, &BTreeMap::new());
            let assigned = assign(kind, &wants, &partitions, &has);
            let mut seen = BTreeSet::new();
            for (member, assignment) in &assigned {
                for (topic, of_topic) in assignment {
                    prop_assert!(wants[member].contains(topic));
                    for partition in of_topic {
                        prop_assert!(partition.0 < partitions[topic]);
                        prop_assert!(seen.insert((*topic, *partition)), "assigned twice");
                    }
                }
            }
            let wanted: usize = partitions
                .iter()
                .filter(|(topic, _)| wants.values().any(|topics| topics.contains(*topic)))
                .map(|(_, count)| usize::try_from(*count).unwrap())
                .sum();
            prop_assert_eq!(seen.len(), wanted);
        }
    }

    #[test]
    fn uniform_is_even_and_moves_no_more_than_it_must(members in 1_usize..8, joins in 0_usize..3, count in 1_i32..40) {
        let topics = BTreeSet::from([topic(1)]);
        let partitions = BTreeMap::from([(topic(1), count)]);
        let named = |members: usize| (0..members).map(|at| (format!("m{at}"), topics.clone())).collect();
        let before = assign(AssignorKind::Uniform, &named(members), &partitions, &BTreeMap::new());
        let after = assign(AssignorKind::Uniform, &named(members + joins), &partitions, &before);
        let sizes: Vec<usize> = after.values().map(size).collect();
        prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        let gained: usize = after
            .iter()
            .filter(|(member, _)| !before.contains_key(*member))
            .map(|(_, assignment)| size(assignment))
            .sum();
        prop_assert_eq!(moved(&before, &after), gained, "only what the new ones get has moved");
    }
}

#[test]
fn range_gives_topics_of_the_same_size_alike_and_static_members_first() {
    let partitions = BTreeMap::from([(topic(1), 5), (topic(2), 5)]);
    let topics: BTreeSet<TopicId> = partitions.keys().copied().collect();
    let subscriber = |member_id: &'static str, instance_id: Option<&'static str>| Subscriber {
        member_id,
        instance_id,
        topics: topics.clone(),
        has: None,
    };
    let assigned = AssignorKind::Range.assign(&[subscriber("a", None), subscriber("z", Some("i"))], &partitions);
    let of = |from: i32, to: i32| (from..to).map(PartitionIndex).collect::<BTreeSet<_>>();
    for id in [1, 2] {
        assert_eq!(assigned["z"][&topic(id)], of(0, 3));
        assert_eq!(assigned["a"][&topic(id)], of(3, 5));
    }
}

#[test]
fn uneven_wishes_are_balanced() {
    let partitions = BTreeMap::from([(topic(1), 6), (topic(2), 2)]);
    let wants = BTreeMap::from([
        ("both".to_owned(), BTreeSet::from([topic(1), topic(2)])),
        ("first".to_owned(), BTreeSet::from([topic(1)])),
    ]);
    let alone = BTreeMap::from([("both".to_owned(), wants["both"].clone())]);
    let before = assign(AssignorKind::Uniform, &alone, &partitions, &BTreeMap::new());
    let after = assign(AssignorKind::Uniform, &wants, &partitions, &before);
    assert_eq!((size(&after["both"]), size(&after["first"])), (4, 4));
}
