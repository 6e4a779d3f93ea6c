//! The task that owns one shard: it gathers one event, then applies it synchronously.
//!
//! Called by `GroupCoordinator`, which starts it when this broker begins to lead the partition. It ends by itself when
//! the log says that the leadership is over, or when the coordinator is dropped.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use coordinator::{Answer, CoordinatorRecord, Effects, GroupConfig, GroupShard, Reply, ReplyToken, Wait};
use parking_lot::Mutex;
use records::{Batch, BatchBuilder, NewRecord};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use types::{ErrorCode, Offset, TopicName};

use super::group_log::GroupLog;
use super::held_replies::HeldReplies;
use super::image_view::{ImageSource, ImageView};
use super::loader::{LoadError, load, replay};
use super::request::GroupRequest;
use super::shard_clock::ShardClock;
use super::shard_metrics::ShardMetrics;
use crate::metrics::BrokerMetrics;

/// Operations that wait for a shard. A client whose request doesn't fit waits for its place (and its deadline).
pub(super) const QUEUED_OPERATIONS: usize = 1_024;
/// Operations applied before the high watermark is looked at again.
const OPERATIONS_PER_LOOK: usize = 64;
/// Tombstones of one batch: about 100 bytes each, far below any limit of a batch.
const TOMBSTONES_PER_BATCH: usize = 4_000;
/// Pause before a log that couldn't be read is tried again.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);
/// Between two tries to forget what was committed for deleted topics.
const FORGET_PAUSE: Duration = Duration::from_secs(1);

/// How far a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its log is being replayed.
    Loading,
    /// It decides.
    Active,
    /// Its leadership is over.
    Over,
}

/// What the coordinator and the task share.
#[derive(Debug, Default)]
pub(super) struct ShardState {
    phase: AtomicU8,
    /// Topics that are gone, to be told to the shard.
    deleted: Mutex<Vec<TopicName>>,
    wake: Notify,
}

impl ShardState {
    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Loading,
            1 => Phase::Active,
            _ => Phase::Over,
        }
    }

    fn set(&self, phase: Phase) {
        let number = match phase {
            Phase::Loading => 0,
            Phase::Active => 1,
            Phase::Over => 2,
        };
        self.phase.store(number, Ordering::Release);
    }

    /// Topics are gone from the cluster. A shard that is still loading is told when it is loaded.
    pub(super) fn on_topics_deleted(&self, topics: &[TopicName]) {
        self.deleted.lock().extend_from_slice(topics);
        self.wake.notify_one();
    }
}

/// One request and where its answer goes.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) request: GroupRequest,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// A shard's limits.
#[derive(Debug, Clone)]
pub(super) struct ShardSettings {
    pub(super) group: GroupConfig,
    /// `offsets.commit.timeout.ms`: how long an answer waits for the replicas.
    pub(super) commit_timeout: Duration,
    /// The broker's.
    pub(super) metrics: Arc<BrokerMetrics>,
}

/// Owns one shard.
#[derive(Debug)]
pub(super) struct ShardTask {
    name: String,
    log: Arc<dyn GroupLog>,
    images: Arc<dyn ImageSource>,
    cluster: ImageView,
    clock: ShardClock,
    settings: ShardSettings,
    operations: mpsc::Receiver<Operation>,
    state: Arc<ShardState>,
    shard: GroupShard,
    /// Whom to answer.
    waiting: HashMap<ReplyToken, oneshot::Sender<Answer>>,
    next_token: u64,
    held: HeldReplies,
    high_watermark: Offset,
    /// When to try again to forget offsets.
    forget_at: Option<Instant>,
    metrics: ShardMetrics,
}

