//! The leader's side of one partition's replication: follows, pushes, acknowledgements.

use std::collections::VecDeque;
use std::sync::Arc;

use partition::{FollowAnswer, FollowRefusal, FollowRequest, FollowerAck};
use rpc::proto::{Ack, Push};
use storage::{CachedRead, FileRead, Log, LogError, ReadOutcome, ReadRequest};
use types::{BrokerId, FollowId, Offset};

use super::{LogEpochs, Partition, Role, State};
use crate::replication::FollowerStream;

/// A follower within this distance of the end belongs on the tail lane.
const TAIL_BYTES: u64 = 1 << 20;

/// An accepted follow.
#[derive(Debug)]
pub(super) struct FollowSlot {
    replica: BrokerId,
    follow_id: FollowId,
    stream: Arc<FollowerStream>,
    next_offset: Offset,
    sent_high_watermark: Offset,
    sent_log_start: Offset,
    /// The follower's own, as it told last.
    log_start: Offset,
    /// (log end after the push, its bytes) of pushes that weren't acknowledged yet.
    in_flight: VecDeque<(Offset, usize)>,
}

impl FollowSlot {
    /// A follow id is unique within a follower's incarnation only: a half-open stream of an older incarnation may have
    /// one of the same number.
    fn is_of(&self, stream: &FollowerStream, follow_id: FollowId) -> bool {
        self.follow_id == follow_id && std::ptr::eq(&*self.stream, stream)
    }

    /// Where what the follower wasn't sent begins.
    pub(super) fn next_offset(&self) -> Offset {
        self.next_offset
    }
}

impl Drop for FollowSlot {
    /// However a follow ends, its bytes are no longer in flight.
    fn drop(&mut self) {
        self.stream.freed(self.in_flight.iter().map(|(_, bytes)| bytes).sum());
    }
}

/// How a follow is answered.
#[derive(Debug)]
pub(crate) enum FollowReply {
    /// Pushes will come.
    Appends {
        /// The leader's end.
        log_end: Offset,
    },
    /// Too far behind for the tail lane.
    Behind,
    /// Logs part, or the follower is below the log start.
    Answer(FollowAnswer),
    /// Not led here.
    NotLeader,
    /// The rules refuse.
    Refused(FollowRefusal),
}

/// What a follow's stream has to say next.
#[derive(Debug)]
pub(crate) enum NextPush {
    /// This.
    Push(Push),
    /// Nothing, or the follow is over.
    Nothing,
    /// The follow can't go on: the follower must ask anew.
    Lost,
    /// This has to be read from the disk first, outside the lock; then the follow is asked again, with what was read.
    Cold(Offset, FileRead),
}

/// What [`NextPush::Cold`] asked for.
#[derive(Debug)]
pub(crate) struct ColdRead {
    pub(crate) from: Offset,
    pub(crate) read: Result<ReadOutcome, LogError>,
}

impl Partition {
    /// A replica, whose log begins at `log_start`, asks to follow on `stream`.
    pub(crate) fn on_follow(
        &self,
        request: &FollowRequest,
        log_start: Offset,
        stream: &Arc<FollowerStream>,
        tail_lane: bool,
    ) -> FollowReply {
        let now = self.host.clock.now();
        let (reply, wakes) = {
            let mut state = self.lock();
            let state = &mut *state;
            let Role::Leader(leader) = &mut state.role else {
                return FollowReply::NotLeader;
            };
            if tail_lane
                && request.leader_epoch == leader.leader_epoch()
                && bytes_from(&state.log, request.offset) > TAIL_BYTES
            {
                return FollowReply::Behind;
            }
            let answered = leader.on_follow(
                request,
                &LogEpochs(&state.log),
                &|id| self.host.eligible(self.id, id),
                now,
            );
            match answered {
                Err(refusal) => return FollowReply::Refused(refusal),
                Ok((FollowAnswer::Append(offset), effects)) => {
                    state.slots.retain(|slot| slot.replica != request.replica);
                    state.slots.push(FollowSlot {
                        replica: request.replica,
                        follow_id: request.follow_id,
                        stream: Arc::clone(stream),
                        next_offset: offset,
                        sent_high_watermark: Offset(-1),
                        sent_log_start: Offset(-1),
                        log_start,
                        in_flight: VecDeque::new(),
                    });
                    self.log_starts.notify_waiters();
                    (
                        FollowReply::Appends {
                            log_end: state.log.log_end_offset(),
                        },
                        state.settle(effects),
                    )
                }
                Ok((answer, effects)) => {
                    state.slots.retain(|slot| slot.replica != request.replica);
                    (FollowReply::Answer(answer), state.settle(effects))
                }
            }
        };
        self.run(wakes);
        reply
    }

