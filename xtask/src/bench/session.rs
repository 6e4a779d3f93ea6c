//! All measurements of one system, on nodes started for them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::meter::{Cost, Meter, wait, wait_for_rest};
use super::nodes::{Nodes, Programs, System};
use super::processes::{cpu_seconds, rss_bytes};
use super::results::Results;

/// Nodes of all but one measurement, and the replicas of its topics.
const NODES: usize = 3;
/// Bytes of a gigabyte, as of disks and networks.
const GB: f64 = 1e9;
const MB: f64 = 1e6;
/// Partitions of the topics.
const PARTITIONS: &str = "12";
/// Idle nodes are left alone for so long, then watched for so long.
const IDLE_AFTER: Duration = Duration::from_secs(10);
const IDLE_FOR: Duration = Duration::from_secs(15);
/// Written before the loads: a Java program gets fast by and by, and both shall have made their first segments.
const WARM_UP: (u64, u64) = (500_000, 1_000_000);

/// How a measurement of produced records is made.
struct Produce {
    name: &'static str,
    size: u64,
    count: u64,
    codec: &'static str,
}

const PRODUCE: [Produce; 4] = [
    Produce {
        name: "produce-1k",
        size: 1024,
        count: 1_000_000,
        codec: "none",
    },
    Produce {
        name: "produce-100",
        size: 100,
        count: 5_000_000,
        codec: "none",
    },
    Produce {
        name: "produce-lz4",
        size: 1024,
        count: 1_000_000,
        codec: "lz4",
    },
    Produce {
        name: "produce-zstd",
        size: 1024,
        count: 1_000_000,
        codec: "zstd",
    },
];
/// Records of a fixed rate come in small bursts, as Kafka's own measuring program sends them.
const TICK: &str = "2ms";
/// How long topics may take to be created or deleted: a busy Kafka has been seen to need more than 10 s.
const ANSWER_WITHIN_MS: &str = "120000";
/// Records that are read.
const CONSUMED: u64 = 1_000_000;
/// Records whose place on the disk is measured.
const STORED: u64 = 1_000_000;
/// Partitions that are created at once.
const CREATED: u64 = 1_000;
/// Partitions of a large cluster of this size of machine.
const MANY: u64 = 3_000;
/// Records of 1 KiB on the disks of nodes that are all killed: 5 GB with their replicas.
const KILLED_WITH: u64 = 1_630_000;
/// How long the others go on without a killed node.
const GONE_FOR: Duration = Duration::from_secs(2);
/// Records a second while a node is killed and comes back.
const LOAD: &str = "2000";

/// What a session needs.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) programs: &'a Programs,
    pub(super) system: System,
    pub(super) folder: &'a Path,
    /// The measurements that are wanted.
    pub(super) wanted: &'a [&'static str],
    /// So much of each.
    pub(super) scale: f64,
}

