//! Which leader epoch starts where in this log (KIP-101, KIP-279): the content of `leader-epoch-checkpoint`.
//!
//! EPOCH-1: entries rise strictly in epoch and never fall in start offset. Truncation of followers depends on it; the
//! entries are derived from batch headers, so the file only has to hold what recovery won't scan again. EPOCH-2: where compaction
//! has left a gap before an epoch's first batch, the epoch starts where the gap does: a follower that holds records there gives them
//! up, rather than to keep what the leader of that epoch may have overwritten.

use types::{EpochEnd, LeaderEpoch, Offset};

use crate::checkpoint_file;

/// One epoch's first offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEntry {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its first offset.
    pub start_offset: Offset,
}

impl std::fmt::Display for EpochEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.epoch, self.start_offset)
    }
}

/// The epochs of one log, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct EpochCache {
    entries: Vec<EpochEntry>,
    /// Counts changes, so that a flush knows whether the file is behind.
    version: u64,
}

impl EpochCache {
    pub(crate) fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// Notes that records of `epoch` start at `start_offset`, unless that epoch is known already. Entries that contradict
    /// the new one are dropped, as Kafka does.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) {
        if epoch.0 < 0
            || self
                .latest()
                .is_some_and(|latest| latest.epoch == epoch && latest.start_offset <= start_offset)
        {
            return;
        }
        while self
            .latest()
            .is_some_and(|latest| latest.epoch >= epoch || latest.start_offset >= start_offset)
        {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { epoch, start_offset });
        self.version += 1;
    }

    /// Forgets epochs that start at `end` or above.
    pub(crate) fn truncate_from_end(&mut self, end: Offset) {
        let kept = self.entries.partition_point(|entry| entry.start_offset < end);
        if kept < self.entries.len() {
            self.entries.truncate(kept);
            self.version += 1;
        }
    }

    /// Forgets epochs that end at `start` or below; the one that `start` belongs to now starts there.
    pub(crate) fn truncate_from_start(&mut self, start: Offset) {
        let below = self.entries.partition_point(|entry| entry.start_offset < start);
        if below == 0 {
            return;
        }
        let exact = self.entries.get(below).is_some_and(|entry| entry.start_offset == start);
        self.entries.drain(..below - usize::from(!exact));
        if !exact && let Some(first) = self.entries.first_mut() {
            first.start_offset = start;
        }
        self.version += 1;
    }

    pub(crate) fn clear(&mut self) {
        if !self.entries.is_empty() {
            self.entries.clear();
            self.version += 1;
        }
    }

    /// The largest epoch that is not above `epoch`, and its end; for an epoch below all known ones, that epoch and the
    /// first known start. `None` when no epoch is known.
    pub(crate) fn end_offset_for(&self, epoch: LeaderEpoch, log_end_offset: Offset) -> Option<EpochEnd> {
        let first = self.entries.first()?;
        if epoch.0 < 0 {
            return None;
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= epoch);
        if above == 0 {
            return Some(EpochEnd {
                epoch,
                end_offset: first.start_offset,
            });
        }
        let found = self.entries.get(above - 1)?;
        let end_offset = self.entries.get(above).map_or(log_end_offset, |next| next.start_offset);
        Some(EpochEnd {
            epoch: found.epoch,
            end_offset,
        })
    }

    /// The epoch of the record at `offset`.
    pub(crate) fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.entries.partition_point(|entry| entry.start_offset <= offset);
        self.entries.get(above.checked_sub(1)?).map(|entry| entry.epoch)
    }

    pub(crate) fn encode(&self) -> String {
        checkpoint_file::encode(self.entries.iter())
    }

    /// `None` when the text is odd or breaks EPOCH-1.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let entries = checkpoint_file::decode(text, |line| {
            let (epoch, start_offset) = line.trim().split_once(' ')?;
            Some(EpochEntry {
                epoch: LeaderEpoch(epoch.parse().ok().filter(|epoch| *epoch >= 0)?),
                start_offset: Offset(start_offset.trim().parse().ok().filter(|offset| *offset >= 0)?),
            })
        })?;
        let rising = entries
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.epoch < b.epoch && a.start_offset <= b.start_offset));
        rising.then_some(Self { entries, version: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> EpochCache {
        let mut cache = EpochCache::default();
        for (epoch, start) in [(1, 0), (3, 10), (4, 25)] {
            cache.assign(LeaderEpoch(epoch), Offset(start));
        }
        cache
    }

    fn end(epoch: i32, end_offset: i64) -> Option<EpochEnd> {
        Some(EpochEnd {
            epoch: LeaderEpoch(epoch),
            end_offset: Offset(end_offset),
        })
    }

    #[test]
    fn the_end_of_an_epoch_is_the_start_of_the_next_known_one() {
        let cache = cache();
        assert_eq!(cache.end_offset_for(LeaderEpoch(1), Offset(40)), end(1, 10));
        assert_eq!(cache.end_offset_for(LeaderEpoch(2), Offset(40)), end(1, 10));
        assert_eq!(cache.end_offset_for(LeaderEpoch(3), Offset(40)), end(3, 25));
        assert_eq!(cache.end_offset_for(LeaderEpoch(4), Offset(40)), end(4, 40));
        assert_eq!(cache.end_offset_for(LeaderEpoch(9), Offset(40)), end(4, 40));
        assert_eq!(cache.end_offset_for(LeaderEpoch(0), Offset(40)), end(0, 0));
        assert_eq!(EpochCache::default().end_offset_for(LeaderEpoch(0), Offset(40)), None);
    }

    #[test]
    fn truncation_drops_epochs_on_either_side() {
        let mut from_end = cache();
        from_end.truncate_from_end(Offset(25));
        assert_eq!(from_end.encode(), "0\n2\n1 0\n3 10\n");
        let mut from_start = cache();
        from_start.truncate_from_start(Offset(12));
        assert_eq!(from_start.encode(), "0\n2\n3 12\n4 25\n");
        let mut exact = cache();
        exact.truncate_from_start(Offset(10));
        assert_eq!(exact.encode(), "0\n2\n3 10\n4 25\n");
    }

    #[test]
    fn an_epoch_without_records_is_replaced_by_the_next() {
        let mut cache = cache();
        cache.assign(LeaderEpoch(5), Offset(40));
        cache.assign(LeaderEpoch(6), Offset(40));
        assert_eq!(cache.latest().map(|entry| entry.epoch), Some(LeaderEpoch(6)));
        assert_eq!(cache.epoch_at(Offset(39)), Some(LeaderEpoch(4)));
        assert_eq!(
            EpochCache::decode(&cache.encode()).map(|read| read.entries),
            Some(cache.entries)
        );
    }
}
