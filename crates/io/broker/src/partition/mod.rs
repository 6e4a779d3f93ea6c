//! One replica hosted here: its lock, its role, its log, and who waits for it.
//!
//! The rules are `logic/partition`'s; this folder takes the lock, calls them, writes the log, and wakes whoever the
//! effects name after unlocking. No await happens under the lock.
//!
//! The bytes of an append are written without it (`writer.rs`).
//!
//! PART-1: everything under the lock belongs to one role; a change of role answers every waiter and drops every follow.

mod append;
mod cleaning;
mod deletion;
mod flush;
mod follow;
mod host;
mod push;
mod read;
mod relocation;
mod role;
mod wakes;
mod writer;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use partition::producer_state::ProducerEntry;
use partition::{EpochLookup, FollowerState, IsrProposal, LeaderEffects, LeaderState, OffsetWaiters};
use storage::{DirectoryHealth, Log};
use tokio::sync::Notify;
use types::{BrokerId, EpochEnd, LeaderEpoch, Offset, PartitionEpoch, TimestampMs, TopicIdPartition, TopicName};

pub use append::{AppendError, Appended};
pub use deletion::DeleteRecordsError;
pub(crate) use follow::{ColdRead, FollowReply, NextPush};
pub use host::PartitionHost;
pub use push::{PushError, PushOutcome};
use read::Redirects;
pub use read::{EpochEndAnswer, ListOffsetsTarget, ReadError, ReadRequest, ReadResult, ReadWaiter};
pub(crate) use relocation::{Adoption, NewPlace, RelocationError};
pub use role::RoleChange;
pub use writer::REACTOR_WRITES;

use follow::FollowSlot;
use wakes::{Waiter, Wakes};

use crate::metrics::BrokerMetrics;
use crate::replication::AckQueue;
use crate::topic_settings::PartitionSettings;

/// What this replica is at present.
#[derive(Debug)]
enum Role {
    Leader(LeaderState),
    Follower(FollowerState),
}

/// How long a look at a replica waits for whoever has its lock, at most.
const STATUS_WAIT: Duration = Duration::from_millis(20);

/// Where a replica's records lie.
#[derive(Debug)]
pub struct ReplicaDisk {
    /// Its log.
    pub log: Log,
    /// In which of the log directories.
    pub directory: usize,
    /// How that stands.
    pub health: Arc<DirectoryHealth>,
}

/// On which sides a replica's catching up is throttled (KIP-73).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttled {
    pub(crate) by_leader: bool,
    pub(crate) by_follower: bool,
}

/// One replica. Cheap handles are `Arc`s of it.
pub struct Partition {
    id: TopicIdPartition,
    topic: TopicName,
    host: Arc<PartitionHost>,
    /// In which of the log directories; changes when the log moves (KIP-113).
    directory: AtomicUsize,
    health: ArcSwap<DirectoryHealth>,
    /// The same as in the state, for those who don't need the lock for it.
    settings: ArcSwap<PartitionSettings>,
    /// Taken by whoever changes the log's files, before the lock (WRITER-1).
    writer: Mutex<()>,
    /// Nobody waits for the writer's place any more (WRITER-2).
    given_up: AtomicBool,
    /// See [`Partition::is_behind`].
    behind: AtomicBool,
    /// Of the newest follow (REPL-4).
    turn: AtomicU64,
    /// Compaction has given the log up.
    uncleanable: AtomicBool,
    cleaning_wants_room: AtomicBool,
    /// While leading: a follower's log start has moved, or who counts has changed.
    log_starts: Notify,
    state: Mutex<State>,
}

struct State {
    role: Role,
    log: Log,
    /// Of the directory that the log lies in.
    health: Arc<DirectoryHealth>,
    settings: Arc<PartitionSettings>,
    /// Of the last registration seen, whatever the role.
    partition_epoch: PartitionEpoch,
    waiters: OffsetWaiters<Waiter>,
    readers: Vec<Weak<Notify>>,
    /// While leading: consumers that were sent to a follower.
    redirects: Redirects,
    slots: Vec<FollowSlot>,
    /// While following: where acknowledgements are collected.
    acks: Option<Arc<AckQueue>>,
    /// A proposal that the controller hasn't answered.
    proposal: Option<IsrProposal>,
    /// When a batch was last refused that may be taken later (ADM-5).
    refused_at: Option<TimestampMs>,
    /// Where the log ended at the last round of the background.
    end_at_round: Offset,
    /// The topic was deleted or the replica moved away: nothing is served any more.
    retired: bool,
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("id", &self.id)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// The log as the pure rules see it.
struct LogEpochs<'a>(&'a Log);

