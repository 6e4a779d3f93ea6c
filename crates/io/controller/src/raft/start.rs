//! From a directory to a running member, and back to a directory.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use metadata::MetadataImage;
use openraft::{Config, Raft, SnapshotPolicy};
use storage::FileSystem;
use tokio::sync::watch;

use super::identity::Identity;
use super::image_cache::ImageCache;
use super::log_store::LogStore;
use super::network::{Network, Votes, Wire};
use super::node::Node;
use super::peers::Peers;
use super::snapshots::Snapshots;
use super::state_machine::{Applied, StateMachine};
use super::type_config::{Member, SnapshotMeta};
use super::{Leadership, LogIo, QuorumConfig, QuorumError, RaftTransport, bootstrap, election, leadership};

/// How many entries one request or one append may carry; their bytes are bounded by what the log reads at once.
const MAX_PAYLOAD_ENTRIES: u64 = 300;

/// Opens everything in the directory and starts Raft and its companions.
pub(super) async fn start(
    config: QuorumConfig,
    file_system: Arc<dyn FileSystem>,
    transport: Arc<dyn RaftTransport>,
) -> Result<Arc<Node>, QuorumError> {
    let raft_config = raft_config(&config)?;
    let identity = Arc::new(Identity::open(&config, &file_system)?);
    let fatal = watch::Sender::new(None);
    let log = LogStore::open(&config, Arc::clone(&file_system), fatal.clone())?;
    let snapshots = Arc::new(Snapshots::open(Arc::clone(&file_system), &config.directory)?);
    check_history(&log, &snapshots)?;
    let applied = Arc::new(Applied::new(config.recent_bytes));
    let cached = config
        .image_cache
        .clone()
        .and_then(|path| usable(ImageCache(path).take(), &log, &snapshots));
    let inline = config.log_io == LogIo::Inline;
    let machine = StateMachine::new(Arc::clone(&applied), Arc::clone(&snapshots), cached, inline);
    let member = Member {
        node_id: config.node_id,
        directory_id: identity.directory_id,
        host: config.host.clone(),
        port: config.port,
    };
    let raft_id = member.raft_id();
    let wire = Arc::new(Wire {
        member,
        raft_id,
        identity,
        transport,
        peers: Peers::default(),
        append_deadline: config.election_max,
        install_deadline: config.install_snapshot_timeout,
        fatal: fatal.clone(),
        votes: Votes::default(),
        matched: super::answers::Matched::default(),
    });
    let raft = Raft::new(
        raft_id,
        Arc::new(raft_config),
        Network(Arc::clone(&wire)),
        log.clone(),
        machine,
    )
    .await
    .map_err(|error| QuorumError::Raft(error.to_string()))?;
    let _ = wire.votes.0.set(raft.metrics());
    let node = Arc::new(Node {
        config,
        wire,
        raft,
        log,
        snapshots,
        applied,
        leadership: watch::Sender::new(Leadership::default()),
        fatal,
        stopping: watch::Sender::new(false),
        waiting: watch::Sender::new(None),
        receiving: tokio::sync::Mutex::new(None),
        admissions: tokio::sync::Mutex::new(()),
        operator: tokio::sync::Mutex::new(()),
        heard_of_recovery: AtomicBool::new(false),
    });
    companion(&node, leadership::follow_metrics(Arc::clone(&node)));
    companion(&node, election::watch_leader(Arc::clone(&node)));
    companion(&node, bootstrap::run(Arc::clone(&node)));
    if node.is_only_voter() {
        // Nobody else could win: no need to wait for the timeout.
        let _ = node.raft.trigger().elect(false).await;
    }
    Ok(node)
}

/// Spawns a task of this member; its panic ends the process, as the core's does (O7).
fn companion(node: &Arc<Node>, task: impl Future<Output = ()> + Send + 'static) {
    let node = Arc::clone(node);
    let running = tokio::spawn(task);
    tokio::spawn(async move {
        if let Err(error) = running.await
            && error.is_panic()
        {
            node.report_fatal(format!("a task of the metadata quorum panicked: {error}"));
        }
    });
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn raft_config(config: &QuorumConfig) -> Result<Config, QuorumError> {
    let raft = Config {
        cluster_name: "metadata".to_owned(),
        heartbeat_interval: milliseconds(config.heartbeat),
        election_timeout_min: milliseconds(config.election_min),
        election_timeout_max: milliseconds(config.election_max),
        install_snapshot_timeout: milliseconds(config.install_snapshot_timeout),
        max_payload_entries: MAX_PAYLOAD_ENTRIES,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_entries),
        // Purged by `leadership::follow_metrics`, up to the older of two snapshots.
        max_in_snapshot_log_to_keep: u64::MAX,
        replication_lag_threshold: config.snapshot_entries.saturating_mul(2),
        enable_pre_vote: Some(true),
        // A restarted leader stands for election like everybody: its term must not go on with another memory.
        enable_leader_restore: Some(false),
        backoff: "50ms 100ms 200ms ...500ms".to_owned(),
        ..Config::default()
    };
    raft.validate().map_err(|error| QuorumError::Config(error.to_string()))
}

