//! The facade: what the rest of the controller sees of Raft.
//!
//! Every call hops onto Raft's own runtime, so that callers on a saturated data plane cost no election.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metadata::proto::MetadataRecord;
use openraft::ReadPolicy;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::impls::ProgressResponder;
use storage::FileSystem;
use tokio::runtime::Handle;
use tokio::sync::watch;
use types::{BrokerId, ClusterId, DirectoryId, MetadataOffset};

use super::applied::{AppliedBatch, AppliedImage, encode_records};
use super::errors::{FatalError, MembershipError, QuorumError, ReadError, WriteError};
use super::node::Node;
use super::status::QuorumStatus;
use super::type_config::{Outcome, Proposal};
use super::{Leadership, QuorumConfig, RaftThreads, RaftTransport, VoterAddress, start};

/// Raft's thread; more would wake each other for every message. What waits for the disk, or takes long, is handed over.
const THREADS: usize = 1;
/// Threads for what blocks or takes long: snapshots, and decisions and entries that are handed over.
const BLOCKING_THREADS: usize = 8;

/// A member of the metadata quorum. Cheap to clone; callable from any runtime.
#[derive(Debug, Clone)]
pub struct MetadataQuorum {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: Arc<Node>,
    handle: Handle,
    /// Raft's own threads; dropped in the background, for the last handle may go away on an async thread.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.node.stopping.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl MetadataQuorum {
    /// Opens the metadata log and starts Raft on it. Returns at once: finding or founding the cluster goes on in the
    /// background, and needs [`handle`](Self::handle) to be reachable by the others.
    ///
    /// # Errors
    /// A damaged or foreign directory, or a configuration that can't work. Nothing was changed then.
    pub async fn start(
        config: QuorumConfig,
        file_system: Arc<dyn FileSystem>,
        transport: Arc<dyn RaftTransport>,
    ) -> Result<Self, QuorumError> {
        let runtime = match config.threads {
            RaftThreads::Current => None,
            RaftThreads::Own => Some(
                tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(THREADS)
                    .max_blocking_threads(BLOCKING_THREADS)
                    .thread_name("raft")
                    .enable_all()
                    .build()?,
            ),
        };
        let handle = runtime
            .as_ref()
            .map_or_else(Handle::current, |runtime| runtime.handle().clone());
        let started = handle.spawn(start::start(config, file_system, transport)).await;
        match started {
            Ok(Ok(node)) => Ok(Self {
                inner: Arc::new(Inner { node, handle, runtime }),
            }),
            failed => {
                if let Some(runtime) = runtime {
                    runtime.shutdown_background();
                }
                match failed {
                    Ok(Err(error)) => Err(error),
                    _ => Err(QuorumError::Raft("panicked while starting".to_owned())),
                }
            }
        }
    }

    /// The applied images, newest only.
    #[must_use]
    pub fn images(&self) -> watch::Receiver<Arc<AppliedImage>> {
        self.inner.node.applied.images.subscribe()
    }

    /// The applied batches after `offset`, for the metadata feed. `None`: they are no longer held in memory (or `offset`
    /// is no boundary of a batch), so the follower needs the image. Empty: it has everything.
    #[must_use]
    pub fn batches_since(&self, offset: MetadataOffset) -> Option<Vec<Arc<AppliedBatch>>> {
        self.inner.node.applied.recent.since(offset)
    }

    /// Index of the Raft entry that brought the image to `offset`: what a broker that applied so far has of the log.
    #[must_use]
    pub fn index_at(&self, offset: MetadataOffset) -> u64 {
        let applied = Arc::clone(&self.images().borrow());
        if offset >= applied.offset {
            applied.index
        } else {
            self.inner.node.applied.recent.index_at(offset)
        }
    }

