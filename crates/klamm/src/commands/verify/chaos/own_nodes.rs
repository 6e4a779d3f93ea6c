//! Processes that this command has started.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use super::broken_syncs::BrokenSyncs;
use super::fault::{Action, FaultKind};
use super::network::Network;
use super::nodes::Nodes;
use crate::local_cluster::{DiskRole, LocalCluster, NodeProcess};

/// How long a controlled shutdown may take.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// How long a node may go on whose syncs fail: the next sync of its data comes within five seconds.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);
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
        match self.end_of(node, STOP_WITHIN)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("node {node} ended its controlled shutdown with {status}"),
            None => {
                self.cluster().node(node)?.kill()?;
                bail!("node {node} was still shutting down after {} s", STOP_WITHIN.as_secs());
            }
        }
    }

    /// Until it has ended itself: this is its only directory, or the one of its metadata log.
    fn fail_syncs(&self, node: i32) -> Result<()> {
        let pid = self.cluster().node(node)?.pid();
        let broken = BrokenSyncs::of(pid.with_context(|| format!("node {node} isn't running"))?)?;
        let ended = self.end_of(node, NOTICED_WITHIN)?;
        drop(broken);
        match ended {
            Some(status) if status.success() => bail!("node {node} ended in good order, though its syncs failed"),
            Some(_) => Ok(()),
            None => {
                self.cluster().node(node)?.kill()?;
                bail!(
                    "node {node} went on for {} s, though its syncs failed",
                    NOTICED_WITHIN.as_secs()
                );
            }
        }
    }

    fn end_of(&self, node: i32, within: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + within;
        loop {
            let ended = self.cluster().node(node)?.ended()?;
            if ended.is_some() || Instant::now() > deadline {
                return Ok(ended);
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

    fn metadata_disks(&self) -> Vec<i32> {
        let cluster = self.cluster();
        let apart = |node: &&NodeProcess| node.disks().is_ok_and(|disks| disks.has(DiskRole::Metadata));
        let ids = cluster.nodes().iter().filter(apart).map(NodeProcess::id);
        ids.filter_map(|id| i32::try_from(id).ok()).collect()
    }

    fn check(&self, kind: FaultKind) -> Result<()> {
        let cluster = self.cluster();
        let mut nodes = cluster.nodes().iter();
        match kind {
            FaultKind::Partition => self.network().map(|_| ()),
            FaultKind::Power | FaultKind::PowerAll | FaultKind::DiskFull => {
                nodes.try_for_each(|node| node.disks().map(|_| ()))
            }
            FaultKind::Clock => {
                ensure!(
                    nodes.all(NodeProcess::goes_by_its_clock),
                    "clocks can't be set: libfaketime isn't in the nodes' processes (is this binary a static one?)"
                );
                Ok(())
            }
            FaultKind::Kill
            | FaultKind::KillAgain
            | FaultKind::Pause
            | FaultKind::PauseLong
            | FaultKind::Stop
            | FaultKind::FsyncError
            | FaultKind::Wipe => Ok(()),
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
            Action::PowerOff => self.cluster().node(node)?.cut_power(),
            Action::PowerOn => self.cluster().node(node)?.restore_power(),
            Action::Fill(role) => self.cluster().node(node)?.disks()?.fill(role),
            Action::Free(role) => self.cluster().node(node)?.disks()?.free(role),
            Action::SetClock(seconds) => self.cluster().node(node)?.clock()?.set(seconds),
            Action::ResetClock => self.cluster().node(node)?.clock()?.set(0),
            Action::FailSyncs => self.fail_syncs(node),
            Action::Wipe => self.cluster().node(node)?.wipe(),
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
