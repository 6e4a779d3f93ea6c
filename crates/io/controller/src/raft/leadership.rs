//! Who leads, and whether this node may act as the active controller.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::{Instant, ServerState};
use types::BrokerId;

use super::VoterAddress;
use super::node::{Node, stopped};
use super::type_config::Metrics;

/// The quorum's leader as this node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leadership {
    /// The leader and its controller listener; `None` while there is none.
    pub leader: Option<(BrokerId, VoterAddress)>,
    /// The current term: the controller epoch.
    pub term: u64,
    /// This node leads, a majority has answered it lately, and the first entry of its own term is applied: its image
    /// holds every committed record, so it may decide.
    pub active: bool,
}

/// Between two looks of one that doesn't lead, if nothing changes.
const FOLLOWER_LOOK: Duration = Duration::from_secs(1);

/// Follows Raft's metrics until the node stops: publishes leadership, notices a dead core, and keeps the log short.
pub(super) async fn follow_metrics(node: Arc<Node>) {
    let mut stop = node.stop_signal();
    let mut metrics = node.raft.metrics();
    let mut purged_up_to = 0;
    let mut silent = BTreeSet::new();
    loop {
        let current = metrics.borrow_watched().clone();
        if let Err(error) = &current.running_state {
            node.leadership
                .send_if_modified(|leadership| std::mem::replace(&mut leadership.active, false));
            if !*stop.borrow() {
                node.report_fatal(format!("raft core: {error}"));
            }
            return;
        }
        node.remember_vote(&current);
        let leads = current.state == ServerState::Leader;
        let leadership = node.judge(&current);
        if leadership.active {
            node.end_unfinished_change();
        }
        node.leadership.send_if_modified(|published| {
            let changed = *published != leadership;
            if changed {
                published.clone_from(&leadership);
            }
            changed
        });
        node.note_caught_up(&current);
        node.tell_silent_voters(&current, &mut silent);
        node.keep_log_short(&mut purged_up_to).await;
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            changed = metrics.changed() => if changed.is_err() {
                if !*stop.borrow() {
                    node.report_fatal("raft core is gone".to_owned());
                }
                return;
            },
            // Acknowledgements of a majority age without any change; elsewhere hardly anything does.
            () = tokio::time::sleep(if leads { node.config.heartbeat } else { FOLLOWER_LOOK }) => {}
        }
    }
}

impl Node {
    fn judge(&self, metrics: &Metrics) -> Leadership {
        let term = metrics.current_term;
        let membership = metrics.membership_config.membership();
        let leader = metrics.current_leader.and_then(|leader| membership.get_node(&leader));
        let leads = metrics.state == ServerState::Leader && metrics.current_leader == Some(self.raft_id());
        // A leader that no majority answers can't commit, and another may lead by now.
        let answered = membership.voter_ids().count() == 1
            || metrics
                .last_quorum_acked
                .is_some_and(|at| at.elapsed() < self.link_timeout());
        let own_term_applied = metrics
            .last_applied
            .is_some_and(|applied| applied.leader_id.term == term);
        Leadership {
            leader: leader.map(|member| (member.node_id, member.address())),
            term,
            active: leads && answered && own_term_applied,
        }
    }

    /// For how long from now no other controller can be active: a majority answered this one a while ago, and doesn't vote for
    /// another within a leader's lease of that (`election_max`). A leader whose port refuses is replaced at once, but then its
    /// process is gone.
    pub(super) fn undisputed_for(&self) -> Duration {
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let leads = metrics.state == ServerState::Leader && metrics.current_leader == Some(self.raft_id());
        if !leads {
            return Duration::ZERO;
        }
        let lease = self.config.election_max;
        if membership.voter_ids().count() == 1 {
            return lease;
        }
        let answered = metrics.last_quorum_acked.map(|at| at.elapsed());
        answered.map_or(Duration::ZERO, |answered| lease.saturating_sub(answered))
    }

    fn note_caught_up(&self, metrics: &Metrics) {
        let Some(replication) = &metrics.replication else {
            return;
        };
        for (member, matched) in replication {
            if matched
                .as_ref()
                .is_some_and(|matched| Some(matched.index) >= metrics.last_log_index)
            {
                self.wire.peers.is_caught_up(*member);
            }
        }
    }

    /// At once: one that is removed a moment after it became a voter must not come back by itself.
    fn remember_vote(&self, metrics: &Metrics) {
        let membership = &metrics.membership_config;
        let is_voter = membership.voter_ids().any(|voter| voter == self.raft_id());
        let is_committed = *membership.log_id() <= metrics.last_applied;
        if is_voter
            && is_committed
            && let Err(error) = self.wire.identity.remember_vote()
        {
            self.report_fatal(format!("metadata log: {error}"));
        }
    }

    /// Once when a voter falls silent and once when it is back, instead of a line for each lost heartbeat.
    fn tell_silent_voters(&self, metrics: &Metrics, silent: &mut BTreeSet<u64>) {
        if !metrics.state.is_leader() {
            silent.clear();
            return;
        }
        let membership = metrics.membership_config.membership();
        for voter in membership.voter_ids().filter(|voter| *voter != self.raft_id()) {
            let Some(member) = membership.get_node(&voter) else {
                continue;
            };
            let silence = self.wire.peers.silence(voter);
            if silence.is_some_and(|silence| silence < self.link_timeout()) {
                if silent.remove(&voter) {
                    tracing::info!(voter = %member, "a voter of the metadata quorum answers again");
                }
            } else if silence.is_some() && silent.insert(voter) {
                tracing::warn!(voter = %member, "a voter of the metadata quorum doesn't answer");
            }
        }
        silent.retain(|voter| membership.get_node(voter).is_some());
    }

    async fn keep_log_short(&self, purged_up_to: &mut u64) {
        let bytes = self.applied.bytes_since_snapshot.load(Ordering::Relaxed);
        if bytes >= self.config.snapshot_bytes {
            self.applied.bytes_since_snapshot.store(0, Ordering::Relaxed);
            let _ = self.raft.trigger().snapshot().await;
        }
        if let Some(index) = self.snapshots.purgeable().filter(|index| *index > *purged_up_to) {
            *purged_up_to = index;
            let _ = self.raft.trigger().purge_log(index).await;
        }
    }
}