    /// Who leads, and whether this node is the active controller.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.inner.node.leadership.subscribe()
    }

    /// Commits records as one entry, as leader of `term`, decided on the image at `decided_on`. Answers after the entry
    /// is durable on a majority and applied here, with the offset after the records.
    ///
    /// Callers keep one write in flight: a second one would be decided on an offset that the first one changes.
    ///
    /// # Errors
    /// See [`WriteError`]; after [`WriteError::Unknown`] the records may still be committed.
    pub async fn write(
        &self,
        term: u64,
        decided_on: MetadataOffset,
        records: &[MetadataRecord],
    ) -> Result<MetadataOffset, WriteError> {
        let node = Arc::clone(&self.inner.node);
        let encoded = encode_records(records);
        let limit = node.config.max_entry_bytes;
        if encoded.len() > limit {
            return Err(WriteError::TooLarge {
                size: encoded.len(),
                limit,
            });
        }
        try_on_image(&node, decided_on, records)?;
        let proposal = Proposal {
            decided_on,
            records: encoded,
        };
        self.on_raft(async move { propose(&node, term, proposal).await })
            .await
            .unwrap_or_else(|| Err(WriteError::Fatal("raft's runtime is gone".to_owned())))
    }

    /// Confirms with a majority that this node still leads (ReadIndex, never a lease) and waits until everything that
    /// was committed before the call is applied here. Returns the image's offset then.
    ///
    /// # Errors
    /// Not leading, or no majority answered within two election timeouts.
    pub async fn read_barrier(&self) -> Result<MetadataOffset, ReadError> {
        let node = Arc::clone(&self.inner.node);
        let read = self.on_raft(async move {
            if *node.stopping.borrow() {
                return Err(ReadError::NotLeader);
            }
            let deadline = node.link_timeout();
            match tokio::time::timeout(deadline, node.raft.ensure_linearizable(ReadPolicy::ReadIndex)).await {
                Ok(Ok(_)) => Ok(node.applied.images.borrow().offset),
                Ok(Err(RaftError::Fatal(fatal))) => Err(ReadError::Fatal(fatal.to_string())),
                Ok(Err(RaftError::APIError(_))) | Err(_) => Err(ReadError::NotLeader),
            }
        });
        read.await
            .unwrap_or_else(|| Err(ReadError::Fatal("raft's runtime is gone".to_owned())))
    }

    /// Handles one request of another member: the server side of [`RaftTransport::call`].
    pub async fn handle(&self, request: Bytes) -> Bytes {
        let node = Arc::clone(&self.inner.node);
        self.on_raft(node.handle(request)).await.unwrap_or_default()
    }

    /// Somebody saw the links to the active controller close: dials it, and has another one elected at once if its port
    /// refuses. Safe to call at any time; it only ever starts an election.
    pub async fn suspect_leader(&self) {
        let node = Arc::clone(&self.inner.node);
        let _ = self.on_raft(async move { node.suspect_leader().await }).await;
    }

    /// Makes a member of the quorum a voter (as leader only), within `deadline`: reachable, then a learner until it has
    /// caught up, then a voter. `address` is needed for a node that isn't even a learner yet. When it fails the voters are as
    /// before.
    ///
    /// # Errors
    /// See [`MembershipError`].
    pub async fn add_voter(
        &self,
        node_id: BrokerId,
        directory_id: DirectoryId,
        address: Option<VoterAddress>,
        deadline: Duration,
    ) -> Result<(), MembershipError> {
        let node = Arc::clone(&self.inner.node);
        let added = self.on_raft(async move { node.add_voter(node_id, directory_id, address, deadline).await });
        added
            .await
            .unwrap_or_else(|| Err(MembershipError::Rejected("raft's runtime is gone".to_owned())))
    }

    /// Takes a member out of the quorum (as leader only), unless that loses the majority. The leader itself may be taken
    /// out: it steps down after.
    ///
    /// # Errors
    /// See [`MembershipError`].
    pub async fn remove_voter(&self, node_id: BrokerId, directory_id: DirectoryId) -> Result<(), MembershipError> {
        let node = Arc::clone(&self.inner.node);
        let removed = self.on_raft(async move { node.remove(node_id, directory_id).await });
        removed
            .await
            .unwrap_or_else(|| Err(MembershipError::Rejected("raft's runtime is gone".to_owned())))
    }

    /// For whom or what this node waits before it is a member of a quorum with a leader; `None`: it is.
    #[must_use]
    pub fn waiting_for(&self) -> Option<String> {
        self.inner.node.waiting.borrow().clone()
    }

    /// Hands leadership to another voter, the most caught-up first, before this node stops. Does nothing on a follower.
    pub async fn resign(&self) {
        let node = Arc::clone(&self.inner.node);
        let _ = self.on_raft(async move { node.resign().await }).await;
    }

    /// For how long from now no other controller can be active; zero when this one isn't, or can't be sure of its majority.
    #[must_use]
    pub fn undisputed_for(&self) -> Duration {
        self.inner.node.undisputed_for()
    }

    /// The quorum as this node sees it.
    #[must_use]
    pub fn status(&self) -> QuorumStatus {
        self.inner.node.status()
    }

    /// Time since this node last heard anything from a node over Raft, over any of its directories; `None`: never in this
    /// process.
    #[must_use]
    pub fn last_contact(&self, node_id: BrokerId) -> Option<Duration> {
        let status = self.status();
        let members = status.voters.into_iter().chain(status.learners);
        members
            .filter(|member| member.node_id == node_id)
            .filter_map(|member| member.last_contact)
            .min()
    }

    /// The cluster's id; `None` while this node is blank.
    #[must_use]
    pub fn cluster_id(&self) -> watch::Receiver<Option<ClusterId>> {
        self.inner.node.wire.identity.watch_cluster_id()
    }

    /// This node.
    #[must_use]
    pub fn node_id(&self) -> BrokerId {
        self.inner.node.node_id()
    }

    /// This node's metadata log directory.
    #[must_use]
    pub fn directory_id(&self) -> DirectoryId {
        self.inner.node.wire.identity.directory_id
    }

    /// Raft's runtime: the service that receives Raft requests belongs here, away from the data plane.
    #[must_use]
    pub fn runtime(&self) -> Handle {
        self.inner.handle.clone()
    }

    /// Waits until the quorum can't go on (a failed sync, damage, a panic): the process must exit then (RAFT-1, O7).
    pub async fn fatal(&self) -> FatalError {
        let mut fatal = self.inner.node.fatal.subscribe();
        match fatal.wait_for(Option::is_some).await.map(|fatal| fatal.clone()) {
            Ok(Some(error)) => error,
            _ => std::future::pending().await,
        }
    }

    /// Stops cleanly: Raft first, then the log is synced and the applied image cached for the next start.
    pub async fn shutdown(&self) {
        let node = Arc::clone(&self.inner.node);
        let _ = self.on_raft(async move { node.stop(true).await }).await;
    }

    /// Stops as a killed process would: nothing is synced or cached. For the simulator and tests.
    pub async fn kill(&self) {
        let node = Arc::clone(&self.inner.node);
        let _ = self.on_raft(async move { node.stop(false).await }).await;
    }

    /// Runs on Raft's runtime. `None`: that is gone, or the future panicked.
    async fn on_raft<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.inner.handle.spawn(work).await.ok()
    }
}

