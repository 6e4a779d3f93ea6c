//! Which records compaction keeps: the last one of each key (KIP-354, KIP-534).
//!
//! A pass first notes the last offset of every key between where the pass before it ended and its own end, then goes through all
//! batches below that end. COMPACT-1: of every key the last record below the end is kept, until it is a tombstone that has
//! been seen by everybody for `delete.retention.ms`. COMPACT-2: what is kept stays at its offset, in its batch, and in its leader
//! epoch. COMPACT-3: a batch that is needed for its header (its producer's last sequence, the end of a segment) is kept without
//! records.

use std::collections::HashMap;
use std::hash::BuildHasher;

use bytes::Bytes;
use records::{Batch, BatchBuilder, BatchError, Record};
use types::{Offset, TimestampMs};

/// An entry of the table and its control byte; a table that grows holds its old half as well.
const ENTRY_BYTES: usize = (size_of::<(u64, u64, Offset)>() + 1) * 3 / 2;

/// The last offset of each key, by 128 bits of two hashes: two keys are taken for one once in more passes than anybody will run.
#[derive(Debug)]
pub struct LastOffsets<S> {
    hashers: (S, S),
    last: HashMap<(u64, u64), Offset, S>,
    keys_max: usize,
}

impl<S: BuildHasher + Clone> LastOffsets<S> {
    /// For as many keys as fit into so many bytes, at least one. The hashers must have keys of their own, which nobody who writes
    /// records can know.
    pub fn new(first: S, second: S, bytes_max: usize) -> Self {
        let buckets = (bytes_max / ENTRY_BYTES).max(4);
        // The largest power of two: so tables grow. Seven of eight buckets are used.
        let buckets = (buckets / 2 + 1).next_power_of_two();
        Self {
            last: HashMap::with_hasher(first.clone()),
            hashers: (first, second),
            keys_max: (buckets / 8 * 7).max(1),
        }
    }

    /// Notes a record. False when there is no room for another key: the pass has to end before this record.
    #[must_use]
    pub fn note(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hash(key);
        if self.last.len() >= self.keys_max && !self.last.contains_key(&hash) {
            return false;
        }
        let last = self.last.entry(hash).or_insert(offset);
        *last = (*last).max(offset);
        true
    }

    /// Whether a later record of the key was noted.
    #[must_use]
    pub fn is_superseded(&self, key: &[u8], offset: Offset) -> bool {
        self.last.get(&self.hash(key)).is_some_and(|last| *last > offset)
    }

    /// Keys noted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.last.len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        (self.hashers.0.hash_one(key), self.hashers.1.hash_one(key))
    }
}

/// One pass over a log.
#[derive(Debug)]
pub struct CompactionPass<S> {
    /// Of the records below the end.
    pub last: LastOffsets<S>,
    /// Records from here on are kept.
    pub end: Offset,
    /// When it runs.
    pub now: TimestampMs,
    /// `delete.retention.ms`, counted from the first pass that sees a tombstone.
    pub delete_retention_ms: i64,
}

/// What becomes of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compacted {
    /// It stays as it is.
    Kept,
    /// This stands in its place.
    Rewritten(Bytes),
    /// Nothing of it is needed.
    Gone,
}

