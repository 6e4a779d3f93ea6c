//! Replicas that catch up no faster than their throttles allow (KIP-73), while writes go on.

use cluster::{Cluster, TopicSpec, Workload, WorkloadSpec};

const PROGRESS: usize = 1_000;
/// What the topic holds before it gets another replica: at [`RATE`] that takes two hours.
const FILL: &[&str] = &["--count", "7000", "--size", "1000"];
const RATE: &str = "1000";

fn told(cluster: &Cluster, arguments: &[&str]) {
    let output = cluster.klamm(arguments).unwrap();
    assert!(output.status.success(), "klamm {}: {output:?}", arguments.join(" "));
}

fn set(cluster: &Cluster, entity: &[&str], change: &[&str]) {
    told(cluster, &[&["config", "alter"], entity, change].concat());
}

/// A replica is added under a throttle of one side: it stays outside the ISR while writes go on, until the throttle is taken away.
fn held_back_by(side: &str) {
    let cluster = Cluster::start(3).unwrap();
    let (topic, rate) = ("held", format!("{side}.replication.throttled.rate"));
    cluster.create_topic(&TopicSpec::new(topic, 1, 2)).unwrap();
    told(&cluster, &[&["bench", "produce", "--topic", topic], FILL].concat());

    let replicas = cluster.partitions(topic).unwrap()[0].replicas.clone();
    let leader = cluster.leader(topic, 0).unwrap();
    let new = (1..=3).find(|id| !replicas.contains(id)).unwrap();
    let held = if side == "leader" { leader } else { new };
    let throttled = format!("{side}.replication.throttled.replicas=0:{held}");
    set(&cluster, &["topic", topic], &["-c", &throttled]);
    set(
        &cluster,
        &["broker", &held.to_string()],
        &["-c", &format!("{rate}={RATE}")],
    );
    let wanted = format!("{topic}/0={},{},{new}", replicas[0], replicas[1]);
    told(&cluster, &["cluster", "reassign", "--no-wait", &wanted]);

    let load = Workload::start(&cluster, &WorkloadSpec::new(topic, 1)).unwrap();
    load.wait_for_acks(3 * PROGRESS, 60).unwrap();
    let state = &cluster.partitions(topic).unwrap()[0];
    assert!(state.replicas.contains(&new) && !state.isr.contains(&new), "{state:?}");

    set(&cluster, &["broker", &held.to_string()], &["--delete-config", &rate]);
    cluster.wait_for_isr(topic, 3, 60).unwrap();
    load.wait_for_acks(PROGRESS, 60).unwrap();
    let history = load.finish().unwrap();
    assert!(
        history.not_acked().is_empty(),
        "given up: {:?}",
        history.not_acked().first()
    );
    assert_eq!(cluster.error_lines(&[]), Vec::<String>::new());
}

#[test]
fn a_leader_holds_back_what_it_sends_to_a_new_replica() {
    held_back_by("leader");
}

#[test]
fn a_new_replica_holds_back_what_it_takes() {
    held_back_by("follower");
}
