//! The receiving side of the transport: one request in, one response out.
//!
//! Refused before Raft sees them: requests of another cluster, requests for a directory that isn't here any more (RAFT-2),
//! and those of members that a forced recovery left behind (RAFT-7). Only the question who this is, is answered to
//! everybody: that is how strangers find out. A blank node takes over the cluster id of whoever addresses its exact (node,
//! directory). Whoever says that this node itself was left behind makes it ask those whom it trusts, no more.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest};
use prost::Message;
use storage::File;
use types::ClusterId;

use super::codec::{
    Malformed, entry_from, log_id_from, log_id_to, member_from, member_to, membership_to, vote_from, vote_to,
};
use super::node::Node;
use super::proto;
use super::proto::raft_request::Call;
use super::proto::raft_response::Reply;
use super::proto::refusal::Reason;
use super::runtime::handed_over;
use super::snapshots::SnapshotFile;
use super::type_config::Member;

/// A snapshot that is being gathered.
#[derive(Debug)]
pub(super) struct Receiving {
    meta: proto::SnapshotMeta,
    total_bytes: u64,
    crc32c: u32,
    path: PathBuf,
    file: Arc<dyn File>,
    received: u64,
}

/// A snapshot is gathered on disk, never in memory; its size is bounded by what an image can be.
const MAX_SNAPSHOT_BYTES: u64 = 16 << 30;

/// Why a request is not handled.
struct Refused(Reason, String);

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self(Reason::Malformed, malformed.to_string())
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self(Reason::Stopped, error.to_string())
    }
}

fn stopped(error: impl std::fmt::Display) -> Refused {
    Refused(Reason::Stopped, error.to_string())
}

impl Node {
    /// Handles one encoded request.
    pub(super) async fn handle(self: Arc<Self>, request: Bytes) -> Bytes {
        let reply = match self.dispatch(request).await {
            Ok(reply) => reply,
            Err(Refused(reason, message)) => {
                tracing::debug!(?reason, message, "raft request refused");
                Reply::Refusal(proto::Refusal {
                    reason: reason.into(),
                    message,
                })
            }
        };
        let response = proto::RaftResponse {
            reply: Some(reply),
            from: Some(member_to(&self.wire.member)),
            cluster_id: self.wire.identity.cluster_id().map(|id| id.0).unwrap_or_default(),
        };
        response.encode_to_vec().into()
    }

    async fn dispatch(&self, request: Bytes) -> Result<Reply, Refused> {
        let request =
            proto::RaftRequest::decode(request).map_err(|error| Refused(Reason::Malformed, error.to_string()))?;
        let from = member_from(request.from.ok_or(Malformed("a request without a sender"))?)?;
        let call = request.call.ok_or(Malformed("a request without a call"))?;
        let addressed = request.to == self.raft_id();
        if request.to != 0 && !addressed {
            return Err(Refused(Reason::WrongMember, format!("this is {}", self.wire.member)));
        }
        let recoveries = request.recoveries;
        let cluster_id = Some(request.cluster_id).filter(|id| !id.is_empty()).map(ClusterId);
        let left_behind = if cluster_id.is_some() && cluster_id == self.wire.identity.cluster_id() {
            self.wire.identity.outdated(recoveries, !self.is_blank())
        } else {
            None
        };
        if left_behind.is_some() {
            self.heard_of_recovery.store(true, Ordering::Relaxed);
        }
        if matches!(call, Call::Identify(_)) {
            return Ok(Reply::Identify(self.identify()));
        }
        if let Some(offered) = &cluster_id
            && let Some(mismatch) = self.wire.identity.mismatch(offered, !self.is_blank())
        {
            tracing::warn!(from = %from, mismatch, "request of another cluster refused");
            return Err(Refused(Reason::WrongCluster, mismatch));
        }
        if let Some(left_behind) = left_behind {
            return Err(Refused(Reason::Stopped, left_behind));
        }
        match call {
            Call::Join(join) => Ok(Reply::Join(self.admit(from, join.wants_vote).await)),
            Call::Vote(_) | Call::PreVote(_) | Call::Append(_) | Call::SnapshotChunk(_) | Call::TransferLeader(_) => {
                let cluster_id = cluster_id.ok_or(Malformed("a request without a cluster id"))?;
                if !addressed {
                    return Err(Malformed("a request to no member").into());
                }
                if recoveries < self.wire.identity.recoveries() {
                    let message = format!("the metadata quorum was recovered without {from}");
                    return Err(Refused(Reason::Outdated, message));
                }
                self.wire.identity.adopt(&cluster_id, recoveries)?;
                self.wire.peers.heard_from(from.raft_id());
                self.dispatch_raft(call, &from).await
            }
            Call::Identify(_) => Ok(Reply::Identify(self.identify())),
        }
    }

