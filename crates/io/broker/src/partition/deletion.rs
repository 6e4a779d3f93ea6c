//! What leaves the log: retention, and DeleteRecords.

use std::pin::pin;
use std::sync::atomic::Ordering;

use storage::LogError;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use types::Offset;

use super::{Partition, Role};

/// Why records weren't deleted.
#[derive(Debug, Error)]
pub enum DeleteRecordsError {
    /// Another broker leads.
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// Above the high watermark, or negative.
    #[error("offset {0} is out of range")]
    OutOfRange(Offset),
    /// Deleted here, but a replica on a broker that lives hasn't told in time that it has done so too.
    #[error("replicas begin at {0} still")]
    Pending(Offset),
    /// The disk failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Partition {
    /// Moves the log start; -1 stands for the high watermark. Returns where it was to be moved. Followers learn it with the
    /// next push; [`Partition::deleted_everywhere`] waits for them.
    ///
    /// # Errors
    /// Why nothing was deleted.
    pub fn delete_records(&self, before: Offset) -> Result<Offset, DeleteRecordsError> {
        let _writer = self.writer_or_offline()?;
        let (wakes, before) = {
            let mut state = self.lock();
            let state = &mut *state;
            let Role::Leader(leader) = &state.role else {
                return Err(DeleteRecordsError::NotLeader);
            };
            let high_watermark = leader.high_watermark();
            let before = if before == Offset(-1) { high_watermark } else { before };
            if before > high_watermark || before.0 < 0 {
                return Err(DeleteRecordsError::OutOfRange(before));
            }
            if before > state.log.log_start_offset() {
                let now = self.host.clock.now();
                let retired = state
                    .log
                    .advance_log_start(before, now)
                    .inspect_err(|error| self.report_fault(error))?;
                self.host.delete_later(retired.deletion);
            }
            let wakes = super::Wakes {
                marks: state.followers(),
                ..super::Wakes::default()
            };
            (wakes, before)
        };
        self.run(wakes);
        Ok(before)
    }

    /// Waits until every replica on a broker that lives begins at `before` or later: whoever leads next, nobody reads again what
    /// was deleted. Returns where they begin.
    ///
    /// # Errors
    /// That this broker leads no more, or [`DeleteRecordsError::Pending`] when time is up.
    pub async fn deleted_everywhere(&self, before: Offset, deadline: Instant) -> Result<Offset, DeleteRecordsError> {
        loop {
            let mut moved = pin!(self.log_starts.notified());
            moved.as_mut().enable();
            let low_watermark = self.low_watermark()?;
            if low_watermark >= before {
                return Ok(low_watermark);
            }
            if timeout_at(deadline, moved).await.is_err() {
                return Err(DeleteRecordsError::Pending(low_watermark));
            }
        }
    }

    /// Where the logs of all replicas on brokers that live begin, at the earliest: -1 where one hasn't told.
    fn low_watermark(&self) -> Result<Offset, DeleteRecordsError> {
        if self.given_up.load(Ordering::Acquire) {
            return Err(DeleteRecordsError::NotLeader);
        }
        let image = self.host.image.load();
        let state = self.lock();
        let Role::Leader(_) = &state.role else {
            return Err(DeleteRecordsError::NotLeader);
        };
        let own = state.log.log_start_offset();
        let Some(registration) = image.partition(self.id) else {
            return Err(DeleteRecordsError::NotLeader);
        };
        let lives = |id| image.broker(id).is_some_and(|broker| !broker.fenced);
        let others = registration.replicas.iter().copied();
        let others = others.filter(|id| *id != self.host.local && lives(*id));
        let of_others = others.map(|id| state.log_start_of(id).unwrap_or(Offset(-1)));
        Ok(of_others.fold(own, Offset::min))
    }

    /// Forgets producers that have written nothing for `expiration_ms` (`producer.id.expiration.ms`).
    pub fn expire_producers(&self, expiration_ms: i64) {
        let now = self.host.clock.now();
        let mut state = self.lock();
        if !state.retired {
            state.log.producers_mut().expire(now, expiration_ms);
        }
    }

