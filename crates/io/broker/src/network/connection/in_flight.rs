//! The requests of one connection that are in work, in their order.

use futures::StreamExt;
use futures::future::{BoxFuture, Either, Ready, ready};
use futures::stream::FuturesOrdered;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::apis::{Handled, Handling};

/// What is remembered of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Started {
    /// The API's name.
    pub(super) api: &'static str,
    /// When it had arrived.
    pub(super) started: Instant,
    /// Its size.
    pub(super) bytes: usize,
    /// Whether it is a Fetch, whose answer may be large.
    pub(super) is_fetch: bool,
}

/// A request that is to be answered.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) started: Started,
    pub(super) handled: Handled,
}

/// The queue.
#[derive(Default)]
pub(super) struct InFlight {
    queue: FuturesOrdered<Either<Ready<Done>, BoxFuture<'static, Done>>>,
    bytes: usize,
    fetches: usize,
}

impl InFlight {
    /// Work that was done at its first poll.
    pub(super) fn push_done(&mut self, done: Done) {
        self.count(done.started);
        self.queue.push_back(Either::Left(ready(done)));
    }

    /// Work that goes on; its share of the budget is given back when it is done.
    pub(super) fn push(&mut self, started: Started, work: Handling, room: Option<OwnedSemaphorePermit>) {
        self.count(started);
        let rest = async move {
            let handled = work.await;
            drop(room);
            Done { started, handled }
        };
        self.queue.push_back(Either::Right(Box::pin(rest)));
    }

    /// The next to be answered. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Done> {
        let done = self.queue.next().await?;
        self.bytes = self.bytes.saturating_sub(done.started.bytes);
        self.fetches = self.fetches.saturating_sub(usize::from(done.started.is_fetch));
        Some(done)
    }

    /// How many are in work.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none is.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What they took on the wire.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a Fetch is among them.
    pub(super) fn has_fetch(&self) -> bool {
        self.fetches > 0
    }

    fn count(&mut self, started: Started) {
        self.bytes += started.bytes;
        self.fetches += usize::from(started.is_fetch);
    }
}
