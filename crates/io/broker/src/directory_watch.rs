//! Looks after the data directories: makes room in a full one and takes records again, gives up the replicas of one that
//! failed, and ends the process when it can't go on (promise DISK).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::fault::FaultSink;
use crate::replica_manager::ReplicaManager;

/// How often a full directory is looked at: room is used within seconds of its coming.
const ROUND: Duration = Duration::from_secs(1);

/// Starts; ends with the runtime.
pub(crate) fn start(replicas: &Arc<ReplicaManager>, faults: FaultSink) {
    let changed = Arc::new(Notify::new());
    for health in replicas.logs().healths() {
        // Whoever sees the change tells of it at once, from whatever thread: this one may be stuck in the same disk.
        let (changed, faults, logs) = (Arc::clone(&changed), faults.clone(), Arc::downgrade(replicas.logs()));
        health.on_change(move || {
            changed.notify_one();
            if let Some(Err(error)) = logs.upgrade().map(|logs| logs.check_usable()) {
                faults.report(error.to_string());
            }
        });
    }
    tokio::spawn(watch(Arc::clone(replicas), changed));
}

async fn watch(replicas: Arc<ReplicaManager>, changed: Arc<Notify>) {
    loop {
        replicas.count_directories();
        tokio::select! {
            () = changed.notified() => {}
            () = sleep(ROUND) => {}
        }
        replicas.logs().watch_pending(Instant::now());
        let mut resumed = false;
        for at in 0..replicas.logs().directory_count() {
            if replicas.logs().health(at).is_offline() {
                replicas.take_offline(at);
            }
            if replicas.logs().health(at).is_full() {
                let job = Arc::clone(&replicas);
                resumed |= replicas
                    .unless_offline(at, replicas.pool_of(at).run(move || job.make_room(at)))
                    .await
                    == Some(true);
            }
        }
        if resumed {
            replicas.make_missing().await;
        }
    }
}