impl ShardTask {
    pub(super) fn new(
        name: String,
        log: Arc<dyn GroupLog>,
        images: Arc<dyn ImageSource>,
        clock: ShardClock,
        settings: ShardSettings,
        operations: mpsc::Receiver<Operation>,
        state: Arc<ShardState>,
    ) -> Self {
        Self {
            name,
            log,
            images,
            cluster: ImageView::default(),
            clock,
            metrics: ShardMetrics::new(Arc::clone(&settings.metrics)),
            shard: GroupShard::new(settings.group),
            settings,
            operations,
            state,
            waiting: HashMap::new(),
            next_token: 0,
            held: HeldReplies::default(),
            high_watermark: Offset(-1),
            forget_at: None,
        }
    }

    /// Loads, serves, and ends with the leadership.
    pub(super) async fn run(mut self) {
        if self.load().await {
            self.state.set(Phase::Active);
            while self.step().await {}
        }
        self.resign();
    }

    /// Whether the shard is loaded; if not, its leadership is over.
    async fn load(&mut self) -> bool {
        let began = Instant::now();
        loop {
            match load(&*self.log, &mut self.shard).await {
                Ok(records) => {
                    self.cluster.update(self.images.image());
                    let effects = self.shard.on_load_finished(self.clock.now(), &self.cluster);
                    self.execute(effects);
                    self.state.deleted.lock().extend(self.shard.topics_gone(&self.cluster));
                    self.forget_topics();
                    self.metrics.on_loaded(records, began.elapsed());
                    self.metrics.count(&self.shard);
                    tracing::info!(
                        shard = self.name,
                        records,
                        groups = self.shard.group_count(),
                        took_ms = began.elapsed().as_millis(),
                        "group coordinator loaded"
                    );
                    return true;
                }
                Err(LoadError::LeadershipOver) => return false,
                Err(error @ LoadError::Damaged { .. }) => {
                    tracing::error!(shard = self.name, %error, "the groups cannot be loaded, trying again");
                    self.shard = GroupShard::new(self.settings.group);
                    sleep(RELOAD_PAUSE).await;
                }
            }
        }
    }

    /// Gathers one event and applies it; false when the leadership is over.
    async fn step(&mut self) -> bool {
        self.log.arm();
        let Some(place) = self.log.place() else { return false };
        self.on_high_watermark(place.high_watermark);
        let timer = self.shard.next_deadline().map(|at| self.clock.instant(at));
        let wake_at = [timer, self.held.next_deadline(), self.forget_at]
            .into_iter()
            .flatten()
            .min();
        let log = Arc::clone(&self.log);
        let state = Arc::clone(&self.state);
        tokio::select! {
            () = log.woken() => {}
            () = state.wake.notified() => self.forget_topics(),
            () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
            operation = self.operations.recv() => {
                let Some(operation) = operation else { return false };
                self.decide(operation);
                for _ in 1..OPERATIONS_PER_LOOK {
                    let Ok(operation) = self.operations.try_recv() else { break };
                    self.decide(operation);
                }
            }
        }
        self.on_time();
        self.metrics.count(&self.shard);
        true
    }

    fn decide(&mut self, operation: Operation) {
        if operation.answer.is_closed() {
            // The client is gone or gave up; what it asked was never begun.
            return;
        }
        let token = ReplyToken(self.next_token);
        self.next_token += 1;
        if self.forget_at.is_some() {
            self.forget_topics();
        }
        self.waiting.insert(token, operation.answer);
        self.cluster.update(self.images.image());
        let effects = operation
            .request
            .decide(&mut self.shard, self.clock.now(), token, &self.cluster);
        self.execute(effects);
    }

    /// Forgets what was committed for topics that are gone. Where the log takes no records now it is done later, and before anything
    /// else is written: what is committed for a topic of the same name that comes is not to be forgotten.
    fn forget_topics(&mut self) {
        self.forget_at = None;
        let topics = std::mem::take(&mut *self.state.deleted.lock());
        if topics.is_empty() {
            return;
        }
        let effects = self.shard.on_topics_deleted(&topics);
        if let Err(error) = self.append(&effects.records) {
            tracing::debug!(shard = self.name, %error, "offsets of deleted topics stay for now");
            self.state.deleted.lock().extend(topics);
            self.forget_at = Some(Instant::now() + FORGET_PAUSE);
        }
    }

