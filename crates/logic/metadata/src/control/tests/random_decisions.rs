//! Random decisions in random order: the invariants hold after every record of them, and the image survives
//! its own snapshot.

use std::collections::BTreeMap;

use proptest::prelude::*;
use types::{PartitionIndex, TopicIdPartition};

use super::cluster::Cluster;
use crate::delta::ImageDelta;
use crate::image::MetadataImage;
use crate::invariants::{check_image, check_step};
use crate::proto::control_request::Request;
use crate::proto::{self, ConfigResourceType};

const BROKERS: i32 = 5;

#[derive(Debug, Clone)]
enum Step {
    Start {
        broker: i32,
        unclean: bool,
    },
    Register {
        broker: i32,
        unclean: bool,
    },
    Unfence(i32),
    Fence(i32),
    ShutDown(i32),
    Unregister(i32),
    Create {
        topic: u8,
        partitions: i32,
        factor: i32,
    },
    Grow {
        topic: u8,
        count: i32,
    },
    Delete(u8),
    Propose {
        topic: u8,
        partition: i32,
        members: u8,
        recovering: bool,
    },
    Elect {
        unclean: bool,
    },
    Report {
        topic: u8,
        partition: i32,
        ends: [i64; 5],
    },
    Reassign {
        topic: u8,
        replicas: Option<Vec<i32>>,
    },
    MinIsr {
        topic: Option<u8>,
        value: u8,
    },
    UncleanTopic {
        topic: u8,
        allowed: bool,
    },
    Rebalance,
    ProducerIds(i32),
}

fn broker() -> impl Strategy<Value = i32> {
    1..=BROKERS
}

fn step() -> impl Strategy<Value = Step> {
    let replicas = proptest::sample::subsequence(vec![1, 2, 3, 4, 5], 1..=4).prop_shuffle();
    prop_oneof![
        4 => (broker(), any::<bool>()).prop_map(|(broker, unclean)| Step::Start { broker, unclean }),
        1 => (broker(), any::<bool>()).prop_map(|(broker, unclean)| Step::Register { broker, unclean }),
        2 => broker().prop_map(Step::Unfence),
        4 => broker().prop_map(Step::Fence),
        2 => broker().prop_map(Step::ShutDown),
        1 => broker().prop_map(Step::Unregister),
        3 => (0..3_u8, 1..4, 1..=4).prop_map(|(topic, partitions, factor)| Step::Create { topic, partitions, factor }),
        1 => (0..3_u8, 1..6).prop_map(|(topic, count)| Step::Grow { topic, count }),
        1 => (0..3_u8).prop_map(Step::Delete),
        8 => (0..3_u8, 0..3, any::<u8>(), any::<bool>())
            .prop_map(|(topic, partition, members, recovering)| Step::Propose { topic, partition, members, recovering }),
        1 => any::<bool>().prop_map(|unclean| Step::Elect { unclean }),
        2 => (0..3_u8, 0..3, any::<[i64; 5]>())
            .prop_map(|(topic, partition, ends)| Step::Report { topic, partition, ends }),
        2 => (0..3_u8, proptest::option::weighted(0.8, replicas))
            .prop_map(|(topic, replicas)| Step::Reassign { topic, replicas }),
        1 => (proptest::option::of(0..3_u8), 1..4_u8).prop_map(|(topic, value)| Step::MinIsr { topic, value }),
        1 => (0..3_u8, any::<bool>()).prop_map(|(topic, allowed)| Step::UncleanTopic { topic, allowed }),
        1 => Just(Step::Rebalance),
        1 => broker().prop_map(Step::ProducerIds),
    ]
}

fn name(topic: u8) -> String {
    format!("topic_{topic}")
}

fn find(cluster: &Cluster, topic: u8, partition: i32) -> Option<TopicIdPartition> {
    let topic_id = cluster.image.topic(&name(topic))?.id;
    let id = TopicIdPartition {
        topic_id,
        partition: PartitionIndex(partition),
    };
    cluster.image.partition(id).map(|_| id)
}

