//! The ordered queue in front of the disk: a thread of its own, or, in a simulation, the calling task.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::disk::{Disk, Operation};
use crate::raft::LogIo;

/// Hands operations to the disk in order.
#[derive(Debug)]
pub(super) enum LogWriter {
    Inline(Box<Mutex<Disk>>),
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
            LogIo::Inline => Ok(Self::Inline(Box::new(Mutex::new(disk)))),
            LogIo::Thread => {
                let queue = Arc::new(Queue::default());
                let taken = Arc::clone(&queue);
                std::thread::Builder::new().name("raft-log".to_owned()).spawn(move || {
                    // Everything that was queued while the last batch was synced is the next batch.
                    while let Some(batch) = taken.next_batch() {
                        disk.run(batch);
                    }
                })?;
                Ok(Self::Thread(queue))
            }
        }
    }

    /// Queues operations that belong together.
    pub(super) fn submit(&self, operations: Vec<Operation>) {
        match self {
            Self::Inline(disk) => disk.lock().run(operations),
            Self::Thread(queue) => {
                queue.state.lock().operations.extend(operations);
                queue.changed.notify_one();
            }
        }
    }
}

impl Queue {
    fn next_batch(&self) -> Option<Vec<Operation>> {
        let mut state = self.state.lock();
        while state.operations.is_empty() {
            if state.closed {
                return None;
            }
            self.changed.wait(&mut state);
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
