//! Reading as a consumer sees it: nothing above the high watermark (promise VIS).

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use partition::EpochLookup;
use storage::{LogError, PreparedRead};
use thiserror::Error;
use tokio::sync::Notify;
use types::{BrokerId, EpochEnd, LeaderEpoch, Offset, TimestampMs};

use super::{LogEpochs, Partition, Role, State};
use crate::blocking::BlockingPool;

/// What a consumer asks of one partition.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest {
    /// Where to start.
    pub from: Offset,
    /// At most so many bytes, unless `min_one`.
    pub max_bytes: usize,
    /// At least one whole batch, whatever its size.
    pub min_one: bool,
    /// The leader epoch that the client knows.
    pub leader_epoch: Option<LeaderEpoch>,
    /// The epoch of the record before `from`, as the client has it (KIP-595's divergence check).
    pub last_fetched_epoch: Option<LeaderEpoch>,
    /// Whether a follower may answer, too (KIP-392).
    pub from_follower: bool,
}

/// What it gets.
#[derive(Debug, Clone, Default)]
pub struct ReadResult {
    /// Whole batches, slices of what was written or read: not copied.
    pub records: Vec<Bytes>,
    /// First offset not committed.
    pub high_watermark: Offset,
    /// First offset that a `read_committed` consumer doesn't get.
    pub last_stable_offset: Offset,
    /// First offset kept.
    pub log_start_offset: Offset,
    /// The client's log parts from this one: where its epoch ends here.
    pub diverging: Option<EpochEnd>,
}

/// Why it gets nothing.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Another broker leads.
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// The client knows an older leadership.
    #[error("fenced leader epoch, the current one is {0}")]
    FencedEpoch(LeaderEpoch),
    /// The client knows a newer leadership than this broker.
    #[error("unknown leader epoch, the current one is {0}")]
    UnknownEpoch(LeaderEpoch),
    /// Below the log start or above the log end.
    #[error("offset {requested} is out of range")]
    OutOfRange {
        /// What was asked for.
        requested: Offset,
        /// First offset kept.
        log_start_offset: Offset,
        /// First offset not committed.
        high_watermark: Offset,
    },
    /// The newest offset isn't known yet: the leader is new (KIP-207).
    #[error("the newest offset is not known yet")]
    OffsetNotAvailable,
    /// The disk failed, or the log is damaged there.
    #[error(transparent)]
    Log(LogError),
}

/// ListOffsets' question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOffsetsTarget {
    /// The log start.
    Earliest,
    /// The high watermark.
    Latest,
    /// The record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// The first record at or after this time.
    At(TimestampMs),
}

/// Where an epoch ends, with what the client needs to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEndAnswer {
    /// `None`: the epoch is older than everything here, or unknown.
    pub end: Option<EpochEnd>,
}

/// Registered with every partition that a fetch waits for.
#[derive(Debug, Clone, Default)]
pub struct ReadWaiter(Arc<Notify>);

impl ReadWaiter {
    /// Waits until one of them has something new.
    pub async fn woken(&self) {
        self.0.notified().await;
    }

    fn weak(&self) -> Weak<Notify> {
        Arc::downgrade(&self.0)
    }
}

/// Whom the leader has sent to a follower lately. One that comes back at once with the same offset was refused there, say because that
/// follower's retention has gone further: it is served here, or it would go back and forth for ever.
#[derive(Debug, Default)]
pub(super) struct Redirects(VecDeque<(Offset, TimestampMs)>);

impl Redirects {
    const KEPT: usize = 32;
    const KEPT_MS: i64 = 30_000;

    /// Whether somebody who reads from here may be sent away; it is noted.
    fn may_send(&mut self, from: Offset, now: TimestampMs) -> bool {
        self.0.retain(|(_, at)| now.since(*at) < Self::KEPT_MS);
        let before = self.0.len();
        self.0.retain(|(offset, _)| *offset != from);
        if self.0.len() < before {
            return false;
        }
        if self.0.len() == Self::KEPT {
            self.0.pop_front();
        }
        self.0.push_back((from, now));
        true
    }
}

