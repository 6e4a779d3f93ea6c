//! The follower's side of one partition's replication.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use partition::{FollowRequest, PushRefusal, truncation_target};
use records::{BatchError, Tail, batches};
use rpc::proto::Push;
use storage::{DeletionTask, LogError};
use thiserror::Error;
use types::{EpochEnd, FollowId, LeaderEpoch, Offset, TimestampMs};

use super::writer::NotWritten;
use super::{LogEpochs, Partition, Role, State, Wakes};
use crate::replication::{AckQueue, FollowTurn};

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushOutcome {
    /// Up to where this replica acknowledges.
    pub acknowledgeable_end: Offset,
    /// Up to where it has written.
    pub log_end: Offset,
    /// Where its log begins.
    pub log_start: Offset,
}

struct Taken {
    outcome: PushOutcome,
    wakes: Wakes,
    flush: bool,
    deletion: Option<DeletionTask>,
}

/// Why a push wasn't written.
#[derive(Debug, Error)]
pub enum PushError {
    /// Of another follow, or not at the log end.
    #[error(transparent)]
    Refused(#[from] PushRefusal),
    /// This replica doesn't follow any more.
    #[error("this replica does not follow")]
    NotFollower,
    /// A damaged batch arrived: follow anew, nothing was written.
    #[error("a pushed batch is invalid: {0}")]
    Invalid(#[from] BatchError),
    /// A batch of a later epoch than the leader's, or out of order.
    #[error("a pushed batch at {at} has epoch {epoch}, the leader is at {leader_epoch}")]
    Epoch {
        /// Its offset.
        at: Offset,
        /// Its epoch.
        epoch: LeaderEpoch,
        /// The leader's.
        leader_epoch: LeaderEpoch,
    },
    /// There is no room: follow anew when there is.
    #[error("the log directory is full")]
    DiskFull,
    /// The disk failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<NotWritten> for PushError {
    fn from(error: NotWritten) -> Self {
        match error {
            NotWritten::Full => Self::DiskFull,
            NotWritten::Failed(error) => Self::Log(error),
        }
    }
}

impl Partition {
    /// From now on the replica is followed in this turn, or a later one (REPL-4).
    pub(crate) fn begin_turn(&self, turn: &FollowTurn) {
        self.turn.fetch_max(turn.number, Ordering::AcqRel);
    }

    /// Starts a follow of the turn's leadership; its pushes count from now on. `None` when this replica doesn't follow that leadership
    /// any more, or has another turn.
    pub(crate) fn begin_follow(
        &self,
        turn: &FollowTurn,
        follow_id: FollowId,
        acks: &Arc<AckQueue>,
    ) -> Option<FollowRequest> {
        let mut state = self.lock();
        let state = &mut *state;
        if state.retired || turn.number < self.turn.load(Ordering::Acquire) {
            return None;
        }
        let acknowledgeable_end = state.acknowledgeable_end();
        let Role::Follower(follower) = &mut state.role else {
            return None;
        };
        if follower.leader_epoch != turn.leader_epoch || follower.leader.is_none() {
            return None;
        }
        follower.follow = Some(follow_id);
        state.acks = Some(Arc::clone(acks));
        Some(FollowRequest {
            replica: self.host.local,
            broker_epoch: self.host.broker_epoch(),
            follow_id,
            leader_epoch: turn.leader_epoch,
            offset: state.log.log_end_offset(),
            acknowledgeable_end,
            last_epoch: state.log.latest_epoch().unwrap_or(LeaderEpoch::NONE),
        })
    }

    /// Writes pushed batches as they are, after checking CRC, order and epochs.
    ///
    /// # Errors
    /// Why nothing was written.
    pub(crate) fn on_push(&self, follow_id: FollowId, push: &Push) -> Result<PushOutcome, PushError> {
        tracing::trace!(id = %self.id, follow = push.follow_id, base = push.base_offset, bytes = push.records.len(),
            high_watermark = push.high_watermark, "push");
        let now = self.host.clock.now();
        let written = self.write_push(follow_id, push, now);
        match written {
            Ok(Taken {
                outcome,
                wakes,
                flush,
                deletion,
            }) => {
                self.host.delete_later(deletion);
                self.host.metrics.replicated_bytes.inc_by(push.records.len() as u64);
                self.run(wakes);
                if flush {
                    self.request_flush();
                }
                Ok(outcome)
            }
            Err(PushError::Log(error)) => {
                self.report_fault(&error);
                Err(PushError::Log(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Truncates towards the leader's epoch end.
    ///
    /// Returns whether the recovery point went back: it must be checkpointed before the next append.
    ///
    /// # Errors
    /// As [`Partition::on_push`].
    pub(crate) fn on_truncate(&self, follow_id: FollowId, end: EpochEnd) -> Result<bool, PushError> {
        let _writer = self.writer_or_offline()?;
        let mut state = self.lock();
        let state = &mut *state;
        let Role::Follower(follower) = &mut state.role else {
            return Err(PushError::NotFollower);
        };
        follower.check_follow(follow_id)?;
        let target = truncation_target(&LogEpochs(&state.log), end);
        if target < state.log.log_end_offset() {
            tracing::info!(partition = %self.directory_name(), from = %state.log.log_end_offset(), to = %target,
                "truncates: the leader's log parts from this one there");
        }
        let now = self.host.clock.now();
        let truncated = state
            .log
            .truncate_to(target, now)
            .inspect_err(|error| self.report_fault(error))?;
        self.host.delete_later(truncated.deletion);
        follower.on_truncated(state.log.log_end_offset());
        follower.follow = None;
        Ok(truncated.recovery_point_lowered)
    }

    /// Drops everything and starts at the leader's log start.
    ///
    /// # Errors
    /// As [`Partition::on_push`].
    pub(crate) fn on_restart(&self, follow_id: FollowId, log_start: Offset) -> Result<bool, PushError> {
        let _writer = self.writer_or_offline()?;
        let mut state = self.lock();
        let state = &mut *state;
        let Role::Follower(follower) = &mut state.role else {
            return Err(PushError::NotFollower);
        };
        follower.check_follow(follow_id)?;
        tracing::info!(partition = %self.directory_name(), from = %state.log.log_end_offset(), to = %log_start,
            "starts over at the leader's log start");
        let now = self.host.clock.now();
        let truncated = state
            .log
            .truncate_fully_and_start_at(log_start, now)
            .inspect_err(|error| self.report_fault(error))?;
        if log_start > Offset::ZERO {
            let next = self.host.image.load().next_producer_id();
            state.log.may_have_forgotten_producers_below(next);
        }
        self.host.delete_later(truncated.deletion);
        follower.high_watermark = log_start;
        follower.follow = None;
        Ok(truncated.recovery_point_lowered)
    }

    /// What this replica acknowledges under that follow at present.
    pub(crate) fn current_ack(&self, follow_id: FollowId) -> Option<PushOutcome> {
        let state = self.lock();
        match &state.role {
            Role::Follower(follower) if follower.follow == Some(follow_id) => Some(state.outcome()),
            Role::Follower(_) | Role::Leader(_) => None,
        }
    }
}

impl Partition {
    fn write_push(&self, follow_id: FollowId, push: &Push, now: TimestampMs) -> Result<Taken, PushError> {
        let _writer = self.writer_or_offline()?;
        let mut state = self.lock();
        let log_end = state.log.log_end_offset();
        let Role::Follower(follower) = &state.role else {
            return Err(PushError::NotFollower);
        };
        if push.records.is_empty() {
            follower.check_follow(follow_id)?;
            return state.finish_push(push, now);
        }
        follower.check_push(follow_id, Offset(push.base_offset), log_end)?;
        let batches = state.checked_batches(&push.records, follower.leader_epoch)?;
        let follows_still = |state: &State, follow_id: &FollowId| matches!(&state.role, Role::Follower(follower) if follower.check_follow(*follow_id).is_ok());
        let taken = self.write_batches(&batches, now, state, follow_id, follows_still, |state, _| {
            state.finish_push(push, now)
        })?;
        taken.unwrap_or(Err(PushError::NotFollower))
    }
}

impl State {
    fn outcome(&self) -> PushOutcome {
        PushOutcome {
            acknowledgeable_end: self.acknowledgeable_end(),
            log_end: self.log.log_end_offset(),
            log_start: self.log.log_start_offset(),
        }
    }

    /// The rest of a push, whose batches stand in the log by now.
    fn finish_push(&mut self, push: &Push, now: TimestampMs) -> Result<Taken, PushError> {
        let log_end = self.log.log_end_offset();
        let mut deletion = None;
        let log_start = Offset(push.log_start_offset);
        if log_start > self.log.log_start_offset() && log_start <= log_end {
            deletion = self.log.advance_log_start(log_start, now)?.deletion;
            // Somebody may wait for this at the leader, without a record to acknowledge.
            if let Some(acks) = &self.acks {
                acks.mark(FollowId(push.follow_id));
            }
        }
        let Role::Follower(follower) = &mut self.role else {
            return Err(PushError::NotFollower);
        };
        let mut wakes = Wakes::default();
        if follower.on_high_watermark(Offset(push.high_watermark), log_end) {
            wakes.readers = std::mem::take(&mut self.readers);
        }
        let flush = !push.records.is_empty() && self.wants_flush();
        Ok(Taken {
            outcome: self.outcome(),
            wakes,
            flush,
            deletion,
        })
    }

    /// CRC, continuity and epochs of every batch, before any of them is written.
    fn checked_batches(&self, bytes: &Bytes, leader_epoch: LeaderEpoch) -> Result<Vec<Bytes>, PushError> {
        let mut expected = self.log.log_end_offset();
        let mut epoch = self.log.latest_epoch().unwrap_or(LeaderEpoch::NONE);
        let mut checked = Vec::new();
        for batch in batches(bytes, Tail::Whole) {
            let batch = batch?;
            batch.check_crc()?;
            let header = &batch.header;
            if header.base_offset < expected {
                return Err(PushRefusal::Gap {
                    at: header.base_offset,
                    log_end: expected,
                }
                .into());
            }
            if header.leader_epoch > leader_epoch || header.leader_epoch < epoch {
                return Err(PushError::Epoch {
                    at: header.base_offset,
                    epoch: header.leader_epoch,
                    leader_epoch,
                });
            }
            expected = header.next_offset();
            epoch = header.leader_epoch;
            checked.push(batch.bytes);
        }
        Ok(checked)
    }
}

#[cfg(test)]
mod tests {
    use metadata::PartitionRegistration;
    use types::{BrokerId, PartitionEpoch, PartitionIndex};

    use super::*;
    use crate::apis::fixture::LoneBroker;

    #[tokio::test]
    async fn a_lane_with_an_older_turn_does_not_take_the_follow_from_the_newest() {
        let lone = LoneBroker::with_topics(&["a"]).await;
        let replicas = &lone.context().replicas;
        let partition = replicas.partition_by_name("a", PartitionIndex(0)).unwrap();
        let leader_epoch = LeaderEpoch(7);
        let image = lone.context().host.image.load();
        let registration = PartitionRegistration {
            leader: Some(BrokerId(2)),
            leader_epoch,
            partition_epoch: PartitionEpoch(7),
            ..(**image.partition(partition.id()).unwrap()).clone()
        };
        partition.apply_registration(&registration);
        let acks = Arc::new(AckQueue::default());
        let turn = |number| FollowTurn {
            partition: Arc::clone(&partition),
            leader_epoch,
            number,
        };
        let begins = |number, follow| {
            let begun = partition.begin_follow(&turn(number), FollowId(follow), &acks);
            begun.is_some()
        };
        partition.begin_turn(&turn(1));
        assert!(begins(1, 10));
        partition.begin_turn(&turn(2));
        // The lane of the first turn has a push refused, and would follow anew.
        assert!(!begins(1, 11));
        assert!(begins(2, 12));
        assert!(!begins(1, 13));
        // Of another leadership, whatever the turn.
        let old = FollowTurn {
            leader_epoch: LeaderEpoch(6),
            ..turn(3)
        };
        assert!(partition.begin_follow(&old, FollowId(14), &acks).is_none());
    }
}
