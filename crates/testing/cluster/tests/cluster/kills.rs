//! `kill -9` under load: one node, the same again, then all three at once.

use cluster::{Cluster, Workload, WorkloadSpec};

use crate::{PARTITIONS, TOPIC, three_nodes, verify};

/// Acknowledgements that show that writes go on.
const PROGRESS: usize = 1_000;
/// Seconds within which they go on after a kill. Failover takes a fraction of one; the machine may be busy.
const RECOVERY_SECONDS: u64 = 30;

/// Kills whom `victim` names, lets the others go on, brings it back; the same again; then all three at once.
fn kill_under_load(victim: impl Fn(&Cluster) -> i32) {
    let mut cluster = three_nodes();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    for _ in 0..2 {
        let id = victim(&cluster);
        cluster.kill9(id).unwrap();
        load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
        cluster.restart(id).unwrap();
        cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
        load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    }
    cluster.kill9_all().unwrap();
    cluster.start_all().unwrap();
    cluster.wait_for_brokers(3, 60).unwrap();
    load.wait_for_acks(PROGRESS, 60).unwrap();
    let history = verify(&cluster, load);
    assert!(
        history.not_acked().is_empty(),
        "given up: {:?}",
        history.not_acked().first()
    );
}

#[test]
fn no_acknowledged_record_is_lost_when_a_leader_is_killed() {
    kill_under_load(|cluster| cluster.leader(TOPIC, 0).unwrap());
}

#[test]
fn no_acknowledged_record_is_lost_when_the_active_controller_is_killed() {
    kill_under_load(|cluster| cluster.active_controller().unwrap());
}

#[test]
fn no_acknowledged_record_is_lost_when_a_follower_is_killed() {
    let mut cluster = cluster::Cluster::start(3).unwrap();
    cluster.create_topic(&cluster::TopicSpec::new(TOPIC, 1, 3)).unwrap();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, 1)).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    for _ in 0..2 {
        let leader = cluster.leader(TOPIC, 0).unwrap();
        let follower = if leader == 1 { 2 } else { 1 };
        cluster.kill9(follower).unwrap();
        load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
        assert_eq!(
            cluster.leader(TOPIC, 0).unwrap(),
            leader,
            "a follower's death must not move the leadership"
        );
        cluster.restart(follower).unwrap();
        cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    }
    verify(&cluster, load);
}

#[test]
fn a_frozen_leader_is_replaced_and_deposed_when_it_wakes() {
    let mut cluster = three_nodes();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    let leader = cluster.leader(TOPIC, 0).unwrap();
    cluster.pause(leader).unwrap();
    load.wait_for_acks(PROGRESS, 60).unwrap();
    cluster.resume(leader).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    verify(&cluster, load);
}

#[test]
fn what_was_written_is_there_after_all_nodes_were_killed_at_once_and_nobody_produced_since() {
    let mut cluster = three_nodes();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(5 * PROGRESS, 60).unwrap();
    let history = load.finish().unwrap();
    cluster.kill9_all().unwrap();
    cluster.start_all().unwrap();
    cluster.wait_for_brokers(3, 60).unwrap();
    history.check(&cluster::read_all(&cluster, TOPIC, 60).unwrap()).unwrap();
}
