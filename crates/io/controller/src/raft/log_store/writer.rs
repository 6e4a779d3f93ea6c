//! The ordered queue in front of the disk: a thread of its own, or, in a simulation, the calling task.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::disk::{Disk, Operation};
use crate::raft::LogIo;

/// How often a disk without room is tried again.
const ROOM_PAUSE: Duration = Duration::from_millis(250);

/// Hands operations to the disk in order.
#[derive(Debug)]
pub(super) enum LogWriter {
    Inline(Arc<Mutex<Disk>>),
    Thread(Arc<Queue>),
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    operations: VecDeque<Operation>,
    closed: bool,
}

impl std::fmt::Debug for QueueState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueState")
            .field("waiting", &self.operations.len())
            .field("closed", &self.closed)
            .finish()
    }
}

impl LogWriter {
    pub(super) fn start(mode: LogIo, mut disk: Disk) -> io::Result<Self> {
        match mode {
            LogIo::Inline => Ok(Self::Inline(Arc::new(Mutex::new(disk)))),
            LogIo::Thread => {
                let queue = Arc::new(Queue::default());
                let taken = Arc::clone(&queue);
                std::thread::Builder::new().name("raft-log".to_owned()).spawn(move || {
                    // Everything that was queued while the last batch was synced is the next batch.
                    let mut has_room = true;
                    while let Some(batch) = taken.next_batch(has_room) {
                        has_room = disk.run(batch);
                    }
                })?;
                Ok(Self::Thread(queue))
            }
        }
    }

    /// Queues operations that belong together.
    pub(super) fn submit(&self, operations: Vec<Operation>) {
        match self {
            Self::Inline(disk) => {
                if !disk.lock().run(operations) {
                    tokio::spawn(run_until_there_is_room(Arc::downgrade(disk)));
                }
            }
            Self::Thread(queue) => {
                queue.state.lock().operations.extend(operations);
                queue.changed.notify_one();
            }
        }
    }
}

/// As the thread does it. Several of these for one disk do no harm: there is nothing left for the later ones.
async fn run_until_there_is_room(disk: Weak<Mutex<Disk>>) {
    loop {
        tokio::time::sleep(ROOM_PAUSE).await;
        let Some(disk) = disk.upgrade() else { return };
        if disk.lock().run(Vec::new()) {
            return;
        }
    }
}

impl Queue {
    /// What was queued; nothing, after a pause, when the disk had no room for what was queued before.
    fn next_batch(&self, has_room: bool) -> Option<Vec<Operation>> {
        let mut state = self.state.lock();
        while state.operations.is_empty() {
            if state.closed {
                return None;
            }
            if has_room {
                self.changed.wait(&mut state);
            } else if self.changed.wait_for(&mut state, ROOM_PAUSE).timed_out() {
                break;
            }
        }
        Some(state.operations.drain(..).collect())
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if let Self::Thread(queue) = self {
            queue.state.lock().closed = true;
            queue.changed.notify_one();
        }
    }
}