    async fn dispatch_raft(&self, call: Call, from: &Member) -> Result<Reply, Refused> {
        if *self.stopping.borrow() {
            return Err(stopped("this node is stopping"));
        }
        match call {
            Call::Vote(request) => self.vote(request, false).await,
            Call::PreVote(request) => self.vote(request, true).await,
            Call::Append(request) => self.append(request).await,
            Call::SnapshotChunk(chunk) => self.snapshot_chunk(chunk).await,
            Call::TransferLeader(request) => self.transfer_leader(request, from).await,
            Call::Identify(_) | Call::Join(_) => Err(Malformed("not a call of Raft").into()),
        }
    }

    async fn vote(&self, request: proto::VoteRequest, pre_vote: bool) -> Result<Reply, Refused> {
        let request = VoteRequest {
            vote: vote_from(request.vote)?,
            last_log_id: request.last_log_id.map(log_id_from),
            leadership_transfer: request.leadership_transfer,
        };
        let answered = if pre_vote {
            self.raft.pre_vote(request).await
        } else {
            self.raft.vote(request).await
        };
        let response = answered.map_err(stopped)?;
        Ok(Reply::Vote(proto::VoteResponse {
            vote: Some(vote_to(&response.vote)),
            granted: response.vote_granted,
            last_log_id: response.last_log_id.as_ref().map(log_id_to),
        }))
    }

    async fn append(&self, request: proto::AppendRequest) -> Result<Reply, Refused> {
        let vote = vote_from(request.vote)?;
        let previous = request.previous.map(log_id_from);
        let entries = request
            .entries
            .into_iter()
            .map(entry_from)
            .collect::<Result<Vec<_>, _>>()?;
        let first = previous.map_or(0, |previous| previous.index + 1);
        if !entries
            .iter()
            .zip(first..)
            .all(|(entry, index)| entry.log_id.index == index)
        {
            return Err(Malformed("entries that do not follow each other").into());
        }
        let request = AppendEntriesRequest {
            vote,
            prev_log_id: previous,
            entries,
            leader_commit: request.leader_commit.map(log_id_from),
        };
        let (outcome, matched, vote) = match self.raft.append_entries(request).await.map_err(stopped)? {
            AppendEntriesResponse::Success => (proto::append_response::Outcome::Success, None, None),
            AppendEntriesResponse::PartialSuccess(matched) => (proto::append_response::Outcome::Partial, matched, None),
            AppendEntriesResponse::Conflict => (proto::append_response::Outcome::Conflict, None, None),
            AppendEntriesResponse::HigherVote(vote) => (proto::append_response::Outcome::HigherVote, None, Some(vote)),
        };
        Ok(Reply::Append(proto::AppendResponse {
            outcome: outcome.into(),
            matched: matched.as_ref().map(log_id_to),
            vote: vote.as_ref().map(vote_to),
        }))
    }

