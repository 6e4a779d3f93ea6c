//! Replicas go: their directories are renamed, many in one go, and removed later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metadata::MetadataImage;
use storage::DirectoryRemoval;
use tokio::time::{Instant, sleep_until};
use types::{TopicIdPartition, TopicName, TopicPartition};

use super::ReplicaManager;
use crate::log_manager::FoundLog;
use crate::partition::Partition;

struct Retiring {
    id: TopicIdPartition,
    name: TopicPartition,
    /// `file.delete.delay.ms`.
    delay: Duration,
    /// May still be flushed by somebody.
    ending: Option<Arc<Partition>>,
}

impl ReplicaManager {
    /// Hosts these no more, where it does; their records are gone when this returns.
    pub(super) async fn remove(self: &Arc<Self>, leaving: Vec<(TopicIdPartition, TopicName)>) {
        let mut retiring: BTreeMap<usize, Vec<Retiring>> = BTreeMap::new();
        for (id, topic) in leaving {
            self.fetchers.unfollow(id);
            let Some(hosted) = self.hosted.write().remove(&id) else {
                continue;
            };
            hosted.partition.retire();
            retiring
                .entry(hosted.partition.directory())
                .or_default()
                .push(Retiring {
                    id,
                    name: name_of(id, topic),
                    delay: hosted.partition.settings().log.file_delete_delay,
                    ending: Some(hosted.partition),
                });
        }
        self.retire_directories(retiring).await;
    }

    /// Once, with the first image that holds this broker's registration: logs of no replica of ours are removed.
    pub(super) async fn remove_strays(self: &Arc<Self>, image: &Arc<MetadataImage>) {
        if image
            .broker(self.host.local)
            .is_none_or(|broker| broker.epoch != self.host.broker_epoch())
        {
            return;
        }
        if std::mem::replace(&mut *self.sorted_out.lock(), true) {
            return;
        }
        let strays: Vec<(TopicIdPartition, FoundLog)> = self.found.lock().drain().collect();
        let mut partitions_of: BTreeMap<TopicName, Vec<i32>> = BTreeMap::new();
        let mut retiring: BTreeMap<usize, Vec<Retiring>> = BTreeMap::new();
        for (id, stray) in strays {
            partitions_of
                .entry(stray.topic.clone())
                .or_default()
                .push(id.partition.0);
            retiring.entry(stray.directory).or_default().push(Retiring {
                id,
                name: name_of(id, stray.topic),
                delay: stray.log.config().file_delete_delay,
                ending: None,
            });
        }
        for (topic, partitions) in partitions_of {
            tracing::info!(%topic, ?partitions, "removes replicas that are no longer assigned here");
        }
        self.retire_directories(retiring).await;
    }

    async fn retire_directories(self: &Arc<Self>, retiring: BTreeMap<usize, Vec<Retiring>>) {
        for (directory, retiring) in retiring {
            if let Some(left) = self.left.get(directory) {
                left.store(true, Ordering::Release);
            }
            let logs = Arc::clone(&self.logs);
            let delays: Vec<Duration> = retiring.iter().map(|retiring| retiring.delay).collect();
            let retire = move || {
                let end = |retiring: Retiring| {
                    if let Some(partition) = retiring.ending {
                        partition.end_flushes();
                    }
                    (retiring.name, retiring.id.topic_id)
                };
                logs.retire(directory, &retiring.into_iter().map(end).collect::<Vec<_>>())
            };
            let retired = self.pool_of(directory).run(retire);
            match self.unless_offline(directory, retired).await {
                Some(Ok(retired)) => {
                    let retired = delays.into_iter().zip(retired);
                    let removals =
                        retired.filter_map(|(delay, retired)| Some((delay, retired.unwrap_or_else(not_renamed)?)));
                    self.remove_later(directory, removals.collect());
                }
                Some(Err(error)) => _ = not_renamed(error),
                None => {}
            }
        }
    }

    /// Removes each after its delay, or at once where the disk is full. One after the other: nobody waits for it, and others need the
    /// disk.
    pub(crate) fn remove_later(self: &Arc<Self>, directory: usize, mut removals: Vec<(Duration, DirectoryRemoval)>) {
        let (replicas, began) = (Arc::clone(self), Instant::now());
        removals.sort_by_key(|(delay, _)| *delay);
        tokio::spawn(async move {
            for (delay, removal) in removals {
                let hurry = replicas.host().hurry.notified();
                if !replicas.logs().health(directory).is_full() {
                    tokio::select! {
                        () = sleep_until(began + delay) => {}
                        () = hurry => {}
                    }
                }
                let removed = replicas.pool_of(directory).run(move || removal.run()).await;
                if let Some(Err(error)) = removed {
                    tracing::warn!(%error, "a deleted partition's directory stays until the next start");
                }
            }
        });
    }
}

fn not_renamed(error: impl std::fmt::Display) -> Option<DirectoryRemoval> {
    tracing::warn!(%error, "a deleted partition's directory could not be renamed");
    None
}

pub(super) fn name_of(id: TopicIdPartition, topic: TopicName) -> TopicPartition {
    TopicPartition {
        topic,
        partition: id.partition,
    }
}
