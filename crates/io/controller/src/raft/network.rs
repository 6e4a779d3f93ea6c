//! openraft's network on top of [`RaftTransport`]: each call is one opaque request and response.
//!
//! ANSWER-1: anybody can have a learner added at an address of his own, so an answer isn't believed for what it says alone. That
//! the quorum was recovered without this node, and that a higher vote is known, is believed of a voter only, who answers as
//! that voter: the same node, directory and cluster. ANSWER-2: no answer makes openraft stop or send without end (`answers`).

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use prost::Message;
use tokio::sync::watch;

use super::answers::{Matched, Resumption};
use super::codec::{entry_to, log_id_from, log_id_to, member_from, member_to, vote_from, vote_to};
use super::identity::Identity;
use super::node::report_fatal;
use super::peers::Peers;
use super::proto::raft_request::Call;
use super::proto::raft_response::Reply;
use super::runtime::handed_over;
use super::snapshots::SnapshotFile;
use super::type_config::{Member, Metrics, MetricsReceiver, Snapshot, TypeConfig, Vote};
use super::{FatalError, RaftTransport, TransportError, VoterAddress, proto};

type Request<T> = Result<T, RPCError<TypeConfig>>;

/// Piece of a snapshot in one call.
const CHUNK_BYTES: usize = 1 << 20;
/// How long one piece may take, and how often it is tried.
const CHUNK_DEADLINE: Duration = Duration::from_secs(10);
const CHUNK_ATTEMPTS: u32 = 5;

/// What this node says in every request, and the way to the others.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) member: Member,
    pub(super) raft_id: u64,
    pub(super) identity: Arc<Identity>,
    pub(super) transport: Arc<dyn RaftTransport>,
    pub(super) peers: Peers,
    /// How long an append may take: it waits for the follower's disk.
    pub(super) append_deadline: Duration,
    pub(super) install_deadline: Duration,
    pub(super) fatal: watch::Sender<Option<FatalError>>,
    /// Who votes; set once Raft runs.
    pub(super) votes: Votes,
    pub(super) matched: Matched,
}

/// Who votes, as Raft's metrics say.
#[derive(Default)]
pub(super) struct Votes(pub(super) OnceLock<MetricsReceiver>);

impl std::fmt::Debug for Votes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Votes").finish_non_exhaustive()
    }
}

impl Wire {
    /// One call; a refusal is an error. `to` is 0 where only the address is known.
    pub(super) async fn call(
        &self,
        address: &VoterAddress,
        to: u64,
        call: Call,
        deadline: Duration,
    ) -> Result<Reply, TransportError> {
        let (reply, _) = self.call_member(address, to, call, deadline).await?;
        Ok(reply)
    }

    /// One call, and whether its answer is that of the voter `to` (ANSWER-1).
    async fn call_member(
        &self,
        address: &VoterAddress,
        to: u64,
        call: Call,
        deadline: Duration,
    ) -> Result<(Reply, bool), TransportError> {
        let request = proto::RaftRequest {
            from: Some(member_to(&self.member)),
            to,
            cluster_id: self.identity.cluster_id().map(|id| id.0).unwrap_or_default(),
            call: Some(call),
            recoveries: self.identity.recoveries(),
        };
        let bytes = self
            .transport
            .call(address, Bytes::from(request.encode_to_vec()), deadline)
            .await?;
        let response =
            proto::RaftResponse::decode(bytes).map_err(|error| TransportError::Refused(error.to_string()))?;
        let from = response.from.and_then(|from| member_from(from).ok());
        let by_voter = from
            .as_ref()
            .is_some_and(|from| self.is_voter(to, from, &response.cluster_id));
        match response.reply {
            Some(Reply::Refusal(refusal)) => {
                if by_voter
                    && refusal.reason() == proto::refusal::Reason::Outdated
                    && let Some(outdated) = self.identity.outdated(u64::MAX, true)
                {
                    report_fatal(&self.fatal, outdated);
                }
                Err(TransportError::Refused(refusal.message))
            }
            Some(reply) => {
                if from.is_some_and(|from| from.raft_id() == to) {
                    self.peers.heard_from(to);
                }
                Ok((reply, by_voter))
            }
            None => Err(TransportError::Refused("empty response".to_owned())),
        }
    }

