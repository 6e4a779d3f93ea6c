//! The nodes together: their start, their end, and the end of their data if nobody keeps it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::clock::Clock;
use super::disks::NodeDisks;
use super::layout::Layout;
use super::node_process::NodeProcess;
use crate::stop_signal::StopSignal;

/// How long the nodes may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a node may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at a node.
const PAUSE: Duration = Duration::from_millis(10);

/// What nodes have of their own besides their directories, because faults need it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Surroundings {
    /// File systems.
    pub(crate) disks: bool,
    /// A second one for the metadata log, on every node with an even id.
    pub(crate) metadata_disks: bool,
    /// Clocks.
    pub(crate) clocks: bool,
}

/// A running cluster. Dropping it kills the nodes, and removes what is ephemeral.
#[derive(Debug)]
pub(crate) struct LocalCluster {
    nodes: Vec<NodeProcess>,
    layout: Layout,
    data: PathBuf,
    ephemeral: bool,
}

impl LocalCluster {
    /// Starts all nodes of the layout and returns at once.
    pub(crate) fn start(
        data: &Path,
        ephemeral: bool,
        layout: Layout,
        overrides: &[String],
        surroundings: Surroundings,
    ) -> anyhow::Result<Self> {
        let mut cluster = Self {
            nodes: Vec::new(),
            data: data.to_owned(),
            ephemeral,
            layout,
        };
        for id in 1..=cluster.layout.nodes.len() {
            let apart = surroundings.metadata_disks && id.is_multiple_of(2);
            let disks = surroundings
                .disks
                .then(|| NodeDisks::create(data, id, apart))
                .transpose()?;
            let clock = surroundings.clocks.then(|| Clock::create(data, id)).transpose()?;
            let mut node = NodeProcess::prepare(data, id, &cluster.layout, overrides, disks, clock)?;
            node.start()?;
            cluster.nodes.push(node);
        }
        Ok(cluster)
    }

    /// Where the nodes are reached.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where their files are.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The files stay.
    pub(crate) fn keep(&mut self) {
        self.ephemeral = false;
    }

    /// All nodes, by id.
    pub(crate) fn nodes(&self) -> &[NodeProcess] {
        &self.nodes
    }

    /// The node with this id.
    pub(crate) fn node(&mut self, id: i32) -> anyhow::Result<&mut NodeProcess> {
        self.nodes
            .iter_mut()
            .find(|node| i32::try_from(node.id()).is_ok_and(|own| own == id))
            .with_context(|| format!("no node {id}"))
    }

    /// A node that has ended by itself.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<(usize, ExitStatus)>> {
        for node in &mut self.nodes {
            if let Some(status) = node.ended()? {
                return Ok(Some((node.id(), status)));
            }
        }
        Ok(None)
    }

    /// Where a node's log is.
    pub(crate) fn log_file(&self, id: usize) -> PathBuf {
        self.data.join(format!("node{id}.log"))
    }

    /// Waits until every node serves.
    pub(crate) fn wait_until_ready(&mut self, stop: &StopSignal) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        for at in 0..self.nodes.len() {
            while !self.nodes.get(at).is_some_and(NodeProcess::is_ready) {
                if let Some((id, status)) = self.ended()? {
                    bail!(
                        "node {id} did not start: {status}. Its log: {}",
                        self.log_file(id).display()
                    );
                }
                if stop.requested() || Instant::now() > deadline {
                    let log = self.log_file(at + 1);
                    self.stop()?;
                    bail!("node {} did not become ready. Its log: {}", at + 1, log.display());
                }
                stop.wait(PAUSE);
            }
        }
        Ok(())
    }

    /// Asks all nodes to stop, waits for them.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        for node in self.nodes.iter().filter(|node| node.is_started()) {
            node.signal(Signal::TERM)?;
        }
        let deadline = Instant::now() + STOP_WITHIN;
        for node in &mut self.nodes {
            while node.is_started() && node.ended()?.is_none() {
                if Instant::now() > deadline {
                    node.kill()?;
                }
                std::thread::park_timeout(PAUSE);
            }
        }
        Ok(())
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        self.nodes.clear();
        if self.ephemeral {
            let _ = fs::remove_dir_all(&self.data);
        }
    }
}
