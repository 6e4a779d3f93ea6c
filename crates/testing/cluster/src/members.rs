//! A running cluster: its nodes, who is what, and its end.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::Metadata;
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::klamm_binary;
use crate::builder::ClusterBuilder;
use crate::deadline::wait_until;
use crate::disk::Disk;
use crate::node::Node;

/// Lines of each node's log in a failure's message.
const TAIL_LINES: usize = 60;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Held while a cluster runs: two clusters on two cores would only measure each other's load.
#[derive(Debug)]
pub struct Turn {
    _guard: MutexGuard<'static, ()>,
}

impl Turn {
    /// Waits for it.
    #[must_use]
    pub fn take() -> Self {
        Self {
            _guard: ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Nodes that run on loopback. Dropping it kills them and removes their files; after a failed test it prints their logs' ends
/// first, and with `KLAMM_KEEP` set the files stay.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    /// By node and directory.
    disks: BTreeMap<(i32, String), Disk>,
    folder: Option<TempDir>,
    _turn: Option<Turn>,
}

impl Cluster {
    /// Starts `brokers` nodes with the usual settings: RF 3 and min ISR 2 where there are three.
    ///
    /// # Errors
    /// As [`ClusterBuilder::start`].
    pub fn start(brokers: usize) -> anyhow::Result<Self> {
        ClusterBuilder::new(brokers).start()
    }

    pub(crate) fn new(nodes: Vec<Node>, disks: BTreeMap<(i32, String), Disk>) -> Self {
        Self {
            nodes,
            disks,
            folder: None,
            _turn: None,
        }
    }

    pub(crate) fn own(mut self, folder: TempDir, turn: Turn) -> Self {
        self.folder = Some(folder);
        self._turn = Some(turn);
        self
    }

    /// Every broker's client address, with commas.
    pub fn bootstrap(&self) -> String {
        let brokers = self.nodes.iter().filter(|node| node.is_broker());
        brokers.map(Node::address).collect::<Vec<_>>().join(",")
    }

    /// Runs a command of the binary to its end.
    ///
    /// # Errors
    /// There is no binary.
    pub fn klamm(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(klamm_binary()?);
        command.env("KLAMM_BOOTSTRAP", self.bootstrap());
        Ok(command.args(arguments).output()?)
    }

    /// As [`Cluster::klamm`] with `--output json`, which must succeed.
    ///
    /// # Errors
    /// It failed, with what it said; its output isn't JSON.
    pub fn klamm_json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        let output = self.klamm(&all)?;
        ensure!(
            output.status.success(),
            "klamm {}: {}",
            all.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with this id.
    ///
    /// # Errors
    /// There is none.
    pub fn node(&mut self, id: i32) -> anyhow::Result<&mut Node> {
        self.nodes
            .iter_mut()
            .find(|node| node.id() == id)
            .with_context(|| format!("no node {id}"))
    }

    /// A disk of [`ClusterBuilder::disk`].
    ///
    /// # Errors
    /// There is none.
    pub fn disk(&self, node: i32, directory: &str) -> anyhow::Result<&Disk> {
        self.disks
            .get(&(node, directory.to_owned()))
            .with_context(|| format!("node {node} has no disk {directory}"))
    }

    /// SIGKILL, see [`Node::kill9`].
    ///
    /// # Errors
    /// It isn't running.
    pub fn kill9(&mut self, id: i32) -> anyhow::Result<()> {
        self.node(id)?.kill9()
    }

    /// SIGKILL of every running node, with nothing in between.
    ///
    /// # Errors
    /// One couldn't be killed.
    pub fn kill9_all(&mut self) -> anyhow::Result<()> {
        self.nodes
            .iter_mut()
            .filter(|node| node.is_started())
            .try_for_each(Node::kill9)
    }

    /// Controlled shutdown by SIGTERM within 30 s, with exit code 0.
    ///
    /// # Errors
    /// It took longer, or ended otherwise.
    pub fn terminate(&mut self, id: i32) -> anyhow::Result<()> {
        let status = self.node(id)?.terminate(30)?;
        ensure!(
            status.success(),
            "node {id} ended its controlled shutdown with {status}"
        );
        Ok(())
    }

    /// SIGSTOP, see [`Node::pause`].
    ///
    /// # Errors
    /// It isn't running.
    pub fn pause(&mut self, id: i32) -> anyhow::Result<()> {
        self.node(id)?.pause()
    }

    /// SIGCONT, see [`Node::resume`].
    ///
    /// # Errors
    /// It isn't running.
    pub fn resume(&mut self, id: i32) -> anyhow::Result<()> {
        self.node(id)?.resume()
    }

    /// Starts a node that was killed or shut down; returns at once.
    ///
    /// # Errors
    /// It runs, or can't be started.
    pub fn restart(&mut self, id: i32) -> anyhow::Result<()> {
        self.node(id)?.start()
    }

    /// Starts every node that isn't running; returns at once.
    ///
    /// # Errors
    /// One can't be started.
    pub fn start_all(&mut self) -> anyhow::Result<()> {
        self.nodes
            .iter_mut()
            .filter(|node| !node.is_started())
            .try_for_each(Node::start)
    }

    /// Waits until the metadata lists `count` brokers, and no started node has ended by itself.
    ///
    /// # Errors
    /// The deadline passed, or a node ended.
    pub fn wait_for_brokers(&mut self, count: usize, seconds: u64) -> anyhow::Result<()> {
        let wait = wait_until(&format!("{count} brokers in the metadata"), seconds, || {
            if let Some(ended) = self.ended_by_itself() {
                return Ok(Some(Err(ended)));
            }
            let brokers = self.metadata(None)?.brokers().len();
            Ok((brokers == count).then_some(Ok(())))
        })?;
        wait.map_err(|ended| anyhow::anyhow!("{ended}"))
    }

    /// Waits until every partition of `topic` has a leader and `isr` members in its ISR.
    ///
    /// # Errors
    /// The deadline passed.
    pub fn wait_for_isr(&self, topic: &str, isr: usize, seconds: u64) -> anyhow::Result<()> {
        wait_until(
            &format!("an ISR of {isr} in every partition of {topic}"),
            seconds,
            || {
                let partitions = self.partitions(topic)?;
                let short = partitions
                    .iter()
                    .find(|partition| partition.leader < 0 || partition.isr.len() != isr);
                match short {
                    None => Ok(Some(())),
                    Some(partition) => anyhow::bail!("{partition:?}"),
                }
            },
        )
    }

    /// librdkafka's settings for this cluster: it hears of changes quickly, and of nothing else.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config.set("topic.metadata.refresh.interval.ms", "1000");
        config
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "500");
        config.set("log_level", "0");
        config
    }

    /// The metadata as librdkafka gets it, of one topic or of all.
    ///
    /// # Errors
    /// No broker answered within 5 s.
    pub fn metadata(&self, topic: Option<&str>) -> anyhow::Result<Metadata> {
        let consumer: BaseConsumer = self.client().create()?;
        Ok(consumer.fetch_metadata(topic, Duration::from_secs(5))?)
    }

    /// The ends of all nodes' logs, for a failure's message.
    pub fn log_tails(&self) -> String {
        let tails = self
            .nodes
            .iter()
            .map(|node| format!("--- node {}\n{}\n", node.id(), node.log_tail(TAIL_LINES)));
        tails.collect()
    }

    /// The log lines of level ERROR that hold none of the `allowed` words: an operator would be called for them.
    pub fn error_lines(&self, allowed: &[&str]) -> Vec<String> {
        let lines = self.nodes.iter().flat_map(|node| {
            let id = node.id();
            node.log()
                .lines()
                .map(move |line| format!("node {id}: {line}"))
                .collect::<Vec<_>>()
        });
        lines
            .filter(|line| line.contains("ERROR") && !allowed.iter().any(|word| line.contains(word)))
            .collect()
    }

    pub(crate) fn has_port_clash(&self) -> bool {
        self.nodes
            .iter()
            .any(|node| node.log().to_lowercase().contains("address already in use"))
    }

    fn ended_by_itself(&mut self) -> Option<String> {
        self.nodes.iter_mut().filter(|node| node.is_started()).find_map(|node| {
            let status = node.exited().ok().flatten()?;
            Some(format!("node {} ended by itself: {status}", node.id()))
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tails());
        }
        self.nodes.clear();
        self.disks.clear();
        if let Some(folder) = self.folder.take().filter(|_| std::env::var_os("KLAMM_KEEP").is_some()) {
            eprintln!("kept: {}", folder.keep().display());
        }
    }
}
