//! Promise DISK with real disks: full ones, failing ones.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cluster::{
    Breakage, BrokenFile, Cluster, ClusterBuilder, History, Outcome, TopicSpec, Workload, WorkloadSpec,
    can_break_disks, read_all, replicas, wait_until,
};
use rdkafka::types::RDKafkaErrorCode;

use crate::TOPIC;

const MIB: u64 = 1 << 20;
/// Records are taken again so soon after there is room.
const RESUMED: Duration = Duration::from_secs(5);

/// Sends without retries until `answers` came: each is the broker's own.
fn answers_of(cluster: &Cluster, topic: &str, answers: usize) -> History {
    let spec = WorkloadSpec::new(topic, 1).producers(1);
    let spec = spec.setting("enable.idempotence", "false").setting("retries", "0");
    let load = Workload::start(cluster, &spec).unwrap();
    load.wait_for_answers(answers, 30).unwrap();
    load.finish().unwrap()
}

fn all_refused(cluster: &Cluster, topic: &str) -> bool {
    let refused = Outcome::Unknown(RDKafkaErrorCode::KafkaStorageError);
    let history = answers_of(cluster, topic, 20);
    history.sent.iter().all(|sent| sent.outcome == refused)
}

#[test]
fn a_full_disk_refuses_records_even_after_a_kill_and_takes_them_again_by_itself() {
    if !can_break_disks("a_full_disk_refuses_records_even_after_a_kill_and_takes_them_again_by_itself") {
        return;
    }
    let mut cluster = ClusterBuilder::new(1).disk(1, "data", 96 * MIB).start().unwrap();
    cluster.create_topic(&TopicSpec::new(TOPIC, 1, 1)).unwrap();
    cluster.create_topic(&TopicSpec::new("probe", 1, 1)).unwrap();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, 1)).unwrap();
    load.wait_for_acks(500, 30).unwrap();

    cluster.disk(1, "data").unwrap().fill().unwrap();
    wait_until("every record to be refused", 30, || {
        Ok(all_refused(&cluster, "probe").then_some(()))
    })
    .unwrap();
    let readable = read_all(&cluster, TOPIC, 30).unwrap().len();
    assert!(readable >= 500, "what was acknowledged is read from a full disk");
    // The metadata log has room of its own: topics come and go, which is how an operator makes room.
    cluster.create_topic(&TopicSpec::new("made-while-full", 1, 1)).unwrap();

    cluster.kill9(1).unwrap();
    cluster.disk(1, "data").unwrap().fill().unwrap();
    cluster.restart(1).unwrap();
    cluster.wait_for_brokers(1, 30).unwrap();
    wait_until("every record to be refused after the restart", 30, || {
        Ok(all_refused(&cluster, "probe").then_some(()))
    })
    .unwrap();
    assert!(read_all(&cluster, TOPIC, 30).unwrap().len() >= readable);

    let freed = Instant::now();
    cluster.disk(1, "data").unwrap().free().unwrap();
    load.wait_for_acks(500, 30).unwrap();
    let took = freed.elapsed();
    assert!(took < RESUMED, "records were taken again after {took:?}");
    let history = load.finish().unwrap();
    assert!(history.not_acked().is_empty(), "{:?}", history.not_acked());
    history.check(&read_all(&cluster, TOPIC, 60).unwrap()).unwrap();
    assert_eq!(cluster.error_lines(&[]), Vec::<String>::new());
    cluster.terminate(1).unwrap();
}