fn take(cluster: &mut Cluster, step: Step) {
    match step {
        Step::Start { broker, unclean } => cluster.start(broker, unclean),
        Step::Register { broker, unclean } => {
            let _ = cluster.register(broker, unclean);
        }
        Step::Unfence(broker) if cluster.epoch(broker) >= 0 => {
            cluster.unfence(broker);
        }
        Step::Fence(broker) => {
            let _ = cluster.fence(broker);
        }
        Step::ShutDown(broker) if cluster.epoch(broker) >= 0 => {
            let _ = cluster.shut_down(broker);
        }
        Step::Unfence(_) | Step::ShutDown(_) => {}
        Step::Unregister(broker_id) => {
            let _ = cluster.ask(Request::UnregisterBroker(proto::UnregisterBrokerRequest { broker_id }));
        }
        Step::Create {
            topic,
            partitions,
            factor,
        } => {
            let _ = cluster.create(proto::CreateTopicItem {
                name: name(topic),
                partitions,
                replication_factor: factor,
                ..Default::default()
            });
        }
        Step::Grow { topic, count } => {
            let item = proto::CreatePartitionsItem {
                name: name(topic),
                count,
                assignments: Vec::new(),
            };
            let request = proto::CreatePartitionsRequest {
                topics: vec![item],
                validate_only: false,
            };
            let _ = cluster.ask(Request::CreatePartitions(request));
        }
        Step::Delete(topic) => {
            let topics = vec![proto::DeleteTopicItem {
                name: name(topic),
                ..Default::default()
            }];
            let _ = cluster.ask(Request::DeleteTopics(proto::DeleteTopicsRequest { topics }));
        }
        Step::Propose {
            topic,
            partition,
            members,
            recovering,
        } => {
            let Some(id) = find(cluster, topic, partition) else {
                return;
            };
            let replicas = cluster.partition(id).replicas.clone();
            let isr: Vec<_> = replicas
                .iter()
                .map(|id| id.0)
                .filter(|id| members & (1 << id) != 0)
                .collect();
            let item = proto::AlterPartitionItem {
                recovering,
                ..cluster.proposal(id, &isr)
            };
            if cluster.partition(id).leader.is_some() {
                let _ = cluster.alter(id, item);
            }
        }
        Step::Elect { unclean } => {
            let request = proto::ElectLeadersRequest {
                unclean,
                all: true,
                topics: Vec::new(),
            };
            let _ = cluster.ask(Request::ElectLeaders(request));
        }
        Step::Report { topic, partition, ends } => {
            let Some(id) = find(cluster, topic, partition) else {
                return;
            };
            let reports: Vec<_> = (1..).zip(ends).map(|(broker, end)| (broker, 0, end)).collect();
            cluster.report(id, &reports);
        }
        Step::Reassign { topic, replicas } => {
            if find(cluster, topic, 0).is_some() {
                cluster.reassign(&name(topic), replicas.as_deref());
            }
        }
        Step::MinIsr { topic, value } => {
            let (kind, resource) = match topic {
                Some(topic) => (ConfigResourceType::Topic, name(topic)),
                None => (ConfigResourceType::Broker, String::new()),
            };
            cluster.set_config(kind, &resource, "min.insync.replicas", Some(&value.to_string()));
        }
        Step::UncleanTopic { topic, allowed } => {
            let value = allowed.to_string();
            let key = "unclean.leader.election.enable";
            cluster.set_config(ConfigResourceType::Topic, &name(topic), key, Some(&value));
        }
        Step::Rebalance => {
            cluster.rebalance();
        }
        Step::ProducerIds(broker_id) => {
            let broker_epoch = cluster.epoch(broker_id);
            let request = proto::AllocateProducerIdsRequest {
                broker_id,
                broker_epoch,
            };
            let _ = cluster.ask(Request::AllocateProducerIds(request));
        }
    }
}

