//! Decides every waiting request in turn, on the image plus the records so far, and commits them as one Raft entry; as several
//! when a single request needs them (BATCH-1 of `metadata::control`).
//!
//! WRITE-1: one batch is in flight; an answer is given only when its records are committed and applied here. WRITE-2: an
//! answer without records waits for a majority to confirm this leadership (ReadIndex), so a deposed controller answers
//! nothing. WRITE-3: after a lost leadership everything that was decided on top is forgotten.

use std::sync::Arc;

use metadata::control::{BatchDecision, ControlContext, MutationAccount, decide_batch};
use metadata::proto::{ControlRequest, ControlResponse};
use parking_lot::Mutex;
use quota::Windows;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use tokio::sync::{mpsc, oneshot};
use types::{MetadataOffset, TimestampMs};

use crate::active::ControllerConfig;
use crate::mutation_quotas::MutationQuotas;
use crate::raft::{MetadataQuorum, ReadError, WriteError, handed_over};

/// Requests decided in one entry; more wait for the next. The records of so many stay far below an entry's limit.
const BATCH_REQUESTS: usize = 256;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteFailure {
    /// Nothing was done: ask the active controller.
    NotActive,
    /// Leadership was lost on the way: it may have been done.
    Unknown,
}

type Answer = Result<ControlResponse, WriteFailure>;

/// A request in the queue.
#[derive(Debug)]
pub(crate) struct WriteRequest {
    pub(crate) request: ControlRequest,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// Hands requests to the writer.
#[derive(Debug, Clone)]
pub(crate) struct WriterHandle(mpsc::Sender<WriteRequest>);

impl WriterHandle {
    /// Requests that may wait.
    const DEPTH: usize = 4096;

    pub(crate) fn channel() -> (Self, mpsc::Receiver<WriteRequest>) {
        let (tx, rx) = mpsc::channel(Self::DEPTH);
        (Self(tx), rx)
    }

    /// Decides and commits one request.
    pub(crate) async fn submit(&self, request: ControlRequest) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.0
            .send(WriteRequest { request, reply })
            .await
            .map_err(|_| WriteFailure::NotActive)?;
        answer.await.unwrap_or(Err(WriteFailure::Unknown))
    }
}

/// The task's state.
pub(crate) struct Writer {
    quorum: MetadataQuorum,
    config: Arc<ControllerConfig>,
    random: Mutex<StdRng>,
    mutations: Mutex<MutationQuotas>,
}

impl Writer {
    pub(crate) fn new(quorum: MetadataQuorum, config: Arc<ControllerConfig>) -> Self {
        let random = Mutex::new(StdRng::seed_from_u64(config.seed));
        let windows = config.mutation_windows;
        let mutations = Mutex::new(MutationQuotas::new(Windows::new(windows.windows, windows.window)));
        Self {
            quorum,
            config,
            random,
            mutations,
        }
    }

    /// Runs until every handle is gone.
    pub(crate) async fn run(self, mut requests: mpsc::Receiver<WriteRequest>) {
        let mut waiting = Vec::new();
        loop {
            let received = requests.recv_many(&mut waiting, BATCH_REQUESTS).await;
            if received == 0 {
                return;
            }
            self.write(std::mem::take(&mut waiting)).await;
        }
    }

    async fn write(&self, batch: Vec<WriteRequest>) {
        let (requests, replies): (Vec<ControlRequest>, Vec<oneshot::Sender<Answer>>) = batch
            .into_iter()
            .map(|waiting| (waiting.request, waiting.reply))
            .unzip();
        let mut replies = replies.into_iter();
        let mut rest = requests.as_slice();
        while !rest.is_empty() {
            let leadership = self.quorum.leadership().borrow().clone();
            if !leadership.active {
                for reply in replies {
                    let _ = reply.send(Err(WriteFailure::NotActive));
                }
                return;
            }
            let applied = self.quorum.images().borrow().clone();
            let decision = handed_over(|| self.decide(&applied.image, rest));
            let decided = decision.responses.len().max(1);
            let outcome = if decision.records.is_empty() {
                self.quorum
                    .read_barrier()
                    .await
                    .map(|_| ())
                    .map_err(|error| match error {
                        ReadError::NotLeader => WriteFailure::NotActive,
                        ReadError::Fatal(_) => WriteFailure::Unknown,
                    })
            } else {
                self.commit(leadership.term, applied.offset, &decision).await
            };
            let mut responses = decision.responses.into_iter();
            for reply in replies.by_ref().take(decided) {
                let answer = match (outcome, responses.next()) {
                    (Ok(()), Some(response)) => Ok(response),
                    (Ok(()), None) => Err(WriteFailure::Unknown),
                    (Err(failure), _) => Err(failure),
                };
                let _ = reply.send(answer);
            }
            rest = rest.get(decided..).unwrap_or_default();
        }
    }

    /// Entry after entry, each decided on the end of the one before; the first that isn't written is the last.
    async fn commit(
        &self,
        term: u64,
        decided_on: MetadataOffset,
        decision: &BatchDecision,
    ) -> Result<(), WriteFailure> {
        let mut offset = decided_on;
        for entry in decision.entries() {
            offset = self.quorum.write(term, offset, entry).await.map_err(|error| {
                let failure = failure(&error);
                // A part of the decision stands.
                if offset > decided_on {
                    WriteFailure::Unknown
                } else {
                    failure
                }
            })?;
        }
        Ok(())
    }

    fn decide(&self, image: &metadata::MetadataImage, requests: &[ControlRequest]) -> BatchDecision {
        let mut random = self.random.lock();
        let mut context = ControlContext {
            now: TimestampMs(self.config.clock.now_ms()),
            defaults: &self.config.defaults,
            random: &mut || random.next_u64(),
            config_rules: self.config.config_rules.as_ref(),
            mutations: &mut *self.mutations.lock(),
            account: MutationAccount::default(),
        };
        decide_batch(image, requests, &mut context)
    }
}

fn failure(error: &WriteError) -> WriteFailure {
    match error {
        // An election, or this node's own end: whoever asked asks again.
        WriteError::NotLeader => WriteFailure::NotActive,
        WriteError::Unknown => {
            tracing::info!(%error, "a decision was not written");
            WriteFailure::Unknown
        }
        WriteError::Refused { .. } | WriteError::TooLarge { .. } | WriteError::Invalid(_) => {
            tracing::warn!(%error, "a decision was not written");
            WriteFailure::NotActive
        }
        WriteError::Fatal(_) => {
            tracing::warn!(%error, "a decision was not written");
            WriteFailure::Unknown
        }
    }
}

#[cfg(test)]
mod tests;