    /// Whether the one who answered as `from` is the voter `to` of this cluster.
    fn is_voter(&self, to: u64, from: &Member, cluster_id: &str) -> bool {
        let of_this_cluster = self.identity.cluster_id().is_some_and(|own| own.0 == cluster_id);
        of_this_cluster
            && self.votes.0.get().is_some_and(|metrics| {
                let metrics: &Metrics = &metrics.borrow_watched();
                let membership = metrics.membership_config.membership();
                let votes = membership.voter_ids().any(|voter| voter == to);
                let same = |known: &Member| known.node_id == from.node_id && known.directory_id == from.directory_id;
                votes && membership.get_node(&to).is_some_and(same)
            })
    }
}

/// Makes one [`Peer`] for each member.
#[derive(Debug)]
pub(super) struct Network(pub(super) Arc<Wire>);

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &Member) -> Peer {
        Peer {
            wire: Arc::clone(&self.0),
            target,
            address: node.address(),
        }
    }
}

/// The way to one member.
#[derive(Debug)]
pub(super) struct Peer {
    wire: Arc<Wire>,
    target: u64,
    address: VoterAddress,
}

impl Peer {
    async fn call(&self, what: RPCTypes, call: Call, deadline: Duration) -> Request<(Reply, bool)> {
        self.wire
            .call_member(&self.address, self.target, call, deadline)
            .await
            .map_err(|error| match error {
                TransportError::Timeout => RPCError::Timeout(Timeout {
                    action: what,
                    id: self.wire.raft_id,
                    target: self.target,
                    timeout: deadline,
                }),
                // openraft waits before it tries again.
                TransportError::Unreachable(_) | TransportError::Refused(_) => {
                    RPCError::Unreachable(Unreachable::new(&error))
                }
            })
    }

    fn malformed(what: &'static str) -> RPCError<TypeConfig> {
        RPCError::Network(NetworkError::from_string(format!("malformed response: {what}")))
    }

    /// As one that can't be reached: openraft waits before it tries again.
    fn unbelievable(what: &str) -> RPCError<TypeConfig> {
        RPCError::Unreachable(Unreachable::new(&TransportError::Refused(what.to_owned())))
    }

    async fn ask_vote(
        &self,
        rpc: VoteRequest<TypeConfig>,
        pre_vote: bool,
        option: &RPCOption,
    ) -> Request<VoteResponse<TypeConfig>> {
        let request = proto::VoteRequest {
            vote: Some(vote_to(&rpc.vote)),
            last_log_id: rpc.last_log_id.as_ref().map(log_id_to),
            leadership_transfer: rpc.leadership_transfer,
        };
        let call = if pre_vote {
            Call::PreVote(request)
        } else {
            Call::Vote(request)
        };
        match self.call(RPCTypes::Vote, call, option.soft_ttl()).await? {
            (_, false) => Err(Self::unbelievable("a vote that isn't the voter's")),
            (Reply::Vote(response), true) => Ok(VoteResponse {
                vote: vote_from(response.vote).map_err(|malformed| Self::malformed(malformed.0))?,
                vote_granted: response.granted,
                last_log_id: response.last_log_id.map(log_id_from),
            }),
            (_, true) => Err(Self::malformed("not a vote")),
        }
    }

