//! `min.insync.replicas` with 4 brokers, RF 3 and one replica down.

use cluster::{Cluster, History, Outcome, TopicSpec, Workload, WorkloadSpec, read_all};
use rdkafka::types::RDKafkaErrorCode;

const STRICT: &str = "all-three";
const USUAL: &str = "two-of-three";

/// Sends to `topic` until `answers` came, without retries: each answer is the broker's own.
fn send(cluster: &Cluster, topic: &str, answers: usize) -> History {
    let spec = WorkloadSpec::new(topic, 1).producers(1);
    let spec = spec.setting("enable.idempotence", "false").setting("retries", "0");
    let load = Workload::start(cluster, &spec).unwrap();
    load.wait_for_answers(answers, 30).unwrap();
    load.finish().unwrap()
}

#[test]
fn with_one_replica_down_min_isr_3_refuses_writes_and_min_isr_2_takes_them() {
    let mut cluster = Cluster::start(4).unwrap();
    cluster
        .create_topic(&TopicSpec::new(STRICT, 1, 3).config("min.insync.replicas", "3"))
        .unwrap();
    cluster
        .create_topic(&TopicSpec::new(USUAL, 1, 3).config("min.insync.replicas", "2"))
        .unwrap();
    let taken = send(&cluster, STRICT, 100);
    for topic in [STRICT, USUAL] {
        let state = cluster.partitions(topic).unwrap().remove(0);
        let follower = *state.replicas.iter().find(|id| **id != state.leader).unwrap();
        cluster.kill9(follower).unwrap();
        cluster.wait_for_isr(topic, 2, 30).unwrap();
        if topic == STRICT {
            let refused = send(&cluster, topic, 20);
            let answers: Vec<Outcome> = refused.sent.iter().map(|sent| sent.outcome).collect();
            assert!(!answers.is_empty());
            let expected = Outcome::Refused(RDKafkaErrorCode::NotEnoughReplicas);
            assert!(answers.iter().all(|outcome| *outcome == expected), "{answers:?}");
            assert_eq!(read_all(&cluster, topic, 30).unwrap().len(), taken.acked());
        } else {
            let history = send(&cluster, topic, 100);
            assert!(history.not_acked().is_empty(), "{:?}", history.not_acked());
            history.check(&read_all(&cluster, topic, 30).unwrap()).unwrap();
        }
        cluster.restart(follower).unwrap();
        cluster.wait_for_isr(topic, 3, 60).unwrap();
    }
    assert!(send(&cluster, STRICT, 100).not_acked().is_empty());
}
