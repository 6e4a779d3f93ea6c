//! Who may join: wiped disks, strangers, doubles, and those who were away for long.

use std::collections::BTreeSet;

use cluster::{Cluster, ClusterBuilder, TopicSpec, Workload, WorkloadSpec, wait_until};
use serde_json::Value;

use crate::{PARTITIONS, TOPIC, three_nodes, verify};

const PROGRESS: usize = 1_000;
const RECOVERY_SECONDS: u64 = 30;

/// The directory ids of a node's places in the quorum, by role.
fn directories(cluster: &Cluster, node: i32) -> Vec<(String, String)> {
    let quorum = cluster.klamm_json(&["quorum", "describe"]).unwrap();
    let replicas = quorum["replicas"].as_array().unwrap();
    let of_node = replicas.iter().filter(|replica| replica["node"] == node);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    of_node
        .map(|replica| (text(&replica["role"]), text(&replica["directoryId"])))
        .collect()
}

fn voters(cluster: &Cluster) -> anyhow::Result<BTreeSet<(i64, String)>> {
    let quorum = cluster.klamm_json(&["quorum", "describe"])?;
    let replicas = quorum["replicas"].as_array().cloned().unwrap_or_default();
    let votes = |replica: &&Value| replica["role"] == "leader" || replica["role"] == "voter";
    let voters = replicas.iter().filter(votes).map(|replica| {
        let directory = replica["directoryId"].as_str().unwrap_or_default().to_owned();
        (replica["node"].as_i64().unwrap_or(-1), directory)
    });
    Ok(voters.collect())
}

/// Kills the node, empties its disk, starts it, and waits until it is a voter with another directory and in every ISR.
fn wipe_and_rejoin(cluster: &mut Cluster, id: i32) {
    let before = voters(cluster).unwrap();
    assert_eq!(before.len(), 3, "{before:?}");
    let old = before.iter().find(|(node, _)| *node == i64::from(id)).unwrap().clone();
    cluster.kill9(id).unwrap();
    cluster.node(id).unwrap().wipe().unwrap();
    cluster.restart(id).unwrap();
    wait_until(&format!("node {id} to vote with a new directory"), 60, || {
        let now = voters(cluster)?;
        anyhow::ensure!(now.len() == 3 && !now.contains(&old), "{now:?}");
        let others = |voters: &BTreeSet<(i64, String)>| -> BTreeSet<(i64, String)> {
            voters
                .iter()
                .filter(|(node, _)| *node != i64::from(id))
                .cloned()
                .collect()
        };
        anyhow::ensure!(others(&now) == others(&before), "{now:?}");
        Ok(now.iter().any(|(node, _)| *node == i64::from(id)).then_some(()))
    })
    .unwrap();
    cluster.node(id).unwrap().wait_until_ready(60).unwrap();
    cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
}

#[test]
fn a_wiped_node_comes_back_as_another_voter_and_gets_its_data_back() {
    let mut cluster = three_nodes();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    let active = cluster.active_controller().unwrap();
    let follower = (1..=3).find(|id| *id != active).unwrap();
    wipe_and_rejoin(&mut cluster, follower);
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    let active = cluster.active_controller().unwrap();
    wipe_and_rejoin(&mut cluster, active);
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    let log = cluster.node(follower).unwrap().log();
    assert!(
        log.contains("joining the metadata quorum") || log.contains("this node belongs to the cluster"),
        "{log}"
    );
    let history = verify(&cluster, load);
    assert!(history.not_acked().is_empty(), "{:?}", history.not_acked().first());
    // A learner first: whoever led then said so.
    let logs: String = cluster.nodes().iter().map(cluster::Node::log).collect();
    assert!(logs.contains("added to the metadata quorum as a learner"), "{logs}");
    assert!(logs.contains("admitted to the metadata quorum as a voter"), "{logs}");
}

#[test]
fn a_wiped_broker_of_its_own_gets_its_data_back() {
    let mut cluster = ClusterBuilder::separate(3, 3).start().unwrap();
    cluster.create_topic(&TopicSpec::new(TOPIC, PARTITIONS, 3)).unwrap();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    let leader = cluster.leader(TOPIC, 0).unwrap();
    cluster.kill9(leader).unwrap();
    cluster.node(leader).unwrap().wipe().unwrap();
    cluster.restart(leader).unwrap();
    cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    verify(&cluster, load);
}

