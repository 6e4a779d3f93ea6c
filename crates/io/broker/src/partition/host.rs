//! What partitions need of the broker that hosts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use metadata::MetadataImage;
use storage::{DeletionTask, TailBudget};
use tokio::sync::{Notify, mpsc};
use types::{BrokerEpoch, BrokerId, TopicIdPartition};

use crate::clock::Clock;
use crate::metadata::SessionLease;
use crate::metrics::BrokerMetrics;
use crate::peers::Peers;

/// Shared by all partitions of a broker.
#[derive(Debug)]
pub struct PartitionHost {
    /// This broker.
    pub local: BrokerId,
    /// Its incarnation; [`BrokerEpoch::NONE`] before registration.
    pub broker_epoch: AtomicI64,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The metadata as applied here.
    pub image: ArcSwap<MetadataImage>,
    /// What was noticed of other brokers.
    pub peers: Peers,
    /// `replica.lag.time.max.ms`.
    pub lag_time_max_ms: i64,
    /// Partitions whose ISR proposal waits to be sent.
    pub proposals: mpsc::Sender<TopicIdPartition>,
    /// Some found that queue full: the reporter looks for them.
    pub proposals_overflowed: AtomicBool,
    /// Partitions whose log wants a sync now.
    pub flushes: mpsc::Sender<TopicIdPartition>,
    /// Files to be removed once their delay is over.
    pub deletions: mpsc::Sender<DeletionTask>,
    /// Files that wait for their delay are removed at once: a directory needs the room.
    pub hurry: Notify,
    /// Until when this broker may believe that it leads.
    pub lease: SessionLease,
    /// Just appended batches that all logs together keep in memory.
    pub tails: TailBudget,
    /// Threads that stand in the write of an append.
    pub writing: AtomicUsize,
    /// Counters.
    pub metrics: Arc<BrokerMetrics>,
}

impl PartitionHost {
    /// Hands over files to be removed. With a full queue they wait for the next start, which removes leftovers.
    pub(crate) fn delete_later(&self, deletion: Option<DeletionTask>) {
        if let Some(deletion) = deletion {
            let _ = self.deletions.try_send(deletion);
        }
    }

    /// The incarnation under which this broker acts.
    #[must_use]
    pub fn broker_epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.broker_epoch.load(Ordering::Acquire))
    }

    /// The incarnation of a broker that may join a partition's ISR (KIP-841): registered, unfenced, not shutting down, and
    /// the log directory of its replica in use.
    #[must_use]
    pub fn eligible(&self, partition: TopicIdPartition, broker: BrokerId) -> Option<BrokerEpoch> {
        let image = self.image.load();
        image
            .broker(broker)
            .filter(|registration| registration.is_active() && !image.is_replica_offline(partition, broker))
            .map(|registration| registration.epoch)
    }
}
