//! Answers that wait for the high watermark (CO-2). Both the offset that an answer needs and its deadline ascend, so
//! the first in is the first out on either.

use std::collections::VecDeque;

use coordinator::Reply;
use tokio::time::Instant;
use types::Offset;

/// One answer and what it waits for.
#[derive(Debug)]
struct Held {
    /// The high watermark that releases it.
    needs: Offset,
    deadline: Instant,
    reply: Reply,
}

/// The answers of one leadership, in the order in which they were decided.
#[derive(Debug, Default)]
pub(super) struct HeldReplies {
    queue: VecDeque<Held>,
}

impl HeldReplies {
    /// Holds an answer until the high watermark is `needs`, or `deadline`. Neither is below an earlier answer's.
    pub(super) fn hold(&mut self, needs: Offset, deadline: Instant, reply: Reply) {
        debug_assert!(
            self.queue
                .back()
                .is_none_or(|last| last.needs <= needs && last.deadline <= deadline)
        );
        self.queue.push_back(Held { needs, deadline, reply });
    }

    /// The next answer that `high_watermark` releases.
    pub(super) fn take_committed(&mut self, high_watermark: Offset) -> Option<Reply> {
        self.queue
            .pop_front_if(|held| held.needs <= high_watermark)
            .map(|held| held.reply)
    }

    /// The next answer whose time is up.
    pub(super) fn take_expired(&mut self, now: Instant) -> Option<Reply> {
        self.queue
            .pop_front_if(|held| held.deadline <= now)
            .map(|held| held.reply)
    }

    /// Whatever is left: the leadership is over.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Reply> {
        std::mem::take(&mut self.queue).into_iter().map(|held| held.reply)
    }

    /// When the next one's time is up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queue.front().map(|held| held.deadline)
    }
}