impl Session<'_> {
    /// Makes them all.
    pub(super) fn run(&self, results: &mut Results) -> anyhow::Result<()> {
        if self.wants("start-one") {
            let mut one = Nodes::prepare(self.programs, self.system, &self.folder.join("one"), 1)?;
            let seconds = one.start(0)?;
            results.add(self.system, "start-one", "seconds", seconds);
            self.say("start-one", &format!("{seconds:.2} s"));
            one.stop()?;
            one.wipe()?;
        }
        if self.wanted.iter().all(|name| *name == "start-one") {
            return Ok(());
        }
        let mut nodes = Nodes::prepare(self.programs, self.system, &self.folder.join("three"), NODES)?;
        let seconds = nodes.start(0)?;
        if self.wants("start-three") {
            results.add(self.system, "start-three", "seconds", seconds);
            results.add(self.system, "start-three", "cpu", all_cpu(&nodes.pids())?);
            self.say("start-three", &format!("{seconds:.2} s"));
        }
        if self.wants("idle") {
            self.idle(&nodes, results)?;
        }
        let loaded = Loaded {
            session: self,
            nodes: &nodes,
        };
        loaded.run(results)?;
        self.restarts(&mut nodes, results)?;
        nodes.stop()?;
        nodes.wipe()
    }

    /// How long nodes need that come back.
    fn restarts(&self, nodes: &mut Nodes, results: &mut Results) -> anyhow::Result<()> {
        let mut restarted = |name, nodes: &mut Nodes, again: &dyn Fn(&mut Nodes) -> anyhow::Result<f64>| {
            let seconds = again(nodes)?;
            results.add(self.system, name, "seconds", seconds);
            self.say(name, &format!("{seconds:.2} s"));
            anyhow::Ok(())
        };
        if self.wants("restart-one") {
            let loaded = Loaded { session: self, nodes };
            loaded.create("restart-one", PARTITIONS)?;
            let arguments = [
                "latency",
                "--topic",
                "bench-restart-one",
                "--rate",
                LOAD,
                "--duration",
                "1h",
            ];
            let mut load = loaded.command(&[&["bench"], arguments.as_slice()].concat()).spawn()?;
            wait(GONE_FOR);
            let measured = restarted("restart-one", nodes, &|nodes| nodes.restart_killed(1, GONE_FOR));
            let ended = load.try_wait()?;
            load.kill()?;
            load.wait()?;
            measured?;
            ensure!(ended.is_none(), "the load ended before its time: {ended:?}");
            Loaded { session: self, nodes }.delete("restart-one")?;
        }
        if self.wants("restart-all") {
            let loaded = Loaded { session: self, nodes };
            loaded.create("restart-all", PARTITIONS)?;
            loaded.write("bench-restart-all", 1024, KILLED_WITH, "none", 10)?;
            wait_for_rest(&nodes.pids())?;
            restarted("restart-all", nodes, &Nodes::restart_all_killed)?;
            Loaded { session: self, nodes }.delete("restart-all")?;
        }
        if self.wants("many") {
            let partitions = self.scaled(MANY);
            Loaded { session: self, nodes }.create("many", &partitions)?;
            restarted("many", nodes, &|nodes| {
                let partitions = nodes.first_view()?.partitions;
                nodes.stop()?;
                nodes.start(partitions)
            })?;
            wait(self.scaled_time(IDLE_AFTER));
            let rss = largest_rss(&nodes.pids())?;
            results.add(self.system, "many", "rss", rss);
            self.say("many", &format!("{rss:.0} MB"));
            Loaded { session: self, nodes }.delete("many")?;
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.contains(&name)
    }

    fn say(&self, measurement: &str, text: &str) {
        eprintln!("{:>12}  {measurement:<14} {text}", self.system.name());
    }

    fn scaled(&self, count: u64) -> String {
        ((count as f64 * self.scale).ceil() as u64).max(1).to_string()
    }

    fn scaled_time(&self, time: Duration) -> Duration {
        time.mul_f64(self.scale)
    }

    fn seconds(&self, seconds: u64) -> String {
        format!("{}s", self.scaled_time(Duration::from_secs(seconds)).as_secs_f64())
    }

    fn idle(&self, nodes: &Nodes, results: &mut Results) -> anyhow::Result<()> {
        wait(self.scaled_time(IDLE_AFTER));
        let pids = nodes.pids();
        let meter = Meter::start(&pids)?;
        wait(self.scaled_time(IDLE_FOR));
        let cost = meter.finish()?;
        let percent = 100.0 * cost.broker_cpu / cost.seconds / pids.len() as f64;
        let rss = largest_rss(&pids)?;
        results.add(self.system, "idle", "rss", rss);
        results.add(self.system, "idle", "cpu", percent);
        results.add_others("idle", cost.others);
        self.say("idle", &format!("{rss:.0} MB, {percent:.2} % of a core"));
        Ok(())
    }
}

/// A session whose nodes run.
struct Loaded<'a> {
    session: &'a Session<'a>,
    nodes: &'a Nodes,
}