    async fn send_chunk(
        &self,
        chunk: proto::SnapshotChunk,
    ) -> Result<(proto::SnapshotChunkResponse, bool), StreamingError<TypeConfig>> {
        let deadline = if chunk.install {
            self.wire.install_deadline
        } else {
            CHUNK_DEADLINE
        };
        let attempts = if chunk.install { 1 } else { CHUNK_ATTEMPTS };
        let mut attempt = 1;
        loop {
            match self
                .call(RPCTypes::InstallSnapshot, Call::SnapshotChunk(chunk.clone()), deadline)
                .await
            {
                Ok((Reply::SnapshotChunk(response), by_voter)) => return Ok((response, by_voter)),
                Ok(_) => return Err(Self::malformed("not an answer to a chunk").into()),
                // The receiver keeps what it has: the same piece is simply sent again.
                Err(RPCError::Timeout(_)) if attempt < attempts => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let file = snapshot.snapshot;
        // Nothing but a question first: an interrupted transfer goes on where it stopped.
        let mut position = 0;
        let mut data = Bytes::new();
        let mut resumption = Resumption::of(file.length);
        loop {
            let install = position >= file.length;
            let chunk = proto::SnapshotChunk {
                vote: Some(vote_to(&vote)),
                meta: Some(file.meta.clone()),
                total_bytes: file.length,
                crc32c: file.crc32c,
                position,
                data,
                install,
            };
            let (response, by_voter) = self.send_chunk(chunk).await?;
            let theirs = vote_from(response.vote).map_err(|malformed| Self::malformed(malformed.0))?;
            if theirs > vote && !by_voter {
                return Err(Self::unbelievable("a higher vote of one that is no voter").into());
            }
            if response.installed || theirs > vote {
                return Ok(SnapshotResponse::new(theirs));
            }
            if install && response.next_position >= file.length {
                return Err(Self::malformed("snapshot neither installed nor wanted").into());
            }
            position = response.next_position;
            if !resumption.goes_on(position, CHUNK_BYTES as u64) {
                return Err(Self::unbelievable("a snapshot that is asked for again and again").into());
            }
            data = handed_over(|| file.read(position, CHUNK_BYTES))
                .map_err(|error| RPCError::from(NetworkError::new(&error)))?;
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Request<AppendEntriesResponse<TypeConfig>> {
        let deadline = if rpc.entries.is_empty() {
            option.soft_ttl()
        } else {
            option.soft_ttl().max(self.wire.append_deadline)
        };
        let request = proto::AppendRequest {
            vote: Some(vote_to(&rpc.vote)),
            previous: rpc.prev_log_id.as_ref().map(log_id_to),
            entries: rpc.entries.iter().map(entry_to).collect(),
            leader_commit: rpc.leader_commit.as_ref().map(log_id_to),
        };
        let (Reply::Append(response), by_voter) = self
            .call(RPCTypes::AppendEntries, Call::Append(request), deadline)
            .await?
        else {
            return Err(Self::malformed("not an answer to an append"));
        };
        let answer = match response.outcome() {
            proto::append_response::Outcome::Success => AppendEntriesResponse::Success,
            proto::append_response::Outcome::Partial => {
                AppendEntriesResponse::PartialSuccess(response.matched.map(log_id_from))
            }
            proto::append_response::Outcome::Conflict => AppendEntriesResponse::Conflict,
            proto::append_response::Outcome::HigherVote if by_voter => AppendEntriesResponse::HigherVote(
                vote_from(response.vote).map_err(|malformed| Self::malformed(malformed.0))?,
            ),
            proto::append_response::Outcome::HigherVote => {
                return Err(Self::unbelievable("a higher vote of one that is no voter"));
            }
            proto::append_response::Outcome::Unknown => return Err(Self::malformed("unknown outcome of an append")),
        };
        self.wire
            .matched
            .check(self.target, &rpc, &answer)
            .map_err(Self::unbelievable)?;
        Ok(answer)
    }

    async fn vote(&mut self, rpc: VoteRequest<TypeConfig>, option: RPCOption) -> Request<VoteResponse<TypeConfig>> {
        self.ask_vote(rpc, false, &option).await
    }

    async fn pre_vote(&mut self, rpc: VoteRequest<TypeConfig>, option: RPCOption) -> Request<VoteResponse<TypeConfig>> {
        self.ask_vote(rpc, true, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + openraft::OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.send_snapshot(vote, snapshot) => sent,
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Request<TransferLeaderResponse<TypeConfig>> {
        let call = Call::TransferLeader(proto::TransferLeaderRequest {
            from_leader: Some(vote_to(req.from_leader())),
            last_log_id: req.last_log_id().map(log_id_to),
            to: *req.to_node_id(),
            by_leader: true,
        });
        match self.call(RPCTypes::TransferLeader, call, option.soft_ttl()).await? {
            (Reply::TransferLeader(response), _) if response.accepted => Ok(Ok(())),
            (Reply::TransferLeader(_), _) => Ok(Err(TransferLeaderError::LogNotFlushed {
                expected: req.last_log_id().copied(),
                actual: None,
            })),
            _ => Err(Self::malformed("not an answer to a transfer")),
        }
    }
}
