//! Appending as the leader.

use std::path::PathBuf;

use bytes::Bytes;
use partition::{Acks, Admission, AdmissionRefusal, ProduceAttempt, admit};
use records::{Batch, BatchError, stamp, stamp_log_append_time};
use storage::LogError;
use thiserror::Error;
use tokio::sync::oneshot;
use types::{ErrorCode, LeaderEpoch, Offset, TimestampMs};

use super::follow::FollowSlot;
use super::wakes::Wait;
use super::writer::NotWritten;
use super::{Partition, Role, State, Waiter, Wakes};

/// What became of an appended batch.
#[derive(Debug)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset after its last record.
    pub end_offset: Offset,
    /// The append time, on topics with LogAppendTime.
    pub log_append_time: Option<TimestampMs>,
    /// First offset kept.
    pub log_start_offset: Offset,
    /// With acks=all, unless it is committed already.
    wait: Option<Wait>,
}

impl Appended {
    /// Waits until the batch is committed.
    ///
    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER when the leadership ends before.
    pub async fn committed(self) -> Result<(), ErrorCode> {
        match self.wait {
            None => Ok(()),
            Some(wait) => wait.await.unwrap_or(Err(ErrorCode::NotLeaderOrFollower)),
        }
    }
}

/// Why a batch wasn't appended.
#[derive(Debug, Error)]
pub enum AppendError {
    /// Another broker leads.
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] AdmissionRefusal),
    /// The batch is bad.
    #[error(transparent)]
    Invalid(#[from] BatchError),
    /// There is no room for it; the same may be taken later.
    #[error("the log directory {} has no room: free some, and writes go on by themselves", .0.display())]
    DiskFull(PathBuf),
    /// The disk failed.
    #[error(transparent)]
    Log(LogError),
}

/// What an append decided on before its bytes are written.
struct Decided {
    leader_epoch: LeaderEpoch,
    base_offset: Offset,
    log_append_time: Option<TimestampMs>,
    log_start_offset: Offset,
}

enum Decision {
    /// It stands in the log already.
    Duplicate(Appended),
    /// To be written.
    Write(Bytes, Decided),
}

impl Partition {
    /// Appends a producer's batch, whose header and CRC were checked: without a copy when nobody else holds its buffer, which then
    /// stays while the tail has the batch.
    ///
    /// # Errors
    /// Why it wasn't appended; nothing was written then.
    pub fn append(&self, batch: Batch, acks: Acks, leader_epoch: Option<LeaderEpoch>) -> Result<Appended, AppendError> {
        let now = self.host.clock.now();
        let _writer = self.writer_or_offline().map_err(AppendError::Log)?;
        let mut state = self.lock();
        let decision = state.decide_append(batch, acks, leader_epoch, now);
        if let Err(AppendError::Refused(AdmissionRefusal::NotEnoughReplicas { .. })) = &decision {
            state.refused_at = Some(now);
        }
        let decision = decision.map_err(|error| match error {
            // A newer leader may have taken the batches that are missing here (LEASE-1).
            AppendError::Refused(AdmissionRefusal::Sequence(_)) if self.host.lease.is_over() => AppendError::NotLeader,
            error => error,
        })?;
        let (bytes, decided) = match decision {
            Decision::Duplicate(appended) => return Ok(appended),
            Decision::Write(bytes, decided) => (bytes, decided),
        };
        let leads_still = |state: &State, decided: &Decided| matches!(&state.role, Role::Leader(leader) if leader.leader_epoch() == decided.leader_epoch);
        let outcome = self.write_batches(&[bytes], now, state, decided, leads_still, |state, decided| {
            state.on_appended(acks, &decided)
        });
        match outcome {
            Ok(Some(Some((appended, wakes, flush)))) => {
                self.run(wakes);
                if flush {
                    self.request_flush();
                }
                Ok(appended)
            }
            Ok(Some(None) | None) => Err(AppendError::NotLeader),
            Err(NotWritten::Full) => {
                self.lock().refused_at = Some(now);
                Err(AppendError::DiskFull(self.health.load().path().to_owned()))
            }
            Err(NotWritten::Failed(error)) => {
                self.report_fault(&error);
                Err(AppendError::Log(error))
            }
        }
    }
}