    fn on_time(&mut self) {
        if self.forget_at.is_some_and(|at| at <= Instant::now()) {
            self.forget_topics();
        }
        let now = self.clock.now();
        if self.shard.next_deadline().is_some_and(|at| at <= now) {
            self.cluster.update(self.images.image());
            let effects = self.shard.tick(now, &self.cluster);
            self.execute(effects);
        }
        let now = Instant::now();
        while let Some(late) = self.held.take_expired(now) {
            self.send(late.token, late.answer.with_error(ErrorCode::CoordinatorNotAvailable));
        }
    }

    fn on_high_watermark(&mut self, high_watermark: Offset) {
        if high_watermark <= self.high_watermark {
            return;
        }
        self.high_watermark = high_watermark;
        while let Some(reply) = self.held.take_committed(high_watermark) {
            self.send(reply.token, reply.answer);
        }
        let effects = self.shard.on_committed(self.clock.now(), high_watermark);
        self.execute(effects);
    }

    /// Appends, replays, answers: the crate's contract with the shell.
    fn execute(&mut self, effects: Effects) {
        let effects = match self.append(&effects.records) {
            Ok(()) => effects,
            Err(error) => {
                let now = self.clock.now();
                self.shard.on_append_failed(now, effects, error, &self.cluster)
            }
        };
        let needs = self.shard.last_offset().map_or(Offset::ZERO, Offset::next);
        for reply in effects.replies {
            match reply.wait {
                Wait::Committed if needs > self.high_watermark => self.hold(needs, reply),
                Wait::Committed | Wait::Now => self.send(reply.token, reply.answer),
            }
        }
    }

    fn hold(&mut self, needs: Offset, reply: Reply) {
        self.held
            .hold(needs, Instant::now() + self.settings.commit_timeout, reply);
    }

    /// Appends the records as one batch and replays them. Only tombstones may be more than fit into one.
    fn append(&mut self, records: &[CoordinatorRecord]) -> Result<(), ErrorCode> {
        let all_tombstones = records.iter().all(|record| record.value.is_none());
        let per_batch = if all_tombstones {
            TOMBSTONES_PER_BATCH
        } else {
            records.len().max(1)
        };
        for records in records.chunks(per_batch) {
            let batch = self.batch_of(records).map_err(|error| {
                tracing::error!(shard = self.name, %error, "a batch of group records cannot be built");
                ErrorCode::UnknownServerError
            })?;
            let mut offset = self.log.append(&batch)?;
            for record in records {
                replay(&mut self.shard, Some(&record.key), record.value.as_deref(), offset);
                offset = offset.next();
            }
        }
        Ok(())
    }

    fn batch_of(&self, records: &[CoordinatorRecord]) -> Result<Batch, records::BatchError> {
        let timestamp = self.clock.now();
        let mut builder = BatchBuilder::new();
        for record in records {
            let (key, value) = (Some(record.key.clone()), record.value.clone());
            builder.append(NewRecord {
                timestamp,
                key,
                value,
                headers: Vec::new(),
            });
        }
        Batch::parse(&builder.finish()?)
    }

    fn send(&mut self, token: ReplyToken, answer: Answer) {
        if let Some(waiting) = self.waiting.remove(&token) {
            // A connection that is gone needs no answer.
            let _ = waiting.send(answer);
        }
    }

    /// Answers everyone; nothing of this leadership is left (CO-3).
    fn resign(&mut self) {
        self.state.set(Phase::Over);
        self.operations.close();
        for reply in self.shard.on_unload() {
            self.send(reply.token, reply.answer);
        }
        let held: Vec<Reply> = self.held.take_all().collect();
        for reply in held {
            self.send(reply.token, reply.answer.with_error(ErrorCode::NotCoordinator));
        }
        tracing::info!(shard = self.name, "group coordinator unloaded");
    }
}
