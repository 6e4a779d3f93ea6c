//! Controlled shutdown: nobody notices.

use cluster::{Workload, WorkloadSpec};

use crate::{PARTITIONS, TOPIC, three_nodes, verify};

#[test]
fn a_rolling_restart_has_no_failed_send() {
    let mut cluster = three_nodes();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(1_000, 30).unwrap();
    for id in [1, 2, 3] {
        cluster.terminate(id).unwrap();
        let led: Vec<_> = cluster
            .partitions(TOPIC)
            .unwrap()
            .into_iter()
            .filter(|state| state.leader == id)
            .collect();
        assert!(led.is_empty(), "node {id} has left and still leads {led:?}");
        load.wait_for_acks(1_000, 30).unwrap();
        cluster.restart(id).unwrap();
        cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    }
    let history = verify(&cluster, load);
    assert!(history.not_acked().is_empty(), "{:?}", history.not_acked());
}