/// A second cluster of one combined node, grown up with the first node's properties in a folder of its own, then stopped;
/// its data directory takes the place of `victim`'s.
fn give_foreign_directory(cluster: &mut Cluster, victim: i32) -> String {
    cluster.kill9(victim).unwrap();
    let node = cluster.node(victim).unwrap();
    node.wipe().unwrap();
    let own = std::fs::read_to_string(node.properties_path()).unwrap();
    let ports = node.ports();
    let alone = if node.is_controller() {
        format!("{victim}@127.0.0.1:{}", ports.controller)
    } else {
        // A broker alone founds no cluster: for this it is both.
        node.set_property("process.roles", "broker,controller").unwrap();
        let listeners = format!(
            "PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}",
            ports.client, ports.controller
        );
        node.set_property("listeners", &listeners).unwrap();
        format!("{victim}@127.0.0.1:{}", ports.controller)
    };
    node.set_property("controller.quorum.voters", &alone).unwrap();
    node.start().unwrap();
    node.wait_until_ready(60).unwrap();
    node.terminate(30).unwrap();
    let meta = std::fs::read_to_string(node.log_dir().join("meta.properties")).unwrap();
    std::fs::write(node.properties_path(), own).unwrap();
    let cluster_id = meta.lines().find_map(|line| line.strip_prefix("cluster.id="));
    cluster_id.unwrap().to_owned()
}

fn cluster_id(cluster: &Cluster) -> String {
    let description = cluster.describe().unwrap();
    description["clusterId"].as_str().unwrap().to_owned()
}

/// The node starts, ends by itself with an exit code above 0, and names both clusters and what to do.
fn is_refused(cluster: &mut Cluster, id: i32, words: &[&str]) {
    let node = cluster.node(id).unwrap();
    let before = node.log().len();
    node.start().unwrap();
    let status = node.wait_for_exit(60).unwrap();
    let log = node.log()[before..].to_owned();
    assert!(!status.success(), "{status}: {log}");
    let last = log.lines().rfind(|line| line.contains("ERROR")).unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "{word:?} is missing in {last:?} of\n{log}");
    }
}

#[test]
fn a_voter_with_a_directory_of_another_cluster_is_refused_with_both_ids_and_the_remedy() {
    let mut cluster = three_nodes();
    let ours = cluster_id(&cluster);
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    let theirs = give_foreign_directory(&mut cluster, 3);
    assert_ne!(ours, theirs);
    is_refused(&mut cluster, 3, &[&ours, &theirs, "empty"]);
    // The others didn't mind.
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    // What the message says helps.
    cluster.node(3).unwrap().wipe().unwrap();
    cluster.restart(3).unwrap();
    cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    verify(&cluster, load);
}

#[test]
fn a_stranger_that_starts_first_does_not_end_the_healthy_nodes() {
    let mut cluster = three_nodes();
    let ours = cluster_id(&cluster);
    let theirs = give_foreign_directory(&mut cluster, 3);
    cluster.kill9_all().unwrap();
    cluster.restart(3).unwrap();
    cluster.node(3).unwrap().wait_until_ready(60).unwrap();
    cluster.restart(1).unwrap();
    cluster.restart(2).unwrap();
    let node = cluster.node(3).unwrap();
    let status = node.wait_for_exit(60).unwrap();
    assert!(!status.success());
    let log = node.log();
    assert!(log.contains(&ours) && log.contains(&theirs), "{log}");
    cluster.wait_for_brokers(2, 60).unwrap();
    assert_eq!(cluster_id(&cluster), ours);
}

#[test]
fn a_broker_of_its_own_with_a_directory_of_another_cluster_is_refused() {
    let mut cluster = ClusterBuilder::separate(1, 2).start().unwrap();
    let ours = cluster_id(&cluster);
    let theirs = give_foreign_directory(&mut cluster, 2);
    is_refused(&mut cluster, 2, &[&ours, &theirs, "empty"]);
    // A directory that says so itself needs no network to be refused.
    cluster.node(2).unwrap().set_property("cluster.id", &ours).unwrap();
    is_refused(&mut cluster, 2, &[&ours, &theirs, "meta.properties", "empty"]);
}

#[test]
fn blank_nodes_wait_for_every_listed_voter_and_name_whom_they_wait_for() {
    for builder in [ClusterBuilder::new(3), ClusterBuilder::new(3).bootstrap_servers()] {
        let mut cluster = builder.prepare_only().unwrap();
        cluster.restart(1).unwrap();
        cluster.restart(2).unwrap();
        let missing = format!("127.0.0.1:{}", cluster.node(3).unwrap().ports().controller);
        let founder = format!("127.0.0.1:{}", cluster.node(2).unwrap().ports().controller);
        for id in [1, 2] {
            wait_until("the name of the missing voter", 30, || {
                let (status, why) = cluster.node(id)?.http_get("readyz")?;
                anyhow::ensure!(status == 503 && why.contains(&missing), "{why}");
                anyhow::ensure!(!why.contains(&founder), "node 2 answers: {why}");
                Ok(Some(()))
            })
            .unwrap();
            cluster.node(id).unwrap().wait_for_log(&missing, 30).unwrap();
        }
        cluster.restart(3).unwrap();
        cluster.wait_for_brokers(3, 60).unwrap();
        assert_eq!(voters(&cluster).unwrap().len(), 3);
    }
}