impl State {
    fn decide_append(
        &mut self,
        batch: Batch,
        acks: Acks,
        leader_epoch: Option<LeaderEpoch>,
        now: TimestampMs,
    ) -> Result<Decision, AppendError> {
        let Role::Leader(leader) = &self.role else {
            return Err(AppendError::NotLeader);
        };
        let attempt = ProduceAttempt {
            header: &batch.header,
            acks,
            leader_epoch,
            now,
            refused_at: self.refused_at,
        };
        let log_start_offset = self.log.log_start_offset();
        let producers = self.log.producers();
        #[cfg(feature = "bugs")]
        let (none, is_new) = (
            partition::producer_state::ProducerStates::new(),
            leader.epoch_start() == self.log.log_end_offset(),
        );
        #[cfg(feature = "bugs")]
        let producers = if is_new && bugs::is_planted(bugs::Bug::ForgetProducersAtFailover) {
            &none
        } else {
            producers
        };
        if let Admission::Duplicate {
            base_offset,
            last_offset,
            timestamp,
        } = admit(leader, producers, &attempt)?
        {
            let append_time = self.settings.log_append_time.then_some(timestamp);
            let wait = self.wait_if(acks, last_offset.next());
            return Ok(Decision::Duplicate(Appended {
                base_offset,
                end_offset: last_offset.next(),
                log_append_time: append_time,
                log_start_offset,
                wait,
            }));
        }
        let leader_epoch = leader.leader_epoch();
        let base_offset = self.log.log_end_offset();
        self.log
            .unsent_from(self.slots.iter().map(FollowSlot::next_offset).min());
        let (bytes, log_append_time) = self.stamped(batch, base_offset, leader_epoch, now)?;
        let decided = Decided {
            leader_epoch,
            base_offset,
            log_append_time,
            log_start_offset,
        };
        Ok(Decision::Write(bytes, decided))
    }

    fn on_appended(&mut self, acks: Acks, decided: &Decided) -> Option<(Appended, Wakes, bool)> {
        let log_end = self.log.log_end_offset();
        let acknowledgeable = self.acknowledgeable_end();
        let Role::Leader(leader) = &mut self.role else {
            return None;
        };
        let effects = leader.on_local_append(log_end, acknowledgeable);
        let mut wakes = self.settle(effects);
        wakes.streams = self.followers();
        wakes.marks = Vec::new();
        let wait = self.wait_if(acks, log_end);
        let flush = self.wants_flush();
        let appended = Appended {
            base_offset: decided.base_offset,
            end_offset: log_end,
            log_append_time: decided.log_append_time,
            log_start_offset: decided.log_start_offset,
            wait,
        };
        Some((appended, wakes, flush))
    }

    fn wait_if(&mut self, acks: Acks, end: Offset) -> Option<Wait> {
        (acks == Acks::All && self.high_watermark() < end).then(|| {
            let (waiter, wait) = oneshot::channel();
            self.waiters.insert(end, waiter, Waiter::is_closed);
            wait
        })
    }

    /// The batch as it will stand in every replica's log: base offset and epoch are outside the CRC.
    fn stamped(
        &self,
        batch: Batch,
        base_offset: Offset,
        epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> Result<(Bytes, Option<TimestampMs>), AppendError> {
        let mut bytes = batch.into_mut();
        let append_time = self.settings.log_append_time.then_some(now);
        if let Some(now) = append_time {
            stamp_log_append_time(&mut bytes, now)?;
        }
        stamp(&mut bytes, base_offset, epoch)?;
        Ok((bytes.freeze(), append_time))
    }
}
