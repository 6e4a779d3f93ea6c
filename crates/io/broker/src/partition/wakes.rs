//! What is to be done after a partition's lock is released.

use std::sync::{Arc, Weak};

use tokio::sync::{Notify, oneshot};
use types::{ErrorCode, FollowId, TopicIdPartition};

use crate::replication::FollowerStream;

/// How a wait for the high watermark ended.
type WaitResult = Result<(), ErrorCode>;
/// What the waiting request holds.
pub(super) type Wait = oneshot::Receiver<WaitResult>;
/// What wakes it.
pub(crate) type Waiter = oneshot::Sender<WaitResult>;

/// Gathered under the lock, run after it. Dropping it loses acknowledgements.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    pub(crate) released: Vec<Waiter>,
    pub(crate) ended: Vec<Waiter>,
    pub(crate) readers: Vec<Weak<Notify>>,
    /// Have records to send.
    pub(crate) streams: Vec<(Arc<FollowerStream>, FollowId)>,
    /// Have nothing to tell but a moved mark.
    pub(crate) marks: Vec<(Arc<FollowerStream>, FollowId)>,
    pub(crate) proposal: bool,
}

impl Wakes {
    /// Wakes everybody. Returns whether an ISR proposal waits to be sent for `_partition`.
    pub(crate) fn run(self, _partition: TopicIdPartition) -> bool {
        for (stream, follow) in self.streams {
            stream.mark_ready(follow);
        }
        for (stream, follow) in self.marks {
            stream.mark_moved(follow);
        }
        for waiter in self.released {
            let _ = waiter.send(Ok(()));
        }
        for waiter in self.ended {
            let _ = waiter.send(Err(ErrorCode::NotLeaderOrFollower));
        }
        for reader in self.readers {
            if let Some(reader) = reader.upgrade() {
                reader.notify_one();
            }
        }
        self.proposal
    }
}

impl Wakes {
    /// Adds another's.
    pub(crate) fn merge(&mut self, other: Self) {
        self.released.extend(other.released);
        self.ended.extend(other.ended);
        self.readers.extend(other.readers);
        self.streams.extend(other.streams);
        self.marks.extend(other.marks);
        self.proposal |= other.proposal;
    }
}
