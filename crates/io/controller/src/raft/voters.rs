//! What an operator changes about the voters: one at a time, and never so that the majority is lost.
//!
//! VOTER-1: a newcomer is asked who it is before it counts, follows as a learner until it has caught up, and only then
//! votes: a dead target times out and leaves the voters as they were (O10). VOTER-2: after any change a majority of the
//! voters answers; each is asked anew for it, for one that died a moment ago still looks alive. What would leave fewer is
//! refused, with the names of those that are silent: such a change could never be committed, nor taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::ChangeMembers;
use tokio::time::{Instant, sleep};
use types::{BrokerId, DirectoryId};

use super::bootstrap::Answer;
use super::node::Node;
use super::type_config::Member;
use super::{MembershipError, VoterAddress};

impl Node {
    /// See [`super::MetadataQuorum::add_voter`].
    pub(super) async fn add_voter(
        &self,
        node: BrokerId,
        directory: DirectoryId,
        address: Option<VoterAddress>,
        deadline: Duration,
    ) -> Result<(), MembershipError> {
        let until = Instant::now() + deadline;
        let _one = self.operator.try_lock().map_err(|_| MembershipError::InProgress)?;
        let metrics = self.metrics();
        if !metrics.state.is_leader() {
            return Err(MembershipError::NotLeader);
        }
        let membership = metrics.membership_config.membership();
        let known = membership
            .nodes()
            .find(|(_, member)| member.node_id == node && member.directory_id == directory)
            .map(|(_, member)| member.clone());
        let was_known = known.is_some();
        let member = match (known, address) {
            (Some(member), _) => member,
            (None, Some(address)) => Member {
                node_id: node,
                directory_id: directory,
                host: address.host,
                port: address.port,
            },
            (None, None) => return Err(MembershipError::Unknown(node)),
        };
        let id = member.raft_id();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        if voters.contains(&id) {
            return Err(MembershipError::AlreadyVoter(node));
        }
        self.check_answers(&member).await?;
        // A dead directory of the same node goes in the same change.
        let replaced = |voter: &u64| {
            membership
                .get_node(voter)
                .is_some_and(|other| other.node_id == node && !self.has_live_link(*voter))
        };
        let mut after: BTreeSet<u64> = voters.iter().copied().filter(|voter| !replaced(voter)).collect();
        after.insert(id);
        self.check_majority(&after, Some(id)).await?;
        loop {
            match self.admission_step(&member, true).await {
                Ok(true) => return Ok(()),
                Ok(false) | Err(MembershipError::InProgress | MembershipError::NotCaughtUp(_)) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= until {
                break;
            }
            sleep(self.config.heartbeat).await;
        }
        if !was_known {
            // Best effort: a learner more costs nothing, but the operator asked for a voter or nothing.
            let _ = self.change(ChangeMembers::RemoveNodes(BTreeSet::from([id]))).await;
        }
        Err(MembershipError::TooSlow {
            node,
            seconds: deadline.as_secs(),
        })
    }

    /// Takes a member out, whether it votes or not.
    pub(super) async fn remove(&self, node: BrokerId, directory: DirectoryId) -> Result<(), MembershipError> {
        let _one = self.admissions.try_lock().map_err(|_| MembershipError::InProgress)?;
        let metrics = self.metrics();
        if !metrics.state.is_leader() {
            return Err(MembershipError::NotLeader);
        }
        let membership = metrics.membership_config.membership();
        let id = membership
            .nodes()
            .find(|(_, member)| member.node_id == node && member.directory_id == directory)
            .map(|(id, _)| *id)
            .ok_or(MembershipError::Unknown(node))?;
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        if !voters.contains(&id) {
            return self.change(ChangeMembers::RemoveNodes(BTreeSet::from([id]))).await;
        }
        let after: BTreeSet<u64> = voters.into_iter().filter(|voter| *voter != id).collect();
        if after.is_empty() {
            return Err(MembershipError::LastVoter(node));
        }
        self.check_majority(&after, None).await?;
        tracing::info!(%node, %directory, "removing a voter from the metadata quorum");
        self.change(ChangeMembers::RemoveVoters(BTreeSet::from([id]))).await
    }

    /// The member is there, and is who it is said to be.
    pub(super) async fn check_answers(&self, member: &Member) -> Result<(), MembershipError> {
        let unreachable = |why: String| MembershipError::Unreachable {
            node: member.node_id,
            why,
        };
        let answered = match self.identify_at(&member.address()).await {
            Answer::Cluster(found) => {
                if let Some(mismatch) = self.wire.identity.mismatch(&found.cluster_id, true) {
                    return Err(unreachable(mismatch));
                }
                found.member
            }
            Answer::Blank(found) => found,
            Answer::Myself if member.raft_id() == self.raft_id() => return Ok(()),
            Answer::Myself => return Err(unreachable(format!("{member} is the address of the active controller"))),
            Answer::Silent(why) => return Err(unreachable(format!("{} doesn't answer: {why}", member.address()))),
        };
        if answered.raft_id() == member.raft_id() {
            Ok(())
        } else {
            Err(unreachable(format!(
                "at {} node {} answers with directory id {}",
                member.address(),
                answered.node_id,
                answered.directory_id
            )))
        }
    }

    /// Whether a process answers where a voter is known to be that isn't the one which now calls itself `renamed`: a node that
    /// was given another name, under which its old one still reaches it, says its new one there.
    pub(super) async fn another_answers(&self, known: &Member, renamed: &Member) -> bool {
        let answered = match self.identify_at(&known.address()).await {
            Answer::Cluster(found) => found.member,
            Answer::Blank(found) => found,
            Answer::Myself | Answer::Silent(_) => return false,
        };
        answered.raft_id() == known.raft_id() && answered != *renamed
    }

    /// VOTER-2.
    pub(super) async fn check_majority(
        &self,
        after: &BTreeSet<u64>,
        newcomer: Option<u64>,
    ) -> Result<(), MembershipError> {
        let membership = self.metrics().membership_config;
        let others = after
            .iter()
            .filter(|voter| **voter != self.raft_id() && Some(**voter) != newcomer)
            .filter_map(|voter| membership.membership().get_node(voter));
        let asked = others.map(|member| async move { (member, self.check_answers(member).await.is_ok()) });
        let silent: Vec<String> = futures::future::join_all(asked)
            .await
            .into_iter()
            .filter(|(_, answers)| !answers)
            .map(|(member, _)| format!("node {}", member.node_id))
            .collect();
        let needed = after.len() / 2 + 1;
        let alive = after.len() - silent.len();
        if alive >= needed {
            return Ok(());
        }
        Err(MembershipError::WouldLoseMajority {
            voters: after.len(),
            needed,
            alive,
            silent: silent.join(", "),
        })
    }
}
