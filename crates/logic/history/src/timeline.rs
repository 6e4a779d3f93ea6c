//! A history over time: throughput, latency, faults, and how long which partition took no write.
//!
//! A partition is unavailable between two acknowledgements while a record to it waits for its answer. Nobody waits: nobody
//! misses it.

use std::collections::VecDeque;

use crate::event::{Entry, Event, ReaderKind, Records};
use crate::latency::Latencies;

/// The first width of a bucket.
const BUCKET_US: u64 = 1_000_000;
/// More buckets than that are joined two by two.
const BUCKETS_MAX: usize = 1_200;
/// A shorter gap between two acknowledgements is everyday life.
const NOTABLE_US: u64 = 200_000;
/// Gaps that are kept.
const GAPS_MAX: usize = 100_000;

/// What happened in one span of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Acknowledged records.
    pub acked: u64,
    /// Records refused or given up.
    pub failed: u64,
    /// Reads of consumers without a group.
    pub read: u64,
    /// Reads of groups' members.
    pub read_in_groups: u64,
    /// From handing a record over to its acknowledgement.
    pub latencies: Latencies,
}

/// A time without an acknowledgement although somebody waited for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// In which partition.
    pub partition: u32,
    /// Since the last acknowledgement, or since somebody waits.
    pub from_us: u64,
    /// Until the next one.
    pub to_us: u64,
}

impl Gap {
    /// How long.
    pub fn us(&self) -> u64 {
        self.to_us.saturating_sub(self.from_us)
    }
}

/// A fault: from its injection until the cluster was whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// Its number.
    pub fault: u32,
    /// What was done to whom.
    pub name: String,
    /// The kinds of what was done.
    pub kinds: Vec<String>,
    /// When.
    pub began_us: u64,
    /// When it was undone.
    pub ended_us: Option<u64>,
    /// When every replica was in sync again.
    pub whole_us: Option<u64>,
}