/// A read decided on under the lock.
struct PlannedRead {
    prepared: PreparedRead,
    wanted: storage::ReadRequest,
}

impl Partition {
    /// Reads committed batches. What isn't in memory is read outside the lock, on the pool: neither the partition's writers
    /// nor anybody else's requests wait for it.
    ///
    /// # Errors
    /// Why nothing can be read.
    pub async fn read(&self, request: &ReadRequest, pool: &BlockingPool) -> Result<ReadResult, ReadError> {
        let (mut result, mut read) = self.prepare_read(request)?;
        while let Some(PlannedRead { prepared, wanted }) = read {
            let outcome = match prepared {
                PreparedRead::Ready(outcome) => outcome,
                PreparedRead::File(file) => match file.run_cached().map_err(ReadError::Log)? {
                    Some(outcome) => outcome,
                    None => {
                        let cold = pool.run(move || file.run()).await.ok_or(ReadError::NotLeader)?;
                        cold.map_err(ReadError::Log)?
                    }
                },
            };
            read = match outcome
                .continue_at
                .filter(|next| *next > wanted.from && *next < wanted.up_to)
            {
                Some(next) => Some(self.plan(storage::ReadRequest { from: next, ..wanted })?),
                None => None,
            };
            result.records = outcome.slices;
        }
        Ok(result)
    }

    fn plan(&self, wanted: storage::ReadRequest) -> Result<PlannedRead, ReadError> {
        let prepared = self.lock().log.prepare_read(wanted).map_err(ReadError::Log)?;
        Ok(PlannedRead { prepared, wanted })
    }

    fn prepare_read(&self, request: &ReadRequest) -> Result<(ReadResult, Option<PlannedRead>), ReadError> {
        let state = self.lock();
        let high_watermark = match &state.role {
            Role::Leader(leader) => leader.high_watermark(),
            // What it knows to be committed is; one that has fallen behind would keep its readers behind.
            Role::Follower(follower) if request.from_follower && self.is_in_sync() => follower.high_watermark,
            Role::Follower(_) => return Err(ReadError::NotLeader),
        };
        state.check_epoch(request.leader_epoch)?;
        let log_start_offset = state.log.log_start_offset();
        let log_end = state.log.log_end_offset();
        let mut result = ReadResult {
            records: Vec::new(),
            high_watermark,
            last_stable_offset: high_watermark,
            log_start_offset,
            diverging: None,
        };
        // Of a follower's log, which may lack the end of its epoch, nobody's else parts.
        let leads = matches!(state.role, Role::Leader(_));
        if let Some(epoch) = request.last_fetched_epoch.filter(|_| leads) {
            let log = LogEpochs(&state.log);
            let end = log.end_offset_for_epoch(epoch);
            match end {
                Some(end) if end.epoch < epoch || end.end_offset < request.from => {
                    self.knows_better()?;
                    result.diverging = Some(end);
                    return Ok((result, None));
                }
                _ => {}
            }
        }
        if request.from > log_end {
            self.knows_better()?;
        }
        if request.from < log_start_offset || request.from > log_end {
            return Err(ReadError::OutOfRange {
                requested: request.from,
                log_start_offset,
                high_watermark,
            });
        }
        // Between high watermark and log end: not an error, the leader may be new and its high watermark late.
        if request.from < high_watermark && (request.max_bytes > 0 || request.min_one) {
            let wanted = storage::ReadRequest {
                from: request.from,
                max_bytes: request.max_bytes,
                up_to: high_watermark,
                min_one_batch: request.min_one,
            };
            let prepared = state.log.prepare_read(wanted).map_err(ReadError::Log)?;
            return Ok((result, Some(PlannedRead { prepared, wanted })));
        }
        Ok((result, None))
    }

    /// Whether this replica counts as in sync, as far as this broker has heard, and it has heard lately.
    fn is_in_sync(&self) -> bool {
        if self.host.lease.is_over() {
            return false;
        }
        let image = self.host.image.load();
        let local = self.host.local;
        let alive = image.broker(local).is_some_and(|broker| !broker.fenced);
        alive
            && image
                .partition(self.id)
                .is_some_and(|partition| partition.isr.contains(&local))
    }

