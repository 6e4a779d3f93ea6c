//! openraft's network on top of [`RaftTransport`]: each call is one opaque request and response.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use prost::Message;
use tokio::sync::watch;

use super::codec::{entry_to, log_id_from, log_id_to, member_to, vote_from, vote_to};
use super::identity::Identity;
use super::node::report_fatal;
use super::peers::Peers;
use super::proto::raft_request::Call;
use super::proto::raft_response::Reply;
use super::snapshots::SnapshotFile;
use super::type_config::{Member, Snapshot, TypeConfig, Vote};
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
        let request = proto::RaftRequest {
            from: Some(member_to(&self.member)),
            to,
            cluster_id: self.identity.cluster_id().map(|id| id.0).unwrap_or_default(),
            call: Some(call),
            recoveries: self.identity.recoveries(),
        };
        // Whoever answers Identify may be anybody: who left a quorum behind is told so by its members alone.
        let from_member = !matches!(request.call, Some(Call::Identify(_)));
        let bytes = self
            .transport
            .call(address, Bytes::from(request.encode_to_vec()), deadline)
            .await?;
        let response =
            proto::RaftResponse::decode(bytes).map_err(|error| TransportError::Refused(error.to_string()))?;
        match response.reply {
            Some(Reply::Refusal(refusal)) => {
                if from_member
                    && refusal.reason() == proto::refusal::Reason::Outdated
                    && let Some(outdated) = self.identity.outdated(u64::MAX, true)
                {
                    report_fatal(&self.fatal, outdated);
                }
                Err(TransportError::Refused(refusal.message))
            }
            Some(reply) => {
                self.peers.heard_from(to);
                Ok(reply)
            }
            None => Err(TransportError::Refused("empty response".to_owned())),
        }
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
    async fn call(&self, what: RPCTypes, call: Call, deadline: Duration) -> Request<Reply> {
        self.wire
            .call(&self.address, self.target, call, deadline)
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
            Reply::Vote(response) => Ok(VoteResponse {
                vote: vote_from(response.vote).map_err(|malformed| Self::malformed(malformed.0))?,
                vote_granted: response.granted,
                last_log_id: response.last_log_id.map(log_id_from),
            }),
            _ => Err(Self::malformed("not a vote")),
        }
    }

    async fn send_chunk(
        &self,
        chunk: proto::SnapshotChunk,
    ) -> Result<proto::SnapshotChunkResponse, StreamingError<TypeConfig>> {
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
                Ok(Reply::SnapshotChunk(response)) => return Ok(response),
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
            let response = self.send_chunk(chunk).await?;
            let theirs = vote_from(response.vote).map_err(|malformed| Self::malformed(malformed.0))?;
            if response.installed || theirs > vote {
                return Ok(SnapshotResponse::new(theirs));
            }
            if install && response.next_position >= file.length {
                return Err(Self::malformed("snapshot neither installed nor wanted").into());
            }
            position = response.next_position;
            data = file
                .read(position, CHUNK_BYTES)
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
        let Reply::Append(response) = self
            .call(RPCTypes::AppendEntries, Call::Append(request), deadline)
            .await?
        else {
            return Err(Self::malformed("not an answer to an append"));
        };
        match response.outcome() {
            proto::append_response::Outcome::Success => Ok(AppendEntriesResponse::Success),
            proto::append_response::Outcome::Partial => {
                Ok(AppendEntriesResponse::PartialSuccess(response.matched.map(log_id_from)))
            }
            proto::append_response::Outcome::Conflict => Ok(AppendEntriesResponse::Conflict),
            proto::append_response::Outcome::HigherVote => Ok(AppendEntriesResponse::HigherVote(
                vote_from(response.vote).map_err(|malformed| Self::malformed(malformed.0))?,
            )),
            proto::append_response::Outcome::Unknown => Err(Self::malformed("unknown outcome of an append")),
        }
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
            Reply::TransferLeader(response) if response.accepted => Ok(Ok(())),
            Reply::TransferLeader(_) => Ok(Err(TransferLeaderError::LogNotFlushed {
                expected: req.last_log_id().copied(),
                actual: None,
            })),
            _ => Err(Self::malformed("not an answer to a transfer")),
        }
    }
}
