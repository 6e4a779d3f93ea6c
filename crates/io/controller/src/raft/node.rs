//! What the parts of one quorum member share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use types::BrokerId;

use super::log_store::LogStore;
use super::network::Wire;
use super::server::Receiving;
use super::snapshots::Snapshots;
use super::state_machine::Applied;
use super::type_config::{Member, Metrics, Raft};
use super::{FatalError, Leadership, QuorumConfig};

/// One running member. Its tasks hold it until [`Node::stopping`] says so.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) config: QuorumConfig,
    pub(super) wire: Arc<Wire>,
    pub(super) raft: Raft,
    pub(super) log: LogStore,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) applied: Arc<Applied>,
    pub(super) leadership: watch::Sender<Leadership>,
    pub(super) fatal: watch::Sender<Option<FatalError>>,
    pub(super) stopping: watch::Sender<bool>,
    /// For whom or what this node waits before it is a member of the quorum; `None` once it is.
    pub(super) waiting: watch::Sender<Option<String>>,
    pub(super) receiving: tokio::sync::Mutex<Option<Receiving>>,
    /// One change of the members at a time.
    pub(super) admissions: tokio::sync::Mutex<()>,
    /// One operator's wish at a time: each may take minutes, and anybody may have one.
    pub(super) operator: tokio::sync::Mutex<()>,
    /// Somebody says that the quorum was recovered without this node: those whom it trusts are asked.
    pub(super) heard_of_recovery: AtomicBool,
}

impl Node {
    pub(super) fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow_watched().clone()
    }

    pub(super) fn raft_id(&self) -> u64 {
        self.wire.raft_id
    }

    /// The leader, if it was heard lately, or leads here: what an old vote says of a dead one is no news to others.
    pub(super) fn leader_in_touch(&self) -> Option<(u64, Member)> {
        let leads = self.metrics().state.is_leader();
        self.leader().filter(|(leader, _)| {
            let own = *leader == self.raft_id();
            own && leads || !own && self.has_live_link(*leader)
        })
    }

    /// The leader as far as Raft knows it here.
    pub(super) fn leader(&self) -> Option<(u64, Member)> {
        let metrics = self.metrics();
        let leader = metrics.current_leader?;
        metrics
            .membership_config
            .membership()
            .get_node(&leader)
            .map(|member| (leader, member.clone()))
    }

    /// A member that hasn't been heard for so long has no live link.
    pub(super) fn link_timeout(&self) -> Duration {
        self.config.election_max * 2
    }

    pub(super) fn has_live_link(&self, raft_id: u64) -> bool {
        self.wire
            .peers
            .silence(raft_id)
            .is_some_and(|silence| silence < self.link_timeout())
    }

    /// Nothing was ever voted or written here.
    pub(super) fn is_blank(&self) -> bool {
        self.log.is_blank() && self.snapshots.newest().is_none()
    }

    pub(super) fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    pub(super) fn report_fatal(&self, reason: String) {
        report_fatal(&self.fatal, reason);
    }

    pub(super) fn node_id(&self) -> BrokerId {
        self.config.node_id
    }
}

/// The first reason is kept.
pub(super) fn report_fatal(fatal: &watch::Sender<Option<FatalError>>, reason: String) {
    fatal.send_if_modified(|fatal| {
        let first = fatal.is_none();
        fatal.get_or_insert(FatalError(reason));
        first
    });
}

/// Waits until the node stops; also when it is gone.
pub(super) async fn stopped(signal: &mut watch::Receiver<bool>) {
    let _ = signal.wait_for(|stopping| *stopping).await;
}
