//! Every producer that is known on one partition.

use std::collections::{BTreeMap, BTreeSet};

use records::{BatchHeader, EndTransactionMarker};
use types::{Offset, ProducerId, TimestampMs};

use super::{BatchMetadata, ProducerEntry};

/// Producers remembered per partition unless the caller says otherwise, about 20 MB of them. Above, the longest idle one
/// is forgotten: it can still write, but a retry of its last batches isn't recognised any more. Clients that make a new
/// producer for every message have filled brokers' memory without such a bound.
pub const MAX_PRODUCERS: usize = 100_000;

/// A transaction that a marker has ended: what the transaction index and the last stable offset need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedTransaction {
    /// Whose.
    pub producer_id: ProducerId,
    /// The first record's offset.
    pub first_offset: Offset,
    /// The marker's offset.
    pub last_offset: Offset,
    /// Whether consumers that read committed records must skip it.
    pub aborted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    entry: ProducerEntry,
    /// When this replica last heard of the producer. Expiry goes by it and not by the records' timestamps as in Kafka,
    /// where a producer that copies old records is forgotten while it writes.
    seen: TimestampMs,
}

/// The producers of one partition. Ordered maps, so that the same log gives the same state, bytes and evictions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerStates {
    producers: BTreeMap<ProducerId, Known>,
    /// Producers without an open transaction by when they were seen: the first one is evicted or expires first.
    idle: BTreeSet<(TimestampMs, ProducerId)>,
    /// Open transactions by first offset.
    open: BTreeMap<Offset, ProducerId>,
    /// Producers with lower ids may have written here and be forgotten (PID-5).
    forgotten_below: ProducerId,
    max_producers: usize,
}

impl Default for ProducerStates {
    fn default() -> Self {
        Self::new()
    }
}

