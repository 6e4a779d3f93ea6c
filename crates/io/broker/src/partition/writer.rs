//! Who may change a partition's log, and how its bytes are written.
//!
//! WRITER-1: whoever changes the log's files holds the writer's place, and takes it before the partition's lock. The bytes
//! of an append are written with the place alone: a disk that hangs keeps other writers of the partition waiting, and nobody
//! else: reads, acknowledgements, the metadata feed and heartbeats only need the lock.
//! WRITER-2: who waits for the place is let go when the directory goes offline, or the replica is given up.
//! WRITER-3: of the reactor's threads at most a few stand in writes to one directory; the others hand their tasks over first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::MutexGuard;
use storage::{BegunAppend, LogError, PendingAppend};
use tokio::runtime::{Handle, RuntimeFlavor};
use types::TimestampMs;

use super::{Partition, State};

/// How often somebody who waits looks whether the directory is still there.
const PATIENCE: Duration = Duration::from_millis(100);
/// Threads of the reactor that may stand in writes of this process at a time; a runtime should have that many to spare.
pub const REACTOR_WRITES: usize = 2;

/// Why batches weren't written.
#[derive(Debug)]
pub(super) enum NotWritten {
    /// No room; the log is as it was.
    Full,
    /// The disk failed, or what came is no log.
    Failed(LogError),
}

/// Runs what may block. The reactor's other tasks go on: this thread's are handed over.
fn handed_over<T>(work: impl FnOnce() -> T) -> T {
    let threads = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if threads {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// Writes an append's bytes (WRITER-3). Handing over costs more than an ordinary write, so the first few don't.
fn write(pending: &PendingAppend, writing: &AtomicUsize) -> Result<(), LogError> {
    let few = writing.fetch_add(1, Ordering::AcqRel) < REACTOR_WRITES;
    let written = if few {
        pending.write()
    } else {
        handed_over(|| pending.write())
    };
    writing.fetch_sub(1, Ordering::AcqRel);
    written
}

impl Partition {
    /// The writer's place; none once the directory is offline (WRITER-2).
    pub(super) fn writer(&self) -> Option<MutexGuard<'_, ()>> {
        if let Some(place) = self.writer.try_lock() {
            return Some(place);
        }
        handed_over(|| {
            loop {
                if let Some(place) = self.writer.try_lock_for(PATIENCE) {
                    return Some(place);
                }
                if self.health.load().is_offline() || self.given_up.load(Ordering::Acquire) {
                    return None;
                }
            }
        })
    }

    /// The same for those who answer with the log's errors.
    pub(super) fn writer_or_offline(&self) -> Result<MutexGuard<'_, ()>, LogError> {
        self.writer().ok_or_else(|| LogError::Poisoned {
            path: self.health.load().path().to_owned(),
        })
    }

    /// Writes batches that `begin` decides on, then lets `finish` take note: both under the lock, the write between them
    /// without. The caller holds the writer's place. `finish` is asked first whether what was written still counts.
    pub(super) fn write_batches<C, T>(
        &self,
        batches: &[Bytes],
        now: TimestampMs,
        mut state: MutexGuard<'_, State>,
        context: C,
        counts: impl FnOnce(&State, &C) -> bool,
        finish: impl FnOnce(&mut State, C) -> T,
    ) -> Result<Option<T>, NotWritten> {
        // A full directory isn't even tried: what a small batch would take is what checkpoints need.
        if state.health.is_full() {
            return Err(NotWritten::Full);
        }
        match state.log.begin_append(batches, now) {
            Ok(BegunAppend::Done(_)) => {}
            Ok(BegunAppend::Pending(pending)) => {
                let written = MutexGuard::unlocked(&mut state, || write(&pending, &self.host.writing));
                if !counts(&state, &context) {
                    let abandoned = state.log.abandon_append(pending);
                    return abandoned.map(|()| None).map_err(NotWritten::Failed);
                }
                state
                    .log
                    .finish_append(pending, written)
                    .map_err(|error| self.not_written(error))?;
            }
            Err(error) => return Err(self.not_written(error)),
        }
        Ok(Some(finish(&mut state, context)))
    }

    fn not_written(&self, error: LogError) -> NotWritten {
        if error.is_full() {
            self.health.load().note_full();
            return NotWritten::Full;
        }
        NotWritten::Failed(error)
    }
}
