//! The operator's hand on the quorum: describe, add, remove, recover, and whether a node may be stopped.

use std::process::Output;

use cluster::{Cluster, ClusterBuilder, TopicSpec, Workload, WorkloadSpec, wait_until};
use serde_json::Value;

use crate::{PARTITIONS, TOPIC, three_nodes, verify};

const PROGRESS: usize = 1_000;
const RECOVERY_SECONDS: u64 = 30;

fn describe(cluster: &Cluster) -> anyhow::Result<Value> {
    cluster.klamm_json(&["quorum", "describe"])
}

/// (node, directory) of those with one of the roles, ordered by node.
fn with_role(quorum: &Value, roles: &[&str]) -> Vec<(i64, String)> {
    let replicas = quorum["replicas"].as_array().unwrap();
    let mut found: Vec<(i64, String)> = replicas
        .iter()
        .filter(|replica| roles.contains(&replica["role"].as_str().unwrap()))
        .map(|replica| {
            let directory = replica["directoryId"].as_str().unwrap_or_default().to_owned();
            (replica["node"].as_i64().unwrap(), directory)
        })
        .collect();
    found.sort();
    found
}

fn voters(cluster: &Cluster) -> anyhow::Result<Vec<i64>> {
    let found = with_role(&describe(cluster)?, &["leader", "voter"]);
    Ok(found.into_iter().map(|(node, _)| node).collect())
}

