//! How a node finds its cluster, or founds it (RAFT-6), and stays its member.
//!
//! A blank node asks every listed voter who it is. If any has a cluster, this node joins that one. Only when every listed
//! voter has answered, all are blank and this is the lowest of them does it found a cluster, of exactly the (node,
//! directory) pairs that answered. Else it waits and says for whom: a listed voter that can't be asked might have one.
//!
//! A node that was a member asks, too, while no leader speaks to it: its log may be older than its removal, and its
//! address another than the others know. Who finds most of the listed voters in another cluster, or its own id taken by a
//! living process, ends (`Node::report_fatal`): waiting would never help.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use types::ClusterId;

use super::codec::{member_from, membership_from};
use super::node::{Node, stopped};
use super::proto;
use super::proto::join_response::Outcome;
use super::proto::raft_request::Call;
use super::proto::raft_response::Reply;
use super::type_config::{Member, Membership};
use super::{TransportError, VoterAddress};

/// Before a node asks again, at first; it doubles. Nodes that start together miss each other by milliseconds.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const ASK_DEADLINE: Duration = Duration::from_secs(2);
/// A membership change on the leader takes longer than a question.
const JOIN_DEADLINE: Duration = Duration::from_secs(15);
/// Between two complaints about the same wait.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);
/// A dead process is forgotten after one link timeout: who is refused for so many of them has a living double.
const DUPLICATE_LINK_TIMEOUTS: u32 = 4;

/// What one address answered.
pub(super) enum Answer {
    /// This node itself.
    Myself,
    Blank(Member),
    Cluster(Found),
    Silent(String),
}

/// A member of a cluster.
pub(super) struct Found {
    pub(super) cluster_id: ClusterId,
    recoveries: u64,
    /// The leader that it hears.
    leader: Option<Member>,
    pub(super) member: Member,
    membership: Membership,
}

type Answers = BTreeMap<VoterAddress, Answer>;

/// What a node waits for.
struct Wait {
    complaint: String,
    /// The id is taken, as far as the leader knows.
    duplicate: bool,
    /// A member that lost sight of its leader: an election is no news.
    is_member: bool,
}

impl From<String> for Wait {
    fn from(complaint: String) -> Self {
        Self {
            complaint,
            duplicate: false,
            is_member: false,
        }
    }
}

/// Complains now and then, and knows how long the wait has lasted.
#[derive(Default)]
struct Complaints {
    last: Option<(String, Instant)>,
    since: Option<Instant>,
    duplicate_since: Option<Instant>,
}

/// Runs until the node stops.
pub(super) async fn run(node: Arc<Node>) {
    let mut stop = node.stop_signal();
    let mut complaints = Complaints::default();
    let mut soon = FIRST_PAUSE;
    loop {
        let settled = tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            settled = node.settle() => settled,
        };
        let pause = match settled {
            Ok(()) => {
                complaints = Complaints::default();
                node.waiting.send_replace(None);
                node.link_timeout()
            }
            Err(wait) => {
                complaints.hear(&node, wait);
                let pause = soon;
                soon = (soon * 2).min(node.config.heartbeat * 2);
                pause
            }
        };
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Complaints {
    fn hear(&mut self, node: &Node, wait: Wait) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if wait.duplicate {
            let duplicate = *self.duplicate_since.get_or_insert(now);
            if now.duration_since(duplicate) > node.link_timeout() * DUPLICATE_LINK_TIMEOUTS {
                node.report_fatal(wait.complaint.clone());
            }
        } else {
            self.duplicate_since = None;
        }
        let patient = wait.is_member && now.duration_since(since) < node.link_timeout();
        let news = self.last.as_ref().is_none_or(|(last, at)| {
            *last != wait.complaint && now.duration_since(*at) > node.config.election_min
                || now.duration_since(*at) > COMPLAINT_INTERVAL
        });
        if news && !patient {
            tracing::info!(node_id = %node.node_id(), "{}", wait.complaint);
            self.last = Some((wait.complaint.clone(), now));
        }
        node.waiting.send_replace(Some(wait.complaint));
    }
}