    /// The in-sync follower in the client's rack that is known to have the offset, the most advanced one (KIP-392). `None` where the
    /// client is to read here.
    #[must_use]
    pub fn preferred_replica(&self, rack: &str, listener: &str, from: Offset) -> Option<BrokerId> {
        let image = self.host.image.load();
        let rack_of = |id: BrokerId| image.broker(id).and_then(|broker| broker.rack.as_deref());
        if rack_of(self.host.local) == Some(rack) {
            return None;
        }
        let mut state = self.lock();
        let State {
            role, log, redirects, ..
        } = &mut *state;
        let Role::Leader(leader) = role else {
            return None;
        };
        // What is out of range is said here, where it is known.
        if !(log.log_start_offset()..=log.log_end_offset()).contains(&from) {
            return None;
        }
        let candidates = leader.remotes().filter(|(id, progress)| {
            let reachable = |id| {
                let broker = image.broker(id);
                broker.is_some_and(|broker| !broker.fenced && broker.listener(listener).is_some())
            };
            progress.end.is_some_and(|end| end >= from)
                && leader.isr().committed().contains(id)
                && rack_of(*id) == Some(rack)
                && reachable(*id)
        });
        let (nearest, _) = candidates.max_by_key(|(_, progress)| progress.end)?;
        redirects.may_send(from, self.host.clock.now()).then_some(nearest)
    }

    /// Wakes `waiter` at the next rise of the high watermark or change of role.
    pub fn wake_on_change(&self, waiter: &ReadWaiter) {
        let mut state = self.lock();
        if state.readers.len() >= 64 {
            // Those whose request is over would pile up on a partition where nothing happens.
            state.readers.retain(|reader| reader.strong_count() > 0);
        }
        state.readers.push(waiter.weak());
    }

    /// Answers ListOffsets: (timestamp, offset, epoch); `None` when there is no such record.
    ///
    /// # Errors
    /// Why it can't be told.
    pub fn list_offset(
        &self,
        target: ListOffsetsTarget,
        leader_epoch: Option<LeaderEpoch>,
    ) -> Result<Option<(TimestampMs, Offset, LeaderEpoch)>, ReadError> {
        let mut state = self.lock();
        let state = &mut *state;
        state.check_leader(leader_epoch)?;
        let Role::Leader(leader) = &state.role else {
            return Err(ReadError::NotLeader);
        };
        let high_watermark = leader.high_watermark();
        let none = TimestampMs(-1);
        let found = match target {
            ListOffsetsTarget::Earliest => {
                let start = state.log.log_start_offset();
                return Ok(Some((none, start, state.epoch_at(start))));
            }
            ListOffsetsTarget::Latest if !leader.end_is_known() => return Err(ReadError::OffsetNotAvailable),
            ListOffsetsTarget::Latest => {
                return Ok(Some((none, high_watermark, leader.leader_epoch())));
            }
            ListOffsetsTarget::MaxTimestamp => state.log.max_timestamp_offset().map_err(ReadError::Log)?,
            ListOffsetsTarget::At(timestamp) => state.log.find_by_timestamp(timestamp).map_err(ReadError::Log)?,
        };
        let leader_known = matches!(&state.role, Role::Leader(leader) if leader.end_is_known());
        match found {
            Some((timestamp, offset)) if offset < high_watermark => {
                Ok(Some((timestamp, offset, state.epoch_at(offset))))
            }
            _ if !leader_known => Err(ReadError::OffsetNotAvailable),
            _ => Ok(None),
        }
    }

    /// Where an epoch ends (OffsetForLeaderEpoch).
    ///
    /// # Errors
    /// When this broker doesn't lead, or the client's epochs are fenced or unknown.
    pub fn epoch_end(
        &self,
        epoch: LeaderEpoch,
        leader_epoch: Option<LeaderEpoch>,
    ) -> Result<EpochEndAnswer, ReadError> {
        let state = self.lock();
        state.check_leader(leader_epoch)?;
        let Role::Leader(leader) = &state.role else {
            return Err(ReadError::NotLeader);
        };
        if epoch > leader.leader_epoch() {
            self.knows_better()?;
            return Ok(EpochEndAnswer { end: None });
        }
        Ok(EpochEndAnswer {
            end: leader.epoch_end(&LogEpochs(&state.log), epoch),
        })
    }

