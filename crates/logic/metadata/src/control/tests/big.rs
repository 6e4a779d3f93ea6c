//! Decisions that need more than one Raft entry.

use std::time::Instant;

use types::{BrokerId, ErrorCode, TimestampMs};

use super::cluster::{Cluster, code};
use crate::control::{AnyConfig, BatchDecision, ControlContext, MutationAccount, Unmetered, decide_batch};
use crate::image::MetadataImage;
use crate::invariants::{check_image, check_step};
use crate::proto::control_request::Request;
use crate::proto::{self, ControlRequest, CreateTopicItem, CreateTopicsRequest, FenceBrokerRequest};
use crate::record::{MAX_BATCH_BYTES, MAX_ENTRY_BYTES, encoded_len};

const TOPICS: i32 = 10;

fn decide(cluster: &Cluster, image: &MetadataImage, request: Request) -> BatchDecision {
    let mut drawn = u64::try_from(image.partition_count()).unwrap();
    let mut random = || {
        drawn = drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        drawn ^ (drawn >> 29)
    };
    let mut context = ControlContext {
        now: TimestampMs(0),
        defaults: &cluster.defaults,
        random: &mut random,
        config_rules: &AnyConfig,
        mutations: &mut Unmetered,
        account: MutationAccount::default(),
    };
    decide_batch(image, &[ControlRequest::from(request)], &mut context)
}

fn topic(number: i32, partitions: i32) -> Request {
    let item = CreateTopicItem {
        name: format!("t{number}"),
        partitions,
        replication_factor: 3,
        ..CreateTopicItem::default()
    };
    Request::CreateTopics(CreateTopicsRequest {
        topics: vec![item],
        validate_only: false,
    })
}

fn fence(cluster: &Cluster, image: &MetadataImage) -> BatchDecision {
    let request = FenceBrokerRequest {
        broker_id: 1,
        broker_epoch: cluster.epoch(1),
    };
    decide(cluster, image, Request::FenceBroker(request))
}

/// 100,000 partitions, each on all three brokers.
fn crowded() -> (Cluster, MetadataImage) {
    let mut cluster = Cluster::with_brokers(3, 2);
    cluster.defaults.max_replicas_per_broker = 1_000_000;
    let mut image = cluster.image.clone();
    for number in 0..TOPICS {
        let created = decide(&cluster, &image, topic(number, 10_000));
        assert_eq!(created.entries().len(), 1, "a topic is there or not");
        image = created.image_after;
    }
    assert_eq!(image.partition_count(), 100_000);
    (cluster, image)
}

#[test]
fn fencing_a_broker_of_100_000_partitions_takes_several_entries_and_any_prefix_of_them_can_be_gone_on_from() {
    let (cluster, image) = crowded();
    let start = Instant::now();
    let decided = fence(&cluster, &image);
    println!("{} records decided in {:?}", decided.records.len(), start.elapsed());
    let entries = decided.entries();
    assert!(entries.len() > 1);
    assert_eq!(entries.concat(), decided.records);
    let mut after = image.clone();
    for entry in entries {
        assert!(entry.iter().map(encoded_len).sum::<usize>() <= MAX_BATCH_BYTES);
        // The controller dies here, and its successor fences the broker again.
        let again = fence(&cluster, &after);
        assert_same_partitions(&again.image_after, &decided.image_after);
        let before = after.clone();
        after.replay_all(entry).unwrap();
        check_image(&after).unwrap();
        check_step(&before, &after).unwrap();
    }
    assert_eq!(after, decided.image_after);
    assert_eq!(after.partitions_led_by(BrokerId(1)).count(), 0);
    assert!(!after.is_active(BrokerId(1)));
}

/// Metadata offsets may differ.
fn assert_same_partitions(one: &MetadataImage, other: &MetadataImage) {
    for topic in one.topics() {
        assert_eq!(Some(topic), other.topic_by_id(topic.id));
    }
}

#[test]
fn what_must_be_whole_and_does_not_fit_is_refused() {
    let mut cluster = Cluster::with_brokers(3, 1);
    cluster.defaults.max_replicas_per_broker = 1_000_000;
    let named = |bytes: usize| {
        let Request::CreateTopics(mut create) = topic(1, 10_000) else {
            unreachable!()
        };
        create.topics[0].configs.push(proto::ConfigEntry {
            key: "k".to_owned(),
            value: Some("v".repeat(bytes)),
        });
        Request::CreateTopics(create)
    };
    let decided = decide(&cluster, &cluster.image, named(MAX_BATCH_BYTES));
    assert_eq!((decided.entries().len(), decided.responses[0].error_code), (1, 0));
    let bytes: usize = decided.records.iter().map(encoded_len).sum();
    assert!((MAX_BATCH_BYTES..=MAX_ENTRY_BYTES).contains(&bytes));
    let decided = decide(&cluster, &cluster.image, named(MAX_ENTRY_BYTES));
    assert_eq!(code(decided.responses[0].error_code), ErrorCode::PolicyViolation);
    assert!(decided.entries().is_empty());
    assert_eq!(decided.image_after, cluster.image);
}
