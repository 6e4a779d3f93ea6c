//! All measurements of one system, on nodes started for them: starts, rest, restarts; what is measured under load is in `loads`.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use super::loads::Loaded;
use super::memory::FullMemory;
use super::meter::{Meter, REST_WITHIN, wait, wait_for_rest};
use super::nodes::{Nodes, Programs, READY_WITHIN, System};
use super::processes::{cpu_seconds, rss_bytes};
use super::results::Results;

/// Nodes of all but one measurement, and the replicas of its topics.
pub(super) const NODES: usize = 3;
pub(super) const MB: f64 = 1e6;
/// Partitions of the topics.
pub(super) const PARTITIONS: &str = "12";
/// Idle nodes are left alone for so long, then watched for so long.
const IDLE_AFTER: Duration = Duration::from_secs(10);
const IDLE_FOR: Duration = Duration::from_secs(15);
/// Partitions of a large cluster of this size of machine.
pub(super) const MANY: u64 = 3_000;
/// Records of 1 KiB on the disks of nodes that are all killed: 5 GB with their replicas.
const KILLED_WITH: u64 = 1_630_000;
/// How long the others go on without a killed node.
const GONE_FOR: Duration = Duration::from_secs(2);
/// Records a second while a node is killed and comes back.
pub(super) const LOAD: &str = "2000";

/// What a session needs.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) programs: &'a Programs,
    pub(super) system: System,
    pub(super) folder: &'a Path,
    pub(super) memory: &'a FullMemory,
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
        let loaded = Loaded {
            session: self,
            nodes: &nodes,
        };
        loaded.create_topics(results)?;
        self.many(&mut nodes, results)?;
        nodes.stop()?;
        nodes.wipe()
    }

    /// How long nodes need that come back.
    fn restarts(&self, nodes: &mut Nodes, results: &mut Results) -> anyhow::Result<()> {
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
            let measured = nodes.restart_killed(1, GONE_FOR);
            let ended = load.try_wait()?;
            load.kill()?;
            load.wait()?;
            self.served_after("restart-one", measured?, results);
            ensure!(ended.is_none(), "the load ended before its time: {ended:?}");
            Loaded { session: self, nodes }.delete("restart-one")?;
        }
        if self.wants("restart-all") {
            let loaded = Loaded { session: self, nodes };
            loaded.create("restart-all", PARTITIONS)?;
            loaded.write("bench-restart-all", 1024, KILLED_WITH, "none", 10)?;
            wait_for_rest(&nodes.pids(), REST_WITHIN)?;
            let seconds = nodes.restart_all_killed()?;
            self.served_after("restart-all", seconds, results);
            Loaded { session: self, nodes }.delete("restart-all")?;
        }
        Ok(())
    }

    /// A cluster of many partitions: when it is at rest, and how it starts.
    fn many(&self, nodes: &mut Nodes, results: &mut Results) -> anyhow::Result<()> {
        if self.wants("many") {
            let partitions = self.scaled(MANY);
            Loaded { session: self, nodes }.create("many", &partitions)?;
            let rest = wait_for_rest(&nodes.pids(), READY_WITHIN)?;
            results.add(self.system, "many", "rest", rest);
            self.say("many", &format!("{rest:.1} s"));
            let partitions = nodes.first_view()?.partitions;
            nodes.stop()?;
            let seconds = nodes.start(partitions)?;
            self.served_after("many", seconds, results);
            wait(self.scaled_time(IDLE_AFTER));
            let rss = largest_rss(&nodes.pids())?;
            results.add(self.system, "many", "rss", rss);
            self.say("many", &format!("{rss:.0} MB"));
            Loaded { session: self, nodes }.delete("many")?;
        }
        Ok(())
    }

    fn served_after(&self, name: &'static str, seconds: f64, results: &mut Results) {
        results.add(self.system, name, "seconds", seconds);
        self.say(name, &format!("{seconds:.2} s"));
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.wanted.contains(&name)
    }

    pub(super) fn say(&self, measurement: &str, text: &str) {
        eprintln!("{:>12}  {measurement:<14} {text}", self.system.name());
    }

    pub(super) fn scaled(&self, count: u64) -> String {
        ((count as f64 * self.scale).ceil() as u64).max(1).to_string()
    }

    fn scaled_time(&self, time: Duration) -> Duration {
        time.mul_f64(self.scale)
    }

    pub(super) fn seconds(&self, seconds: u64) -> String {
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

fn largest_rss(pids: &[u32]) -> anyhow::Result<f64> {
    let rss = pids.iter().map(|pid| rss_bytes(*pid));
    Ok(rss.collect::<anyhow::Result<Vec<_>>>()?.into_iter().fold(0.0, f64::max) / MB)
}

fn all_cpu(pids: &[u32]) -> anyhow::Result<f64> {
    pids.iter().map(|pid| cpu_seconds(*pid)).sum()
}