    /// Whether writes wait for this replica, as far as its leader knows (ISR-1).
    pub(crate) fn counts(&self, replica: BrokerId) -> bool {
        match &self.lock().role {
            Role::Leader(leader) => leader.isr().counts(replica),
            Role::Follower(_) => false,
        }
    }

    /// Bytes that the follow was sent and hasn't acknowledged.
    pub(crate) fn in_flight(&self, stream: &FollowerStream, follow_id: FollowId) -> usize {
        let state = self.lock();
        let slot = state.slots.iter().find(|slot| slot.is_of(stream, follow_id));
        slot.map_or(0, |slot| slot.in_flight.iter().map(|(_, bytes)| bytes).sum())
    }

    /// What the follow is to be told next: batches, or a moved mark.
    pub(crate) fn next_push(
        &self,
        stream: &FollowerStream,
        follow_id: FollowId,
        max_bytes: usize,
        cold: Option<ColdRead>,
    ) -> NextPush {
        let mut state = self.lock();
        let state = &mut *state;
        let high_watermark = state.high_watermark();
        let log_start = state.log.log_start_offset();
        let log_end = state.log.log_end_offset();
        let Some(slot) = state.slots.iter_mut().find(|slot| slot.is_of(stream, follow_id)) else {
            return NextPush::Nothing;
        };
        let mut push = Push {
            follow_id: follow_id.0,
            base_offset: slot.next_offset.0,
            high_watermark: high_watermark.0,
            log_start_offset: log_start.0,
            leader_log_end: log_end.0,
            ..Push::default()
        };
        if slot.next_offset < log_end && max_bytes > 0 {
            let wanted = ReadRequest {
                from: slot.next_offset,
                max_bytes,
                up_to: log_end,
                min_one_batch: true,
            };
            // The follow may have gone on, or been begun anew, while the disk was asked.
            let cold = cold.filter(|cold| cold.from == slot.next_offset);
            match read_or_resume(&state.log, wanted, cold) {
                Ok(CachedRead::Cold(read)) => return NextPush::Cold(slot.next_offset, read),
                Ok(CachedRead::Found(read)) if !read.is_empty() => {
                    slot.next_offset = read.next_offset;
                    slot.in_flight.push_back((read.next_offset, read.size_bytes));
                    push.records = read.into_bytes();
                    push.near = bytes_from(&state.log, slot.next_offset) <= TAIL_BYTES;
                }
                Ok(CachedRead::Found(_)) => return NextPush::Nothing,
                Err(error) => {
                    // Below the log start by now, or unreadable: the follower is told to ask anew.
                    tracing::warn!(partition = %self.directory_name(), %error, "a follower's read failed");
                    self.report_fault(&error);
                    let replica = slot.replica;
                    state.slots.retain(|slot| !slot.is_of(stream, follow_id));
                    if let Role::Leader(leader) = &mut state.role {
                        leader.on_unfollow(replica, follow_id);
                    }
                    return NextPush::Lost;
                }
            }
        } else if slot.sent_high_watermark == high_watermark && slot.sent_log_start == log_start {
            return NextPush::Nothing;
        }
        slot.sent_high_watermark = high_watermark;
        slot.sent_log_start = log_start;
        NextPush::Push(push)
    }

