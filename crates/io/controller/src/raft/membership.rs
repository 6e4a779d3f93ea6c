//! Who belongs to the quorum: a learner first, a voter when it has caught up, one change at a time.
//!
//! The newcomer asks again and again (see `bootstrap`), and each request does one bounded step, so that nothing waits
//! for a learner that died (O10). A node's new directory replaces its old one only while that has no live link (RAFT-2),
//! in the same change, so that the number of voters stays. What an operator's change of the voters must not do (VOTER-1,
//! VOTER-2), this must not either: a newcomer is asked who it is, and a majority after the change answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};

use super::MembershipError;
use super::codec::member_to;
use super::node::Node;
use super::proto;
use super::type_config::{Member, TypeConfig};

/// A change that isn't committed by then has lost its majority.
const CHANGE_DEADLINE: Duration = Duration::from_secs(10);
/// A learner that lacks at most so many entries is as good as caught up: they are on their way.
const PROMOTION_LAG: u64 = 16;
/// Each is sent the whole log, and anybody may ask to be one.
const MAX_LEARNERS: usize = 32;

type Outcome = proto::join_response::Outcome;

impl Node {
    /// Takes one step towards admitting `member`.
    pub(super) async fn admit(&self, member: Member, wants_vote: bool) -> proto::JoinResponse {
        let (outcome, message) = match self.admission_step(&member, wants_vote).await {
            Ok(true) => (Outcome::Admitted, String::new()),
            Ok(false) | Err(MembershipError::InProgress | MembershipError::NotCaughtUp(_)) => {
                (Outcome::InProgress, String::new())
            }
            Err(MembershipError::NotLeader) => (Outcome::NotLeader, MembershipError::NotLeader.to_string()),
            Err(error @ MembershipError::StillAlive { .. }) => (Outcome::Duplicate, error.to_string()),
            Err(error) => {
                tracing::warn!(member = %member, %error, "not admitted to the metadata quorum");
                (Outcome::Refused, error.to_string())
            }
        };
        let leader = self.leader().map(|(_, leader)| member_to(&leader));
        proto::JoinResponse {
            outcome: outcome.into(),
            message,
            leader,
        }
    }

