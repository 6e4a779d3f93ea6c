//! Follows of one stream that have something to acknowledge.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::sync::Notify;
use types::FollowId;

/// Marked by pushes and syncs, drained by the stream's task: many pushes make one acknowledgement.
#[derive(Debug, Default)]
pub(crate) struct AckQueue {
    marked: Mutex<BTreeSet<FollowId>>,
    notify: Notify,
}

impl AckQueue {
    /// Something is to be acknowledged under `follow`.
    pub(crate) fn mark(&self, follow: FollowId) {
        self.marked.lock().insert(follow);
        self.notify.notify_one();
    }

    /// Waits until something is marked.
    pub(crate) async fn marked(&self) {
        self.notify.notified().await;
    }

    /// Takes all marks.
    pub(crate) fn drain(&self) -> BTreeSet<FollowId> {
        std::mem::take(&mut *self.marked.lock())
    }
}