/// A history over time.
#[derive(Debug, Default)]
pub struct Timeline {
    bucket_us: u64,
    buckets: Vec<Bucket>,
    latencies: Latencies,
    partitions: Vec<Partition>,
    producers: usize,
    /// By partition and producer: the ends of bursts that wait for their answers, and when they were sent.
    waiting: Vec<VecDeque<(u64, u64)>>,
    readers: Vec<ReaderKind>,
    gaps: Vec<Gap>,
    faults: Vec<Phase>,
    end_us: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Partition {
    waiting: u64,
    since_us: u64,
    longest: Option<Gap>,
}

impl Timeline {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            bucket_us: BUCKET_US,
            ..Self::default()
        }
    }

    /// Takes the next event.
    pub fn record(&mut self, entry: &Entry) {
        let us = entry.us;
        // What readers do when all is sent belongs to no curve: the run is over.
        match &entry.event {
            Event::Begin {
                partitions,
                producers,
                readers,
                ..
            } => {
                self.producers = usize::from(*producers);
                self.partitions = vec![Partition::default(); *partitions as usize];
                self.waiting = vec![VecDeque::new(); self.partitions.len().saturating_mul(self.producers)];
                self.readers.clone_from(readers);
            }
            Event::Sent(records) => self.on_sent(us, *records),
            Event::Acked { records, .. } => self.on_acked(us, *records),
            Event::Refused { records, .. } | Event::Unknown { records, .. } => {
                self.end_us = self.end_us.max(us);
                let count = u64::from(records.count);
                if let Some(partition) = self.partitions.get_mut(records.partition as usize) {
                    partition.waiting = partition.waiting.saturating_sub(count);
                }
                self.bucket(us).failed += count;
            }
            Event::Read { reader, records, .. } => {
                let count = u64::from(records.count);
                match self.readers.get(usize::from(*reader)) {
                    Some(ReaderKind::Assigned) => self.bucket(us).read += count,
                    Some(ReaderKind::Member { .. }) => self.bucket(us).read_in_groups += count,
                    Some(ReaderKind::Final) | None => {}
                }
            }
            Event::FaultBegan { fault, name, kinds } => self.faults.push(Phase {
                fault: *fault,
                name: name.clone(),
                kinds: kinds.clone(),
                began_us: us,
                ended_us: None,
                whole_us: None,
            }),
            Event::FaultEnded { fault } => {
                if let Some(phase) = self.faults.iter_mut().find(|phase| phase.fault == *fault) {
                    phase.ended_us = Some(us);
                }
            }
            Event::Whole { fault } => {
                if let Some(phase) = self.faults.iter_mut().find(|phase| phase.fault == *fault) {
                    phase.whole_us = Some(us);
                }
            }
            Event::Assigned { .. }
            | Event::Foreign { .. }
            | Event::OutOfRange { .. }
            | Event::Commit { .. }
            | Event::Committed { .. }
            | Event::End { .. }
            | Event::Stalled { .. }
            | Event::Note { .. } => {}
        }
    }

    /// The width of a bucket now.
    pub fn bucket_us(&self) -> u64 {
        self.bucket_us
    }

    /// All buckets from the run's begin on.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// From handing a record over to its acknowledgement, over the whole run.
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// When the last record was sent or answered.
    pub fn end_us(&self) -> u64 {
        self.end_us
    }

    /// The faults in their order.
    pub fn faults(&self) -> &[Phase] {
        &self.faults
    }

    /// The gaps of 200 ms and more, in the order of their ends.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The longest gap of each partition.
    pub fn longest_gaps(&self) -> impl Iterator<Item = Option<Gap>> {
        self.partitions.iter().map(|partition| partition.longest)
    }

    /// The longest gap that a fault may have caused: one that lasted while it did, or until the cluster was whole.
    pub fn gap_of(&self, phase: &Phase) -> Option<Gap> {
        let until = phase.whole_us.or(phase.ended_us).unwrap_or(self.end_us);
        let touching = self
            .gaps
            .iter()
            .filter(|gap| gap.from_us <= until && gap.to_us >= phase.began_us);
        touching.max_by_key(|gap| gap.us()).copied()
    }

    fn on_sent(&mut self, us: u64, records: Records) {
        self.end_us = self.end_us.max(us);
        let count = u64::from(records.count);
        if let Some(lane) = self.lane(records) {
            lane.push_back((records.sequence.saturating_add(count), us));
        }
        if let Some(partition) = self.partitions.get_mut(records.partition as usize) {
            if partition.waiting == 0 {
                partition.since_us = us;
            }
            partition.waiting += count;
        }
    }

    fn on_acked(&mut self, us: u64, records: Records) {
        self.end_us = self.end_us.max(us);
        let (partition, count) = (records.partition, u64::from(records.count));
        let mut took = Vec::new();
        if let Some(lane) = self.lane(records) {
            let (mut from, end) = (records.sequence, records.sequence.saturating_add(count));
            while let Some((burst_end, sent_us)) = lane.front().copied().filter(|_| from < end) {
                let upto = burst_end.min(end);
                if upto > from {
                    took.push((us.saturating_sub(sent_us), upto - from));
                    from = upto;
                }
                if burst_end <= end {
                    lane.pop_front();
                }
            }
        }
        for (took, count) in took {
            self.latencies.add(took, count);
            self.bucket(us).latencies.add(took, count);
        }
        self.bucket(us).acked += count;
        let Some(state) = self.partitions.get_mut(partition as usize) else {
            return;
        };
        let gap = Gap {
            partition,
            from_us: state.since_us.min(us),
            to_us: us,
        };
        state.waiting = state.waiting.saturating_sub(count);
        state.since_us = us;
        if state.longest.is_none_or(|longest| longest.us() < gap.us()) {
            state.longest = Some(gap);
        }
        if gap.us() >= NOTABLE_US && self.gaps.len() < GAPS_MAX {
            self.gaps.push(gap);
        }
    }

    fn lane(&mut self, records: Records) -> Option<&mut VecDeque<(u64, u64)>> {
        let at = (records.partition as usize)
            .saturating_mul(self.producers)
            .saturating_add(usize::from(records.producer));
        self.waiting.get_mut(at)
    }

    fn bucket(&mut self, us: u64) -> &mut Bucket {
        while us / self.bucket_us >= BUCKETS_MAX as u64 {
            self.join_buckets();
        }
        let at = (us / self.bucket_us) as usize;
        if at >= self.buckets.len() {
            self.buckets.resize(at + 1, Bucket::default());
        }
        &mut self.buckets[at]
    }

    fn join_buckets(&mut self) {
        self.bucket_us *= 2;
        let joined = self.buckets.chunks(2).map(|pair| {
            let mut sum = Bucket::default();
            for bucket in pair {
                sum.acked += bucket.acked;
                sum.failed += bucket.failed;
                sum.read += bucket.read;
                sum.read_in_groups += bucket.read_in_groups;
                sum.latencies.merge(&bucket.latencies);
            }
            sum
        });
        self.buckets = joined.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(events: &[(u64, Event)]) -> Timeline {
        let mut timeline = Timeline::new();
        let begin = Event::Begin {
            run: 1,
            partitions: 2,
            producers: 1,
            groups: 0,
            readers: vec![ReaderKind::Assigned],
        };
        timeline.record(&Entry { us: 0, event: begin });
        for (us, event) in events {
            timeline.record(&Entry {
                us: *us,
                event: event.clone(),
            });
        }
        timeline
    }

    fn records(sequence: u64, count: u32) -> Records {
        Records {
            producer: 0,
            partition: 1,
            sequence,
            count,
        }
    }

    fn sent(sequence: u64, count: u32) -> Event {
        Event::Sent(records(sequence, count))
    }

    fn acked(sequence: u64, count: u32) -> Event {
        Event::Acked {
            records: records(sequence, count),
            offset: Some(sequence),
        }
    }

    #[test]
    fn latency_is_from_the_burst_that_holds_the_record() {
        let timeline = timeline(&[
            (1_000, sent(0, 10)),
            (2_000, sent(10, 10)),
            (5_000, acked(0, 15)),
            (6_000, acked(15, 5)),
        ]);
        assert_eq!(timeline.latencies().count(), 20);
        assert_eq!(timeline.latencies().max_us(), 4_000);
        assert!((3_000..3_200).contains(&timeline.latencies().per_mille_us(250)));
        assert_eq!(timeline.buckets()[0].acked, 20);
    }

    #[test]
    fn a_gap_counts_while_somebody_waits_and_belongs_to_its_fault() {
        let timeline = timeline(&[
            (0, sent(0, 1)),
            (1_000, acked(0, 1)),
            // Nobody waits for nine seconds: no gap.
            (9_000_000, sent(1, 2)),
            (9_001_000, acked(1, 1)),
            (
                9_100_000,
                Event::FaultBegan {
                    fault: 0,
                    name: "kill".into(),
                    kinds: vec!["kill".into()],
                },
            ),
            (9_200_000, Event::FaultEnded { fault: 0 }),
            (10_001_000, acked(2, 1)),
            (11_000_000, Event::Whole { fault: 0 }),
        ]);
        let gap = timeline.gap_of(&timeline.faults()[0]).unwrap();
        assert_eq!((gap.partition, gap.us()), (1, 1_000_000));
        let longest: Vec<Option<u64>> = timeline.longest_gaps().map(|gap| gap.map(|gap| gap.us())).collect();
        assert_eq!(longest, [None, Some(1_000_000)]);
        assert_eq!(timeline.gaps().len(), 1);
    }

    #[test]
    fn a_long_run_has_wider_buckets() {
        let last = 3 * BUCKETS_MAX as u64 * BUCKET_US;
        let timeline = timeline(&[(0, sent(0, 2)), (1, acked(0, 1)), (last, acked(1, 1))]);
        assert_eq!(timeline.bucket_us(), 4 * BUCKET_US);
        assert!(timeline.buckets().len() <= BUCKETS_MAX);
        assert_eq!(timeline.buckets().iter().map(|bucket| bucket.acked).sum::<u64>(), 2);
    }
}
