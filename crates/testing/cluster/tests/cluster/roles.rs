//! Controllers and brokers as processes of their own, and the two ways to name the quorum.

use cluster::{Cluster, ClusterBuilder, TopicSpec, Workload, WorkloadSpec, wait_until};

use crate::{PARTITIONS, TOPIC, verify};

/// Acknowledgements that show that writes go on.
const PROGRESS: usize = 1_000;
const RECOVERY_SECONDS: u64 = 30;

/// Kills the active controller and then a broker under load; both come back and nothing is lost.
fn survives_kills(builder: &ClusterBuilder) {
    let mut cluster = builder.start().unwrap();
    cluster.create_topic(&TopicSpec::new(TOPIC, PARTITIONS, 3)).unwrap();
    for node in cluster.nodes() {
        node.wait_until_ready(RECOVERY_SECONDS).unwrap();
    }
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();

    let controller = cluster.active_controller().unwrap();
    cluster.kill9(controller).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    // Not only the data plane: a new controller decides.
    cluster.create_topic(&TopicSpec::new("after", 1, 2)).unwrap();
    cluster.restart(controller).unwrap();
    cluster
        .node(controller)
        .unwrap()
        .wait_until_ready(RECOVERY_SECONDS)
        .unwrap();
    cluster.wait_for_isr(TOPIC, 3, 60).unwrap();

    let leader = cluster.leader(TOPIC, 0).unwrap();
    cluster.kill9(leader).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    cluster.restart(leader).unwrap();
    cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();

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
    assert_eq!(cluster.error_lines(&[]), Vec::<String>::new());
}

#[test]
fn controllers_and_brokers_of_their_own_survive_kills() {
    survives_kills(&ClusterBuilder::separate(3, 3));
}

#[test]
fn controllers_and_brokers_of_their_own_find_each_other_by_bootstrap_servers() {
    survives_kills(&ClusterBuilder::separate(3, 3).bootstrap_servers());
}

#[test]
fn combined_nodes_find_each_other_by_bootstrap_servers() {
    survives_kills(&ClusterBuilder::new(3).bootstrap_servers());
}

fn reason(cluster: &Cluster, id: i32, path: &str) -> (u16, String) {
    let node = cluster.nodes().iter().find(|node| node.id() == id).unwrap();
    node.http_get(path).unwrap()
}

#[test]
fn health_of_a_broker_and_of_a_controller_of_its_own_tells_the_truth() {
    let mut cluster = ClusterBuilder::separate(3, 3).prepare_only().unwrap();
    // A broker alone: alive, and not ready for a reason that it names.
    cluster.restart(1).unwrap();
    wait_until("the lonely broker's health", 30, || {
        let node = &cluster.nodes()[0];
        let ((alive, _), (ready, why)) = (node.http_get("healthz")?, node.http_get("readyz")?);
        Ok((alive == 200 && ready == 503 && why.contains("not registered")).then_some(()))
    })
    .unwrap();
    let url = cluster.nodes()[0].url("readyz");
    let check = cluster.klamm(&["healthcheck", "--url", &url]).unwrap();
    assert!(!check.status.success());
    assert!(
        String::from_utf8_lossy(&check.stderr).contains("not registered"),
        "{check:?}"
    );
    // A controller alone: no leader, and it says whom it waits for.
    cluster.restart(101).unwrap();
    wait_until("the lonely controller's health", 30, || {
        let (status, why) = cluster.nodes()[3].http_get("readyz")?;
        Ok((status == 503 && why.contains("no leader")).then_some(()))
    })
    .unwrap();

    cluster.start_all().unwrap();
    cluster.wait_for_brokers(3, 60).unwrap();
    for node in cluster.nodes() {
        node.wait_until_ready(30).unwrap();
    }
    let check = cluster.klamm(&["healthcheck", "--url", &url]).unwrap();
    assert!(check.status.success(), "{check:?}");
    cluster.create_topic(&TopicSpec::new(TOPIC, PARTITIONS, 3)).unwrap();
    let metrics = |id| reason(&cluster, id, "metrics").1;
    let (broker, controller) = (metrics(1), metrics(101));
    assert!(broker.contains("klamm_server_"), "{broker}");
    assert!(!broker.contains("klamm_raft_"), "{broker}");
    assert!(controller.contains("klamm_raft_current_epoch"), "{controller}");
    let active: i32 = [101, 102, 103]
        .iter()
        .filter(|id| metrics(**id).lines().any(|line| line == "klamm_controller_active 1"))
        .count()
        .try_into()
        .unwrap();
    assert_eq!(active, 1);

    // Without a majority of the controllers a broker's session is gone, and its readiness with it.
    cluster.kill9(102).unwrap();
    cluster.kill9(103).unwrap();
    cluster.kill9(101).unwrap();
    wait_until("broker 1 to notice", 30, || {
        let (status, why) = reason_of(&cluster, 1)?;
        anyhow::ensure!(status == 503 && why.contains("session"), "{status} {why}");
        Ok(Some(()))
    })
    .unwrap();
    cluster.start_all().unwrap();
    for node in cluster.nodes() {
        node.wait_until_ready(60).unwrap();
    }
}

fn reason_of(cluster: &Cluster, id: i32) -> anyhow::Result<(u16, String)> {
    let node = cluster.nodes().iter().find(|node| node.id() == id).unwrap();
    node.http_get("readyz")
}
