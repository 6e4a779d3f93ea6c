//! Clusters of real processes under real faults; see the crate's documentation for what is checked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]

mod bench;
mod compaction;
mod delete_records;
mod disk;
mod groups;
mod kills;
mod min_isr;
mod produce_consume;
mod quorum;
mod roles;
mod shutdown;
mod throttles;
mod verify;
mod wiped;

use cluster::{Cluster, History, TopicSpec, Workload, read_all, replicas};

/// The topic of most tests, replicated to three.
const TOPIC: &str = "load";
const PARTITIONS: i32 = 6;

/// Three nodes with the topic `load`.
fn three_nodes() -> Cluster {
    let cluster = Cluster::start(3).unwrap();
    cluster.create_topic(&TopicSpec::new(TOPIC, PARTITIONS, 3)).unwrap();
    cluster
}

/// Ends the load and checks ACK-1 to ACK-4 and VIS-1 with all three replicas in every ISR.
fn verify(cluster: &Cluster, load: Workload) -> History {
    let history = load.finish().unwrap();
    cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    let read = read_all(cluster, TOPIC, 60).unwrap();
    history.check(&read).unwrap();
    replicas::wait_identical(cluster, TOPIC, 60).unwrap();
    history
}
