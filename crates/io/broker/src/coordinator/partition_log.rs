//! The real log of a shard: a partition led by this broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use partition::{Acks, AdmissionRefusal};
use records::Batch;
use types::{ErrorCode, LeaderEpoch, Offset};

use super::group_log::{GroupLog, LogPlace, ReadChunk};
use crate::blocking::BlockingPool;
use crate::partition::{AppendError, Partition, ReadWaiter};

/// Bytes read at a time while a shard loads: large enough for the disk, small beside the memory of a shard.
const LOAD_CHUNK_BYTES: usize = 4 << 20;

/// A partition in one leader epoch.
#[derive(Debug)]
pub(super) struct PartitionLog {
    partition: Arc<Partition>,
    leader_epoch: LeaderEpoch,
    pool: BlockingPool,
    waiter: ReadWaiter,
    /// The waiter stands in the partition's list, or was woken and not looked at yet.
    armed: AtomicBool,
}

impl PartitionLog {
    pub(super) fn new(partition: Arc<Partition>, leader_epoch: LeaderEpoch, pool: BlockingPool) -> Self {
        Self {
            partition,
            leader_epoch,
            pool,
            waiter: ReadWaiter::default(),
            armed: AtomicBool::new(false),
        }
    }
}

impl GroupLog for PartitionLog {
    fn place(&self) -> Option<LogPlace> {
        let status = self.partition.status();
        (status.is_leader && status.leader_epoch == self.leader_epoch).then_some(LogPlace {
            high_watermark: status.high_watermark,
            log_end_offset: status.log_end_offset,
            log_start_offset: status.log_start_offset,
        })
    }

    fn append(&self, batch: &Batch) -> Result<Offset, ErrorCode> {
        self.partition
            .append(batch.clone(), Acks::All, Some(self.leader_epoch))
            .map(|appended| appended.base_offset)
            .map_err(|error| {
                tracing::debug!(topic = %self.partition.topic(), %error, "a group's records were not appended");
                code_of(&error)
            })
    }

    fn read(&self, from: Offset) -> BoxFuture<'_, Result<ReadChunk, String>> {
        let partition = Arc::clone(&self.partition);
        async move {
            let read = self
                .pool
                .run(move || partition.read_committed(from, LOAD_CHUNK_BYTES))
                .await;
            let (records, next, _) = read
                .ok_or("the read did not finish")?
                .map_err(|error| error.to_string())?;
            Ok(ReadChunk { records, next })
        }
        .boxed()
    }

    fn arm(&self) {
        if !self.armed.swap(true, Ordering::AcqRel) {
            self.partition.wake_on_change(&self.waiter);
        }
    }

    fn woken(&self) -> BoxFuture<'_, ()> {
        async move {
            self.waiter.woken().await;
            self.armed.store(false, Ordering::Release);
        }
        .boxed()
    }
}

fn code_of(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::NotLeader
        | AppendError::Refused(
            AdmissionRefusal::FencedEpoch(_) | AdmissionRefusal::UnknownEpoch(_) | AdmissionRefusal::MayOvertake(_),
        ) => ErrorCode::NotLeaderOrFollower,
        AppendError::Refused(AdmissionRefusal::NotEnoughReplicas { .. }) => ErrorCode::NotEnoughReplicas,
        AppendError::Refused(AdmissionRefusal::Sequence(_)) | AppendError::Invalid(_) => ErrorCode::UnknownServerError,
        AppendError::DiskFull(_) | AppendError::Log(_) => ErrorCode::KafkaStorageError,
    }
}
