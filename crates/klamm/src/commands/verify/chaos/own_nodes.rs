//! Processes that this command has started.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::fault::{Action, FaultKind};
use super::network::Network;
use super::nodes::Nodes;
use crate::local_cluster::{LocalCluster, NodeProcess};

/// How long a controlled shutdown may take.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at a node.
const PAUSE: Duration = Duration::from_millis(20);

/// The nodes of a cluster of our own.
#[derive(Debug)]
pub(crate) struct OwnNodes {
    cluster: Arc<Mutex<LocalCluster>>,
    network: Option<Arc<Network>>,
}

impl OwnNodes {
    /// Of this cluster, in this network if it has one of its own.
    pub(crate) fn new(cluster: Arc<Mutex<LocalCluster>>, network: Option<Arc<Network>>) -> Self {
        Self { cluster, network }
    }

    fn cluster(&self) -> MutexGuard<'_, LocalCluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn network(&self) -> Result<&Network> {
        self.network
            .as_deref()
            .context("the nodes have no network of their own")
    }

    fn stop(&self, node: i32) -> Result<()> {
        self.cluster().node(node)?.signal(Signal::TERM)?;
        let deadline = Instant::now() + STOP_WITHIN;
        loop {
            if let Some(status) = self.cluster().node(node)?.ended()? {
                if status.success() {
                    return Ok(());
                }
                bail!("node {node} ended its controlled shutdown with {status}");
            }
            if Instant::now() > deadline {
                self.cluster().node(node)?.kill()?;
                bail!("node {node} was still shutting down after {} s", STOP_WITHIN.as_secs());
            }
            std::thread::park_timeout(PAUSE);
        }
    }
}

impl Nodes for OwnNodes {
    fn ids(&self) -> Vec<i32> {
        let ids = self.cluster().nodes().iter().map(NodeProcess::id).collect::<Vec<_>>();
        ids.into_iter().filter_map(|id| i32::try_from(id).ok()).collect()
    }

    fn check(&self, kind: FaultKind) -> Result<()> {
        match kind {
            FaultKind::Partition => self.network().map(|_| ()),
            FaultKind::Kill | FaultKind::Pause | FaultKind::PauseLong | FaultKind::Stop => Ok(()),
        }
    }

    fn act(&mut self, action: Action, node: i32) -> Result<()> {
        match action {
            Action::Kill => self.cluster().node(node)?.kill(),
            Action::Start => self.cluster().node(node)?.start(),
            Action::Pause => self.cluster().node(node)?.signal(Signal::STOP),
            Action::Resume => self.cluster().node(node)?.signal(Signal::CONT),
            Action::Stop => self.stop(node),
            Action::Cut(cut) => self.network()?.cut(node, cut),
            Action::Heal => self.network()?.heal(node),
        }
    }

    fn ended_by_itself(&mut self) -> Option<String> {
        let mut cluster = self.cluster();
        let (id, status) = cluster.ended().ok().flatten()?;
        Some(format!(
            "node {id} ended by itself: {status}. Its log: {}",
            cluster.log_file(id).display()
        ))
    }
}