impl EpochLookup for LogEpochs<'_> {
    fn log_start_offset(&self) -> Offset {
        self.0.log_start_offset()
    }
    fn log_end_offset(&self) -> Offset {
        self.0.log_end_offset()
    }
    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        self.0.end_offset_for_epoch(epoch)
    }
    fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.0.latest_epoch()
    }
}

/// A replica's place, for metrics and checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Whether it leads.
    pub is_leader: bool,
    /// Of the role.
    pub leader_epoch: LeaderEpoch,
    /// First offset kept.
    pub log_start_offset: Offset,
    /// First offset not known to be committed.
    pub high_watermark: Offset,
    /// Next offset.
    pub log_end_offset: Offset,
    /// Leading with an ISR that lacks a replica.
    pub under_replicated: bool,
    /// Leading with an ISR below min ISR.
    pub under_min_isr: bool,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// Requests that wait for the high watermark.
    pub waiting: usize,
}

/// Where a replica stands.
fn status_of(state: &State) -> PartitionStatus {
    let (is_leader, leader_epoch, under_replicated, under_min_isr) = match &state.role {
        Role::Leader(leader) => (
            true,
            leader.leader_epoch(),
            leader.is_under_replicated(),
            leader.is_under_min_isr(),
        ),
        Role::Follower(follower) => (false, follower.leader_epoch, false, false),
    };
    PartitionStatus {
        is_leader,
        leader_epoch,
        log_start_offset: state.log.log_start_offset(),
        high_watermark: state.high_watermark(),
        log_end_offset: state.log.log_end_offset(),
        under_replicated,
        under_min_isr,
        size_bytes: state.log.size_bytes(),
        waiting: state.waiters.len(),
    }
}

impl Partition {
    /// A replica that has no role yet: it follows nobody.
    #[must_use]
    pub fn new(
        id: TopicIdPartition,
        topic: TopicName,
        host: Arc<PartitionHost>,
        disk: ReplicaDisk,
        settings: PartitionSettings,
        high_watermark: Offset,
    ) -> Arc<Self> {
        let ReplicaDisk {
            mut log,
            directory,
            health,
        } = disk;
        // Whoever has an id by now may have written here before this process ran, or to a deleted topic of the same name: a client
        // that missed the deletion goes on with its sequences.
        log.share_tail_budget(&host.tails);
        log.may_have_forgotten_producers_below(host.image.load().next_producer_id());
        let high_watermark = high_watermark.max(log.log_start_offset()).min(log.log_end_offset());
        let settings = Arc::new(settings);
        let state = State {
            role: Role::Follower(FollowerState::new(LeaderEpoch::NONE, None, high_watermark)),
            log,
            health: Arc::clone(&health),
            settings: Arc::clone(&settings),
            partition_epoch: PartitionEpoch(-1),
            waiters: OffsetWaiters::default(),
            readers: Vec::new(),
            redirects: Redirects::default(),
            slots: Vec::new(),
            acks: None,
            proposal: None,
            refused_at: None,
            end_at_round: Offset::ZERO,
            retired: false,
        };
        Arc::new(Self {
            id,
            topic,
            host,
            directory: AtomicUsize::new(directory),
            health: ArcSwap::new(health),
            settings: ArcSwap::new(settings),
            writer: Mutex::new(()),
            given_up: AtomicBool::new(false),
            behind: AtomicBool::new(false),
            turn: AtomicU64::new(0),
            uncleanable: AtomicBool::new(false),
            cleaning_wants_room: AtomicBool::new(false),
            log_starts: Notify::new(),
            state: Mutex::new(state),
        })
    }

    /// Which partition.
    #[must_use]
    pub fn id(&self) -> TopicIdPartition {
        self.id
    }

