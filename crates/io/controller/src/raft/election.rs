//! Fast election: when the leader's port refuses, the survivors need not sit out its lease.
//!
//! A follower that misses a heartbeat, or sees its links to the leader close, dials the leader. Refused: the process is gone.
//! Accepted: it is asked, and one that was restarted says that it doesn't lead (all nodes killed at once, and back). In both
//! cases the lowest surviving voter whose log is long enough stands for election at once (openraft's leadership transfer, which
//! passes over leases). Anything else, and it is dialled again for a moment: a killed process closes its connections before its
//! listener. Then the ordinary timeout decides. This only ever starts an election: safety stays Raft's.

use std::sync::Arc;
use std::time::Duration;

use openraft::raft::TransferLeaderRequest;
use tokio::time::Instant;

use super::DialOutcome;
use super::codec::{log_id_to, vote_to};
use super::node::{Node, stopped};
use super::proto;
use super::proto::raft_request::Call;
use super::proto::raft_response::Reply;
use super::type_config::{LogId, Member, Vote};

/// What timers are exact to.
const TIMER_STEP: Duration = Duration::from_millis(1);
/// Pause before the second dial; each further one is twice as long.
const REDIAL: Duration = Duration::from_millis(2);
/// How long dials go on.
const REDIAL_FOR: Duration = Duration::from_millis(100);

/// Watches the leader until the node stops, or sends its heartbeats while it is this node.
///
/// openraft's own clock ticks five times in each heartbeat, which is most of what an idle node does. It only starts elections and
/// heartbeats, so it stands still while the leader is heard, or the heartbeats come from here.
pub(super) async fn watch_leader(node: Arc<Node>) {
    let mut stop = node.stop_signal();
    let mut leadership = node.leadership.subscribe();
    let started = Instant::now();
    let patience = node.config.patience();
    let mut pause = patience;
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            changed = leadership.changed() => if changed.is_err() {
                return;
            },
            () = tokio::time::sleep(pause) => {}
        }
        let clock = node.raft.runtime_config();
        let Some((leader, member)) = node.leader() else {
            clock.tick(true);
            pause = patience;
            continue;
        };
        if leader == node.raft_id() {
            clock.tick(false);
            // An error means that the core is gone, which others report.
            let _ = node.raft.trigger().heartbeat().await;
            pause = node.config.heartbeat;
            continue;
        }
        let silence = node.wire.peers.silence(leader).unwrap_or_else(|| started.elapsed());
        if let Some(left) = patience.checked_sub(silence) {
            clock.tick(false);
            // The next heartbeat comes before that, and puts it off again.
            pause = left + TIMER_STEP;
            continue;
        }
        clock.tick(true);
        if node.is_voter() {
            node.suspect(leader, &member).await;
        }
        // That election gets as long a chance as a silence.
        pause = patience;
    }
}

impl Node {
    pub(super) fn is_voter(&self) -> bool {
        self.metrics()
            .membership_config
            .voter_ids()
            .any(|voter| voter == self.raft_id())
    }

    /// Somebody saw the links to the leader close: dial it now.
    pub(super) async fn suspect_leader(&self) {
        if let Some((leader, member)) = self.leader().filter(|(leader, _)| *leader != self.raft_id())
            && self.is_voter()
        {
            self.suspect(leader, &member).await;
        }
    }

    async fn suspect(&self, leader: u64, member: &Member) {
        let vote = self.metrics().vote;
        if vote.leader_id.voted_for != leader || !vote.committed {
            return;
        }
        let Some(why) = self.why_gone(leader, member, vote).await else {
            return;
        };
        tracing::info!(leader = %member, why, "the active controller is gone: electing another one at once");
        self.elect_survivor(leader, vote).await;
    }

    /// Dials the leader of this vote for a moment; `None` when it lives, or may, or another vote has come.
    async fn why_gone(&self, leader: u64, member: &Member, vote: Vote) -> Option<&'static str> {
        let (until, mut pause) = (Instant::now() + REDIAL_FOR, REDIAL);
        loop {
            let gone = match self.wire.transport.dial(&member.address()).await {
                DialOutcome::Refused => Some("its port refuses"),
                DialOutcome::Accepted if self.was_restarted(leader, member).await => Some("it was restarted"),
                DialOutcome::Accepted | DialOutcome::Silent => None,
            };
            if self.metrics().vote != vote {
                return None;
            }
            if gone.is_some() || Instant::now() + pause > until {
                return gone;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// Whether the process at the leader's address says that it doesn't lead, or is another directory's.
    async fn was_restarted(&self, leader: u64, member: &Member) -> bool {
        let address = member.address();
        let asked = self.wire.call(
            &address,
            0,
            Call::Identify(proto::IdentifyRequest {}),
            self.config.patience(),
        );
        match asked.await {
            Ok(Reply::Identify(answer)) => {
                let itself = |of: &Option<proto::Member>| of.as_ref().is_some_and(|of| of.raft_id == leader);
                !itself(&answer.member) || !itself(&answer.leader)
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// Asks the voters, lowest first, to stand; the first that agrees, or this one, does.
    async fn elect_survivor(&self, leader: u64, vote: Vote) {
        let metrics = self.metrics();
        let last_log_id = self.log.last_log_id();
        let voters: std::collections::BTreeSet<u64> = metrics.membership_config.voter_ids().collect();
        for voter in voters.into_iter().filter(|voter| *voter != leader) {
            if voter == self.raft_id() {
                self.stand(vote, last_log_id).await;
                return;
            }
            let Some(member) = metrics.membership_config.membership().get_node(&voter) else {
                continue;
            };
            let request = proto::TransferLeaderRequest {
                from_leader: Some(vote_to(&vote)),
                last_log_id: last_log_id.as_ref().map(log_id_to),
                to: voter,
                by_leader: false,
            };
            let deadline = self.config.patience().max(Duration::from_millis(100));
            let asked = self
                .wire
                .call(&member.address(), voter, Call::TransferLeader(request), deadline)
                .await;
            if let Ok(Reply::TransferLeader(response)) = asked
                && response.accepted
            {
                return;
            }
        }
    }

    /// Another survivor asks this one to stand. Not if the leader was heard a moment ago and isn't gone by this one's own look, nor
    /// with a shorter log than the other's.
    pub(super) async fn stand_for(&self, vote: Vote, last_log_id: Option<LogId>, from: &Member) -> bool {
        let metrics = self.metrics();
        if metrics.vote.leader_id.term > vote.leader_id.term {
            // Somebody stands already, or leads: nothing is left to do for the one who asks.
            return true;
        }
        let leader = vote.leader_id.voted_for;
        let heard = self
            .wire
            .peers
            .silence(leader)
            .is_some_and(|silence| silence < self.config.heartbeat);
        if metrics.vote != vote || !self.is_voter() {
            return false;
        }
        let member = metrics.membership_config.membership().get_node(&leader);
        if heard
            && match member {
                Some(member) => self.why_gone(leader, member, vote).await.is_none(),
                None => true,
            }
        {
            return self.metrics().vote.leader_id.term > vote.leader_id.term;
        }
        let own = self.log.last_log_id();
        if own < last_log_id {
            return false;
        }
        tracing::info!(from = %from, "standing for election: the active controller is gone");
        self.stand(vote, own).await;
        true
    }

    async fn stand(&self, vote: Vote, last_log_id: Option<LogId>) {
        let transfer = TransferLeaderRequest::new(vote, self.raft_id(), last_log_id);
        match self.raft.handle_transfer_leader(transfer).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "did not stand for election"),
            Err(error) => tracing::debug!(%error, "raft stopped"),
        }
    }
}
