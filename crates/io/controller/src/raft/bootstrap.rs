//! How a node finds its cluster, or founds it (RAFT-6).
//!
//! A blank node asks every listed voter who it is. If any has a cluster, this node joins that one. Only when every listed
//! voter has answered, all are blank and this is the lowest of them does it found a cluster, of exactly the (node,
//! directory) pairs that answered. Else it waits and says for whom: a listed voter that can't be asked might have one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use types::ClusterId;

use super::codec::{member_from, membership_from};
use super::node::{Node, stopped};
use super::proto;
use super::proto::raft_request::Call;
use super::proto::raft_response::Reply;
use super::type_config::Member;
use super::{TransportError, VoterAddress};

const ASK_DEADLINE: Duration = Duration::from_secs(2);
/// A membership change on the leader takes longer than a question.
const JOIN_DEADLINE: Duration = Duration::from_secs(15);
/// Between two complaints about the same wait.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);

/// What one address answered.
enum Answer {
    /// This node itself.
    Myself,
    Blank(Member),
    Cluster {
        cluster_id: ClusterId,
        leader: Option<Member>,
        member: Member,
    },
    Silent(String),
}

/// Runs until this node is a member with the role that it wants, or stops.
pub(super) async fn run(node: Arc<Node>) {
    let mut stop = node.stop_signal();
    let mut complained: Option<(String, Instant)> = None;
    // Once admitted, the address is compared now and then only.
    loop {
        let complaint = tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            complaint = node.settle() => complaint,
        };
        let pause = match complaint {
            Ok(()) => return,
            Err(complaint) => {
                let now = Instant::now();
                let news = complained.as_ref().is_none_or(|(last, at)| {
                    *last != complaint && now.duration_since(*at) > node.config.election_min
                        || now.duration_since(*at) > COMPLAINT_INTERVAL
                });
                if news {
                    tracing::info!(node_id = %node.node_id(), "{complaint}");
                    complained = Some((complaint, now));
                }
                node.config.heartbeat * 2
            }
        };
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Node {
    /// One attempt. `Err` says what this node waits for.
    async fn settle(&self) -> Result<(), String> {
        let membership = self.metrics().membership_config;
        let known = membership.membership().get_node(&self.raft_id()).cloned();
        let is_voter = membership.voter_ids().any(|voter| voter == self.raft_id());
        if known.as_ref() == Some(&self.wire.member) && (is_voter || !self.config.wants_vote) {
            return Ok(());
        }
        let mut addresses: BTreeSet<VoterAddress> = self.config.voters.iter().cloned().collect();
        let listed = addresses.clone();
        addresses.extend(membership.nodes().map(|(_, member)| member.address()));
        addresses.retain(|address| !self.is_own(address));
        let mut answers = BTreeMap::new();
        for (address, answer) in futures::future::join_all(addresses.iter().map(|address| self.ask(address))).await {
            answers.insert(address, answer);
        }
        if let Some(result) = self.join_found(&answers).await {
            return result;
        }
        if !self.is_blank() {
            let silent: Vec<String> = answers.keys().map(ToString::to_string).collect();
            return Err(format!(
                "waiting for a member of the metadata quorum to answer: {}",
                silent.join(", ")
            ));
        }
        self.found(&listed, &answers).await
    }

    fn is_own(&self, address: &VoterAddress) -> bool {
        match address.node_id {
            Some(node) => node == self.node_id(),
            None => address.host == self.config.host && address.port == self.config.port,
        }
    }

    async fn ask(&self, address: &VoterAddress) -> (VoterAddress, Answer) {
        let asked = self
            .wire
            .call(address, 0, Call::Identify(proto::IdentifyRequest {}), ASK_DEADLINE)
            .await;
        let answer = match asked {
            Ok(Reply::Identify(response)) => self.understand(address, response).unwrap_or_else(Answer::Silent),
            Ok(_) => Answer::Silent("answered something else".to_owned()),
            Err(TransportError::Refused(message)) => {
                tracing::warn!(address = %address, message, "refused by a listed controller");
                Answer::Silent(message)
            }
            Err(error) => Answer::Silent(error.to_string()),
        };
        (address.clone(), answer)
    }

    fn understand(&self, address: &VoterAddress, response: proto::IdentifyResponse) -> Result<Answer, String> {
        let member = response.member.ok_or("did not say who it is")?;
        let member = member_from(member).map_err(|malformed| malformed.to_string())?;
        if member.directory_id == self.wire.member.directory_id {
            return Ok(Answer::Myself);
        }
        if address.node_id.is_some_and(|listed| listed != member.node_id) {
            return Err(format!("is node {}, listed as {address}", member.node_id));
        }
        if response.blank {
            return Ok(Answer::Blank(member));
        }
        // A member whose cluster id is on its way from the leader is no blank node, but can't be joined yet either.
        if response.cluster_id.is_empty() {
            return Err("has no cluster id yet".to_owned());
        }
        let membership = membership_from(response.membership.unwrap_or_default()).map_err(|error| error.to_string())?;
        let leader = response.leader.and_then(|leader| member_from(leader).ok());
        let leader = leader.or_else(|| membership.get_node(&member.raft_id()).cloned());
        Ok(Answer::Cluster {
            cluster_id: ClusterId(response.cluster_id),
            leader,
            member,
        })
    }

    /// Joins the cluster that somebody has. `None`: nobody has one.
    async fn join_found(&self, answers: &BTreeMap<VoterAddress, Answer>) -> Option<Result<(), String>> {
        let mut result = None;
        for answer in answers.values() {
            let Answer::Cluster {
                cluster_id,
                leader,
                member,
            } = answer
            else {
                continue;
            };
            if let Some(mismatch) = self.wire.identity.mismatch(cluster_id, !self.is_blank()) {
                result = Some(Err(mismatch));
                continue;
            }
            if let Err(error) = self.wire.identity.adopt(cluster_id) {
                self.report_fatal(format!("metadata log: {error}"));
                return Some(Err(error.to_string()));
            }
            let to = leader.as_ref().unwrap_or(member);
            let request = Call::Join(proto::JoinRequest {
                wants_vote: self.config.wants_vote,
            });
            let joined = self
                .wire
                .call(&to.address(), to.raft_id(), request, JOIN_DEADLINE)
                .await;
            let waiting = match joined {
                Ok(Reply::Join(response)) => match response.outcome() {
                    // Done when the membership says so in this node's own log.
                    proto::join_response::Outcome::Refused => response.message,
                    _ => format!("joining the metadata quorum of cluster {cluster_id} through {to}"),
                },
                Ok(_) => format!("{to} answered something else"),
                Err(error) => format!("joining the metadata quorum through {to}: {error}"),
            };
            return Some(Err(waiting));
        }
        result
    }

    /// Founds the cluster if this is the lowest of the listed voters, and every one of them is blank.
    async fn found(
        &self,
        listed: &BTreeSet<VoterAddress>,
        answers: &BTreeMap<VoterAddress, Answer>,
    ) -> Result<(), String> {
        let mut founders = BTreeMap::from([(self.raft_id(), self.wire.member.clone())]);
        let mut missing = Vec::new();
        let mut listed_myself = listed.is_empty();
        for address in listed {
            match answers.get(address) {
                None | Some(Answer::Myself) => listed_myself = true,
                Some(Answer::Blank(member)) => {
                    founders.insert(member.raft_id(), member.clone());
                }
                Some(Answer::Silent(why)) => missing.push(format!("{address} ({why})")),
                Some(Answer::Cluster { .. }) => missing.push(address.to_string()),
            }
        }
        if !missing.is_empty() {
            return Err(format!(
                "no cluster yet: each listed controller must answer before one is founded; waiting for {}",
                missing.join(", ")
            ));
        }
        if !listed_myself || !self.config.wants_vote {
            return Err(format!(
                "no cluster yet: node {} is no listed voter and waits for them",
                self.node_id()
            ));
        }
        let nodes: BTreeSet<_> = founders.values().map(|member| member.node_id).collect();
        if nodes.len() != founders.len() {
            let names: Vec<String> = founders.values().map(ToString::to_string).collect();
            return Err(format!(
                "two of the listed controllers have the same node.id: {}",
                names.join(", ")
            ));
        }
        if let Some((lowest, member)) = founders.first_key_value()
            && *lowest != self.raft_id()
        {
            return Err(format!(
                "no cluster yet: waiting for {member}, the lowest of the voters, to found it"
            ));
        }
        let cluster_id = self.wire.identity.choose_cluster_id();
        if let Err(error) = self.wire.identity.adopt(&cluster_id) {
            self.report_fatal(format!("metadata log: {error}"));
            return Err(error.to_string());
        }
        tracing::info!(cluster_id = %cluster_id, voters = founders.len(), "every listed controller is blank: founding a cluster");
        match self.raft.initialize(founders).await {
            Ok(()) => Ok(()),
            // Somebody's vote came in between: then a cluster exists, and the next round joins it.
            Err(error) => Err(format!("cluster not founded: {error}")),
        }
    }
}
