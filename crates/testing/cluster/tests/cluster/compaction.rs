//! Compacted topics over kills: of every key the last record that was acknowledged stays, and the rest goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::ensure;
use cluster::{Cluster, ClusterBuilder, TopicSpec, read_all, wait_until};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

const TOPIC: &str = "kept";
const MIB: u64 = 1 << 20;
const KEYS: usize = 50;

/// Kafka's least segments, and a cleaner that doesn't rest.
fn busy_cleaner() -> Cluster {
    ClusterBuilder::new(3)
        .property("log.cleaner.backoff.ms", "50")
        .property("offsets.topic.segment.bytes", "1048576")
        .property("offsets.topic.num.partitions", "1")
        .start()
        .unwrap()
}

fn log_bytes(cluster: &Cluster, node: i32, partition: &str) -> anyhow::Result<u64> {
    let node = cluster.nodes().iter().find(|other| other.id() == node);
    let folder = node.unwrap().replica_directory(partition);
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".log") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// Until each node's log of the partition is smaller.
fn wait_for_small_logs(cluster: &Cluster, partition: &str, below: u64) {
    for node in 1..=3 {
        wait_until(&format!("a log of less than {below} bytes on node {node}"), 60, || {
            let bytes = log_bytes(cluster, node, partition)?;
            ensure!(bytes < below, "{partition} has {bytes} bytes");
            Ok(Some(()))
        })
        .unwrap();
    }
}

/// Takes the acknowledged values by key.
#[derive(Clone, Default)]
struct Acknowledged(Arc<Mutex<BTreeMap<usize, u64>>>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = Box<(usize, u64)>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Self::DeliveryOpaque) {
        if result.is_ok() {
            let (key, value) = *sent;
            let mut known = self.0.lock().unwrap();
            let last = known.entry(key).or_default();
            *last = (*last).max(value);
        }
    }
}

/// Writes every key in turn, two KiB each, `rounds` times; values rise.
fn write(cluster: &Cluster, first: u64, rounds: u64, acknowledged: &Acknowledged) -> u64 {
    let producer: BaseProducer<Acknowledged> = cluster
        .client()
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        .create_with_context(acknowledged.clone())
        .unwrap();
    for value in first..first + rounds {
        for key in 0..KEYS {
            // Hardly compressible, so that segments fill.
            let mut random = value * 1_000 + key as u64 + 1;
            let mut next = || {
                random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                format!("{:08x}", random >> 32)
            };
            let noise: String = (0..256).map(|_| next()).collect();
            let (key_text, payload) = (format!("key-{key}"), format!("{value}:{noise}"));
            let mut record = BaseRecord::with_opaque_to(TOPIC, Box::new((key, value)))
                .key(&key_text)
                .payload(&payload)
                .partition(0);
            while let Err((_, back)) = producer.send(record) {
                record = back;
                producer.poll(Duration::from_millis(10));
            }
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    first + rounds
}

/// The last value of each key, as a reader of everything learns it, and how many records it had to read.
fn table(cluster: &Cluster) -> (BTreeMap<usize, u64>, usize) {
    let records = read_all(cluster, TOPIC, 60).unwrap();
    let count = records.len();
    // Values rise with offsets; a value's place in its round is its key.
    let mut table = BTreeMap::new();
    let consumer: BaseConsumer = cluster.client().set("group.id", "keys").create().unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
    consumer.assign(&all).unwrap();
    let last = records.last().map(|record| record.offset);
    wait_until("the last record", 60, || {
        while let Some(message) = consumer.poll(Duration::from_millis(200)) {
            let message = message?;
            let key = String::from_utf8_lossy(message.key().unwrap()).into_owned();
            let value = String::from_utf8_lossy(message.payload().unwrap()).into_owned();
            let key: usize = key.strip_prefix("key-").unwrap().parse()?;
            table.insert(key, value.split(':').next().unwrap().parse()?);
            if Some(message.offset()) >= last {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })
    .unwrap();
    (table, count)
}

fn compacted() -> TopicSpec {
    TopicSpec::new(TOPIC, 1, 3)
        .config("cleanup.policy", "compact")
        .config("segment.bytes", &MIB.to_string())
        .config("min.cleanable.dirty.ratio", "0.01")
}

#[test]
fn the_last_record_of_each_key_survives_kills_and_the_rest_goes() {
    let mut cluster = busy_cleaner();
    cluster.create_topic(&compacted()).unwrap();
    let acknowledged = Acknowledged::default();
    let mut value = 0;
    for round in 0..3 {
        // Several segments; the leader is killed while logs are compacted.
        value = write(&cluster, value, 100, &acknowledged);
        let victim = if round == 2 {
            None
        } else {
            Some(cluster.leader(TOPIC, 0).unwrap())
        };
        match victim {
            Some(victim) => {
                cluster.kill9(victim).unwrap();
                value = write(&cluster, value, 20, &acknowledged);
                cluster.restart(victim).unwrap();
            }
            None => {
                cluster.kill9_all().unwrap();
                cluster.start_all().unwrap();
                cluster.wait_for_brokers(3, 60).unwrap();
            }
        }
        cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    }
    // A segment that is written to, one that waits for the next, and the keys.
    wait_for_small_logs(&cluster, "kept-0", 4 * MIB);
    let (table, count) = table(&cluster);
    assert_eq!(table, *acknowledged.0.lock().unwrap());
    assert!(table.values().all(|last| *last == value - 1), "{table:?}");
    let written = usize::try_from(value).unwrap() * KEYS;
    assert!(count < written / 4, "{count} of {written} are still there");
    assert_eq!(cluster.error_lines(&[]), Vec::<String>::new());
}

#[test]
fn committed_offsets_are_kept_in_little_room() {
    const GROUP: &str = "commits";
    const PARTITIONS: i32 = 100;
    let mut cluster = busy_cleaner();
    let member = |cluster: &Cluster| -> BaseConsumer { cluster.client().set("group.id", GROUP).create().unwrap() };
    let commit = |consumer: &BaseConsumer, offset: i64| {
        let mut offsets = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            offsets
                .add_partition_offset("commits", partition, Offset::Offset(offset))
                .unwrap();
        }
        wait_until("a commit", 60, || {
            Ok(Some(consumer.commit(&offsets, CommitMode::Sync)?))
        })
        .unwrap();
    };
    cluster.create_topic(&TopicSpec::new("commits", PARTITIONS, 1)).unwrap();
    let mut offset = 0;
    for _ in 0..3 {
        let consumer = member(&cluster);
        // About two segments.
        for _ in 0..250 {
            offset += 1;
            commit(&consumer, offset);
        }
        let coordinator = cluster.coordinator(GROUP).unwrap();
        cluster.kill9(coordinator).unwrap();
        offset += 1;
        commit(&consumer, offset);
        cluster.restart(coordinator).unwrap();
        cluster.wait_for_isr("__consumer_offsets", 3, 60).unwrap();
        let consumer = member(&cluster);
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range("commits", 0, PARTITIONS - 1);
        let committed = wait_until("the committed offsets", 60, || {
            Ok(Some(
                consumer.committed_offsets(asked.clone(), Duration::from_secs(10))?,
            ))
        });
        for element in committed.unwrap().elements() {
            assert_eq!(element.offset(), Offset::Offset(offset), "{element:?}");
        }
    }
    wait_for_small_logs(&cluster, "__consumer_offsets-0", 3 * MIB);
    assert_eq!(cluster.error_lines(&[]), Vec::<String>::new());
}