    /// Its topic's name.
    #[must_use]
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// The broker's counters.
    pub(crate) fn metrics(&self) -> Arc<BrokerMetrics> {
        Arc::clone(&self.host.metrics)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> PartitionStatus {
        status_of(&self.lock())
    }

    /// The same; nothing while the disk keeps somebody who has the lock.
    pub(crate) fn status_soon(&self) -> Option<PartitionStatus> {
        self.state.try_lock_for(STATUS_WAIT).map(|state| status_of(&state))
    }

    /// The epoch of the last record ([`LeaderEpoch::NONE`] without one) and the log's end.
    #[must_use]
    pub fn log_end(&self) -> (LeaderEpoch, Offset) {
        let state = self.lock();
        (
            state.log.latest_epoch().unwrap_or(LeaderEpoch::NONE),
            state.log.log_end_offset(),
        )
    }

    /// Time passed: lagging members leave the ISR, eligible replicas join.
    pub fn tick(&self) {
        let now = self.host.clock.now();
        let wakes = {
            let mut state = self.lock();
            let Role::Leader(leader) = &mut state.role else { return };
            let effects = leader.on_tick(&|id| self.host.eligible(self.id, id), now);
            state.settle(effects)
        };
        self.log_starts.notify_waiters();
        self.run(wakes);
    }

    /// A round of the background has passed: whoever reads at the tail has read what was there before, and a log to which nothing was
    /// appended gives back all that it doesn't need.
    pub fn release_old(&self) {
        let mut state = self.lock();
        let end = state.log.log_end_offset();
        let before = std::mem::replace(&mut state.end_at_round, end);
        if before == end {
            state.log.release_idle();
        } else {
            state.log.release_tail_below(before);
        }
    }

    /// The proposal that waits to be sent, if this leadership still has one.
    #[must_use]
    pub fn pending_proposal(&self) -> Option<IsrProposal> {
        let state = self.lock();
        if state.retired { None } else { state.proposal.clone() }
    }

    /// The controller refused the proposal made at `partition_epoch`: it isn't sent again. What the rules make of it, the
    /// image brings (ISR-1).
    pub fn on_proposal_refused(&self, partition_epoch: PartitionEpoch) {
        let mut state = self.lock();
        let refused = |proposal: &IsrProposal| proposal.partition_epoch == partition_epoch;
        if state.proposal.as_ref().is_some_and(refused) {
            state.proposal = None;
        }
    }

    /// After unlocking.
    fn run(&self, wakes: Wakes) {
        if wakes.run(self.id) && self.host.proposals.try_send(self.id).is_err() {
            self.host.proposals_overflowed.store(true, Ordering::Release);
            // Else the reporter may have emptied the queue in between, and wait for the next one.
            let _ = self.host.proposals.try_send(self.id);
        }
    }

    /// Its topic's settings.
    #[must_use]
    pub fn settings(&self) -> Arc<PartitionSettings> {
        self.settings.load_full()
    }

    /// On which sides the topic's throttles hold for what broker `leader` sends to broker `replica`.
    pub(crate) fn throttled(&self, leader: BrokerId, replica: BrokerId) -> Throttled {
        let settings = self.settings.load();
        let index = self.id.partition;
        Throttled {
            by_leader: settings.leader_throttled_replicas.contains(index, leader),
            by_follower: settings.follower_throttled_replicas.contains(index, replica),
        }
    }

    /// While following: whether the last push left it below the leader's high watermark, so that no write waits for it.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }

    pub(crate) fn set_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::Release);
    }

    /// What its log remembers of producers.
    #[must_use]
    pub fn producers(&self) -> Vec<ProducerEntry> {
        self.lock().log.producers().entries().cloned().collect()
    }

    /// Which of the log directories its log lies in.
    #[must_use]
    pub fn directory(&self) -> usize {
        self.directory.load(Ordering::Acquire)
    }

    /// How the directory of its log stands.
    #[must_use]
    pub fn health(&self) -> Arc<DirectoryHealth> {
        self.health.load_full()
    }

    /// A log that failed takes its directory along (promise DISK); lack of room is none of that.
    fn report_fault(&self, error: &storage::LogError) {
        let health = self.health.load();
        // A read that was prepared before the log moved may fail in the directory that it came from.
        let is_elsewhere = error.path().is_some_and(|path| !path.starts_with(health.path()));
        if error.is_storage_fault() && !is_elsewhere {
            health.fail(&error.to_string());
        }
    }

    fn directory_name(&self) -> String {
        format!("{}-{}", self.topic, self.id.partition)
    }
}

impl State {
    fn high_watermark(&self) -> Offset {
        match &self.role {
            Role::Leader(leader) => leader.high_watermark(),
            Role::Follower(follower) => follower.high_watermark,
        }
    }

    /// Turns the rules' effects into wakes; the followers' streams are told when the high watermark moved.
    fn settle(&mut self, effects: LeaderEffects) -> Wakes {
        let mut wakes = Wakes::default();
        if let Some(high_watermark) = effects.high_watermark {
            wakes.released = self.waiters.take_reached(high_watermark);
            wakes.readers = std::mem::take(&mut self.readers);
            wakes.marks = self.followers();
        }
        if let Some(proposal) = effects.isr_proposal {
            self.proposal = Some(proposal);
            wakes.proposal = true;
        }
        wakes
    }
}
