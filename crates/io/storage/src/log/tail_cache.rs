//! The newest batches in memory, as the slices that were appended: what followers and consumers at the tail read.
//!
//! TAIL-1: the batches are contiguous in the log and end at its end. Bounded by bytes; idle logs hold nothing once
//! released. A slice keeps the whole buffer that it was cut from, which is why the owner releases idle tails. TAIL-2: while all
//! logs together hold more than their budget, whoever appends gives up its own: thousands of busy partitions read from files.
//! TAIL-3: what a follower wasn't sent yet stays a while longer, so that a few large batches don't send it to the files.

use std::collections::VecDeque;

use bytes::Bytes;
use types::Offset;

use crate::log::TailBudget;
use crate::log::read_outcome::{ReadOutcome, ReadRequest};

/// How many times its usual bytes a tail holds while followers haven't been sent them.
const UNSENT_TIMES: usize = 4;

#[derive(Debug)]
struct TailBatch {
    base_offset: Offset,
    next_offset: Offset,
    bytes: Bytes,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TailCache {
    max_bytes: usize,
    /// Reads from here on find their batch here.
    start_offset: Offset,
    size_bytes: usize,
    batches: VecDeque<TailBatch>,
    /// See [`TailCache::unsent_from`].
    unsent_from: Option<Offset>,
    budget: TailBudget,
}

impl TailCache {
    pub(crate) fn new(max_bytes: usize, budget: TailBudget, log_end_offset: Offset) -> Self {
        Self {
            max_bytes,
            start_offset: log_end_offset,
            size_bytes: 0,
            batches: VecDeque::new(),
            unsent_from: None,
            budget,
        }
    }

    /// Where the follower stands that was sent least, for the next append (TAIL-3): whoever leads says so each time.
    pub(crate) fn unsent_from(&mut self, offset: Option<Offset>) {
        self.unsent_from = offset;
    }

    pub(crate) fn budget(&self) -> &TailBudget {
        &self.budget
    }

    pub(crate) fn push(&mut self, base_offset: Offset, next_offset: Offset, bytes: &Bytes) {
        if bytes.len() > self.max_bytes {
            return self.clear(next_offset);
        }
        self.size_bytes += bytes.len();
        self.budget.add(bytes.len());
        self.batches.push_back(TailBatch {
            base_offset,
            next_offset,
            bytes: bytes.clone(),
        });
        let unsent_from = self.unsent_from.take();
        while self.is_too_large(unsent_from) && self.forget_oldest() {}
    }

    fn is_too_large(&self, unsent_from: Option<Offset>) -> bool {
        let oldest_is_unsent =
            || unsent_from.is_some_and(|from| self.batches.front().is_some_and(|oldest| oldest.next_offset > from));
        let max_bytes = if self.size_bytes > self.max_bytes && oldest_is_unsent() {
            self.max_bytes.saturating_mul(UNSENT_TIMES)
        } else {
            self.max_bytes
        };
        self.size_bytes > max_bytes || self.budget.is_exceeded()
    }

    /// Whether there was one.
    fn forget_oldest(&mut self) -> bool {
        let Some(oldest) = self.batches.pop_front() else {
            return false;
        };
        self.size_bytes -= oldest.bytes.len();
        self.budget.remove(oldest.bytes.len());
        self.start_offset = oldest.next_offset;
        true
    }

    /// Forgets everything; the log ends at `log_end_offset`.
    pub(crate) fn clear(&mut self, log_end_offset: Offset) {
        self.batches = VecDeque::new();
        self.budget.remove(std::mem::take(&mut self.size_bytes));
        self.start_offset = log_end_offset;
    }

    /// Forgets batches below `offset`.
    pub(crate) fn release_below(&mut self, offset: Offset) {
        while self.batches.front().is_some_and(|oldest| oldest.next_offset <= offset) {
            self.forget_oldest();
        }
        if self.batches.is_empty() {
            self.batches = VecDeque::new();
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// What the request asks for; `None` when it starts below what is held.
    pub(crate) fn read(&self, request: &ReadRequest) -> Option<ReadOutcome> {
        if request.from < self.start_offset || self.batches.is_empty() {
            return None;
        }
        let first = self.batches.partition_point(|batch| batch.next_offset <= request.from);
        let mut outcome = ReadOutcome::empty(request.from);
        for batch in self.batches.range(first..) {
            let fits = outcome.size_bytes + batch.bytes.len() <= request.max_bytes
                || (request.min_one_batch && outcome.slices.is_empty());
            if batch.next_offset > request.up_to || !fits {
                break;
            }
            if outcome.slices.is_empty() {
                outcome.base_offset = batch.base_offset;
            }
            outcome.size_bytes += batch.bytes.len();
            outcome.next_offset = batch.next_offset;
            outcome.slices.push(batch.bytes.clone());
        }
        Some(outcome)
    }
}

impl Drop for TailCache {
    fn drop(&mut self) {
        self.budget.remove(self.size_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(tail: &mut TailCache, at: i64, bytes: usize) {
        tail.push(Offset(at), Offset(at + 1), &Bytes::from(vec![0; bytes]));
    }

    #[test]
    fn logs_hold_no_more_than_their_budget_together_and_give_back_what_they_held() {
        let budget = TailBudget::new(1_000);
        let tail = || TailCache::new(600, budget.clone(), Offset(0));
        let (mut first, mut second) = (tail(), tail());
        for at in 0..10 {
            push(&mut first, at, 200);
        }
        assert_eq!((first.size_bytes(), budget.used_bytes()), (600, 600));
        for at in 0..10 {
            push(&mut second, at, 200);
            assert!(budget.used_bytes() <= 1_000);
        }
        assert_eq!(second.size_bytes(), 400);
        // What it gave up is no longer read here.
        assert!(second.read(&request(7)).is_none() && second.read(&request(8)).is_some());
        push(&mut second, 10, 500);
        assert_eq!((second.size_bytes(), budget.used_bytes()), (0, 600));
        first.release_below(Offset(9));
        assert_eq!((first.size_bytes(), budget.used_bytes()), (200, 200));
        first.clear(Offset(10));
        push(&mut second, 11, 500);
        assert_eq!(budget.used_bytes(), 500);
        drop(second);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn what_no_follower_was_sent_stays_longer_but_not_without_bound() {
        let budget = TailBudget::new(10_000);
        let mut tail = TailCache::new(300, budget.clone(), Offset(0));
        for at in 0..5 {
            tail.unsent_from(Some(Offset(1)));
            push(&mut tail, at, 200);
        }
        // The first batch was sent.
        assert!(tail.read(&request(0)).is_none() && tail.read(&request(1)).is_some());
        assert_eq!(tail.size_bytes(), 800);
        for at in 5..20 {
            tail.unsent_from(Some(Offset(1)));
            push(&mut tail, at, 200);
        }
        assert_eq!((tail.size_bytes(), budget.used_bytes()), (1_200, 1_200));
        // Everything was sent, or nobody leads any more.
        push(&mut tail, 20, 200);
        assert_eq!((tail.size_bytes(), budget.used_bytes()), (200, 200));
        assert!(tail.read(&request(20)).is_some());
    }

    fn request(from: i64) -> ReadRequest {
        ReadRequest {
            from: Offset(from),
            up_to: Offset(100),
            max_bytes: 1 << 20,
            min_one_batch: true,
        }
    }
}
