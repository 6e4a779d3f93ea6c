//! Compaction: one task a directory goes through the logs of compacted topics, and rewrites those that are due.
//!
//! CLEANER-1: a log that can't be compacted (damage, a transaction) is left alone, counted and told of; the others go on.
//! CLEANER-2: a pass waits for nobody's requests and keeps nobody waiting: it works outside the partition's lock, at the rate of
//! `log.cleaner.io.max.bytes.per.second`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use config::{BrokerDefaults, ServerConfig};
use storage::{Cleaning, CleaningStep, LogError};
use tokio::time::{Instant, sleep};
use types::Offset;

use crate::partition::Partition;
use crate::replica_manager::ReplicaManager;
use crate::replication::Throttle;

/// Read by one call to the disk's threads.
const STEP_BYTES: u64 = 4 << 20;

/// Logs that are to stay small are looked at so often.
const EARLY_BACKOFF: Duration = Duration::from_secs(1);

/// Kafka's least for `log.cleaner.dedupe.buffer.size`.
const KEY_BYTES_MIN: u64 = 1 << 20;

const BACKOFF_MS: &str = "log.cleaner.backoff.ms";
const KEY_BYTES: &str = "log.cleaner.dedupe.buffer.size";

/// What the broker's configuration says of compaction; changes while it runs.
#[derive(Debug)]
pub(crate) struct CleanerSettings {
    backoff_ms: AtomicU64,
    /// Memory for keys.
    key_bytes: AtomicU64,
    throttle: Throttle,
}

impl Default for CleanerSettings {
    fn default() -> Self {
        Self {
            backoff_ms: AtomicU64::new(0),
            key_bytes: AtomicU64::new(0),
            throttle: Throttle::new("log.cleaner.io.max.bytes.per.second"),
        }
    }
}

impl CleanerSettings {
    pub(crate) fn configure(&self, configs: &BrokerDefaults) {
        let read = |key| configs.number(key).and_then(|value| u64::try_from(value).ok());
        self.backoff_ms.store(read(BACKOFF_MS).unwrap_or(0), Ordering::Relaxed);
        self.key_bytes.store(read(KEY_BYTES).unwrap_or(0), Ordering::Relaxed);
        self.throttle.configure(configs);
    }

    fn backoff(&self) -> Duration {
        // A backoff of nothing isn't meant to take a core.
        Duration::from_millis(self.backoff_ms.load(Ordering::Relaxed).max(10))
    }