/// A batch that doesn't fit the image must not be committed: it would stop every node that replays it.
fn try_on_image(node: &Node, decided_on: MetadataOffset, records: &[MetadataRecord]) -> Result<(), WriteError> {
    let applied = Arc::clone(&node.applied.images.borrow());
    if applied.offset != decided_on {
        return Err(WriteError::Refused {
            decided_on,
            actual: applied.offset,
        });
    }
    let mut image = (*applied.image).clone();
    records
        .iter()
        .try_for_each(|record| image.replay(record))
        .map_err(|error| WriteError::Invalid(error.to_string()))
}

async fn propose(node: &Node, term: u64, proposal: Proposal) -> Result<MetadataOffset, WriteError> {
    let mut leadership = node.leadership.subscribe();
    let leads = |leadership: &Leadership| leadership.active && leadership.term == term;
    if *node.stopping.borrow() || !leads(&leadership.borrow_and_update()) {
        return Err(WriteError::NotLeader);
    }
    let decided_on = proposal.decided_on;
    let (responder, response) = ProgressResponder::complete_only();
    if let Err(fatal) = node.raft.write(proposal).responder(responder).with_leader(term).await {
        if *node.stopping.borrow() {
            return Err(WriteError::NotLeader);
        }
        return Err(WriteError::Fatal(fatal.to_string()));
    }
    let response = tokio::select! {
        biased;
        response = response => response,
        // Cut off from the majority, Raft would keep the caller waiting for ever.
        _ = leadership.wait_for(|leadership| !leads(leadership)) => return Err(WriteError::Unknown),
    };
    match response {
        // The core ends with the node: nobody is to be alarmed.
        Ok(Err(_)) | Err(_) if *node.stopping.borrow() => Err(WriteError::Unknown),
        Ok(Ok(response)) => match response.data {
            Outcome::Applied(offset) => Ok(offset),
            Outcome::Refused(actual) => Err(WriteError::Refused { decided_on, actual }),
        },
        Ok(Err(ClientWriteError::ForwardToLeader(_))) => Err(WriteError::NotLeader),
        Ok(Err(_)) => Err(WriteError::Unknown),
        Err(_) => Err(WriteError::Fatal("raft core is gone".to_owned())),
    }
}
