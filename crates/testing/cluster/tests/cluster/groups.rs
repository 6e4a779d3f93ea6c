//! Consumer groups over failures of their coordinator.

use std::collections::BTreeSet;

use cluster::{Group, History, Outcome, Workload, WorkloadSpec};

use crate::{PARTITIONS, TOPIC, three_nodes, verify};

const GROUP: &str = "workers";

fn acked_places(history: &History) -> BTreeSet<(i32, i64)> {
    let acked = history.sent.iter().filter_map(|sent| match sent.outcome {
        Outcome::Acked(Some(offset)) => Some((sent.partition, offset)),
        _ => None,
    });
    acked.collect()
}

#[test]
fn a_group_survives_its_coordinator_and_committed_offsets_never_go_back() {
    let mut cluster = three_nodes();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    let group = Group::start(&cluster, GROUP, TOPIC, PARTITIONS, 2).unwrap();
    group.wait_for_commits(3, 60).unwrap();
    for _ in 0..2 {
        let coordinator = cluster.coordinator(GROUP).unwrap();
        cluster.kill9(coordinator).unwrap();
        group.check_committed(&cluster).unwrap();
        group.wait_for_commits(3, 60).unwrap();
        load.wait_for_acks(1_000, 30).unwrap();
        cluster.restart(coordinator).unwrap();
        cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    }
    cluster.kill9_all().unwrap();
    cluster.start_all().unwrap();
    cluster.wait_for_brokers(3, 60).unwrap();
    group.check_committed(&cluster).unwrap();
    group.wait_for_commits(3, 60).unwrap();
    let history = verify(&cluster, load);
    group.wait_for_records(&acked_places(&history), 60).unwrap();
    group.check_committed(&cluster).unwrap();
    group.finish().unwrap();
}
