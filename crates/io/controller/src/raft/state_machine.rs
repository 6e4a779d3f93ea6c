//! Replays committed entries into the image, in order, on every node alike.
//!
//! RAFT-3: an entry decided on another offset than the image's is refused, by everybody, without effect. A record that
//! does not fit the image is a broken invariant: the node stops (the writer tries every batch on the image before it
//! proposes it, so that a wrong decision cannot stop them all).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};
use metadata::MetadataImage;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use tokio::sync::watch;

use super::applied::{AppliedBatch, AppliedImage, RecentBatches, decode_records};
use super::runtime::handed_over;
use super::snapshots::{SnapshotFile, Snapshots};
use super::type_config::{LogId, Outcome, Proposal, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};

/// How often a snapshot that found no room is tried again.
const ROOM_PAUSE: Duration = Duration::from_secs(5);

/// What the state machine shows to others.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) images: watch::Sender<Arc<AppliedImage>>,
    pub(super) recent: RecentBatches,
    /// Bytes of records applied since the last snapshot was begun.
    pub(super) bytes_since_snapshot: AtomicU64,
    /// Log id and membership of what is applied, for the image cache.
    pub(super) position: parking_lot::Mutex<SnapshotMeta>,
}

impl Applied {
    pub(super) fn new(recent_bytes: usize) -> Self {
        let image = Arc::new(MetadataImage::new());
        let offset = image.offset();
        Self {
            images: watch::Sender::new(Arc::new(AppliedImage {
                image,
                offset,
                term: 0,
                index: 0,
            })),
            recent: RecentBatches::new(recent_bytes),
            bytes_since_snapshot: AtomicU64::new(0),
            position: parking_lot::Mutex::new(SnapshotMeta::default()),
        }
    }
}

/// The image and where it stands.
#[derive(Debug)]
pub(super) struct StateMachine {
    applied: Arc<Applied>,
    snapshots: Arc<Snapshots>,
    image: Arc<MetadataImage>,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    /// Long work stays on the calling task (simulation).
    inline: bool,
}

/// Bytes of records that take a while: heartbeats go on meanwhile.
const LARGE_PROPOSAL: usize = 64 << 10;

impl StateMachine {
    /// Starts empty, or from a cached image.
    pub(super) fn new(
        applied: Arc<Applied>,
        snapshots: Arc<Snapshots>,
        cached: Option<(SnapshotMeta, MetadataImage)>,
        inline: bool,
    ) -> Self {
        let mut machine = Self {
            applied,
            snapshots,
            image: Arc::new(MetadataImage::new()),
            last_applied: None,
            membership: StoredMembership::default(),
            inline,
        };
        if let Some((meta, image)) = cached {
            machine.replace(&meta, image);
        }
        machine
    }

    fn replace(&mut self, meta: &SnapshotMeta, image: MetadataImage) {
        self.image = Arc::new(image);
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.applied.recent.reset(self.image.offset());
        self.publish();
    }

    fn publish(&self) {
        *self.applied.position.lock() = self.meta();
        let (term, index) = self.last_applied.map_or((0, 0), |id| (id.leader_id.term, id.index));
        self.applied.images.send_replace(Arc::new(AppliedImage {
            image: Arc::clone(&self.image),
            offset: self.image.offset(),
            term,
            index,
        }));
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.last_applied,
            last_membership: self.membership.clone(),
        }
    }

    fn replay(&mut self, log_id: &LogId, proposal: &Proposal) -> io::Result<Outcome> {
        let base_offset = self.image.offset();
        if proposal.decided_on != base_offset {
            tracing::warn!(decided_on = %proposal.decided_on, offset = %base_offset, "refused records decided on another offset");
            return Ok(Outcome::Refused(base_offset));
        }
        let broken = |error: &dyn std::fmt::Display| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("committed records at metadata offset {base_offset} do not fit the image: {error}"),
            )
        };
        let records = decode_records(&proposal.records).map_err(|error| broken(&error))?;
        let image = Arc::make_mut(&mut self.image);
        for record in &records {
            image.replay(record).map_err(|error| broken(&error))?;
        }
        let end_offset = image.offset();
        self.applied
            .bytes_since_snapshot
            .fetch_add(proposal.records.len() as u64, Ordering::Relaxed);
        self.applied.recent.push(Arc::new(AppliedBatch {
            base_offset,
            end_offset,
            term: log_id.leader_id.term,
            index: log_id.index,
            // A slice of what came over the network would keep the whole request alive.
            records: bytes::Bytes::copy_from_slice(&proposal.records),
        }));
        Ok(Outcome::Applied(end_offset))
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let outcome = match entry.payload {
                EntryPayload::Blank => Outcome::Applied(self.image.offset()),
                EntryPayload::Normal(proposal) if proposal.records.len() < LARGE_PROPOSAL => {
                    self.replay(&entry.log_id, &proposal)?
                }
                EntryPayload::Normal(proposal) => handed_over(|| self.replay(&entry.log_id, &proposal))?,
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Outcome::Applied(self.image.offset())
                }
            };
            self.last_applied = Some(entry.log_id);
            // Who is answered finds the image that holds what was written.
            if let Some(responder) = responder {
                self.publish();
                responder.send(outcome);
            }
        }
        self.publish();
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.applied.bytes_since_snapshot.store(0, Ordering::Relaxed);
        Builder {
            snapshots: Arc::clone(&self.snapshots),
            image: Arc::clone(&self.image),
            meta: self.meta(),
            inline: self.inline,
        }
    }

    async fn install_snapshot(&mut self, _meta: &SnapshotMeta, snapshot: SnapshotFile) -> Result<(), io::Error> {
        let snapshots = Arc::clone(&self.snapshots);
        let loaded = blocking(self.inline, move || snapshots.own(&snapshot)?.load()).await?;
        self.replace(&loaded.meta, loaded.image);
        self.applied.bytes_since_snapshot.store(0, Ordering::Relaxed);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let newest = self.snapshots.newest();
        newest.map(|snapshot| handed_over(|| snapshot.to_raft())).transpose()
    }
}

/// Builds a snapshot from an image that nobody changes any more.
#[derive(Debug)]
pub(super) struct Builder {
    snapshots: Arc<Snapshots>,
    image: Arc<MetadataImage>,
    meta: SnapshotMeta,
    inline: bool,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let mut told = false;
        loop {
            let (snapshots, image, meta) = (Arc::clone(&self.snapshots), Arc::clone(&self.image), self.meta.clone());
            match blocking(self.inline, move || snapshots.build(&meta, &image)?.to_raft()).await {
                // An error would end this node, and a full disk is a state (requirement 25): the log holds everything still.
                Err(error) if storage::is_full(&error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "no room for a snapshot of the metadata: it waits for some");
                    }
                    tokio::time::sleep(ROOM_PAUSE).await;
                }
                built => return built,
            }
        }
    }
}

/// Runs long work off the async threads, or, in a simulation, right here.
pub(super) async fn blocking<T: Send + 'static>(
    inline: bool,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if inline {
        work()
    } else {
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }
}