    /// Before a client is told that what it has read is nowhere: not by a leader whose successor may have it (LEASE-1). The
    /// client would begin anew from the start of the log or from its end.
    fn knows_better(&self) -> Result<(), ReadError> {
        if self.host.lease.is_over() {
            return Err(ReadError::NotLeader);
        }
        Ok(())
    }

    /// The epoch of the present leadership here.
    #[must_use]
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        match &self.lock().role {
            Role::Leader(leader) => Some(leader.leader_epoch()),
            Role::Follower(_) => None,
        }
    }

    /// Reads this replica's committed batches whatever its role: how a coordinator loads its log. Blocks on the disk, without
    /// the lock.
    ///
    /// # Errors
    /// As [`Partition::read`].
    pub fn read_committed(&self, from: Offset, max_bytes: usize) -> Result<(Bytes, Offset, Offset), ReadError> {
        let (high_watermark, mut planned) = {
            let state = self.lock();
            let high_watermark = state.high_watermark();
            let from = from.max(state.log.log_start_offset());
            if from >= high_watermark {
                return Ok((Bytes::new(), from, high_watermark));
            }
            let wanted = storage::ReadRequest {
                from,
                max_bytes,
                up_to: high_watermark,
                min_one_batch: true,
            };
            let prepared = state.log.prepare_read(wanted).map_err(ReadError::Log)?;
            (high_watermark, PlannedRead { prepared, wanted })
        };
        loop {
            let PlannedRead { prepared, wanted } = planned;
            let read = prepared.run().map_err(ReadError::Log)?;
            match read
                .continue_at
                .filter(|next| *next > wanted.from && *next < wanted.up_to)
            {
                Some(next) => planned = self.plan(storage::ReadRequest { from: next, ..wanted })?,
                None => {
                    let next = read.next_offset;
                    return Ok((read.into_bytes(), next, high_watermark));
                }
            }
        }
    }
}

impl State {
    fn check_leader(&self, named: Option<LeaderEpoch>) -> Result<(), ReadError> {
        let Role::Leader(leader) = &self.role else {
            return Err(ReadError::NotLeader);
        };
        check_epoch(leader.leader_epoch(), named)
    }

    /// The same for a follower, which knows the epoch that it follows.
    fn check_epoch(&self, named: Option<LeaderEpoch>) -> Result<(), ReadError> {
        let current = match &self.role {
            Role::Leader(leader) => leader.leader_epoch(),
            Role::Follower(follower) => follower.leader_epoch,
        };
        check_epoch(current, named)
    }

    /// The epoch of the record at an offset; of the leadership when there is none.
    fn epoch_at(&self, offset: Offset) -> LeaderEpoch {
        self.log.epoch_at(offset).unwrap_or(match &self.role {
            Role::Leader(leader) => leader.leader_epoch(),
            Role::Follower(follower) => follower.leader_epoch,
        })
    }
}

fn check_epoch(current: LeaderEpoch, named: Option<LeaderEpoch>) -> Result<(), ReadError> {
    match named {
        Some(named) if named < current => Err(ReadError::FencedEpoch(current)),
        Some(named) if named > current => Err(ReadError::UnknownEpoch(current)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_back_with_the_same_offset_is_served_here_once() {
        let mut redirects = Redirects::default();
        let now = TimestampMs(1_000);
        assert!(redirects.may_send(Offset(5), now));
        assert!(!redirects.may_send(Offset(5), now));
        assert!(redirects.may_send(Offset(5), now));
        assert!(redirects.may_send(Offset(6), now));
        assert!(redirects.may_send(Offset(6), TimestampMs(32_000)));
        for offset in 0..100 {
            assert!(redirects.may_send(Offset(100 + offset), now));
        }
        assert!(redirects.0.len() <= Redirects::KEPT);
    }
}
