//! The quorum for operators: what DescribeQuorum shows, and changes of the voters (KIP-595, KIP-853).
//!
//! Offsets are Kafka's: of the metadata log, exclusive ends, the same unit for voters and observers. A broker that is no
//! member of the quorum follows it by its session, and is shown as an observer as in Kafka.

use std::collections::BTreeSet;
use std::time::Duration;

use rpc::PeerAddress;
use rpc::proto::{ChangeVotersCall, ChangeVotersReply, QuorumReplica, QuorumStatusCall, QuorumStatusReply};
use types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, Uuid};

use crate::raft::{MembershipError, ReplicaStatus, VoterAddress};
use crate::service::Controller;

/// A newcomer copies a snapshot first; beyond this an operator wants to hear what is wrong.
const DEADLINE_MAX: Duration = Duration::from_secs(300);
/// What DNS allows: the name is kept in the log.
const MAX_HOST_BYTES: usize = 255;

impl Controller {
    /// The quorum as this node sees it; only the active controller knows how far the others are.
    pub(crate) fn describe_quorum(&self) -> QuorumStatusReply {
        let status = self.quorum.status();
        let mut observers: Vec<QuorumReplica> = status.learners.iter().map(member).collect();
        let members: BTreeSet<BrokerId> = status
            .voters
            .iter()
            .chain(&status.learners)
            .map(|m| m.node_id)
            .collect();
        observers.extend(self.brokers_that_follow(&members));
        QuorumStatusReply {
            leader_id: status.leader.map_or(-1, |leader| leader.0),
            term: status.term,
            high_watermark: end(status.commit_index),
            voters: status.voters.iter().map(member).collect(),
            observers,
            not_active: self.active_term().is_none().then(|| self.not_active()),
        }
    }

    /// The quorum as the active controller sees it, asked over the network when this isn't it.
    ///
    /// # Errors
    /// There is none, or it doesn't answer.
    pub async fn ask_active(&self, deadline: Duration) -> Result<QuorumStatusReply, String> {
        let own = self.describe_quorum();
        let Some(elsewhere) = &own.not_active else {
            return Ok(own);
        };
        let port = u16::try_from(elsewhere.port).ok().filter(|port| *port > 0);
        let port = port.ok_or("the metadata quorum has no leader")?;
        let call = QuorumStatusCall {
            header: Some(self.identity.header(BrokerEpoch::NONE)),
        };
        let address = PeerAddress::new(&elsewhere.host, port);
        let answer = self.network.quorum_status(&address, call, deadline).await;
        answer
            .map_err(|error| error.to_string())
            .and_then(|status| match status.not_active {
                None => Ok(status),
                Some(_) => Err("the metadata quorum is electing a leader".to_owned()),
            })
    }

    fn brokers_that_follow(&self, members: &BTreeSet<BrokerId>) -> Vec<QuorumReplica> {
        let image = std::sync::Arc::clone(&self.quorum.images().borrow().image);
        let committed = self.quorum.images().borrow().offset;
        let brokers = image.brokers().filter(|broker| !members.contains(&broker.id));
        let observers = brokers.filter_map(|broker| {
            let session = self.sessions.of(broker.id, broker.epoch)?;
            let seen = millis(session.last_seen.elapsed());
            Some(QuorumReplica {
                node_id: broker.id.0,
                directory_id: directory(broker.directories.first().copied()),
                log_end_offset: end(self.quorum.index_at(session.applied)),
                last_fetch_ms_ago: seen,
                last_caught_up_ms_ago: if session.applied >= committed { seen } else { -1 },
                host: String::new(),
                port: 0,
            })
        });
        observers.collect()
    }

    /// Adds or removes one voter.
    pub(crate) async fn change_quorum(&self, call: ChangeVotersCall) -> ChangeVotersReply {
        let node = BrokerId(call.node_id);
        let Ok(directory) = Uuid::from_slice(&call.directory_id).map(DirectoryId) else {
            return answer(ErrorCode::InvalidRequest, "the directory id has not 16 bytes");
        };
        let changed = if call.remove {
            self.quorum.remove_voter(node, directory).await
        } else {
            if call.host.len() > MAX_HOST_BYTES {
                return answer(ErrorCode::InvalidRequest, "no host has so long a name");
            }
            let port = u16::try_from(call.port).ok().filter(|port| *port > 0);
            let address = port.filter(|_| !call.host.is_empty()).map(|port| VoterAddress {
                node_id: Some(node),
                host: call.host.clone(),
                port,
            });
            let deadline = Duration::from_millis(u64::from(call.deadline_ms)).min(DEADLINE_MAX);
            self.quorum.add_voter(node, directory, address, deadline).await
        };
        match changed {
            Ok(()) => ChangeVotersReply::default(),
            Err(MembershipError::NotLeader) => ChangeVotersReply {
                not_active: Some(self.not_active()),
                ..ChangeVotersReply::default()
            },
            Err(error) => {
                tracing::warn!(%node, remove = call.remove, %error, "change of the voters refused");
                answer(code(&error), &error.to_string())
            }
        }
    }
}

fn code(error: &MembershipError) -> ErrorCode {
    match error {
        MembershipError::NotLeader => ErrorCode::NotController,
        MembershipError::AlreadyVoter(_) | MembershipError::StillAlive { .. } => ErrorCode::DuplicateVoter,
        MembershipError::Unknown(_) => ErrorCode::VoterNotFound,
        MembershipError::InProgress
        | MembershipError::NotCaughtUp(_)
        | MembershipError::TooSlow { .. }
        | MembershipError::Unreachable { .. }
        | MembershipError::Rejected(_) => ErrorCode::RequestTimedOut,
        MembershipError::WouldLoseMajority { .. } | MembershipError::LastVoter(_) => ErrorCode::InvalidRequest,
    }
}

fn answer(code: ErrorCode, message: &str) -> ChangeVotersReply {
    ChangeVotersReply {
        error_code: i32::from(code.code()),
        error_message: message.to_owned(),
        not_active: None,
    }
}

fn member(replica: &ReplicaStatus) -> QuorumReplica {
    QuorumReplica {
        node_id: replica.node_id.0,
        directory_id: directory(Some(replica.directory_id)),
        log_end_offset: replica.matched_index.map_or(-1, end),
        last_fetch_ms_ago: replica.last_contact.map_or(-1, millis),
        last_caught_up_ms_ago: match replica.lag {
            Some(0) => replica.last_contact.map_or(-1, millis),
            _ => replica.last_caught_up.map_or(-1, millis),
        },
        host: replica.address.host.clone(),
        port: u32::from(replica.address.port),
    }
}

/// Kafka's offsets point behind the last record.
fn end(index: u64) -> i64 {
    i64::try_from(index.saturating_add(1)).unwrap_or(i64::MAX)
}

fn directory(id: Option<DirectoryId>) -> bytes::Bytes {
    id.map(|id| id.0.as_bytes().to_vec().into()).unwrap_or_default()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
