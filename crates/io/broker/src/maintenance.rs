//! A broker's background work: syncs, checkpoints, retention, expiry, ticks. All of it blocks on the disk, none of it on a
//! request's way; each kind has one task, so that it never runs twice at a time.

use std::sync::Arc;
use std::time::Duration;

use config::ServerConfig;
use storage::{DeletionTask, LogConfig};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use types::TopicIdPartition;

use crate::replica_manager::ReplicaManager;

/// How often leaders look for lagging members, by the time that these have, and at least and most.
const LAG_LOOKS: u32 = 10;
const LAG_LOOK_MIN: Duration = Duration::from_millis(100);
const LAG_LOOK_MAX: Duration = Duration::from_secs(3);
/// The background sync's round: what isn't synced after a power cut of all replicas is at most this old. What was appended before
/// the last round is no longer kept in memory.
const SYNC_ROUND: Duration = Duration::from_secs(5);
/// Partitions of one directory that may wait for a sync.
const FLUSHES_DEPTH: usize = 16_384;

/// What partitions hand over to the background.
#[derive(Debug)]
pub(crate) struct BackgroundQueues {
    pub(crate) flushes: mpsc::Receiver<TopicIdPartition>,
    pub(crate) deletions: mpsc::Receiver<DeletionTask>,
}

/// Starts the tasks; they end with the runtime.
pub(crate) fn start(replicas: &Arc<ReplicaManager>, config: &ServerConfig, queues: BackgroundQueues) {
    tokio::spawn(flush_on_demand(Arc::clone(replicas), queues.flushes));
    tokio::spawn(delete_files(Arc::clone(replicas), queues.deletions));
    let log = config.log;
    // Replicas that may join are proposed when they may: with many partitions each look is work.
    let look = config.replication.replica_lag_time_max / LAG_LOOKS;
    every(look.clamp(LAG_LOOK_MIN, LAG_LOOK_MAX), replicas, |replicas| {
        for partition in replicas.partitions() {
            partition.tick();
        }
    });
    // Each directory by itself: one that hangs doesn't keep the others from their work.
    for at in 0..replicas.logs().directory_count() {
        // Not at once: a node that starts has more urgent things to do with its disk.
        let delay = LogConfig::default().file_delete_delay;
        let leftovers = replicas.logs().take_leftovers(at).into_iter();
        replicas.remove_later(at, leftovers.map(|removal| (delay, removal)).collect());
        blocking_every(at, SYNC_ROUND, replicas, move |replicas| {
            for partition in replicas.partitions_in(at) {
                if partition.has_unsynced() {
                    // A failure has taken the directory offline; without room the next round tries again.
                    let _ = partition.flush();
                }
                partition.release_old();
            }
        });
        blocking_every(at, log.high_watermark_checkpoint_interval, replicas, move |replicas| {
            // As above.
            let _ = replicas.write_checkpoints(at);
        });
        blocking_every(
            at,
            log.producer_id_expiration_check_interval,
            replicas,
            move |replicas| {
                let expiration_ms = replicas.producer_id_expiration_ms();
                for partition in replicas.partitions_in(at) {
                    partition.expire_producers(expiration_ms);
                }
            },
        );
        blocking_every(at, log.retention_check_interval, replicas, move |replicas| {
            for partition in replicas.partitions_in(at) {
                if let Err(error) = partition.apply_retention() {
                    tracing::warn!(partition = %partition.id(), %error, "retention failed");
                }
            }
        });
    }
}

fn every(period: Duration, replicas: &Arc<ReplicaManager>, work: fn(&ReplicaManager)) {
    let replicas = Arc::clone(replicas);
    tokio::spawn(async move {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            work(&replicas);
        }
    });
}

fn blocking_every(
    directory: usize,
    period: Duration,
    replicas: &Arc<ReplicaManager>,
    work: impl Fn(&ReplicaManager) + Clone + Send + 'static,
) {
    let replicas = Arc::clone(replicas);
    tokio::spawn(async move {
        loop {
            sleep(period).await;
            let (job, work) = (Arc::clone(&replicas), work.clone());
            replicas.pool_of(directory).run(move || work(&job)).await;
        }
    });
}

/// Hands partitions that want a sync to their directory's task.
async fn flush_on_demand(replicas: Arc<ReplicaManager>, mut flushes: mpsc::Receiver<TopicIdPartition>) {
    let tasks: Vec<_> = (0..replicas.logs().directory_count())
        .map(|directory| {
            let (tx, rx) = mpsc::channel(FLUSHES_DEPTH);
            tokio::spawn(flush_directory(Arc::clone(&replicas), directory, rx));
            tx
        })
        .collect();
    while let Some(id) = flushes.recv().await {
        let directory = replicas.partition(id).map(|partition| partition.directory());
        if let Some(task) = directory.and_then(|directory| tasks.get(directory)) {
            // A full queue means that a sync is under way for others; the background's round takes this one along.
            let _ = task.try_send(id);
        }
    }
}

/// Synced acknowledgements are group-committed: while one sync runs, everything appended meanwhile waits for the next.
async fn flush_directory(
    replicas: Arc<ReplicaManager>,
    directory: usize,
    mut flushes: mpsc::Receiver<TopicIdPartition>,
) {
    let mut due = Vec::new();
    loop {
        due.clear();
        if flushes.recv_many(&mut due, 1024).await == 0 {
            return;
        }
        due.sort_unstable();
        due.dedup();
        let pool = replicas.pool_of(directory);
        let jobs: Vec<_> = due
            .iter()
            .filter_map(|id| replicas.partition(*id))
            .map(|partition| pool.run(move || partition.flush().map(|_| ())))
            .collect();
        futures::future::join_all(jobs).await;
    }
}

async fn delete_files(replicas: Arc<ReplicaManager>, mut deletions: mpsc::Receiver<DeletionTask>) {
    while let Some(deletion) = deletions.recv().await {
        let replicas = Arc::clone(&replicas);
        tokio::spawn(async move {
            let hurry = replicas.host().hurry.notified();
            if !replicas.logs().healths().any(|health| health.is_full()) {
                tokio::select! {
                    () = sleep(deletion.delay()) => {}
                    () = hurry => {}
                }
            }
            if let Some(Err(error)) = replicas.pool().run(move || deletion.run()).await {
                tracing::warn!(%error, "removed files stay until the next start");
            }
        });
    }
}