/// A copy of a node's properties with other ports and another folder, run beside it.
fn double_of(cluster: &mut Cluster, id: i32, change: impl Fn(&str) -> String) -> (std::process::Output, f64) {
    let text = std::fs::read_to_string(cluster.node(id).unwrap().properties_path()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.properties");
    std::fs::write(
        &path,
        change(&text).replace("@data@", &folder.path().join("data").display().to_string()),
    )
    .unwrap();
    let began = std::time::Instant::now();
    let output = cluster.klamm(&["server", path.to_str().unwrap()]).unwrap();
    (output, began.elapsed().as_secs_f64())
}

fn replace_property(text: &str, key: &str, value: &str) -> String {
    text.lines()
        .map(|line| match line.split_once('=') {
            Some((found, _)) if found == key => format!("{key}={value}\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}

/// Other ports than the original's: the system chooses.
fn elsewhere(text: &str, listeners: &str) -> String {
    let text = replace_property(text, "listeners", listeners);
    let text = replace_property(&text, "advertised.listeners", "PLAINTEXT://127.0.0.1:19");
    replace_property(&text, "klamm.http.listener", "127.0.0.1:0")
}

#[test]
fn of_two_processes_with_one_id_the_second_is_refused_and_the_first_goes_on() {
    let mut cluster = ClusterBuilder::new(4).start().unwrap();
    cluster.create_topic(&TopicSpec::new(TOPIC, PARTITIONS, 3)).unwrap();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS)).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    let before = voters(&cluster).unwrap();
    let both = "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0";

    // The same directory.
    let (output, _) = double_of(&mut cluster, 3, |text| elsewhere(text, both));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("in use by another process"), "{said}");

    // A voter's id with a directory of its own.
    let (output, seconds) = double_of(&mut cluster, 3, |text| {
        replace_property(&elsewhere(text, both), "log.dirs", "@data@")
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("is alive") || said.contains("Another process runs with node.id=3"),
        "{said}"
    );
    assert!(seconds < 40.0, "{seconds}");

    // A broker's id with a directory of its own.
    let (output, seconds) = double_of(&mut cluster, 4, |text| {
        let text = elsewhere(text, "PLAINTEXT://127.0.0.1:0");
        replace_property(&text, "log.dirs", "@data@")
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("Another process runs with node.id=4"), "{said}");
    assert!(seconds < 40.0, "{seconds}");

    assert_eq!(voters(&cluster).unwrap(), before);
    cluster.wait_for_brokers(4, 10).unwrap();
    load.wait_for_acks(PROGRESS, RECOVERY_SECONDS).unwrap();
    verify(&cluster, load);
}

#[test]
fn a_controller_that_was_away_while_the_log_was_purged_gets_a_snapshot() {
    // Small snapshots, so that a few topics are more than the log keeps.
    let builder = ClusterBuilder::separate(3, 1);
    let builder = builder.property("metadata.log.max.record.bytes.between.snapshots", "2048");
    let mut cluster = builder.start().unwrap();
    let away = {
        let active = cluster.active_controller().unwrap();
        [101, 102, 103].into_iter().find(|id| *id != active).unwrap()
    };
    let gauge = |cluster: &Cluster, id: i32, name: &str| -> anyhow::Result<i64> {
        let node = cluster.nodes().iter().find(|node| node.id() == id).unwrap();
        let (_, text) = node.http_get("metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.unwrap_or("-1").trim().parse()?)
    };
    let last_seen = gauge(&cluster, away, "klamm_raft_applied_index").unwrap();
    cluster.kill9(away).unwrap();
    let mut topics = 0;
    wait_until("a log that begins after what the absent one has", 120, || {
        cluster.create_topic(&TopicSpec::new(&format!("topic-{topics}"), 8, 1))?;
        topics += 1;
        let active = cluster.active_controller()?;
        let purged = gauge(&cluster, active, "klamm_raft_purged_index")?;
        Ok((purged > last_seen + 5).then_some(()))
    })
    .unwrap();
    cluster.restart(away).unwrap();
    wait_until("the absent one to have everything", 60, || {
        let active = cluster.active_controller()?;
        let applied = gauge(&cluster, active, "klamm_raft_applied_index")?;
        let snapshot = gauge(&cluster, away, "klamm_raft_snapshot_index")?;
        let here = gauge(&cluster, away, "klamm_raft_applied_index")?;
        anyhow::ensure!(
            here >= applied && snapshot > last_seen,
            "{here} of {applied}, snapshot {snapshot}"
        );
        Ok(Some(()))
    })
    .unwrap();
    cluster.node(away).unwrap().wait_until_ready(30).unwrap();
    // It can lead with what it got.
    for id in [101, 102, 103].into_iter().filter(|id| *id != away) {
        cluster.terminate(id).unwrap();
        cluster.restart(id).unwrap();
        cluster.node(id).unwrap().wait_until_ready(30).unwrap();
    }
    let description = cluster.describe().unwrap();
    assert_eq!(description["partitions"]["topics"], topics, "{description}");
    assert_eq!(directories(&cluster, away).len(), 1);
}
