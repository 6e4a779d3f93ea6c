//! Promise DISK with real disks: full ones, failing ones.

use std::time::{Duration, Instant};

use cluster::{
    Cluster, ClusterBuilder, History, Outcome, TopicSpec, Workload, WorkloadSpec, read_all, replicas, wait_until,
};
use rdkafka::types::RDKafkaErrorCode;

use crate::TOPIC;

const MIB: u64 = 1 << 20;
/// Records are taken again so soon after there is room.
const RESUMED: Duration = Duration::from_secs(5);

/// Sends without retries until `answers` came: each is the broker's own.
fn answers_of(cluster: &Cluster, topic: &str, answers: usize) -> History {
    let spec = WorkloadSpec::new(topic, 1).producers(1);
    let spec = spec.setting("enable.idempotence", "false").setting("retries", "0");
    let load = Workload::start(cluster, &spec).unwrap();
    load.wait_for_answers(answers, 30).unwrap();
    load.finish().unwrap()
}

fn all_refused(cluster: &Cluster, topic: &str) -> bool {
    let refused = Outcome::Unknown(RDKafkaErrorCode::KafkaStorageError);
    let history = answers_of(cluster, topic, 20);
    history.sent.iter().all(|sent| sent.outcome == refused)
}

#[test]
fn a_full_disk_refuses_records_even_after_a_kill_and_takes_them_again_by_itself() {
    let mut cluster = ClusterBuilder::new(1).disk(1, "data", 96 * MIB).start().unwrap();
    cluster.create_topic(&TopicSpec::new(TOPIC, 1, 1)).unwrap();
    cluster.create_topic(&TopicSpec::new("probe", 1, 1)).unwrap();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, 1)).unwrap();
    load.wait_for_acks(500, 30).unwrap();

    cluster.disk(1, "data").unwrap().fill().unwrap();
    wait_until("every record to be refused", 30, || {
        Ok(all_refused(&cluster, "probe").then_some(()))
    })
    .unwrap();
    let readable = read_all(&cluster, TOPIC, 30).unwrap().len();
    assert!(readable >= 500, "what was acknowledged is read from a full disk");
    // The metadata log has room of its own: topics come and go, which is how an operator makes room.
    cluster.create_topic(&TopicSpec::new("made-while-full", 1, 1)).unwrap();

    cluster.kill9(1).unwrap();
    cluster.disk(1, "data").unwrap().fill().unwrap();
    cluster.restart(1).unwrap();
    cluster.wait_for_brokers(1, 30).unwrap();
    wait_until("every record to be refused after the restart", 30, || {
        Ok(all_refused(&cluster, "probe").then_some(()))
    })
    .unwrap();
    assert!(read_all(&cluster, TOPIC, 30).unwrap().len() >= readable);

    let freed = Instant::now();
    cluster.disk(1, "data").unwrap().free().unwrap();
    load.wait_for_acks(500, 30).unwrap();
    let took = freed.elapsed();
    assert!(took < RESUMED, "records were taken again after {took:?}");
    let history = load.finish().unwrap();
    assert!(history.not_acked().is_empty(), "{:?}", history.not_acked());
    history.check(&read_all(&cluster, TOPIC, 60).unwrap()).unwrap();
    assert_eq!(cluster.error_lines(&[]), Vec::<String>::new());
    cluster.terminate(1).unwrap();
}

#[test]
fn a_replica_on_a_full_disk_falls_behind_and_comes_back_while_the_others_go_on() {
    let mut cluster = ClusterBuilder::new(3)
        .property("replica.lag.time.max.ms", "2000")
        .property("leader.imbalance.check.interval.seconds", "2")
        .disk(3, "data", 96 * MIB)
        .start()
        .unwrap();
    cluster.create_topic(&TopicSpec::new(TOPIC, 3, 3)).unwrap();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, 3)).unwrap();
    load.wait_for_acks(500, 30).unwrap();

    cluster.disk(3, "data").unwrap().fill().unwrap();
    wait_until("node 3 out of the ISR of what the others lead", 30, || {
        let partitions = cluster.partitions(TOPIC)?;
        let behind = partitions
            .iter()
            .filter(|partition| partition.leader != 3)
            .all(|partition| !partition.isr.contains(&3));
        Ok(behind.then_some(()))
    })
    .unwrap();
    load.wait_for_acks(500, 30).unwrap();

    cluster.disk(3, "data").unwrap().free().unwrap();
    cluster.wait_for_isr(TOPIC, 3, 30).unwrap();
    let history = load.finish().unwrap();
    assert!(history.not_acked().is_empty(), "{:?}", history.not_acked());
    history.check(&read_all(&cluster, TOPIC, 60).unwrap()).unwrap();
    replicas::wait_identical(&cluster, TOPIC, 60).unwrap();
    assert_eq!(cluster.error_lines(&[]), Vec::<String>::new());
    cluster.terminate(3).unwrap();
}
