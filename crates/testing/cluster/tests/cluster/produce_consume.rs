//! The ordinary case.

use std::collections::BTreeSet;

use cluster::{Workload, WorkloadSpec};

use crate::{PARTITIONS, TOPIC, three_nodes, verify};

#[test]
fn everything_sent_is_acknowledged_and_read_back_and_nobody_logs_an_error() {
    let cluster = three_nodes();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(10_000, 60).unwrap();
    let history = verify(&cluster, load);
    assert!(history.not_acked().is_empty(), "{:?}", history.not_acked());
    assert_eq!(cluster.error_lines(&[]), Vec::<String>::new());
}

#[test]
fn every_codec_is_taken_and_given_back() {
    let cluster = three_nodes();
    for codec in ["gzip", "lz4", "snappy", "zstd"] {
        let topic = format!("codec-{codec}");
        cluster.create_topic(&cluster::TopicSpec::new(&topic, 1, 3)).unwrap();
        let spec = WorkloadSpec::new(&topic, 1).setting("compression.codec", codec);
        let load = Workload::start(&cluster, &spec).unwrap();
        load.wait_for_acks(500, 30).unwrap();
        let history = load.finish().unwrap();
        assert!(history.not_acked().is_empty(), "{codec}: {:?}", history.not_acked());
        history
            .check(&cluster::read_all(&cluster, &topic, 30).unwrap())
            .unwrap();
    }
}

#[test]
fn leaders_are_spread_over_the_nodes() {
    let cluster = three_nodes();
    let leaders: BTreeSet<i32> = cluster
        .partitions(TOPIC)
        .unwrap()
        .iter()
        .map(|partition| partition.leader)
        .collect();
    assert_eq!(leaders, BTreeSet::from([1, 2, 3]));
}