/// The ELR's promise: its members were in the ISR when the high watermark could last move.
///
/// Followed without logs: `holders` is who holds everything visible. While the ISR has at least min ISR members the
/// high watermark may move with them, so then they are the only holders.
fn eligible_replicas_hold_everything(cluster: &Cluster, holders: &mut BTreeMap<TopicIdPartition, Vec<i32>>) {
    for topic in cluster.image.topics() {
        let min_isr = cluster
            .image
            .min_insync_replicas(&topic.name, cluster.defaults.min_insync_replicas);
        for (partition, registration) in topic.partitions() {
            let id = TopicIdPartition {
                topic_id: topic.id,
                partition,
            };
            let isr: Vec<i32> = registration.isr.iter().map(|id| id.0).collect();
            let moves = isr.len() >= min_isr.min(registration.replicas.len()) && registration.leader.is_some();
            let eligible = registration.elr.iter().map(|id| id.0);
            let known = holders
                .entry(id)
                .or_insert_with(|| isr.iter().copied().chain(eligible).collect());
            if moves {
                known.clone_from(&isr);
            } else {
                // Whoever is in the ISR of a leader that holds everything holds it, too.
                known.extend(isr.iter().filter(|_| registration.leader.is_some()));
            }
            for member in &registration.elr {
                assert!(
                    known.contains(&member.0),
                    "{id}: {member} is eligible, {known:?} hold what is visible"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn invariants_hold_whatever_is_decided(steps in proptest::collection::vec(step(), 1..80), min_isr in 1..4_usize) {
        let mut cluster = Cluster::with_brokers(BROKERS, min_isr);
        let mut holders = BTreeMap::new();
        for step in steps {
            let unsafe_step = matches!(step, Step::Elect { unclean: true } | Step::Report { .. });
            take(&mut cluster, step);
            if unsafe_step {
                holders.clear();
            }
            eligible_replicas_hold_everything(&cluster, &mut holders);
        }
        let records: Vec<_> = cluster.image.to_records().collect();
        let copy = MetadataImage::from_snapshot(cluster.image.offset(), records).expect("a snapshot replays");
        check_image(&copy).expect("a snapshot is sound");
        prop_assert_eq!(copy, cluster.image);
    }

    #[test]
    fn records_and_whole_images_give_the_same_delta(
        before in proptest::collection::vec(step(), 1..25),
        during in proptest::collection::vec(step(), 1..10),
    ) {
        let mut cluster = Cluster::with_brokers(BROKERS, 2);
        for step in before {
            take(&mut cluster, step);
        }
        let older = cluster.image.clone();
        cluster.records.clear();
        for step in during {
            take(&mut cluster, step);
        }
        let by_records = ImageDelta::of(&older, &cluster.image, &cluster.records);
        let by_images = ImageDelta::between(&older, &cluster.image);
        // Records may set what was there already, so they can name more, never less.
        prop_assert_eq!(by_records.topics_created, by_images.topics_created);
        prop_assert_eq!(by_records.topics_deleted, by_images.topics_deleted);
        prop_assert!(by_records.partitions_changed.is_superset(&by_images.partitions_changed));
        prop_assert!(by_records.brokers_changed.is_superset(&by_images.brokers_changed));
        prop_assert!(by_records.configs_changed.is_superset(&by_images.configs_changed));
    }

    #[test]
    fn a_refused_record_changes_nothing(steps in proptest::collection::vec(step(), 1..25)) {
        let mut cluster = Cluster::with_brokers(BROKERS, 2);
        for step in steps {
            take(&mut cluster, step);
        }
        // Every record a second time: it either fits, or leaves the image as it was.
        for record in cluster.records.clone() {
            let mut again = cluster.image.clone();
            if again.replay(&record).is_err() {
                prop_assert_eq!(&again, &cluster.image);
            } else {
                prop_assert!(check_step(&cluster.image, &again).is_ok() || record.record.is_some());
            }
        }
    }
}
