//! Requests that wait for the high watermark, sorted by offset, bound to one leadership.
//!
//! WAIT-1: every waiter is answered once: reached, or the leadership is over. Only those released are touched.

use std::collections::BTreeMap;

use tokio::sync::oneshot;
use types::{ErrorCode, Offset};

/// How a wait ended.
pub(crate) type WaitResult = Result<(), ErrorCode>;
/// What the waiting request holds.
pub(crate) type Wait = oneshot::Receiver<WaitResult>;
/// What wakes it.
pub(crate) type Waiter = oneshot::Sender<WaitResult>;

/// So many waiters are looked through now and then for those that gave up.
const SWEEP_AT: usize = 1_024;

/// The waiters of one leadership.
#[derive(Debug, Default)]
pub(crate) struct OffsetWaiters {
    by_offset: BTreeMap<(Offset, u64), Waiter>,
    next: u64,
}

impl OffsetWaiters {
    /// Waits until the high watermark is at least `end`.
    pub(crate) fn wait_for(&mut self, end: Offset) -> Wait {
        if self.by_offset.len() >= SWEEP_AT && self.next.is_multiple_of(SWEEP_AT as u64) {
            // Requests that timed out meanwhile would pile up while nothing is committed.
            self.by_offset.retain(|_, waiter| !waiter.is_closed());
        }
        let (tx, rx) = oneshot::channel();
        self.by_offset.insert((end, self.next), tx);
        self.next += 1;
        rx
    }

    /// Takes those that `high_watermark` satisfies; the caller wakes them after unlocking.
    pub(crate) fn take_reached(&mut self, high_watermark: Offset) -> Vec<Waiter> {
        if self
            .by_offset
            .first_key_value()
            .is_none_or(|((end, _), _)| *end > high_watermark)
        {
            return Vec::new();
        }
        let later = self.by_offset.split_off(&(high_watermark.next(), 0));
        std::mem::replace(&mut self.by_offset, later).into_values().collect()
    }

    /// Takes all: the leadership is over.
    pub(crate) fn take_all(&mut self) -> Vec<Waiter> {
        std::mem::take(&mut self.by_offset).into_values().collect()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.by_offset.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_reached_are_taken() {
        let mut waiters = OffsetWaiters::default();
        let _waits: Vec<Wait> = [3, 5, 5, 9]
            .map(|end| waiters.wait_for(Offset(end)))
            .into_iter()
            .collect();
        assert_eq!(waiters.take_reached(Offset(2)).len(), 0);
        assert_eq!(waiters.take_reached(Offset(5)).len(), 3);
        assert_eq!(waiters.len(), 1);
        assert_eq!(waiters.take_all().len(), 1);
    }
}