impl Node {
    /// One attempt. `Err` says what this node waits for.
    async fn settle(&self) -> Result<(), Wait> {
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let is_voter = membership.voter_ids().any(|voter| voter == self.raft_id());
        let is_known = membership.get_node(&self.raft_id()) == Some(&self.wire.member);
        let is_member = is_known && (is_voter || !self.wants_vote());
        let leads = metrics.state.is_leader();
        let alone = membership.voter_ids().count() <= 1;
        // A leader that others follow is no stranger to them; one that is alone may be among strangers.
        let in_touch = is_member && self.leader_in_touch().is_some();
        let heard_of_recovery = self.heard_of_recovery.swap(false, Ordering::Relaxed);
        if in_touch && !(leads && alone) && !heard_of_recovery {
            return Ok(());
        }
        let listed: BTreeSet<VoterAddress> = self.config.voters.iter().cloned().collect();
        let mut addresses = listed.clone();
        addresses.extend(membership.nodes().map(|(_, member)| member.address()));
        addresses.retain(|address| !self.is_own(address));
        let asked = addresses.iter().map(|address| self.ask(address));
        let answers: Answers = futures::future::join_all(asked).await.into_iter().collect();
        self.refuse_strangers(&listed, &answers)?;
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let voters = membership.nodes().filter(|(id, _)| voters.contains(id));
        let trusted: BTreeSet<VoterAddress> = voters.map(|(_, voter)| voter.address()).chain(listed.clone()).collect();
        self.end_when_left_behind(&trusted, &answers)?;
        if is_member && leads || in_touch {
            return Ok(());
        }
        if let Some(wait) = self.join_found(is_member, &answers).await {
            return Err(wait);
        }
        if !self.is_blank() {
            return Err(Wait {
                complaint: format!("no leader of the metadata quorum; {}", whom_it_waits_for(&answers)),
                duplicate: false,
                is_member,
            });
        }
        Ok(self.found(&listed, &answers).await?)
    }

    /// A directory that was a voter and no longer is was removed: it comes back as one by an operator's word only. So does a
    /// controller that was told not to join by itself, unless the voters are listed by name and it is one of them.
    fn wants_vote(&self) -> bool {
        let listed = || {
            self.config
                .voters
                .iter()
                .any(|voter| voter.node_id == Some(self.node_id()))
        };
        self.config.wants_vote && (self.config.auto_join || listed()) && !self.wire.identity.has_voted()
    }

    fn is_own(&self, address: &VoterAddress) -> bool {
        match address.node_id {
            Some(node) => node == self.node_id(),
            None => address.host == self.config.host && address.port == self.config.port,
        }
    }

    async fn ask(&self, address: &VoterAddress) -> (VoterAddress, Answer) {
        (address.clone(), self.identify_at(address).await)
    }

    /// Asks whoever listens at an address who it is.
    pub(super) async fn identify_at(&self, address: &VoterAddress) -> Answer {
        let asked = self
            .wire
            .call(address, 0, Call::Identify(proto::IdentifyRequest {}), ASK_DEADLINE)
            .await;
        match asked {
            Ok(Reply::Identify(response)) => self.understand(address, response).unwrap_or_else(Answer::Silent),
            Ok(_) => Answer::Silent("answered something else".to_owned()),
            Err(TransportError::Refused(message)) => {
                tracing::warn!(address = %address, message, "refused by a listed controller");
                Answer::Silent(message)
            }
            Err(error) => Answer::Silent(error.to_string()),
        }
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
        Ok(Answer::Cluster(Found {
            cluster_id: ClusterId(response.cluster_id),
            recoveries: response.recoveries,
            leader: response.leader.and_then(|leader| member_from(leader).ok()),
            member,
            membership,
        }))
    }

    /// Ends this node when it is among strangers: at least half of the listed voters say that they are of another cluster,
    /// and no more say that they are of this one. A single stranger in a healthy quorum must not end the others.
    fn refuse_strangers(&self, listed: &BTreeSet<VoterAddress>, answers: &Answers) -> Result<(), String> {
        let mut ours = usize::from(listed.is_empty());
        let mut strangers = Vec::new();
        let mut clusters = BTreeMap::new();
        for address in listed {
            match answers.get(address) {
                None | Some(Answer::Myself) => ours += 1,
                Some(Answer::Cluster(found)) => {
                    clusters.insert(found.cluster_id.clone(), address);
                    match self.wire.identity.mismatch(&found.cluster_id, !self.is_blank()) {
                        Some(mismatch) => strangers.push(format!("{address}: {mismatch}")),
                        None => ours += 1,
                    }
                }
                Some(Answer::Blank(_) | Answer::Silent(_)) => {}
            }
        }
        if let Some(stranger) = strangers.first() {
            if strangers.len() >= ours && strangers.len() * 2 >= listed.len() {
                self.report_fatal(stranger.clone());
            }
            return Err(stranger.clone());
        }
        if clusters.len() > 1 {
            let names: Vec<String> = clusters
                .iter()
                .map(|(cluster, address)| format!("{address} to {cluster}"))
                .collect();
            return Err(format!(
                "the listed controllers belong to different clusters, so this node joins none: {}; give each cluster addresses \
                 of its own",
                names.join(", ")
            ));
        }
        Ok(())
    }