    /// `Ok(true)`: nothing is left to do.
    pub(super) async fn admission_step(&self, member: &Member, wants_vote: bool) -> Result<bool, MembershipError> {
        let _one = self.admissions.try_lock().map_err(|_| MembershipError::InProgress)?;
        let metrics = self.metrics();
        if !metrics.state.is_leader() {
            return Err(MembershipError::NotLeader);
        }
        let id = member.raft_id();
        let membership = metrics.membership_config.membership();
        let former: Vec<(u64, Member)> = membership
            .nodes()
            .filter(|(other, known)| known.node_id == member.node_id && **other != id)
            .map(|(other, known)| (*other, known.clone()))
            .collect();
        #[cfg(feature = "bugs")]
        let former = if bugs::is_planted(bugs::Bug::TwoVotersOfOneId) {
            Vec::new()
        } else {
            former
        };
        if let Some((_, live)) = former
            .iter()
            .find(|(other, _)| self.has_live_link(*other) || *other == self.raft_id())
        {
            return Err(MembershipError::StillAlive {
                node: member.node_id,
                live: live.directory_id,
                new: member.directory_id,
            });
        }
        let is_voter = membership.voter_ids().any(|voter| voter == id);
        match membership.get_node(&id) {
            None => {
                let learners = membership.nodes().count() - membership.voter_ids().count();
                if learners >= MAX_LEARNERS {
                    return Err(MembershipError::Rejected(format!(
                        "there are {learners} observers already: `klamm quorum remove` takes one out"
                    )));
                }
                self.check_answers(member).await?;
                tracing::info!(member = %member, "added to the metadata quorum as a learner");
                self.change(ChangeMembers::AddNodes(BTreeMap::from([(id, member.clone())])))
                    .await?;
                return Ok(!wants_vote);
            }
            Some(known) if known.directory_id != member.directory_id => {
                return Err(MembershipError::Rejected(format!(
                    "{known} has the same short id as {member}"
                )));
            }
            Some(known) if known != member => {
                // Whoever claims to be a voter at another address gets its place only when nobody else is at the old one.
                if is_voter && self.another_answers(known, member).await {
                    return Err(MembershipError::StillAlive {
                        node: known.node_id,
                        live: known.directory_id,
                        new: member.directory_id,
                    });
                }
                self.check_answers(member).await?;
                tracing::info!(member = %member, former = %known, "member of the metadata quorum has another address");
                self.change(ChangeMembers::SetNodes(BTreeMap::from([(id, member.clone())])))
                    .await?;
            }
            Some(_) => {}
        }
        if !wants_vote || is_voter {
            return Ok(true);
        }
        let matched = metrics
            .replication
            .as_ref()
            .and_then(|all| all.get(&id).copied().flatten());
        let lag = metrics
            .last_log_index
            .unwrap_or(0)
            .checked_sub(matched.map_or(0, |matched| matched.index));
        if matched.is_none() || lag.is_some_and(|lag| lag > PROMOTION_LAG) {
            return Err(MembershipError::NotCaughtUp(member.node_id));
        }
        let former: BTreeSet<u64> = former.into_iter().map(|(other, _)| other).collect();
        let mut changes = vec![ChangeMembers::AddVoterIds(BTreeSet::from([id]))];
        let voters: BTreeSet<u64> = membership.voter_ids().filter(|voter| former.contains(voter)).collect();
        let learners: BTreeSet<u64> = former.difference(&voters).copied().collect();
        if !voters.is_empty() {
            changes.push(ChangeMembers::RemoveVoters(voters));
        }
        let mut after: BTreeSet<u64> = membership.voter_ids().filter(|voter| !former.contains(voter)).collect();
        after.insert(id);
        if !learners.is_empty() {
            changes.push(ChangeMembers::RemoveNodes(learners));
        }
        self.check_majority(&after, None).await?;
        self.change(ChangeMembers::Batch(changes)).await?;
        tracing::info!(member = %member, "admitted to the metadata quorum as a voter");
        Ok(true)
    }

    /// Ends a change of the voters that an earlier leader began and didn't live to end. Until then a majority of the old
    /// voters is needed beside one of the new, the dead directory among them; and the newcomer, which votes already,
    /// asks no more.
    pub(super) fn end_unfinished_change(self: &Arc<Self>) {
        let is_joint = |node: &Self| {
            let metrics = node.metrics();
            metrics.membership_config.membership().get_joint_config().len() > 1
        };
        if !is_joint(self) {
            return;
        }
        let node = Arc::clone(self);
        tokio::spawn(async move {
            // Held while a change of this leader's own is under way.
            let Ok(_one) = node.admissions.try_lock() else { return };
            if !is_joint(&node) {
                return;
            }
            match node.change(ChangeMembers::AddVoterIds(BTreeSet::new())).await {
                Ok(()) => tracing::info!("ended the change of voters that an earlier leader had begun"),
                Err(error) => tracing::debug!(%error, "the change of voters could not be ended yet"),
            }
        });
    }

    pub(super) async fn change(&self, change: ChangeMembers<u64, Member>) -> Result<(), MembershipError> {
        let changed = tokio::time::timeout(CHANGE_DEADLINE, self.raft.change_membership(change, false)).await;
        match changed {
            Err(_) => Err(MembershipError::Rejected(
                "not committed in time; a majority may be out of reach".to_owned(),
            )),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(refusal(&error)),
        }
    }
}

fn refusal(error: &RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> MembershipError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_) | ClientWriteError::LogEntryDiscarded(_)) => {
            MembershipError::NotLeader
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_))) => {
            MembershipError::InProgress
        }
        other => MembershipError::Rejected(other.to_string()),
    }
}