impl<S: BuildHasher + Clone> CompactionPass<S> {
    /// Decides upon one batch, whose CRC is right. With `header_needed` it isn't given up, though none of its records is kept.
    ///
    /// # Errors
    /// A batch that doesn't decode.
    pub fn compact(&self, batch: &Batch, header_needed: bool) -> Result<Compacted, BatchError> {
        if batch.header.base_offset >= self.end {
            return Ok(Compacted::Kept);
        }
        let horizon = batch.header.delete_horizon();
        let tombstones_go = horizon.is_some_and(|horizon| self.now >= horizon);
        let is_kept = |record: &Record| {
            record.offset >= self.end
                || match &record.key {
                    None => false,
                    Some(key) if self.last.is_superseded(key, record.offset) => false,
                    Some(_) => record.value.is_some() || !tombstones_go,
                }
        };
        // Twice through, so that the records needn't be held.
        let records = batch.records()?;
        let (mut kept, mut tombstones) = (0, false);
        for record in records.clone() {
            let record = record?;
            if is_kept(&record) {
                tombstones |= record.value.is_none();
                kept += 1;
            }
        }
        let horizon_due = tombstones && horizon.is_none();
        if kept == 0 && !header_needed {
            return Ok(Compacted::Gone);
        }
        if batch.header.record_count == kept && !horizon_due {
            return Ok(Compacted::Kept);
        }
        let mut rewritten = BatchBuilder::retaining(&batch.header)?;
        if horizon_due {
            let horizon = self.now.0.saturating_add(self.delete_retention_ms);
            rewritten = rewritten.delete_horizon(TimestampMs(horizon));
        }
        for record in records {
            let record = record?;
            if is_kept(&record) {
                rewritten.retain(&record);
            }
        }
        Ok(Compacted::Rewritten(rewritten.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::hash::RandomState;

    use proptest::prelude::*;
    use records::{Compression, NewRecord};
    use types::{LeaderEpoch, ProducerEpoch, ProducerId};

    use super::*;

    const NOW: TimestampMs = TimestampMs(10_000);

    /// Keys are numbers; no value is a tombstone.
    fn batch(base: i64, records: &[(u8, Option<u8>)], compression: Compression) -> Batch {
        let mut builder = BatchBuilder::new()
            .base_offset(Offset(base))
            .leader_epoch(LeaderEpoch(3))
            .producer(ProducerId(5), ProducerEpoch(1), 7)
            .compression(compression);
        for (at, (key, value)) in records.iter().enumerate() {
            builder.append(NewRecord {
                timestamp: TimestampMs(500 + at as i64),
                key: Some(Bytes::from(vec![*key])),
                value: value.map(|value| Bytes::from(vec![value; 40])),
                headers: Vec::new(),
            });
        }
        Batch::parse(&builder.finish().unwrap()).unwrap()
    }

    fn pass(end: i64, now: TimestampMs, noted: &[&Batch]) -> CompactionPass<RandomState> {
        let mut last = LastOffsets::new(RandomState::new(), RandomState::new(), 1 << 20);
        for record in noted.iter().flat_map(|batch| batch.records().unwrap()) {
            let record = record.unwrap();
            assert!(record.offset.0 >= end || last.note(&record.key.unwrap(), record.offset));
        }
        CompactionPass {
            last,
            end: Offset(end),
            now,
            delete_retention_ms: 1000,
        }
    }

    fn contents(bytes: &Bytes) -> Vec<(i64, i64, u8, bool)> {
        let batch = Batch::parse(bytes).unwrap();
        batch.check_crc().unwrap();
        let records = batch.records().unwrap().map(Result::unwrap);
        records
            .map(|record| {
                (
                    record.offset.0,
                    record.timestamp.0,
                    record.key.unwrap()[0],
                    record.value.is_some(),
                )
            })
            .collect()
    }

    #[test]
    fn the_last_of_each_key_stays_where_it_was() {
        for codec in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let first = batch(0, &[(1, Some(1)), (2, Some(1)), (1, Some(2))], codec);
            let second = batch(3, &[(2, Some(3))], codec);
            let pass = pass(4, NOW, &[&first, &second]);
            let Compacted::Rewritten(bytes) = pass.compact(&first, false).unwrap() else {
                panic!("not rewritten");
            };
            assert_eq!(contents(&bytes), [(2, 502, 1, true)]);
            let header = Batch::parse(&bytes).unwrap().header;
            assert_eq!((header.base_offset, header.last_offset()), (Offset(0), Offset(2)));
            assert_eq!((header.leader_epoch, header.last_sequence()), (LeaderEpoch(3), 9));
            assert_eq!(header.compression().unwrap(), codec);
            assert_eq!(pass.compact(&second, false).unwrap(), Compacted::Kept);
        }
    }

    #[test]
    fn headers_stay_as_they_are() {
        let headers = vec![
            records::RecordHeader {
                key: Bytes::from_static(b"h"),
                value: None,
            };
            20_000
        ];
        let mut builder = BatchBuilder::new().compression(Compression::Zstd);
        for key in [1, 1, 2] {
            builder.append(NewRecord {
                timestamp: TimestampMs(1),
                key: Some(Bytes::from(vec![key])),
                value: Some(Bytes::from_static(b"v")),
                headers: headers.clone(),
            });
        }
        let original = Batch::parse(&builder.finish().unwrap()).unwrap();
        let Compacted::Rewritten(bytes) = pass(3, NOW, &[&original]).compact(&original, false).unwrap() else {
            panic!("not rewritten");
        };
        let rewritten = Batch::parse(&bytes).unwrap();
        for record in rewritten.records().unwrap() {
            assert!(record.unwrap().headers.iter().eq(headers.iter().cloned()));
        }
        assert_eq!(rewritten.header.record_count, 2);
    }

    #[test]
    fn a_batch_without_records_stays_only_for_its_header() {
        let first = batch(0, &[(1, Some(1))], Compression::None);
        let second = batch(1, &[(1, Some(2))], Compression::None);
        let pass = pass(2, NOW, &[&first, &second]);
        assert_eq!(pass.compact(&first, false).unwrap(), Compacted::Gone);
        let Compacted::Rewritten(bytes) = pass.compact(&first, true).unwrap() else {
            panic!("not rewritten");
        };
        let emptied = Batch::parse(&bytes).unwrap();
        assert_eq!((emptied.header.record_count, emptied.header.last_sequence()), (0, 7));
        assert_eq!(emptied.header.max_timestamp, TimestampMs(500));
        assert_eq!(pass.compact(&emptied, true).unwrap(), Compacted::Kept);
        assert_eq!(pass.compact(&emptied, false).unwrap(), Compacted::Gone);
    }

    #[test]
    fn a_tombstone_goes_when_its_time_is_over_and_not_before() {
        let mixed = batch(0, &[(1, None), (2, Some(1))], Compression::None);
        let first = pass(2, NOW, &[&mixed]);
        let Compacted::Rewritten(bytes) = first.compact(&mixed, false).unwrap() else {
            panic!("no horizon was set");
        };
        let marked = Batch::parse(&bytes).unwrap();
        assert_eq!(marked.header.delete_horizon(), Some(TimestampMs(11_000)));
        assert_eq!(contents(&bytes), [(0, 500, 1, false), (1, 501, 2, true)]);
        let early = pass(2, TimestampMs(10_999), &[&marked]);
        assert_eq!(early.compact(&marked, false).unwrap(), Compacted::Kept);
        let late = pass(2, TimestampMs(11_000), &[&marked]);
        let Compacted::Rewritten(bytes) = late.compact(&marked, false).unwrap() else {
            panic!("the tombstone stays");
        };
        assert_eq!(contents(&bytes), [(1, 501, 2, true)]);
    }

    #[test]
    fn records_from_the_end_on_stay_and_those_without_keys_do_not() {
        let records = batch(0, &[(1, Some(1)), (1, Some(2)), (1, Some(3))], Compression::None);
        let pass = pass(2, NOW, &[&records]);
        let Compacted::Rewritten(bytes) = pass.compact(&records, false).unwrap() else {
            panic!("not rewritten");
        };
        assert_eq!(contents(&bytes), [(1, 501, 1, true), (2, 502, 1, true)]);
        let mut keyless = BatchBuilder::new();
        keyless.append(NewRecord {
            value: Some(Bytes::from_static(b"v")),
            ..NewRecord::default()
        });
        let keyless = Batch::parse(&keyless.finish().unwrap()).unwrap();
        assert_eq!(pass.compact(&keyless, false).unwrap(), Compacted::Gone);
    }

    #[test]
    fn a_full_table_takes_what_it_knows_and_nothing_else() {
        let mut last = LastOffsets::new(RandomState::new(), RandomState::new(), 8 * ENTRY_BYTES);
        let mut noted = 0;
        while last.note(&[noted], Offset(i64::from(noted))) {
            noted += 1;
        }
        assert_eq!(last.len(), usize::from(noted));
        assert!((1..=8).contains(&noted), "{noted}");
        assert!(last.note(&[0], Offset(99)));
        assert!(last.is_superseded(&[0], Offset(98)) && !last.is_superseded(&[0], Offset(99)));
        assert!(!last.is_superseded(&[noted], Offset(0)));
    }

    proptest! {
        /// Passes over ever longer parts of a log: what a reader makes of it stays the same.
        #[test]
        fn whoever_reads_a_compacted_log_learns_the_same(
            log in prop::collection::vec(prop::collection::vec((0..6_u8, prop::option::weighted(0.7, any::<u8>())), 1..5), 1..20),
            ends in prop::collection::vec((0..100_usize, 0..3000_i64), 1..4),
        ) {
            let mut batches = Vec::new();
            let mut base = 0;
            for records in &log {
                batches.push(batch(base, records, Compression::None));
                base += records.len() as i64;
            }
            let table = |batches: &[Batch]| {
                let mut table = BTreeMap::new();
                for record in batches.iter().flat_map(|batch| batch.records().unwrap()) {
                    let record = record.unwrap();
                    match record.value {
                        Some(value) => table.insert(record.key, value),
                        None => table.remove(&record.key),
                    };
                }
                table
            };
            let before = table(&batches);
            let (mut dirty, mut now) = (0, NOW);
            for (end, elapsed) in ends {
                let end = (end as i64 * base / 99).max(dirty);
                now = TimestampMs(now.0 + elapsed);
                let mut last = LastOffsets::new(RandomState::new(), RandomState::new(), 1 << 20);
                for record in batches.iter().flat_map(|batch| batch.records().unwrap()) {
                    let record = record.unwrap();
                    if record.offset.0 >= dirty && record.offset.0 < end {
                        prop_assert!(last.note(&record.key.unwrap(), record.offset));
                    }
                }
                let pass = CompactionPass { last, end: Offset(end), now, delete_retention_ms: 1000 };
                let mut kept = Vec::new();
                for batch in &batches {
                    match pass.compact(batch, false).unwrap() {
                        Compacted::Kept => kept.push(batch.clone()),
                        Compacted::Rewritten(bytes) => kept.push(Batch::parse(&bytes).unwrap()),
                        Compacted::Gone => {}
                    }
                }
                batches = kept;
                dirty = end;
                prop_assert_eq!(&table(&batches), &before);
                // One record of a key below the end, at most.
                let mut seen = std::collections::BTreeSet::new();
                for record in batches.iter().flat_map(|batch| batch.records().unwrap()) {
                    let record = record.unwrap();
                    prop_assert!(record.offset.0 >= end || seen.insert(record.key.clone()));
                }
            }
        }
    }
}
