//! `klamm bench` against three nodes, with numbers that say nothing of speed: each measurement runs, counts right, and takes
//! its topic away.

use std::process::{Command, Stdio};
use std::time::Duration;

use cluster::{Cluster, TopicSpec, klamm_binary, wait_until};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How the names begin of topics that a run makes for itself.
const PREFIX: &str = "klamm-bench-";

fn bench(cluster: &Cluster, arguments: &[&str]) -> Value {
    cluster.klamm_json(&[&["bench"], arguments].concat()).unwrap()
}

fn own_topics(cluster: &Cluster) -> Vec<String> {
    let metadata = cluster.metadata(None).unwrap();
    let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
    names.filter(|name| name.starts_with(PREFIX)).collect()
}

/// The answer to a deletion may come before the last broker has heard of it.
fn wait_for_no_topics(cluster: &Cluster) {
    wait_until("no topic of a run's own", 10, || {
        let left = own_topics(cluster);
        if left.is_empty() {
            return Ok(Some(()));
        }
        anyhow::bail!("{left:?}")
    })
    .unwrap();
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Percentiles that can't be the other way round.
fn check_percentiles(latency: &Value) {
    let all = ["p50", "p90", "p99", "p999", "max"].map(|name| number(&latency[name]));
    assert!(all[0] > 0.0 && all.is_sorted(), "{latency}");
}

fn check_produced(result: &Value, records: u64, bytes: u64) {
    assert_eq!(result["records"], records, "{result}");
    assert_eq!(result["failed"], 0, "{result}");
    let mb = number(&result["mbPerSecond"]) * number(&result["seconds"]);
    assert!((mb - (records * bytes) as f64 / 1e6).abs() < 1e-6, "{result}");
    let rate = number(&result["recordsPerSecond"]);
    assert!(rate > 0.0 && result["interrupted"] == false, "{result}");
    check_percentiles(&result["latencyMs"]);
}

#[test]
fn every_measurement_counts_what_it_did_and_leaves_no_topic_behind() {
    let cluster = Cluster::start(3).unwrap();
    let produced = bench(
        &cluster,
        &["produce", "--count", "2000", "--size", "100", "--partitions", "4"],
    );
    check_produced(&produced, 2_000, 100);
    assert_eq!(
        (&produced["operation"], &produced["partitions"]),
        (&"produce".into(), &4.into())
    );
    assert!(produced["topic"].as_str().unwrap().starts_with(PREFIX), "{produced}");

    let consumed = bench(
        &cluster,
        &["consume", "--records", "3000", "--size", "200", "--codec", "lz4"],
    );
    assert_eq!(
        (&consumed["records"], &consumed["bytes"]),
        (&3_000.into(), &600_000.into())
    );
    assert!(number(&consumed["mbPerSecond"]) > 0.0, "{consumed}");

    let short = ["--size", "64", "--warm-up", "100ms", "--partitions", "3"];
    let fixed = bench(
        &cluster,
        &[&["latency", "--rate", "500", "--count", "250"], short.as_slice()].concat(),
    );
    assert_eq!((&fixed["records"], &fixed["failed"]), (&250.into(), &0.into()));
    // They were due within half a second; a busy machine may be late, but nothing may come early.
    assert!(number(&fixed["seconds"]) > 0.49, "{fixed}");
    check_percentiles(&fixed["latencyMs"]);
    check_percentiles(&fixed["clientLateMs"]);

    let single = bench(
        &cluster,
        &[&["latency", "--one-at-a-time", "--count", "50"], short.as_slice()].concat(),
    );
    assert_eq!((&single["records"], &single["rate"]), (&50.into(), &Value::Null));
    // One after the other: together they take at least as long as the mean says.
    let mean_seconds = number(&single["latencyMs"]["mean"]) / 1e3;
    assert!(mean_seconds * 50.0 <= number(&single["seconds"]) * 1.01, "{single}");

    let through = bench(&cluster, &["end-to-end", "--count", "50", "--warm-up", "100ms"]);
    assert_eq!((&through["records"], &through["partitions"]), (&50.into(), &1.into()));
    check_percentiles(&through["latencyMs"]);

    let topics = bench(&cluster, &["topics", "--partitions", "30"]);
    assert_eq!(topics["partitions"], 30);
    let (created, acknowledged) = (number(&topics["createSeconds"]), number(&topics["acknowledgedSeconds"]));
    assert!(created > 0.0 && acknowledged > created, "{topics}");

    wait_for_no_topics(&cluster);
}

#[test]
fn a_topic_that_was_named_is_used_and_stays() {
    let cluster = Cluster::start(3).unwrap();
    cluster.create_topic(&TopicSpec::new("mine", 3, 3)).unwrap();
    let arguments = ["--topic", "mine", "--count", "1000", "--size", "50", "--idempotence"];
    let produced = bench(&cluster, &[&["produce"], arguments.as_slice()].concat());
    check_produced(&produced, 1_000, 50);
    // One record for each partition came first, so that all leaders were known.
    let consumed = bench(&cluster, &["consume", "--topic", "mine"]);
    assert_eq!(
        (&consumed["records"], &consumed["bytes"]),
        (&1_003.into(), &50_150.into())
    );
    let some = bench(&cluster, &["consume", "--topic", "mine", "--count", "10"]);
    assert_eq!(some["records"], 10);
    assert_eq!(cluster.partitions("mine").unwrap().len(), 3);
    let missing = cluster.klamm(&["bench", "produce", "--topic", "absent"]).unwrap();
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(
        !missing.status.success() && said.contains("there is no topic absent"),
        "{said}"
    );
}

#[test]
fn somebody_who_interrupts_gets_what_was_measured_and_no_topic_stays() {
    let cluster = Cluster::start(3).unwrap();
    let child = Command::new(klamm_binary().unwrap())
        .args(["bench", "produce", "--duration", "10m", "--output", "json"])
        .env("KLAMM_BOOTSTRAP", cluster.bootstrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let reader: BaseConsumer = cluster.client().create().unwrap();
    let written = wait_until("records in the topic", 30, || {
        let own = own_topics(&cluster);
        let Some(topic) = own.first() else { return Ok(None) };
        // The first one is written before the clock starts.
        let (_, end) = reader.fetch_watermarks(topic, 0, Duration::from_secs(2))?;
        Ok((end > 1).then_some(()))
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    written.unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["interrupted"], true);
    assert!(result["records"].as_u64().unwrap() > 0, "{result}");
    wait_for_no_topics(&cluster);
}
