//! Publishes a new image to everything on this broker that follows it, in a fixed order: cache, deletions, leaders and
//! followers, coordinators, configurations. The offset counts as applied when all of it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metadata::control::is_waiting_for_reports;
use metadata::proto::{MetadataRecord, ReplicaLogEnd};
use metadata::{ImageDelta, MetadataImage, ReplayError};
use thiserror::Error;
use tokio::sync::watch;
use types::MetadataOffset;

use crate::partition::PartitionHost;
use crate::replica_manager::ReplicaManager;

/// Partitions reported in one heartbeat; the others follow when these have leaders.
const REPORTS_MAX: usize = 1_000;

/// Told of every new image after the replicas were.
pub trait ImageListener: std::fmt::Debug + Send + Sync + 'static {
    /// The image changed.
    fn on_image(&self, image: &Arc<MetadataImage>, delta: &ImageDelta);
}

/// A batch that doesn't fit the image.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The feed has a gap.
    #[error("the batch starts at {batch}, the image is at {image}")]
    Gap {
        /// Where the batch starts.
        batch: MetadataOffset,
        /// Where the image is.
        image: MetadataOffset,
    },
    /// A record doesn't replay.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// This broker's image and who follows it.
#[derive(Debug)]
pub struct MetadataPublisher {
    host: Arc<PartitionHost>,
    replicas: Arc<ReplicaManager>,
    listeners: Vec<Arc<dyn ImageListener>>,
    applied: watch::Sender<MetadataOffset>,
    /// The image has held this incarnation's registration (PUB-1).
    live: AtomicBool,
}

impl MetadataPublisher {
    /// Publishes to the replicas, then to `listeners` in their order.
    #[must_use]
    pub fn new(replicas: Arc<ReplicaManager>, listeners: Vec<Arc<dyn ImageListener>>) -> Self {
        let host = Arc::clone(replicas.host());
        Self {
            host,
            replicas,
            listeners,
            applied: watch::Sender::new(MetadataOffset(0)),
            live: AtomicBool::new(false),
        }
    }

    /// What partitions share.
    #[must_use]
    pub fn host(&self) -> &Arc<PartitionHost> {
        &self.host
    }

    /// The replicas that it publishes to.
    #[must_use]
    pub fn replicas(&self) -> &Arc<ReplicaManager> {
        &self.replicas
    }

    /// The offset that is applied here.
    #[must_use]
    pub fn applied(&self) -> MetadataOffset {
        *self.applied.borrow()
    }

    /// The offset that is applied here, from now on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<MetadataOffset> {
        self.applied.subscribe()
    }

    /// Waits until the image here, with everything that follows from it, shows this incarnation unfenced.
    pub async fn unfenced(&self) {
        let mut applied = self.applied.subscribe();
        let is_unfenced = |_: &MetadataOffset| {
            let (image, host) = (self.host.image.load(), &self.host);
            image
                .broker(host.local)
                .is_some_and(|broker| !broker.fenced && broker.epoch == host.broker_epoch())
        };
        // The sender is this publisher's own: it can't be gone.
        let _ = applied.wait_for(is_unfenced).await;
    }

    /// Applies a batch. One that is applied already changes nothing.
    ///
    /// # Errors
    /// When it doesn't fit; nothing was applied then.
    pub async fn publish(&self, base: MetadataOffset, records: &[MetadataRecord]) -> Result<(), PublishError> {
        let older = self.host.image.load_full();
        if base != older.offset() {
            let end = base.0.saturating_add(i64::try_from(records.len()).unwrap_or(i64::MAX));
            if end <= older.offset().0 {
                return Ok(());
            }
            return Err(PublishError::Gap {
                batch: base,
                image: older.offset(),
            });
        }
        let mut newer = (*older).clone();
        for record in records {
            newer.replay(record)?;
        }
        let delta = ImageDelta::of(&older, &newer, records);
        self.apply(Arc::new(newer), &delta).await;
        Ok(())
    }

    /// Replaces the image.
    pub async fn publish_snapshot(&self, newer: MetadataImage) {
        let older = self.host.image.load_full();
        if newer.offset() <= older.offset() {
            return;
        }
        let delta = ImageDelta::between(&older, &newer);
        self.apply(Arc::new(newer), &delta).await;
    }

    async fn act_on(&self, image: &Arc<MetadataImage>, delta: &ImageDelta) {
        self.replicas.apply(image, delta).await;
        for listener in &self.listeners {
            listener.on_image(image, delta);
        }
    }

    /// How far the logs here go of partitions that nobody clean is left of: once every member of the last known ISR has
    /// told, the controller lets the farthest lead. Nearly always empty.
    #[must_use]
    pub fn log_end_reports(&self) -> Vec<ReplicaLogEnd> {
        let image = self.host.image.load();
        let waiting = image.leaderless_partitions().filter(|id| {
            image.partition(*id).is_some_and(|partition| {
                is_waiting_for_reports(partition) && partition.last_known_elr.contains(&self.host.local)
            })
        });
        let ends = waiting.take(REPORTS_MAX).filter_map(|id| {
            let (last_epoch, log_end) = self.replicas.partition(id)?.log_end();
            Some(ReplicaLogEnd {
                partition: Some(id.into()),
                last_epoch: last_epoch.0,
                log_end_offset: log_end.0,
            })
        });
        ends.collect()
    }

    async fn apply(&self, image: Arc<MetadataImage>, delta: &ImageDelta) {
        let older = self.host.image.swap(Arc::clone(&image));
        self.host.peers.on_image(&older, &image);
        if self.live.load(Ordering::Acquire) {
            self.act_on(&image, delta).await;
        } else if image
            .broker(self.host.local)
            .is_some_and(|broker| broker.epoch == self.host.broker_epoch())
        {
            self.live.store(true, Ordering::Release);
            self.act_on(&image, &ImageDelta::between(&MetadataImage::new(), &image))
                .await;
        }
        let metrics = &self.host.metrics;
        metrics.metadata_offset.set(image.offset().0);
        metrics
            .offline_partitions
            .set(i64::try_from(image.leaderless_partitions().count()).unwrap_or(i64::MAX));
        let fenced = image.broker(self.host.local).is_none_or(|broker| broker.fenced);
        metrics.fenced.set(i64::from(fenced));
        self.applied.send_replace(image.offset());
    }
}
