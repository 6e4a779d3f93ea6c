//! The measurements under load, on nodes that run.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::meter::{Cost, Meter, REST_WITHIN, wait_for_rest};
use super::nodes::{Nodes, System};
use super::results::Results;
use super::session::{LOAD, MANY, MB, NODES, PARTITIONS, Session};

/// Bytes of a gigabyte, as of disks and networks.
const GB: f64 = 1e9;
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
/// And of a very large one.
const VERY_MANY: u64 = 10_000;
/// Kafka's own measuring program, and how many records it sends: it takes most of the machine for itself.
const JAVA_PRODUCER: &str = "org.apache.kafka.tools.ProducerPerformance";
const JAVA_RECORDS: u64 = 500_000;
/// Records of 1 KiB for a reader that comes late.
const COLD: u64 = 1_000_000;
/// A session whose nodes run.
pub(super) struct Loaded<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) nodes: &'a Nodes,
}

impl Loaded<'_> {
    pub(super) fn run(&self, results: &mut Results) -> anyhow::Result<()> {
        let session = self.session;
        let unloaded = [
            "start-one",
            "start-three",
            "idle",
            "restart-one",
            "restart-all",
            "topics",
            "topics-3000",
            "topics-10000",
            "many",
        ];
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
        if session.wants("produce-java") && session.programs.has_kafka() {
            self.produce_java(results)?;
        }
        for (name, config) in [
            ("latency", "flush.messages=9223372036854775807"),
            ("latency-synced", "flush.messages=1"),
        ] {
            if !session.wants(name) {
                continue;
            }
            if name == "latency-synced" {
                self.nodes.wait_for_deletions()?;
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
        for (name, done) in [("fan-out", "read"), ("connections", "batches")] {
            if session.wants(name) {
                self.as_much_as_it_can(name, done, results)?;
            }
        }
        if session.wants("catch-up") {
            self.catch_up(results)?;
        }
        if session.wants("disk") {
            self.disk(results)?;
        }
        Ok(())
    }

    /// Last: what is left of deleted partitions would be in the way of everything else.
    pub(super) fn create_topics(&self, results: &mut Results) -> anyhow::Result<()> {
        for (name, partitions) in [("topics", CREATED), ("topics-3000", MANY), ("topics-10000", VERY_MANY)] {
            // Apache Kafka on such a machine would need its many minutes in each run.
            let asked = self.session.wants(name) && (partitions < VERY_MANY || self.session.system == System::Klamm);
            if asked {
                self.topics(name, partitions, results)?;
            }
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

    /// What Kafka's own program for that measures, with the settings that its users give it.
    fn produce_java(&self, results: &mut Results) -> anyhow::Result<()> {
        let count = self.session.scaled(JAVA_RECORDS);
        self.on_topic("produce-java", |topic| {
            let run = || {
                let arguments = [
                    "--topic",
                    topic,
                    "--num-records",
                    &count,
                    "--record-size",
                    "1024",
                    "--throughput",
                    "-1",
                    "--bootstrap-server",
                    &self.nodes.bootstrap(),
                    "--command-property",
                    "acks=all",
                    "linger.ms=10",
                    "batch.size=131072",
                    "buffer.memory=67108864",
                ];
                let text = self.session.programs.kafka_tool(JAVA_PRODUCER, &arguments)?;
                Ok(json!({ "recordsPerSecond": records_per_second(&text)? }))
            };
            self.measured("produce-java", results, run, |result, cost| {
                let bytes = count.parse().unwrap_or(f64::NAN) * 1024.0;
                vec![
                    ("mb", number(result, "recordsPerSecond") * 1024.0 / MB),
                    ("cpu", cost.broker_cpu / (bytes / GB)),
                    ("client", cost.client_cpu / (bytes / GB)),
                ]
            })?;
            Ok(())
        })
    }

    /// A producer at its rate, alone and then beside somebody who reads what no memory holds.
    fn catch_up(&self, results: &mut Results) -> anyhow::Result<()> {
        let name = "catch-up";
        let (duration, warm_up) = (self.session.seconds(15), self.session.seconds(3));
        let arguments = [
            "latency",
            "--rate",
            LOAD,
            "--every",
            TICK,
            "--duration",
            &duration,
            "--warm-up",
            &warm_up,
        ];
        self.on_topic(name, |topic| {
            self.write(topic, 1024, COLD, "none", 10)?;
            self.settle()?;
            let alone = self.bench(&arguments)?;
            self.settle()?;
            self.nodes.forget(topic)?;
            self.measured(
                name,
                results,
                || {
                    let mut reader = self.command(&["bench", "consume", "--topic", topic]);
                    let reader = reader.stdout(Stdio::piped()).spawn()?;
                    let beside = self.bench(&arguments)?;
                    let read = reader.wait_with_output()?;
                    ensure!(read.status.success(), "the reader ended with {}", read.status);
                    Ok(json!({ "alone": alone, "beside": beside, "read": serde_json::from_slice::<Value>(&read.stdout)? }))
                },
                |result, _| {
                    let p99 = |run: &str| number(&result[run]["latencyMs"], "p99");
                    vec![
                        ("times", p99("beside") / p99("alone")),
                        ("p99", p99("beside")),
                        ("mb", number(&result["read"], "mbPerSecond")),
                    ]
                },
            )?;
            Ok(())
        })
    }

    fn topics(&self, name: &'static str, partitions: u64, results: &mut Results) -> anyhow::Result<()> {
        let partitions = self.session.scaled(partitions);
        let arguments = ["topics", "--partitions", &partitions];
        self.measured(
            name,
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

    /// More than some brokers can do: what counts is what each thing that was done costs them.
    fn as_much_as_it_can(&self, name: &'static str, done: &str, results: &mut Results) -> anyhow::Result<()> {
        let arguments = [name, "--duration", &self.session.seconds(15)];
        self.measured(
            name,
            results,
            || self.bench(&arguments),
            |result, cost| {
                let (latency, done) = (&result["latencyMs"], number(result, done));
                let mut figures = ["p50", "p99"].map(|key| (key, number(latency, key))).to_vec();
                figures.push(("cpu", cost.broker_cpu / done * 1e6));
                figures.push(("rate", done / number(result, "seconds")));
                figures
            },
        )?;
        Ok(())
    }

    /// Nothing of what was done before goes on, in the brokers or on its way to the disk.
    fn settle(&self) -> anyhow::Result<()> {
        let written = Command::new("sync").status()?;
        ensure!(written.success(), "sync ended with {written}");
        self.session.memory.fill()?;
        wait_for_rest(&self.nodes.pids(), REST_WITHIN).map(drop)
    }

    /// Waits for rest, measures, and notes what comes of it.
    fn measured(
        &self,
        name: &'static str,
        results: &mut Results,
        run: impl FnOnce() -> anyhow::Result<Value>,
        figures: impl FnOnce(&Value, &Cost) -> Vec<(&'static str, f64)>,
    ) -> anyhow::Result<Cost> {
        self.settle()?;
        let pids = self.nodes.pids();
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

    pub(super) fn create(&self, name: &str, partitions: &str) -> anyhow::Result<()> {
        let topic = format!("bench-{name}");
        self.klamm(&["topic", "create", &topic, "--partitions", partitions])
            .map(drop)
    }

    pub(super) fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.klamm(&["topic", "delete", &format!("bench-{name}")]).map(drop)
    }

    pub(super) fn write(
        &self,
        topic: &str,
        size: u64,
        count: u64,
        codec: &str,
        linger_ms: u64,
    ) -> anyhow::Result<Value> {
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
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
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

fn number(result: &Value, key: &str) -> f64 {
    result[key].as_f64().unwrap_or(f64::NAN)
}

/// Of the last line that says so: `500000 records sent, 57857.1 records/sec (56.50 MB/sec), …`.
fn records_per_second(text: &str) -> anyhow::Result<f64> {
    let line = text.lines().rev().find(|line| line.contains("records/sec"));
    let number = line.and_then(|line| line.split(',').nth(1)?.split_whitespace().next());
    let number = number.with_context(|| format!("no rate in what it says: {text}"))?;
    Ok(number.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_whole_run() {
        let text = "1000 records sent, 200.0 records/sec (0.20 MB/sec), 5.0 ms avg latency\n\
                    500000 records sent, 57857.1 records/sec (56.50 MB/sec), 80.0 ms avg latency, 1 ms 50th\n";
        assert_eq!(records_per_second(text).unwrap(), 57_857.1);
        assert!(records_per_second("no").is_err());
    }
}
