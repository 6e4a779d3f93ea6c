//! What a broker's end costs the controller, and what a node's start costs, by the partitions of the cluster: 300 brokers, three replicas
//! each, topics of 1,000 partitions. `cargo bench -p metadata`.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use metadata::MetadataImage;
use metadata::control::{AnyConfig, ControlContext, ControlDefaults, MutationAccount, Unmetered, decide_batch};
use metadata::proto::control_request::Request;
use metadata::proto::{ControlRequest, FenceBrokerRequest, MetadataRecord, Partition, RegisterBroker, Topic};
use types::TimestampMs;

const BROKERS: i32 = 300;
const PARTITIONS_OF_A_TOPIC: u32 = 1_000;
const PARTITIONS: [u32; 3] = [10_000, 100_000, 1_000_000];

fn main() {
    divan::main();
}

fn records(partitions: u32) -> Vec<MetadataRecord> {
    let brokers = (0..BROKERS).map(|broker_id| {
        RegisterBroker {
            broker_id,
            broker_epoch: 1,
            incarnation_id: vec![1; 16].into(),
            ..RegisterBroker::default()
        }
        .into()
    });
    let topics = (0..partitions / PARTITIONS_OF_A_TOPIC).flat_map(|topic| {
        let topic_id = Bytes::copy_from_slice(&u128::from(topic + 1).to_be_bytes());
        let name = format!("topic-{topic}");
        let created = Topic {
            topic_id: topic_id.clone(),
            name,
        };
        let partitions = (0..PARTITIONS_OF_A_TOPIC as i32).map(move |index| {
            let first = topic as i32 + index;
            let replicas: Vec<i32> = (0..3).map(|at| (first + at * 7) % BROKERS).collect();
            Partition {
                topic_id: topic_id.clone(),
                index,
                leader: replicas[0],
                isr: replicas.clone(),
                replicas,
                ..Partition::default()
            }
            .into()
        });
        std::iter::once(created.into()).chain(partitions)
    });
    brokers.chain(topics).collect()
}

fn image(partitions: u32) -> MetadataImage {
    let mut image = MetadataImage::new();
    image.replay_all(&records(partitions)).unwrap();
    image
}

/// Every partition that it led gets another leader, every ISR that it was in shrinks.
#[divan::bench(args = PARTITIONS, sample_count = 5, sample_size = 1)]
fn fence_one_broker(bencher: Bencher<'_, '_>, partitions: u32) {
    let image = image(partitions);
    let request = ControlRequest::from(Request::FenceBroker(FenceBrokerRequest {
        broker_id: 7,
        broker_epoch: 1,
    }));
    bencher.bench_local(|| {
        let mut context = ControlContext {
            now: TimestampMs(0),
            defaults: &ControlDefaults::default(),
            random: &mut || 4,
            config_rules: &AnyConfig,
            mutations: &mut Unmetered,
            account: MutationAccount::default(),
        };
        let decision = decide_batch(&image, std::slice::from_ref(&request), &mut context);
        assert!(decision.records.len() as u32 > partitions / BROKERS as u32);
        decision
    });
}

/// A node that starts, or a broker that is sent the whole metadata.
#[divan::bench(args = PARTITIONS, sample_count = 3, sample_size = 1)]
fn replay_everything(bencher: Bencher<'_, '_>, partitions: u32) {
    let records = records(partitions);
    bencher.counter(ItemsCount::new(partitions)).bench_local(|| {
        let mut image = MetadataImage::new();
        image.replay_all(black_box(&records)).unwrap();
        image
    });
}