#[test]
fn a_replica_on_a_full_disk_falls_behind_and_comes_back_while_the_others_go_on() {
    if !can_break_disks("a_replica_on_a_full_disk_falls_behind_and_comes_back_while_the_others_go_on") {
        return;
    }
    let mut cluster = ClusterBuilder::new(3)
        .property("replica.lag.time.max.ms", "2000")
        .property("leader.imbalance.check.interval.seconds", "2")
        .disk(3, "data", 96 * MIB)
        .start()
        .unwrap();
    cluster.create_topic(&TopicSpec::new(TOPIC, 3, 3)).unwrap();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, 3)).unwrap();
    load.wait_for_acks(500, 30).unwrap();

    cluster.disk(3, "data").unwrap().fill().unwrap();
    wait_until("node 3 out of the ISR of what the others lead", 30, || {
        let partitions = cluster.partitions(TOPIC)?;
        let behind = partitions
            .iter()
            .filter(|partition| partition.leader != 3)
            .all(|partition| !partition.isr.contains(&3));
        Ok(behind.then_some(()))
    })
    .unwrap();
    load.wait_for_acks(500, 30).unwrap();

    cluster.disk(3, "data").unwrap().free().unwrap();
    cluster.wait_for_isr(TOPIC, 3, 30).unwrap();
    let history = load.finish().unwrap();
    assert!(history.not_acked().is_empty(), "{:?}", history.not_acked());
    history.check(&read_all(&cluster, TOPIC, 60).unwrap()).unwrap();
    replicas::wait_identical(&cluster, TOPIC, 60).unwrap();
    assert_eq!(cluster.error_lines(&[]), Vec::<String>::new());
    cluster.terminate(3).unwrap();
}

/// Three nodes, the second one with two data directories, and a load on six partitions.
fn two_directories() -> (Cluster, Workload) {
    let cluster = ClusterBuilder::new(3).disk(2, "extra", 256 * MIB).start().unwrap();
    cluster.create_topic(&TopicSpec::new(TOPIC, 6, 3)).unwrap();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, 6)).unwrap();
    load.wait_for_acks(500, 30).unwrap();
    (cluster, load)
}

/// The partitions whose replica of node 2 lies in its second directory.
fn in_extra(cluster: &mut Cluster) -> Vec<i32> {
    let extra = cluster.node(2).unwrap().directory("extra");
    let names = fs::read_dir(extra).unwrap().map(|entry| entry.unwrap().file_name());
    let partitions: Vec<i32> = names
        .filter_map(|name| name.to_str()?.strip_prefix("load-")?.parse().ok())
        .collect();
    assert!((1..6).contains(&partitions.len()), "spread over both: {partitions:?}");
    partitions
}

fn log_file(cluster: &mut Cluster, partition: i32) -> PathBuf {
    let extra = cluster.node(2).unwrap().directory("extra");
    extra.join(format!("load-{partition}/00000000000000000000.log"))
}

/// Node 2 leads nothing of `lost` and is in none of their ISRs, is in all others, and still runs.
fn wait_until_moved(cluster: &mut Cluster, lost: &[i32], seconds: u64) {
    wait_until("the lost replicas out of their ISRs, the others in", seconds, || {
        let partitions = cluster.partitions(TOPIC)?;
        let moved = partitions.iter().all(|partition| {
            let is_lost = lost.contains(&partition.partition);
            partition.leader >= 0 && partition.isr.contains(&2) != is_lost && !(is_lost && partition.leader == 2)
        });
        anyhow::ensure!(moved, "{partitions:?}");
        Ok(Some(()))
    })
    .unwrap();
    assert!(
        cluster.node(2).unwrap().exited().unwrap().is_none(),
        "the process goes on"
    );
}

/// Node 2 starts anew with both directories, and nothing that was acknowledged is missing.
fn restart_and_verify(mut cluster: Cluster, load: Workload, allowed: &[&str]) {
    load.wait_for_acks(500, 30).unwrap();
    if cluster.node(2).unwrap().is_started() {
        cluster.kill9(2).unwrap();
    }
    cluster.restart(2).unwrap();
    cluster.wait_for_isr(TOPIC, 3, 60).unwrap();
    let history = load.finish().unwrap();
    assert!(history.not_acked().is_empty(), "{:?}", history.not_acked());
    history.check(&read_all(&cluster, TOPIC, 60).unwrap()).unwrap();
    replicas::wait_identical(&cluster, TOPIC, 60).unwrap();
    assert_eq!(cluster.error_lines(allowed), Vec::<String>::new());
}

const FAILED: &str = "the data directory failed";