    /// RAFT-7: whoever listens where a voter should, or where the configuration says so, is believed that the quorum was
    /// recovered without this node. A learner isn't: anybody can have one added.
    fn end_when_left_behind(&self, trusted: &BTreeSet<VoterAddress>, answers: &Answers) -> Result<(), String> {
        for (_, answer) in answers.iter().filter(|(address, _)| trusted.contains(*address)) {
            let Answer::Cluster(found) = answer else { continue };
            if Some(&found.cluster_id) == self.wire.identity.cluster_id().as_ref()
                && let Some(outdated) = self.wire.identity.outdated(found.recoveries, !self.is_blank())
            {
                self.report_fatal(outdated.clone());
                return Err(outdated);
            }
        }
        Ok(())
    }

    /// Joins the cluster that somebody has. `None`: nobody has one, or nothing is left to be asked of it.
    async fn join_found(&self, is_member: bool, answers: &Answers) -> Option<Wait> {
        for answer in answers.values() {
            let Answer::Cluster(found) = answer else { continue };
            if self
                .wire
                .identity
                .outdated(found.recoveries, !self.is_blank())
                .is_some()
            {
                continue;
            }
            // A member asks only those who hear a leader, and only when they don't know it any more.
            let is_removed = found.leader.is_some() && found.membership.get_node(&self.raft_id()).is_none();
            if is_member && !is_removed {
                continue;
            }
            if let Err(error) = self.wire.identity.adopt(&found.cluster_id, found.recoveries) {
                self.report_fatal(format!("metadata log: {error}"));
                return Some(error.to_string().into());
            }
            return Some(self.join(found).await);
        }
        None
    }

    async fn join(&self, found: &Found) -> Wait {
        let to = found.leader.as_ref().unwrap_or(&found.member);
        let wants_vote = self.wants_vote();
        let request = Call::Join(proto::JoinRequest { wants_vote });
        let joined = self
            .wire
            .call(&to.address(), to.raft_id(), request, JOIN_DEADLINE)
            .await;
        let complaint = match joined {
            Ok(Reply::Join(response)) => match response.outcome() {
                Outcome::Refused => response.message,
                Outcome::Duplicate => {
                    return Wait {
                        complaint: response.message,
                        duplicate: true,
                        is_member: false,
                    };
                }
                // Done when the membership says so in this node's own log.
                Outcome::Admitted | Outcome::InProgress | Outcome::NotLeader | Outcome::Unknown => {
                    let role = if wants_vote { "" } else { " as an observer" };
                    format!(
                        "joining the metadata quorum of cluster {}{role} through {to}",
                        found.cluster_id
                    )
                }
            },
            Ok(_) => format!("{to} answered something else"),
            Err(error) => format!("joining the metadata quorum through {to}: {error}"),
        };
        complaint.into()
    }

    /// Founds the cluster if this is the lowest of the listed voters, and every one of them is blank.
    async fn found(&self, listed: &BTreeSet<VoterAddress>, answers: &Answers) -> Result<(), String> {
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
                Some(Answer::Cluster(_)) => missing.push(address.to_string()),
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
        if let Some(cluster) = &self.config.registered_in {
            return Err(format!(
                "the log directories of node {} hold data of cluster {cluster}, but every listed controller is blank, and a \
                 new cluster would not know that data: restore the metadata log directories, or empty the log directories",
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
        if let Err(error) = self.wire.identity.adopt(&cluster_id, 0) {
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

/// Who doesn't answer, or everybody when all do: then an election is under way.
fn whom_it_waits_for(answers: &Answers) -> String {
    let silent: Vec<String> = answers
        .iter()
        .filter_map(|(address, answer)| match answer {
            Answer::Silent(why) => Some(format!("{address} ({why})")),
            Answer::Blank(_) => Some(format!("{address} (its disk is blank)")),
            Answer::Myself | Answer::Cluster(_) => None,
        })
        .collect();
    if silent.is_empty() {
        "an election is under way".to_owned()
    } else {
        format!("waiting for {}", silent.join(", "))
    }
}