impl Loaded<'_> {
    fn run(&self, results: &mut Results) -> anyhow::Result<()> {
        let session = self.session;
        let unloaded = ["start-one", "start-three", "idle", "restart-one", "restart-all", "many"];
        if session.wanted.iter().all(|name| unloaded.contains(name)) {
            return Ok(());
        }
        session.say("warm-up", "…");
        self.on_topic("warm", |topic| {
            self.write(topic, 1024, WARM_UP.0, "none", 10)?;
            self.write(topic, 100, WARM_UP.1, "none", 10).map(drop)
        })?;
        for produce in &PRODUCE {
            if session.wants(produce.name) {
                self.produce(produce, results)?;
            }
        }
        for (name, config) in [
            ("latency", "flush.messages=9223372036854775807"),
            ("latency-synced", "flush.messages=1"),
        ] {
            if !session.wants(name) {
                continue;
            }
            let (duration, warm_up) = (session.seconds(20), session.seconds(5));
            let arguments = [
                "latency",
                "--rate",
                "2000",
                "--every",
                TICK,
                "--duration",
                &duration,
                "--warm-up",
                &warm_up,
                "--topic-config",
                config,
            ];
            self.at_a_rate(name, &arguments, results)?;
        }
        if session.wants("one-at-a-time") {
            let (duration, warm_up) = (session.seconds(10), session.seconds(3));
            let arguments = [
                "latency",
                "--one-at-a-time",
                "--duration",
                &duration,
                "--warm-up",
                &warm_up,
            ];
            self.measured(
                "one-at-a-time",
                results,
                || self.bench(&arguments),
                |result, _| vec![("rate", number(result, "recordsPerSecond"))],
            )?;
        }
        if session.wants("end-to-end") {
            let (duration, warm_up) = (session.seconds(15), session.seconds(5));
            let arguments = ["end-to-end", "--duration", &duration, "--warm-up", &warm_up];
            self.percentiles("end-to-end", &arguments, results)?;
        }
        if session.wants("consume") {
            self.consume(results)?;
        }
        if session.wants("fan-out") {
            self.at_a_rate("fan-out", &["fan-out", "--duration", &session.seconds(15)], results)?;
        }
        if session.wants("connections") {
            self.at_a_rate(
                "connections",
                &["connections", "--duration", &session.seconds(15)],
                results,
            )?;
        }
        if session.wants("disk") {
            self.disk(results)?;
        }
        if session.wants("topics") {
            self.topics(results)?;
        }
        Ok(())
    }

    fn produce(&self, produce: &Produce, results: &mut Results) -> anyhow::Result<()> {
        self.on_topic(produce.name, |topic| {
            let write = || self.write(topic, produce.size, produce.count, produce.codec, 10);
            self.measured(produce.name, results, write, |result, cost| {
                let records = number(result, "records") * produce.size as f64;
                let wire = match produce.codec {
                    "none" => Ok(records),
                    _ => self.nodes.stored(topic).map(|stored| stored.segments / NODES as f64),
                };
                let wire = wire.unwrap_or(f64::NAN);
                vec![
                    ("mb", number(result, "mbPerSecond")),
                    ("cpu", cost.broker_cpu / (wire / GB)),
                    ("client", cost.client_cpu / (records / GB)),
                    ("rss", cost.rss / MB),
                ]
            })?;
            Ok(())
        })
    }

    fn consume(&self, results: &mut Results) -> anyhow::Result<()> {
        self.on_topic("consume", |topic| {
            self.write(topic, 1024, CONSUMED, "none", 10)?;
            let read = || self.bench(&["consume", "--topic", topic]);
            self.measured("consume", results, read, |result, cost| {
                vec![
                    ("mb", number(result, "mbPerSecond")),
                    ("cpu", cost.broker_cpu / (number(result, "bytes") / GB)),
                ]
            })?;
            Ok(())
        })
    }

    fn disk(&self, results: &mut Results) -> anyhow::Result<()> {
        let system = self.session.system;
        self.on_topic("disk", |topic| {
            let result = self.write(topic, 100, STORED, "none", 50)?;
            let bytes = number(&result, "records") * 100.0 * NODES as f64;
            let by_bytes = self.nodes.stored(topic)?.allocated / bytes;
            results.add(system, "disk", "bytes", by_bytes);
            self.session.say("disk", &format!("{by_bytes:.3} × the records"));
            Ok(())
        })
    }

    fn topics(&self, results: &mut Results) -> anyhow::Result<()> {
        let partitions = self.session.scaled(CREATED);
        let arguments = ["topics", "--partitions", &partitions];
        self.measured(
            "topics",
            results,
            || self.bench(&arguments),
            |result, cost| {
                vec![
                    ("seconds", number(result, "acknowledgedSeconds")),
                    ("cpu", cost.broker_cpu),
                    ("rss", cost.rss / MB),
                ]
            },
        )?;
        Ok(())
    }

    fn percentiles(&self, name: &'static str, arguments: &[&str], results: &mut Results) -> anyhow::Result<Cost> {
        self.measured(
            name,
            results,
            || self.bench(arguments),
            |result, _| {
                let latency = &result["latencyMs"];
                ["p50", "p90", "p99", "p999", "max"]
                    .map(|key| (key, number(latency, key)))
                    .to_vec()
            },
        )
    }

    /// What the client is told to send, and what that costs the brokers.
    fn at_a_rate(&self, name: &'static str, arguments: &[&str], results: &mut Results) -> anyhow::Result<()> {
        let cost = self.percentiles(name, arguments, results)?;
        let percent = 100.0 * cost.broker_cpu / cost.seconds;
        results.add(self.session.system, name, "cpu", percent);
        Ok(())
    }

    /// Waits for rest, measures, and notes what comes of it.
    fn measured(
        &self,
        name: &'static str,
        results: &mut Results,
        run: impl FnOnce() -> anyhow::Result<Value>,
        figures: impl FnOnce(&Value, &Cost) -> Vec<(&'static str, f64)>,
    ) -> anyhow::Result<Cost> {
        let pids = self.nodes.pids();
        wait_for_rest(&pids)?;
        let meter = Meter::start(&pids)?;
        let result = run()?;
        let cost = meter.finish()?;
        let figures = figures(&result, &cost);
        let mut said = Vec::new();
        for (key, value) in figures {
            ensure!(value.is_finite(), "{name} has no {key}: {result}");
            results.add(self.session.system, name, key, value);
            said.push(format!("{key} {value:.2}"));
        }
        results.add_others(name, cost.others);
        self.session
            .say(name, &format!("{}  (others {:.2} cores)", said.join(", "), cost.others));
        Ok(cost)
    }

    /// With a topic that goes away afterwards.
    fn on_topic(&self, name: &str, work: impl FnOnce(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.create(name, PARTITIONS)?;
        work(&format!("bench-{name}"))?;
        self.delete(name)
    }

    fn create(&self, name: &str, partitions: &str) -> anyhow::Result<()> {
        let topic = format!("bench-{name}");
        self.klamm(&["topic", "create", &topic, "--partitions", partitions])
            .map(drop)
    }

    fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.klamm(&["topic", "delete", &format!("bench-{name}")]).map(drop)
    }

    fn write(&self, topic: &str, size: u64, count: u64, codec: &str, linger_ms: u64) -> anyhow::Result<Value> {
        let (size, count, linger) = (size.to_string(), self.session.scaled(count), linger_ms.to_string());
        self.bench(&[
            "produce", "--topic", topic, "--size", &size, "--count", &count, "--codec", codec, "--linger", &linger,
        ])
    }

    fn bench(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        self.klamm(&[&["bench"], arguments].concat())
    }

    fn klamm(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .with_context(|| format!("{} can't be run", self.session.programs.klamm.display()))?;
        ensure!(
            output.status.success(),
            "klamm {} with {}: {}",
            arguments.join(" "),
            self.session.system.name(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The operator's command, which says nothing.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.session.programs.klamm);
        command
            .args(arguments)
            .args([
                "--output",
                "json",
                "--timeout",
                ANSWER_WITHIN_MS,
                "-b",
                &self.nodes.bootstrap(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

fn largest_rss(pids: &[u32]) -> anyhow::Result<f64> {
    let rss = pids.iter().map(|pid| rss_bytes(*pid));
    Ok(rss.collect::<anyhow::Result<Vec<_>>>()?.into_iter().fold(0.0, f64::max) / MB)
}

fn number(result: &Value, key: &str) -> f64 {
    result[key].as_f64().unwrap_or(f64::NAN)
}

fn all_cpu(pids: &[u32]) -> anyhow::Result<f64> {
    pids.iter().map(|pid| cpu_seconds(*pid)).sum()
}
