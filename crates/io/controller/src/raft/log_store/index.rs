//! Where each entry of the log is: in memory while it is recent, in a segment always.

use std::collections::VecDeque;

use crate::raft::type_config::{Entry, LogId, Vote, log_id};

/// One entry's place.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) term: u64,
    pub(super) segment: u64,
    pub(super) position: u64,
    pub(super) frame_bytes: u64,
    pub(super) cached: Option<Entry>,
}

/// The log in memory: everything but the entries' bytes, and the newest of those.
#[derive(Debug, Default)]
pub(super) struct LogIndex {
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    /// Index of `slots[0]`.
    pub(super) first: u64,
    pub(super) slots: VecDeque<Slot>,
    /// The segment that is written, and its length.
    pub(super) active: Option<(u64, u64)>,
    /// The number that the next segment gets.
    pub(super) next_segment: u64,
    pub(super) cached_bytes: u64,
    /// Entries below are not cached.
    pub(super) cached_from: u64,
}

impl LogIndex {
    /// Index after the last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    pub(super) fn slot(&self, index: u64) -> Option<&Slot> {
        usize::try_from(index.checked_sub(self.first)?)
            .ok()
            .and_then(|at| self.slots.get(at))
    }

    pub(super) fn last_log_id(&self) -> Option<LogId> {
        match self.slots.back() {
            Some(slot) => Some(log_id(slot.term, self.end() - 1)),
            None => self.purged,
        }
    }

    pub(super) fn push(&mut self, slot: Slot) {
        if slot.cached.is_some() {
            if self.cached_bytes == 0 {
                self.cached_from = self.end();
            }
            self.cached_bytes += slot.frame_bytes;
        }
        self.slots.push_back(slot);
    }

    /// Drops cached entries beyond the budget, oldest first, but none that isn't durable yet.
    pub(super) fn evict(&mut self, budget_bytes: u64, durable: u64) {
        while self.cached_bytes > budget_bytes && self.cached_from < durable.min(self.end()) {
            let at = self
                .cached_from
                .checked_sub(self.first)
                .and_then(|at| usize::try_from(at).ok());
            if let Some(slot) = at.and_then(|at| self.slots.get_mut(at))
                && slot.cached.take().is_some()
            {
                self.cached_bytes -= slot.frame_bytes;
            }
            self.cached_from += 1;
        }
    }

    /// Removes the entries from `end` on; returns segments to remove (newest first) and where to cut the one that stays.
    pub(super) fn truncate(&mut self, end: u64) -> (Vec<u64>, Option<(u64, u64)>) {
        let mut touched: Vec<(u64, u64)> = Vec::new();
        while self.end() > end.max(self.first) {
            let Some(slot) = self.slots.pop_back() else { break };
            if slot.cached.is_some() {
                self.cached_bytes -= slot.frame_bytes;
            }
            match touched.last_mut() {
                Some((segment, position)) if *segment == slot.segment => *position = slot.position,
                _ => touched.push((slot.segment, slot.position)),
            }
        }
        let keeps = self.slots.back().map(|slot| slot.segment);
        let cut = touched.iter().copied().find(|(segment, _)| Some(*segment) == keeps);
        let remove: Vec<u64> = touched
            .into_iter()
            .map(|(segment, _)| segment)
            .filter(|segment| Some(*segment) != keeps)
            .collect();
        if cut.is_some() {
            self.active = cut;
        } else if !remove.is_empty() {
            // The last remaining segment may be a full one: the next append starts another.
            self.active = None;
        }
        (remove, cut)
    }

    /// Removes the entries up to `purged`; returns the segments that hold nothing else, oldest first.
    pub(super) fn purge(&mut self, purged: LogId) -> Vec<u64> {
        let mut emptied: Vec<u64> = Vec::new();
        while self.first <= purged.index {
            let Some(slot) = self.slots.pop_front() else { break };
            if slot.cached.is_some() {
                self.cached_bytes -= slot.frame_bytes;
            }
            if emptied.last() != Some(&slot.segment) {
                emptied.push(slot.segment);
            }
            self.first += 1;
        }
        if self.slots.is_empty() {
            // Beyond the end (a snapshot was installed), or exactly at it: the next entry follows the purged one.
            self.first = purged.index + 1;
            self.cached_from = self.first;
            self.cached_bytes = 0;
            self.active = None;
        }
        self.purged = Some(purged);
        let keeps = self.slots.front().map(|slot| slot.segment);
        emptied.retain(|segment| Some(*segment) != keeps);
        emptied
    }
}