#[test]
fn a_directory_whose_writes_fail_goes_offline_and_its_partitions_move() {
    if !can_break_disks("a_directory_whose_writes_fail_goes_offline_and_its_partitions_move") {
        return;
    }
    let (mut cluster, load) = two_directories();
    let lost = in_extra(&mut cluster);
    let file = log_file(&mut cluster, lost[0]);
    let broken = BrokenFile::new(cluster.node(2).unwrap(), &file, Breakage::WritesFail).unwrap();
    wait_until_moved(&mut cluster, &lost, 20);
    drop(broken);
    restart_and_verify(cluster, load, &[FAILED]);
}

#[test]
fn a_directory_whose_syncs_fail_goes_offline_and_its_partitions_move() {
    if !can_break_disks("a_directory_whose_syncs_fail_goes_offline_and_its_partitions_move") {
        return;
    }
    let (mut cluster, load) = two_directories();
    let lost = in_extra(&mut cluster);
    let file = log_file(&mut cluster, lost[0]);
    let broken = BrokenFile::new(cluster.node(2).unwrap(), &file, Breakage::SyncsFail).unwrap();
    wait_until_moved(&mut cluster, &lost, 30);
    drop(broken);
    restart_and_verify(cluster, load, &[FAILED]);
}

#[test]
fn a_directory_that_cannot_be_read_at_start_is_offline_and_the_other_one_serves() {
    if !can_break_disks("a_directory_that_cannot_be_read_at_start_is_offline_and_the_other_one_serves") {
        return;
    }
    let (mut cluster, load) = two_directories();
    let lost = in_extra(&mut cluster);
    cluster.kill9(2).unwrap();
    let properties = cluster.node(2).unwrap().directory("extra").join("meta.properties");
    let intact = fs::read(&properties).unwrap();
    fs::write(&properties, "nonsense\n").unwrap();
    cluster.restart(2).unwrap();
    wait_until_moved(&mut cluster, &lost, 60);
    cluster.kill9(2).unwrap();
    fs::write(&properties, intact).unwrap();
    restart_and_verify(cluster, load, &[FAILED]);
}

#[test]
fn a_failed_sync_of_the_only_directory_ends_the_process_and_nothing_acknowledged_is_lost() {
    if !can_break_disks("a_failed_sync_of_the_only_directory_ends_the_process_and_nothing_acknowledged_is_lost") {
        return;
    }
    let mut cluster = ClusterBuilder::new(1).start().unwrap();
    let synced = TopicSpec::new(TOPIC, 1, 1).config("flush.messages", "1");
    cluster.create_topic(&synced).unwrap();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, 1)).unwrap();
    load.wait_for_acks(500, 30).unwrap();
    let file = cluster
        .node(1)
        .unwrap()
        .log_dir()
        .join("load-0/00000000000000000000.log");
    let broken = BrokenFile::new(cluster.node(1).unwrap(), &file, Breakage::SyncsFail).unwrap();
    let status = wait_until("the end of the process", 30, || cluster.node(1)?.exited()).unwrap();
    assert!(!status.success());
    drop(broken);
    let _ = cluster.kill9(1);
    cluster.restart(1).unwrap();
    load.wait_for_acks(500, 60).unwrap();
    let history = load.finish().unwrap();
    history.check(&read_all(&cluster, TOPIC, 60).unwrap()).unwrap();
}

#[test]
fn a_directory_whose_writes_hang_goes_offline_and_the_rest_of_the_node_goes_on() {
    if !can_break_disks("a_directory_whose_writes_hang_goes_offline_and_the_rest_of_the_node_goes_on") {
        return;
    }
    let (mut cluster, load) = two_directories();
    let lost = in_extra(&mut cluster);
    let file = log_file(&mut cluster, lost[0]);
    let broken = BrokenFile::new(cluster.node(2).unwrap(), &file, Breakage::WritesHang).unwrap();
    wait_until("the hung directory to be noticed", 40, || {
        let log = cluster.node(2)?.log();
        Ok(log.contains("hangs for").then_some(()))
    })
    .unwrap();
    wait_until_moved(&mut cluster, &lost, 20);
    load.wait_for_acks(500, 30).unwrap();
    drop(broken);
    restart_and_verify(cluster, load, &[FAILED]);
}