impl ProducerStates {
    /// No producer known, at most [`MAX_PRODUCERS`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_max_producers(MAX_PRODUCERS)
    }

    /// No producer known, at most `max_producers` (and those with open transactions).
    #[must_use]
    pub fn with_max_producers(max_producers: usize) -> Self {
        Self {
            producers: BTreeMap::new(),
            idle: BTreeSet::new(),
            open: BTreeMap::new(),
            forgotten_below: ProducerId(0),
            max_producers,
        }
    }

    /// What is known of a producer.
    #[must_use]
    pub fn entry(&self, producer_id: ProducerId) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id).map(|known| &known.entry)
    }

    /// Every producer, by id.
    pub fn entries(&self) -> impl Iterator<Item = &ProducerEntry> {
        self.producers.values().map(|known| &known.entry)
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Where the earliest open transaction begins: the last stable offset doesn't pass it. Transactions that have ended
    /// above the high watermark also hold it back; the caller keeps those, from [`ProducerStates::on_marker`]'s answers.
    #[must_use]
    pub fn first_undecided_offset(&self) -> Option<Offset> {
        self.open.first_key_value().map(|(&offset, _)| offset)
    }

    /// Whether a transaction is open that began before `offset`, other than `producer_id`'s; and where the first such
    /// began: what the transaction index takes for the last stable offset at a marker.
    #[must_use]
    pub fn first_undecided_offset_of_others(&self, producer_id: ProducerId) -> Option<Offset> {
        self.open
            .iter()
            .find(|&(_, &owner)| owner != producer_id)
            .map(|(&offset, _)| offset)
    }

    /// A data batch is in the log. `header` bears the offsets that the leader gave it, not the client's; batches without
    /// a producer id and control batches are left alone. `now` is this replica's clock (at recovery, the time of it).
    pub fn on_append(&mut self, header: &BatchHeader, now: TimestampMs) {
        if !header.has_producer_id() || header.is_control() {
            return;
        }
        self.change(header.producer_id, now, |entry| {
            entry.set_epoch(header.producer_epoch);
            entry.push(BatchMetadata {
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta,
                timestamp: header.max_timestamp,
            });
            entry.last_timestamp = header.max_timestamp;
            if header.is_transactional() && entry.current_txn_first_offset.is_none() {
                entry.current_txn_first_offset = Some(header.base_offset);
            }
        });
    }

    /// A transaction marker is in the log; `None` when its transaction had no records here.
    pub fn on_marker(
        &mut self,
        header: &BatchHeader,
        marker: &EndTransactionMarker,
        now: TimestampMs,
    ) -> Option<CompletedTransaction> {
        if !header.has_producer_id() {
            return None;
        }
        let producer_id = header.producer_id;
        let first_offset = self.entry(producer_id).and_then(|entry| entry.current_txn_first_offset);
        self.change(producer_id, now, |entry| {
            entry.set_epoch(header.producer_epoch);
            entry.coordinator_epoch = marker.coordinator_epoch;
            entry.last_timestamp = header.max_timestamp;
            entry.current_txn_first_offset = None;
        });
        let last_offset = header.base_offset;
        let aborted = !marker.committed;
        first_offset.map(|first_offset| CompletedTransaction {
            producer_id,
            first_offset,
            last_offset,
            aborted,
        })
    }

    /// Whether a producer that isn't known may have written here all the same. Ids go up: one that was given out after the last
    /// moment at which anybody was forgotten belongs to a producer that is known from its first batch on.
    #[must_use]
    pub fn may_have_forgotten(&self, producer_id: ProducerId) -> bool {
        producer_id < self.forgotten_below
    }

    /// Producers with ids below `next` may have been forgotten: this replica begins in the middle of the log, or doesn't know for
    /// how long it was away.
    pub fn may_have_forgotten_below(&mut self, next: ProducerId) {
        self.forgotten_below = self.forgotten_below.max(next);
    }

    /// Forgets every producer, open transactions included: before loading a snapshot.
    pub fn clear(&mut self) {
        self.producers.clear();
        self.idle.clear();
        self.open.clear();
    }

    /// Takes entries of a snapshot, in place of those known of the same producers. They count as seen `now`: a restart
    /// expires nobody.
    pub fn load(&mut self, entries: Vec<ProducerEntry>, now: TimestampMs) {
        for loaded in entries {
            if loaded.producer_id.0 >= 0 {
                self.change(loaded.producer_id, now, |entry| *entry = loaded);
            }
        }
    }

    /// Forgets producers that were not seen for `expiration_ms` (`producer.id.expiration.ms`), but for those with an open
    /// transaction. Returns how many.
    pub fn expire(&mut self, now: TimestampMs, expiration_ms: i64) -> usize {
        let mut expired = 0;
        while let Some(&(seen, producer_id)) = self.idle.first() {
            if now.since(seen) < expiration_ms {
                break;
            }
            self.forget(seen, producer_id);
            expired += 1;
        }
        expired
    }

    /// Changes one producer and keeps the indexes true.
    fn change(&mut self, producer_id: ProducerId, now: TimestampMs, change: impl FnOnce(&mut ProducerEntry)) {
        let known = self.producers.entry(producer_id).or_insert_with(|| Known {
            entry: ProducerEntry::new(producer_id),
            seen: now,
        });
        match known.entry.current_txn_first_offset {
            Some(first_offset) => self.open.remove(&first_offset),
            None => None,
        };
        self.idle.remove(&(known.seen, producer_id));
        change(&mut known.entry);
        known.seen = now;
        match known.entry.current_txn_first_offset {
            Some(first_offset) => {
                self.open.insert(first_offset, producer_id);
            }
            None => {
                self.idle.insert((now, producer_id));
            }
        }
        self.evict(producer_id);
    }

    fn evict(&mut self, newest: ProducerId) {
        while self.producers.len() > self.max_producers {
            match self.idle.first() {
                // Never the one that has just written, even where the clock went back.
                Some(&(seen, producer_id)) if producer_id != newest => self.forget(seen, producer_id),
                Some(_) => match self.idle.iter().nth(1).copied() {
                    Some((seen, producer_id)) => self.forget(seen, producer_id),
                    None => return,
                },
                None => return,
            }
        }
    }

    fn forget(&mut self, seen: TimestampMs, producer_id: ProducerId) {
        self.idle.remove(&(seen, producer_id));
        self.producers.remove(&producer_id);
        self.may_have_forgotten_below(ProducerId(producer_id.0.saturating_add(1)));
    }
}