/// Refuses a log whose beginning is in no snapshot.
pub(super) fn check_history(log: &LogStore, snapshots: &Snapshots) -> Result<(), QuorumError> {
    let Some(purged) = log.purged() else { return Ok(()) };
    let newest = snapshots
        .newest()
        .map_or(0, |snapshot| super::snapshots::last_index(&snapshot.meta));
    if newest < purged.index {
        return Err(QuorumError::Raft(format!(
            "the log begins after index {}, but no whole snapshot reaches that far (the newest: {newest}); empty the \
             metadata log directory, so that the node joins the quorum again as a new voter, from the others",
            purged.index
        )));
    }
    Ok(())
}

/// A cached image counts only if our own log or newest snapshot holds the entry that it stands at (RAFT-5).
fn usable(
    cached: Option<(SnapshotMeta, MetadataImage)>,
    log: &LogStore,
    snapshots: &Snapshots,
) -> Option<(SnapshotMeta, MetadataImage)> {
    cached.filter(|(meta, _)| {
        let snapshot = snapshots.newest().and_then(|snapshot| snapshot.meta.last_log_id);
        let snapshot = snapshot.map(super::codec::log_id_from);
        let held = meta
            .last_log_id
            .is_some_and(|id| log.log_id_at(id.index) == Some(id) || snapshot == Some(id));
        held && meta.last_log_id >= snapshot
    })
}

impl Node {
    fn is_only_voter(&self) -> bool {
        let voters: Vec<u64> = self.metrics().membership_config.voter_ids().collect();
        voters == [self.raft_id()]
    }

    /// Hands leadership to the voter that has most of the log.
    pub(super) async fn resign(&self) {
        let metrics = self.metrics();
        if !metrics.state.is_leader() {
            return;
        }
        let matched = metrics.replication.unwrap_or_default();
        let target = metrics
            .membership_config
            .voter_ids()
            .filter(|voter| *voter != self.raft_id() && self.has_live_link(*voter))
            .max_by_key(|voter| (matched.get(voter).copied().flatten(), std::cmp::Reverse(*voter)));
        let Some(target) = target else { return };
        let _ = self.raft.trigger().transfer_leader(target).await;
        let mut leadership = self.leadership.subscribe();
        let own = self.node_id();
        let moved =
            leadership.wait_for(|leadership| leadership.leader.as_ref().is_some_and(|(leader, _)| *leader != own));
        let _ = tokio::time::timeout(self.config.election_max, moved).await;
    }

    /// Stops Raft and the companions; a clean stop syncs the log and caches the image.
    pub(super) async fn stop(&self, clean: bool) {
        if self.stopping.send_replace(true) {
            return;
        }
        // Nobody decides any more; what is asked of Raft from here on is refused before it reaches the stopped core.
        self.leadership
            .send_if_modified(|leadership| std::mem::replace(&mut leadership.active, false));
        let _ = self.raft.shutdown().await;
        if !clean || self.fatal.borrow().is_some() {
            return;
        }
        if let Err(error) = self.log.flush().await {
            self.report_fatal(format!("metadata log: {error}"));
            return;
        }
        let Some(path) = self.config.image_cache.clone() else {
            return;
        };
        let meta = self.applied.position.lock().clone();
        let image = Arc::clone(&self.applied.images.borrow().image);
        if meta.last_log_id.is_some() {
            let store = move || {
                ImageCache(path).store(&meta, &image);
                Ok(())
            };
            let _ = super::state_machine::blocking(self.config.log_io == LogIo::Inline, store).await;
        }
    }

    pub(super) fn status(&self) -> super::QuorumStatus {
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let last_index = metrics.last_log_index.unwrap_or(0);
        let replica = |id: u64, member: &Member| {
            let own = id == self.raft_id();
            let matched_index = match &metrics.replication {
                Some(_) if own => Some(last_index),
                Some(all) => Some(all.get(&id).copied().flatten().map_or(0, |matched| matched.index)),
                None => None,
            };
            super::ReplicaStatus {
                address: member.address(),
                node_id: member.node_id,
                directory_id: member.directory_id,
                matched_index,
                lag: matched_index.map(|matched| last_index.saturating_sub(matched)),
                last_caught_up: match &metrics.replication {
                    Some(_) if own => Some(Duration::ZERO),
                    Some(_) => self.wire.peers.behind(id),
                    None => None,
                },
                last_contact: if own {
                    Some(Duration::ZERO)
                } else {
                    self.wire.peers.silence(id)
                },
            }
        };
        let voters: std::collections::BTreeSet<u64> = membership.voter_ids().collect();
        let (voting, following): (Vec<_>, Vec<_>) = membership.nodes().partition(|(id, _)| voters.contains(id));
        let leader = metrics.current_leader.and_then(|leader| membership.get_node(&leader));
        super::QuorumStatus {
            cluster_id: self.wire.identity.cluster_id(),
            directory_id: self.wire.identity.directory_id,
            term: metrics.current_term,
            leader: leader.map(|member| member.node_id),
            commit_index: metrics.local_committed.map_or(0, |id| id.index),
            applied_index: metrics.last_applied.map_or(0, |id| id.index),
            last_index,
            snapshot_index: metrics.snapshot.map_or(0, |id| id.index),
            purged_index: metrics.purged.map_or(0, |id| id.index),
            voters: voting.into_iter().map(|(id, member)| replica(*id, member)).collect(),
            learners: following.into_iter().map(|(id, member)| replica(*id, member)).collect(),
        }
    }
}