    /// Removes segments that retention no longer keeps; their files go later, outside the lock.
    ///
    /// # Errors
    /// The disk's.
    pub fn apply_retention(&self) -> Result<(), LogError> {
        let now = self.host.clock.now();
        let _writer = self.writer_or_offline()?;
        let wakes = {
            let mut state = self.lock();
            let state = &mut *state;
            if state.retired {
                // By name these files may be those of a new topic already.
                return Ok(());
            }
            let high_watermark = state.high_watermark();
            let before = state.log.log_start_offset();
            let retired = state
                .log
                .delete_retired_segments(now, high_watermark)
                .inspect_err(|error| self.report_fault(error))?;
            let moved = state.log.log_start_offset() > before;
            let marks = if moved { state.followers() } else { Vec::new() };
            if moved
                && let Role::Follower(follower) = &state.role
                && let (Some(acks), Some(follow_id)) = (&state.acks, follower.follow)
            {
                // The leader may be asked to delete as much: no push would move this log then, and none be acknowledged.
                acks.mark(follow_id);
            }
            self.host.delete_later(retired.deletion);
            super::Wakes {
                marks,
                ..super::Wakes::default()
            }
        };
        self.run(wakes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use metadata::PartitionRegistration;
    use partition::Acks;
    use records::{Batch, BatchBuilder, NewRecord};
    use types::{BrokerId, FollowId, LeaderEpoch, PartitionEpoch, PartitionIndex, TimestampMs};

    use super::*;
    use crate::apis::fixture::LoneBroker;
    use crate::replication::{AckQueue, FollowTurn};

    /// A partition that this broker leads, with one record, ten seconds old.
    fn led(lone: &LoneBroker) -> Arc<Partition> {
        let replicas = &lone.context().replicas;
        let partition = replicas.partition_by_name("a", PartitionIndex(0)).unwrap();
        let mut batch = BatchBuilder::new();
        let written = TimestampMs(lone.context().host.clock.now().0 - 10_000);
        batch.append(NewRecord::new(written, "k", "v"));
        let batch = Batch::parse(&batch.finish().unwrap()).unwrap();
        partition.append(batch, Acks::All, None).unwrap();
        partition
    }

    #[tokio::test]
    async fn a_follower_tells_its_leader_what_its_own_retention_took() {
        let lone = LoneBroker::with_topics(&["a"]).await;
        let partition = led(&lone);
        let image = lone.context().host.image.load();
        let leader_epoch = LeaderEpoch(7);
        partition.apply_registration(&PartitionRegistration {
            leader: Some(BrokerId(2)),
            leader_epoch,
            partition_epoch: PartitionEpoch(7),
            ..(**image.partition(partition.id()).unwrap()).clone()
        });
        let acks = Arc::new(AckQueue::default());
        let turn = FollowTurn {
            partition: Arc::clone(&partition),
            leader_epoch,
            number: 1,
        };
        partition.begin_turn(&turn);
        assert!(partition.begin_follow(&turn, FollowId(10), &acks).is_some());
        partition.apply_retention().unwrap();
        assert!(acks.drain().is_empty(), "nothing was deleted");

        let mut settings = (*partition.settings()).clone();
        settings.log.retention_ms = Some(1_000);
        partition.apply_settings(settings);
        partition.apply_retention().unwrap();
        assert_eq!(partition.status().log_start_offset, Offset(1));
        assert_eq!(acks.drain().into_iter().collect::<Vec<_>>(), [FollowId(10)]);
    }

    #[tokio::test]
    async fn who_waits_for_the_followers_of_a_partition_that_goes_is_told() {
        let ends: [fn(&Partition); 2] = [Partition::retire, Partition::give_up];
        for end in ends {
            let lone = LoneBroker::with_topics(&["a"]).await;
            let partition = led(&lone);
            let never = Instant::now() + Duration::from_secs(u64::from(u32::MAX));
            let waits = partition.deleted_everywhere(Offset(1), never);
            let (told, ()) = tokio::join!(waits, async { end(&partition) });
            assert!(matches!(told, Err(DeleteRecordsError::NotLeader)), "{told:?}");
        }
    }
}