    fn key_bytes(&self) -> usize {
        let bytes = self.key_bytes.load(Ordering::Relaxed).max(KEY_BYTES_MIN);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

/// Starts a task for each directory; they end with the runtime.
pub(crate) fn start(replicas: &Arc<ReplicaManager>, config: &ServerConfig) {
    if !config.log.cleaner_enable {
        return;
    }
    for directory in 0..replicas.logs().directory_count() {
        let replicas = Arc::clone(replicas);
        tokio::spawn(async move {
            let mut round = Instant::now();
            loop {
                let backoff = replicas.cleaner.backoff();
                sleep(backoff.min(EARLY_BACKOFF)).await;
                let all = round.elapsed() >= backoff;
                replicas.clean(directory, all).await;
                if all {
                    round = Instant::now();
                }
            }
        });
    }
}

/// How a pass went on.
enum Passed {
    /// It is over.
    Over,
    /// So many bytes were read and written.
    Worked(u64),
}

impl ReplicaManager {
    /// A round: a pass over each log of the directory for which one is due; over those that are to stay small, unless `all`.
    async fn clean(self: &Arc<Self>, directory: usize, all: bool) {
        let candidates: Vec<Arc<Partition>> = self
            .partitions_in(directory)
            .into_iter()
            .filter(|partition| (all || partition.is_kept_small()) && self.may_clean(partition))
            .collect();
        if candidates.is_empty() || self.logs().health(directory).is_full() {
            return;
        }
        let replicas = Arc::clone(self);
        let due = self
            .pool_of(directory)
            .run(move || replicas.due(directory, candidates))
            .await;
        for (partition, checkpointed) in due.unwrap_or_default() {
            if self.logs().health(directory).is_full() {
                return;
            }
            self.clean_log(directory, &partition, checkpointed).await;
        }
    }

    fn may_clean(&self, partition: &Partition) -> bool {
        let is_here = || {
            let hosted = self.partition(partition.id());
            hosted.is_some_and(|hosted| std::ptr::eq(Arc::as_ptr(&hosted), partition))
        };
        partition.is_cleanable() && is_here() && !self.is_moving(partition.id())
    }

    /// The logs for which a pass is due, each with a recovery point that is written down by now. Blocks on the disk.
    fn due(&self, directory: usize, candidates: Vec<Arc<Partition>>) -> Vec<(Arc<Partition>, Offset)> {
        let mut due = Vec::new();
        for partition in candidates {
            if let Err(error) = partition.roll_for_cleaning() {
                tracing::warn!(partition = %partition.id(), %error, "a segment wasn't closed for compaction");
                continue;
            }
            let synced = partition.recovery_point();
            match partition.plan_cleaning(synced, 0) {
                Ok(Some(_)) => due.push((partition, synced)),
                Ok(None) => {}
                Err(error) => partition.on_cleaning_failed(&error),
            }
        }
        if !due.is_empty()
            && let Err(error) = self.write_checkpoints(directory)
        {
            tracing::warn!(%error, "no compaction without checkpoints");
            due.clear();
        }
        due
    }

    async fn clean_log(self: &Arc<Self>, directory: usize, partition: &Arc<Partition>, checkpointed: Offset) {
        let key_bytes = self.cleaner.key_bytes() / self.logs().directory_count().max(1);
        let planned = Arc::clone(partition);
        let plan = move || planned.plan_cleaning(checkpointed, key_bytes);
        let Some(Ok(Some(mut cleaning))) = self.pool_of(directory).run(plan).await else {
            return;
        };
        loop {
            let worker = Arc::clone(partition);
            let work = move || {
                let passed = worker.clean_on(&mut cleaning);
                (cleaning, passed)
            };
            let Some((back, passed)) = self.pool_of(directory).run(work).await else {
                return;
            };
            cleaning = back;
            match passed {
                Ok(Passed::Worked(bytes)) => {
                    let throttle = &self.cleaner.throttle;
                    throttle.take(usize::try_from(bytes).unwrap_or(usize::MAX));
                    while let Some(wait) = throttle.wait() {
                        sleep(wait).await;
                    }
                    // The topic's policy has changed, or a move begins that would have to begin anew.
                    if self.may_clean(partition) {
                        continue;
                    }
                }
                Ok(Passed::Over) => {}
                // A truncation came between: what was read is no log any more.
                Err(_) if !partition.is_cleaned_by(&cleaning) => {}
                Err(error) => partition.on_cleaning_failed(&error),
            }
            // Nobody waits for it.
            let _ = self.pool_of(directory).run(move || cleaning.abandon()).await;
            return;
        }
    }
}

impl Partition {
    /// A step of a pass, and what follows from it. Blocks on the disk.
    fn clean_on(&self, cleaning: &mut Cleaning) -> Result<Passed, LogError> {
        let metrics = self.metrics();
        match cleaning.step(STEP_BYTES)? {
            CleaningStep::More(bytes) => Ok(Passed::Worked(bytes)),
            CleaningStep::Overtaken => Ok(Passed::Over),
            CleaningStep::Group(group) => {
                let (before, after) = group.size_bytes();
                match self.install_cleaned(&group) {
                    Ok(true) => {
                        metrics.cleaner_read_bytes.inc_by(before);
                        metrics.cleaner_written_bytes.inc_by(after);
                        tracing::debug!(partition = %self.id(), before, after, "compacted");
                        Ok(Passed::Worked(0))
                    }
                    Ok(false) => {
                        group.abandon();
                        Ok(Passed::Over)
                    }
                    Err(error) => {
                        group.abandon();
                        Err(error)
                    }
                }
            }
            CleaningStep::Done(end) => {
                self.wants_room_to_clean(false);
                self.on_cleaned(cleaning, end);
                // Before that it isn't written down (CLEAN-6 of `storage`).
                self.flush()?;
                tracing::debug!(partition = %self.id(), %end, "compaction has reached the end");
                Ok(Passed::Over)
            }
        }
    }

    fn on_cleaning_failed(&self, error: &LogError) {
        if error.is_full() {
            if !self.wants_room_to_clean(true) {
                tracing::warn!(partition = %self.id(), %error, "no room to compact; it is tried again until there is");
            }
        } else if matches!(error, LogError::Storage { .. } | LogError::Poisoned { .. }) {
            tracing::warn!(partition = %self.id(), %error, "the disk failed in a compaction");
        } else {
            tracing::error!(topic = %self.topic(), partition = %self.id().partition, %error,
                "this log can't be compacted and will grow until its configuration changes or the broker starts anew");
            self.mark_uncleanable();
        }
    }
}