    /// A follower acknowledges over the stream that it follows on.
    pub(crate) fn on_ack(&self, stream: &FollowerStream, ack: &Ack) {
        let follow_id = FollowId(ack.follow_id);
        let log_start = Offset(ack.log_start_offset);
        let (end, log_end) = (Offset(ack.end), Offset(ack.log_end));
        let now = self.host.clock.now();
        let wakes = {
            let mut state = self.lock();
            let state = &mut *state;
            let Role::Leader(leader) = &mut state.role else { return };
            let counts = |slot: &FollowSlot| slot.is_of(stream, follow_id);
            #[cfg(feature = "bugs")]
            let counts = |slot: &FollowSlot| counts(slot) || bugs::is_planted(bugs::Bug::CountOldStreamsAck);
            let Some(slot) = state.slots.iter_mut().find(|slot| counts(slot)) else {
                return;
            };
            let mut freed = 0;
            while slot.in_flight.front().is_some_and(|(sent, _)| *sent <= log_end) {
                freed += slot.in_flight.pop_front().map_or(0, |(_, bytes)| bytes);
            }
            slot.stream.freed(freed);
            if log_start > slot.log_start {
                slot.log_start = log_start;
                self.log_starts.notify_waiters();
            }
            let ack = FollowerAck {
                replica: slot.replica,
                follow_id: slot.follow_id,
                end,
            };
            let effects = leader.on_follower_ack(ack, &|id| self.host.eligible(self.id, id), now);
            state.settle(effects)
        };
        self.run(wakes);
    }

    /// A follow's stream is over, or the follower left.
    pub(crate) fn on_unfollow(&self, stream: &FollowerStream, follow_id: FollowId) {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(slot) = state.slots.iter().find(|slot| slot.is_of(stream, follow_id)) else {
            return;
        };
        let replica = slot.replica;
        state.slots.retain(|slot| !slot.is_of(stream, follow_id));
        if let Role::Leader(leader) = &mut state.role {
            leader.on_unfollow(replica, follow_id);
        }
    }
}

impl State {
    /// Where the log of a replica that follows begins, as far as it has told.
    pub(super) fn log_start_of(&self, replica: BrokerId) -> Option<Offset> {
        let slot = self.slots.iter().find(|slot| slot.replica == replica)?;
        Some(slot.log_start)
    }

    /// All follows, with their streams.
    pub(super) fn followers(&self) -> Vec<(Arc<FollowerStream>, FollowId)> {
        self.slots
            .iter()
            .map(|slot| (Arc::clone(&slot.stream), slot.follow_id))
            .collect()
    }
}

/// Takes what was read from the disk, or reads what is in memory.
fn read_or_resume(log: &Log, wanted: ReadRequest, cold: Option<ColdRead>) -> Result<CachedRead, LogError> {
    let Some(cold) = cold else {
        return log.read_cached(wanted);
    };
    let read = cold.read?;
    match read
        .continue_at
        .filter(|next| *next > wanted.from && *next < wanted.up_to)
    {
        Some(next) => log.read_cached(ReadRequest { from: next, ..wanted }),
        None => Ok(CachedRead::Found(read)),
    }
}

/// About how many bytes lie between an offset and the log's end: exact in whole segments, by proportion within one.
fn bytes_from(log: &Log, offset: Offset) -> u64 {
    let log_end = log.log_end_offset();
    let mut bytes = 0_u64;
    let mut end = log_end;
    let segments: Vec<_> = log.segments().collect();
    for segment in segments.iter().rev() {
        let records = u64::try_from(end.0 - segment.base_offset.0).unwrap_or(0);
        if offset <= segment.base_offset {
            bytes = bytes.saturating_add(segment.size_bytes);
        } else if offset < end {
            let wanted = u64::try_from(end.0 - offset.0).unwrap_or(0);
            let share = u128::from(segment.size_bytes) * u128::from(wanted) / u128::from(records.max(1));
            return bytes.saturating_add(u64::try_from(share).unwrap_or(u64::MAX));
        } else {
            return bytes;
        }
        end = segment.base_offset;
    }
    bytes
}
