//! DeleteRecords: what is said to be gone, no later leader shows.

use std::time::Duration;

use cluster::{Cluster, ClusterBuilder, TopicSpec, wait_until};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

const TOPIC: &str = "trimmed";
const RECORDS: &str = "1000";
const BEFORE: i64 = 700;

/// Kafka's answer for the partition within so many milliseconds of the broker's: the offset that it begins at.
fn delete_before(cluster: &Cluster, offset: i64, timeout_ms: u64) -> Result<i64, RDKafkaErrorCode> {
    let admin: AdminClient<DefaultClientContext> = cluster.client().create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(TOPIC, 0, Offset::Offset(offset)).unwrap();
    let options = AdminOptions::new()
        .operation_timeout(Some(Duration::from_millis(timeout_ms)))
        .request_timeout(Some(Duration::from_secs(60)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let deleted = runtime.block_on(admin.delete_records(&offsets, &options)).unwrap();
    let partition = deleted.find_partition(TOPIC, 0).unwrap();
    let begins_at = partition.offset().to_raw().unwrap();
    partition
        .error()
        .map(|()| begins_at)
        .map_err(|error| error.rdkafka_error_code().unwrap())
}

fn begins_at(cluster: &Cluster) -> Option<i64> {
    let consumer: BaseConsumer = cluster.client().create().unwrap();
    let watermarks = consumer.fetch_watermarks(TOPIC, 0, Duration::from_secs(10));
    watermarks.ok().map(|(low, _)| low)
}

#[test]
fn an_answer_waits_until_the_replicas_have_forgotten_the_records() {
    // Nobody is taken for dead: the answer must wait for a follower that stands still.
    let mut cluster = ClusterBuilder::new(3)
        .property("broker.session.timeout.ms", "60000")
        .property("replica.lag.time.max.ms", "60000")
        .start()
        .unwrap();
    cluster.create_topic(&TopicSpec::new(TOPIC, 1, 3)).unwrap();
    let filled = cluster.klamm(&[
        "bench", "produce", "--topic", TOPIC, "--count", RECORDS, "--size", "100",
    ]);
    assert!(filled.unwrap().status.success());
    let state = cluster.partitions(TOPIC).unwrap().remove(0);
    let follower = *state.replicas.iter().find(|id| **id != state.leader).unwrap();

    cluster.pause(follower).unwrap();
    let early = delete_before(&cluster, BEFORE, 500);
    assert_eq!(
        early,
        Err(RDKafkaErrorCode::RequestTimedOut),
        "a follower hasn't heard of it"
    );
    cluster.resume(follower).unwrap();
    assert_eq!(delete_before(&cluster, BEFORE, 30_000), Ok(BEFORE));

    cluster.kill9(state.leader).unwrap();
    let led = wait_until("another leader", 90, || {
        let leader = cluster.leader(TOPIC, 0)?;
        Ok((leader != state.leader).then_some(leader))
    });
    assert_ne!(led.unwrap(), -1);
    let low = wait_until("the new leader's log start", 30, || Ok(begins_at(&cluster)));
    assert_eq!(low.unwrap(), BEFORE);
}