fn wait_for_voters(cluster: &Cluster, expected: &[i64]) {
    wait_until(&format!("the voters {expected:?}"), 60, || {
        let now = voters(cluster)?;
        anyhow::ensure!(now == expected, "{now:?}");
        Ok(Some(()))
    })
    .unwrap();
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Succeeds.
fn run(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = cluster.klamm(arguments).unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

/// Is refused, with these words.
fn refused(cluster: &Cluster, arguments: &[&str], words: &[&str]) {
    let output = cluster.klamm(arguments).unwrap();
    let said = said(&output);
    assert!(!output.status.success(), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?}: {word:?} is missing in: {said}");
    }
}

#[test]
fn the_quorum_is_described_with_voters_observers_and_their_lag() {
    let mut cluster = ClusterBuilder::separate(3, 3).start().unwrap();
    cluster.create_topic(&TopicSpec::new(TOPIC, PARTITIONS, 3)).unwrap();
    let all = wait_until("voters and observers without lag", 30, || {
        let quorum = describe(&cluster)?;
        let replicas = quorum["replicas"].as_array().unwrap();
        anyhow::ensure!(replicas.len() == 6, "{quorum}");
        anyhow::ensure!(replicas.iter().all(|replica| replica["lag"] == 0), "{quorum}");
        Ok(Some(quorum))
    })
    .unwrap();
    let high_watermark = all["highWatermark"].as_i64().unwrap();
    for replica in all["replicas"].as_array().unwrap() {
        assert!(replica["logEndOffset"].as_i64().unwrap() >= high_watermark, "{all}");
        assert_eq!(replica["directoryId"].as_str().unwrap().len(), 22, "{all}");
    }
    let nodes = |roles: &[&str]| -> Vec<i64> { with_role(&all, roles).into_iter().map(|(node, _)| node).collect() };
    assert_eq!(nodes(&["leader", "voter"]), [101, 102, 103]);
    assert_eq!(nodes(&["observer"]), [1, 2, 3]);
    // Kafka's tools find the same directory id on the disk.
    for (node, directory) in with_role(&all, &["leader", "voter", "observer"]) {
        let node = cluster.node(i32::try_from(node).unwrap()).unwrap();
        let meta = std::fs::read_to_string(node.log_dir().join("meta.properties")).unwrap();
        assert!(meta.contains(&format!("directory.id={directory}")), "{meta}");
        assert!(meta.contains(&format!("node.id={}", node.id())), "{meta}");
    }
    // A frozen voter falls behind, and is shown so.
    let active = cluster.active_controller().unwrap();
    let frozen = [101, 102, 103].into_iter().find(|id| *id != active).unwrap();
    cluster.pause(frozen).unwrap();
    cluster.create_topic(&TopicSpec::new("behind", 1, 2)).unwrap();
    wait_until("lag of the frozen voter", 30, || {
        let quorum = describe(&cluster)?;
        let replicas = quorum["replicas"].as_array().unwrap();
        let replica = replicas.iter().find(|replica| replica["node"] == frozen).unwrap();
        let silent = replica["lastFetchMsAgo"].as_i64().unwrap_or(0);
        Ok((replica["lag"].as_i64().unwrap_or(0) > 0 && silent > 1_000).then_some(()))
    })
    .unwrap();
    cluster.resume(frozen).unwrap();
    let text = run(&cluster, &["quorum", "describe"]);
    assert!(
        text.contains("HighWatermark") && text.contains("DIRECTORY ID"),
        "{text}"
    );
}

#[test]
fn voters_are_removed_and_added_one_by_one_and_the_majority_is_never_given_away() {
    let mut cluster = three_nodes();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    let active = cluster.active_controller().unwrap();
    let others: Vec<i32> = (1..=3).filter(|id| *id != active).collect();
    let (first, second) = (others[0].to_string(), others[1].to_string());

    // A follower goes, and comes back by the operator's word only.
    run(&cluster, &["quorum", "remove", &first]);
    wait_for_voters(&cluster, &sorted(&[active, others[1]]));
    cluster.terminate(others[0]).unwrap();
    cluster.restart(others[0]).unwrap();
    cluster.node(others[0]).unwrap().wait_until_ready(60).unwrap();
    wait_until("the removed voter as an observer", 30, || {
        let observers = with_role(&describe(&cluster)?, &["observer"]);
        Ok(observers
            .iter()
            .any(|(node, _)| *node == i64::from(others[0]))
            .then_some(()))
    })
    .unwrap();
    assert_eq!(voters(&cluster).unwrap(), sorted(&[active, others[1]]));
    refused(&cluster, &["quorum", "remove", &first], &["no voter"]);
    refused(&cluster, &["quorum", "add", &second], &["voter already"]);
    refused(
        &cluster,
        &["quorum", "add", "9"],
        &["doesn't follow", "process.roles=controller"],
    );
    add(&cluster, others[0]);
    wait_for_voters(&cluster, &[1, 2, 3]);
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();

    // The leader goes: another one leads, and it comes back.
    let active = cluster.active_controller().unwrap();
    run(&cluster, &["quorum", "remove", &active.to_string()]);
    wait_until("another leader", 30, || {
        Ok((cluster.active_controller()? != active).then_some(()))
    })
    .unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    cluster.create_topic(&TopicSpec::new("after-the-leader", 1, 3)).unwrap();
    add(&cluster, active);
    wait_for_voters(&cluster, &[1, 2, 3]);

    // With one down, nobody else may go: two would have to answer, and one does.
    let active = cluster.active_controller().unwrap();
    let others: Vec<i32> = (1..=3).filter(|id| *id != active).collect();
    cluster.kill9(others[0]).unwrap();
    // At once: the one that died a moment ago must not count.
    let dead = format!("node {}", others[0]);
    let second = others[1].to_string();
    let words = ["2 of 2 voters would have to answer", dead.as_str()];
    refused(&cluster, &["quorum", "remove", &second], &words);
    assert_eq!(voters(&cluster).unwrap(), [1, 2, 3]);
    // The dead one may.
    run(&cluster, &["quorum", "remove", &others[0].to_string()]);
    wait_for_voters(&cluster, &sorted(&[active, others[1]]));
    cluster.restart(others[0]).unwrap();
    cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    verify(&cluster, load);
}

/// A member a moment after it started to follow: the command is repeated until it is one.
fn add(cluster: &Cluster, node: i32) {
    wait_until(&format!("node {node} as a voter"), 60, || {
        let output = cluster.klamm(&["quorum", "add", &node.to_string()])?;
        anyhow::ensure!(output.status.success(), "{}", said(&output));
        Ok(Some(()))
    })
    .unwrap();
}

fn sorted(nodes: &[i32]) -> Vec<i64> {
    let mut sorted: Vec<i64> = nodes.iter().map(|node| i64::from(*node)).collect();
    sorted.sort_unstable();
    sorted
}

#[test]
fn adding_a_dead_controller_times_out_and_leaves_the_voters_as_they_were() {
    let mut cluster = three_nodes();
    let victim = {
        let active = cluster.active_controller().unwrap();
        (1..=3).find(|id| *id != active).unwrap()
    };
    let before = with_role(&describe(&cluster).unwrap(), &["leader", "voter"]);
    let directory = before
        .iter()
        .find(|(node, _)| *node == i64::from(victim))
        .unwrap()
        .1
        .clone();
    run(&cluster, &["quorum", "remove", &victim.to_string()]);
    // It follows as an observer, then dies: frozen, so that nothing refuses a connection.
    wait_until("the removed voter as a member that can vote again", 60, || {
        let quorum = describe(&cluster)?;
        let observers = with_role(&quorum, &["observer"]);
        let replicas = quorum["replicas"].as_array().unwrap();
        let has_address = |node: &Value| node["node"] == victim && node["address"].is_string();
        let is_member = observers.contains(&(i64::from(victim), directory.clone()));
        Ok((is_member && replicas.iter().any(has_address)).then_some(()))
    })
    .unwrap();
    cluster.pause(victim).unwrap();
    refused(
        &cluster,
        &["quorum", "add", &victim.to_string()],
        &["can't become a voter", "start it"],
    );
    cluster.resume(victim).unwrap();
    cluster.kill9(victim).unwrap();
    let address = format!("127.0.0.1:{}", cluster.node(victim).unwrap().ports().controller);
    let (node, directory_id) = (victim.to_string(), directory.as_str());
    let arguments = [
        "quorum",
        "add",
        &node,
        "--directory-id",
        directory_id,
        "--controller-address",
        &address,
    ];
    refused(&cluster, &arguments, &["can't become a voter", &address]);
    let stranger = "AAAAAAAAAAAAAAAAAAAAAQ";
    let mut unknown = arguments;
    unknown[4] = stranger;
    refused(&cluster, &unknown, &["can't become a voter"]);
    // Whole: two voters, who go on.
    let rest: Vec<i64> = before
        .iter()
        .map(|(node, _)| *node)
        .filter(|node| *node != i64::from(victim))
        .collect();
    assert_eq!(voters(&cluster).unwrap(), rest);
    cluster.create_topic(&TopicSpec::new("whole", 1, 2)).unwrap();
    cluster.restart(victim).unwrap();
    cluster.node(victim).unwrap().wait_until_ready(60).unwrap();
    add(&cluster, victim);
    wait_for_voters(&cluster, &[1, 2, 3]);
}

#[test]
fn a_quorum_whose_majority_is_lost_for_good_is_recovered_from_one_survivor() {
    let mut cluster = three_nodes();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    let history = load.finish().unwrap();
    let survivor = 2;
    let data = cluster.node(survivor).unwrap().log_dir();
    let data = data.to_str().unwrap();
    let recover = ["quorum", "recover", "--data", data];
    let accept = ["quorum", "recover", "--data", data, "--accept-metadata-loss"];
    // Never beside a running node.
    refused(&cluster, &accept, &["in use by another process"]);
    cluster.kill9_all().unwrap();
    // One disk is gone; the other is only believed to be.
    let old_disk = cluster.node(3).unwrap().log_dir();
    let hidden = old_disk.with_extension("hidden");
    std::fs::rename(&old_disk, &hidden).unwrap();
    cluster.node(1).unwrap().wipe().unwrap();

    // Alone it has no leader.
    cluster.restart(survivor).unwrap();
    wait_until("the lonely survivor's complaint", 30, || {
        let (status, why) = cluster.node(survivor)?.http_get("readyz")?;
        anyhow::ensure!(status == 503 && why.contains("no leader"), "{why}");
        Ok(Some(()))
    })
    .unwrap();
    cluster.kill9(survivor).unwrap();

    refused(
        &cluster,
        &recover,
        &[
            "WARNING",
            "LOST",
            "1@127.0.0.1",
            "3@127.0.0.1",
            "--accept-metadata-loss",
        ],
    );
    let said = run(&cluster, &accept);
    assert!(said.contains("node 2 is the only voter"), "{said}");
    refused(&cluster, &accept, &["only voter already"]);
    cluster.restart(survivor).unwrap();
    wait_until("the survivor to lead", 60, || {
        let (_, text) = cluster.node(survivor)?.http_get("metrics")?;
        Ok(text
            .lines()
            .any(|line| line == "klamm_controller_active 1")
            .then_some(()))
    })
    .unwrap();

    // A former voter with its old disk is refused, whatever it believes.
    std::fs::rename(&hidden, &old_disk).unwrap();
    cluster.restart(3).unwrap();
    let node = cluster.node(3).unwrap();
    let status = node.wait_for_exit(60).unwrap();
    assert!(!status.success());
    let log = node.log();
    assert!(
        log.contains("was recovered without node 3") && log.contains("empty"),
        "{log}"
    );

    // Blank, the others join and are admitted, and the cluster serves again.
    cluster.node(3).unwrap().wipe().unwrap();
    cluster.restart(1).unwrap();
    cluster.restart(3).unwrap();
    cluster.wait_for_brokers(3, 60).unwrap();
    wait_for_voters(&cluster, &[1, 2, 3]);
    cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    history.check(&cluster::read_all(&cluster, TOPIC, 60).unwrap()).unwrap();
    let load = Workload::start(&cluster, &WorkloadSpec::new("second", 1));
    cluster.create_topic(&TopicSpec::new("second", 1, 3)).unwrap();
    let load = load.unwrap();
    load.wait_for_acks(PROGRESS, 60).unwrap();
    // And survives the survivor.
    cluster.kill9(survivor).unwrap();
    load.wait_for_acks(PROGRESS, 60).unwrap();
    cluster.restart(survivor).unwrap();
    cluster.wait_for_isr("second", 3, 60).unwrap();
    let history = load.finish().unwrap();
    history
        .check(&cluster::read_all(&cluster, "second", 60).unwrap())
        .unwrap();
}

#[test]
fn stopping_a_second_node_of_three_is_unsafe_and_says_which_partitions() {
    let mut cluster = three_nodes();
    for id in 1..=3 {
        let node = id.to_string();
        let verdict = cluster.klamm_json(&["cluster", "safe-to-stop", &node]).unwrap();
        assert_eq!(verdict["safe"], true, "{verdict}");
        let (status, text) = cluster.node(id).unwrap().http_get("safe-to-stop").unwrap();
        assert_eq!(status, 200, "{text}");
    }
    run(&cluster, &["cluster", "safe-to-stop"]);
    cluster.create_topic(&TopicSpec::new("single", 1, 1)).unwrap();
    let lone = cluster.leader("single", 0).unwrap();
    refused(
        &cluster,
        &["cluster", "safe-to-stop", &lone.to_string()],
        &["single-0", "0 in-sync replicas"],
    );
    let (status, text) = cluster.node(lone).unwrap().http_get("safe-to-stop").unwrap();
    assert!(
        status == 503 && text.contains("single-0") && !text.contains("majority"),
        "{text}"
    );

    let stopped = (1..=3).find(|id| *id != lone).unwrap();
    let other = (1..=3).find(|id| *id != lone && *id != stopped).unwrap();
    cluster.terminate(stopped).unwrap();
    let output = wait_until("the quorum to notice", 30, || {
        let output = cluster.klamm(&["cluster", "safe-to-stop", &other.to_string(), "--output", "json"])?;
        let verdict: Value = serde_json::from_slice(&output.stdout)?;
        anyhow::ensure!(verdict["quorum"].is_object(), "{verdict}");
        Ok(Some(output))
    })
    .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict["safe"], false);
    assert_eq!(verdict["quorum"]["votersLeft"], 1, "{verdict}");
    let partitions = verdict["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), usize::try_from(PARTITIONS).unwrap(), "{verdict}");
    for partition in partitions {
        assert!(partition["partition"].as_str().unwrap().starts_with(TOPIC), "{verdict}");
        assert_eq!(partition["inSyncReplicasLeft"], 1);
        assert_eq!(partition["minInsyncReplicas"], 2);
    }
    let (status, text) = cluster.node(other).unwrap().http_get("safe-to-stop").unwrap();
    assert_eq!(status, 503, "{text}");
    assert!(
        text.contains(&format!("{TOPIC}-0")) && text.contains("majority"),
        "{text}"
    );
    // Who is down already, is safe.
    run(&cluster, &["cluster", "safe-to-stop", &stopped.to_string()]);
    cluster.restart(stopped).unwrap();
    cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    wait_until("it to be safe again", 30, || {
        let output = cluster.klamm(&["cluster", "safe-to-stop", &other.to_string()])?;
        anyhow::ensure!(output.status.success(), "{}", said(&output));
        Ok(Some(()))
    })
    .unwrap();
    refused(&cluster, &["cluster", "safe-to-stop", "77"], &["no node 77"]);
}