    /// Gathers a snapshot on disk; answers where to go on, so that a broken transfer resumes.
    async fn snapshot_chunk(&self, chunk: proto::SnapshotChunk) -> Result<Reply, Refused> {
        let vote = vote_from(chunk.vote)?;
        let meta = chunk.meta.ok_or(Malformed("a snapshot without meta"))?;
        let mine = self.metrics().vote;
        if mine > vote {
            return Ok(chunk_answer(0, &mine, false));
        }
        if chunk.total_bytes > MAX_SNAPSHOT_BYTES {
            return Err(Malformed("a snapshot of impossible size").into());
        }
        let mut receiving = self.receiving.lock().await;
        let same = receiving.as_ref().is_some_and(|receiving| {
            receiving.meta == meta && receiving.total_bytes == chunk.total_bytes && receiving.crc32c == chunk.crc32c
        });
        if !same {
            let (path, file) = handed_over(|| self.snapshots.receiving())?;
            let (total_bytes, crc32c) = (chunk.total_bytes, chunk.crc32c);
            *receiving = Some(Receiving {
                meta,
                total_bytes,
                crc32c,
                path,
                file,
                received: 0,
            });
        }
        let Some(current) = receiving.as_mut() else {
            return Err(Malformed("no snapshot").into());
        };
        let fits = chunk.position == current.received
            && current.received.saturating_add(chunk.data.len() as u64) <= current.total_bytes;
        if fits && !chunk.data.is_empty() {
            handed_over(|| current.file.write_all_at(&chunk.data, chunk.position))?;
            current.received += chunk.data.len() as u64;
        }
        if !chunk.install || current.received != current.total_bytes {
            return Ok(chunk_answer(current.received, &mine, false));
        }
        let Some(finished) = receiving.take() else {
            return Err(Malformed("no snapshot").into());
        };
        let total_bytes = finished.total_bytes;
        let inline = self.config.log_io == super::LogIo::Inline;
        let checked = super::state_machine::blocking(inline, move || finish(finished)).await;
        let snapshot = match checked {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::warn!(%error, "received snapshot dropped, it is asked for again");
                return Ok(chunk_answer(0, &mine, false));
            }
        };
        let response = self
            .raft
            .install_full_snapshot(vote, handed_over(|| snapshot.to_raft())?)
            .await
            .map_err(stopped)?;
        Ok(chunk_answer(total_bytes, &response.vote, true))
    }

    async fn transfer_leader(&self, request: proto::TransferLeaderRequest, from: &Member) -> Result<Reply, Refused> {
        let vote = vote_from(request.from_leader)?;
        let last_log_id = request.last_log_id.map(log_id_from);
        let accepted = if request.by_leader {
            let transfer = TransferLeaderRequest::new(vote, request.to, last_log_id);
            self.raft
                .handle_transfer_leader(transfer)
                .await
                .map_err(stopped)?
                .is_ok()
        } else {
            self.stand_for(vote, last_log_id, from).await
        };
        Ok(Reply::TransferLeader(proto::TransferLeaderResponse { accepted }))
    }

    fn identify(&self) -> proto::IdentifyResponse {
        let metrics = self.metrics();
        proto::IdentifyResponse {
            member: Some(member_to(&self.wire.member)),
            cluster_id: self.wire.identity.cluster_id().map(|id| id.0).unwrap_or_default(),
            blank: self.is_blank(),
            membership: Some(membership_to(metrics.membership_config.membership())),
            leader: self.leader_in_touch().map(|(_, member)| member_to(&member)),
            recoveries: self.wire.identity.recoveries(),
        }
    }
}

fn chunk_answer(next_position: u64, vote: &super::type_config::Vote, installed: bool) -> Reply {
    Reply::SnapshotChunk(proto::SnapshotChunkResponse {
        next_position,
        vote: Some(vote_to(vote)),
        installed,
    })
}

/// Syncs and checks what was gathered.
fn finish(receiving: Receiving) -> io::Result<SnapshotFile> {
    receiving.file.sync_data()?;
    let snapshot = super::snapshots::check(&receiving.path, Arc::clone(&receiving.file))?;
    if snapshot.crc32c != receiving.crc32c || snapshot.meta != receiving.meta {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the snapshot is not the one that was announced",
        ));
    }
    Ok(snapshot)
}
