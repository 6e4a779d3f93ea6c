//! Those who wait for the high watermark, sorted by offset, bound to one leadership.
//!
//! WAIT-1: every waiter is handed out once: reached, or the leadership is over. Only those released are touched.

use std::collections::BTreeMap;

use types::Offset;

/// So many waiters are looked through now and then for those that gave up.
const SWEEP_AT: usize = 1_024;

/// The waiters of one leadership.
#[derive(Debug)]
pub struct OffsetWaiters<W> {
    by_offset: BTreeMap<(Offset, u64), W>,
    next: u64,
}

impl<W> Default for OffsetWaiters<W> {
    fn default() -> Self {
        Self {
            by_offset: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<W> OffsetWaiters<W> {
    /// Waits until the high watermark is at least `end`. Those that `gave_up` are forgotten by and by.
    pub fn insert(&mut self, end: Offset, waiter: W, gave_up: impl Fn(&W) -> bool) {
        if self.by_offset.len() >= SWEEP_AT && self.next.is_multiple_of(SWEEP_AT as u64) {
            // Requests that timed out meanwhile would pile up while nothing is committed.
            self.by_offset.retain(|_, waiter| !gave_up(waiter));
        }
        self.by_offset.insert((end, self.next), waiter);
        self.next += 1;
    }

    /// Takes those that `high_watermark` satisfies; the caller wakes them after unlocking.
    pub fn take_reached(&mut self, high_watermark: Offset) -> Vec<W> {
        let mut reached = Vec::new();
        while let Some(first) = self.by_offset.first_entry()
            && first.key().0 <= high_watermark
        {
            reached.push(first.remove());
        }
        reached
    }

    /// Takes all: the leadership is over.
    pub fn take_all(&mut self) -> Vec<W> {
        std::mem::take(&mut self.by_offset).into_values().collect()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_offset.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_offset.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_reached_are_taken() {
        let mut waiters = OffsetWaiters::default();
        for end in [3, 9, 5, 5] {
            waiters.insert(Offset(end), end, |_| false);
        }
        assert_eq!(waiters.take_reached(Offset(2)), [0; 0]);
        assert_eq!(waiters.take_reached(Offset(5)), [3, 5, 5]);
        assert_eq!(waiters.len(), 1);
        assert_eq!(waiters.take_all(), [9]);
        assert!(waiters.is_empty());
    }

    #[test]
    fn those_that_gave_up_do_not_pile_up() {
        let mut waiters = OffsetWaiters::default();
        for end in 0..10 * SWEEP_AT as i64 {
            waiters.insert(Offset(end), end, |end| *end > 0);
        }
        assert!(waiters.len() <= SWEEP_AT + 1, "{}", waiters.len());
        assert_eq!(waiters.take_reached(Offset(0)), [0]);
    }
}
