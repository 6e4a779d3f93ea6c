//! What the clients saw: which records were acknowledged, which failed, of which nothing is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use types::Offset;

use crate::fabric::NodeId;

/// What became of one attempt to write a value. A value is written by one attempt, or by the retries of one idempotent
/// batch: it may stand in the log at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Acknowledged at this offset.
    Acked(Offset),
    /// The broker said that nothing was written.
    Failed,
    /// No answer, or one that leaves it open.
    Unknown,
}

/// A consumer's reading of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Consumed {
    pub(crate) consumer: i64,
    pub(crate) partition: i32,
    pub(crate) offset: Offset,
    pub(crate) value: String,
}

/// A broker refused the next batch of a producer whose earlier batches were all acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SequenceRefusal {
    pub(crate) node: NodeId,
    pub(crate) partition: i32,
    pub(crate) why: String,
}

/// A broker told a client that everything below `end` is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) node: NodeId,
    pub(crate) partition: i32,
    pub(crate) end: Offset,
}

/// A member was told that these partitions are its own in this generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ownership {
    pub(crate) generation: i32,
    pub(crate) member: String,
    pub(crate) partitions: Vec<i32>,
}

/// The highest answered commit of each partition.
pub(crate) type Committed = BTreeMap<i32, Offset>;

/// What the group was told of a partition's committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetTold {
    pub(crate) partition: i32,
    pub(crate) offset: Offset,
    /// What had been answered before this was asked.
    pub(crate) at_least: Offset,
    /// What anybody had ever asked to be committed.
    pub(crate) at_most: Offset,
    /// Whether it was a commit that was answered, or a fetch.
    pub(crate) is_commit: bool,
}

#[derive(Debug, Default)]
struct Entries {
    producer_ids: BTreeSet<i64>,
    claims: Vec<Claim>,
    ownerships: Vec<Ownership>,
    offsets_answered: Committed,
    offsets_sent: Committed,
    offsets_told: Vec<OffsetTold>,
    written: BTreeMap<(i32, String), Fate>,
    consumed: Vec<Consumed>,
    oddity: Option<(&'static str, String)>,
    /// A broker's refusal of a sequence: wrong, unless the broker is deposed and doesn't know.
    refusals: Vec<SequenceRefusal>,
    acked: u64,
}

/// The clients' side of the story. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(Arc<Mutex<Entries>>);

impl History {
    /// What is now known of a value.
    pub(crate) fn wrote(&self, partition: i32, value: &str, fate: Fate) {
        let mut entries = self.0.lock();
        entries.acked += u64::from(matches!(fate, Fate::Acked(_)));
        entries.written.insert((partition, value.to_owned()), fate);
    }

    /// A consumer got a record.
    pub(crate) fn consumed(&self, record: Consumed) {
        self.0.lock().consumed.push(record);
    }

    /// An answer that no correct cluster gives.
    pub(crate) fn odd(&self, promise: &'static str, what: String) {
        self.0.lock().oddity.get_or_insert((promise, what));
    }

    /// A sequence was refused.
    pub(crate) fn refused(&self, refusal: SequenceRefusal) {
        self.0.lock().refusals.push(refusal);
    }

    /// The refusals since the last call.
    pub(crate) fn take_refusals(&self) -> Vec<SequenceRefusal> {
        std::mem::take(&mut self.0.lock().refusals)
    }

    /// A producer got its id.
    pub(crate) fn identified(&self, producer_id: i64) {
        let is_new = self.0.lock().producer_ids.insert(producer_id);
        if !is_new {
            self.odd("PID-1", format!("producer id {producer_id} was handed out twice"));
        }
    }

    /// A broker told what is visible.
    pub(crate) fn claimed(&self, claim: Claim) {
        self.0.lock().claims.push(claim);
    }

    /// The claims since the last call.
    pub(crate) fn take_claims(&self) -> Vec<Claim> {
        std::mem::take(&mut self.0.lock().claims)
    }

    /// A member got its assignment.
    pub(crate) fn owns(&self, ownership: Ownership) {
        self.0.lock().ownerships.push(ownership);
    }

    /// The assignments since the last call.
    pub(crate) fn take_ownerships(&self) -> Vec<Ownership> {
        std::mem::take(&mut self.0.lock().ownerships)
    }

    /// How far the group had come by any answer so far: that a commit is done, or what is committed.
    pub(crate) fn offsets_answered(&self) -> Committed {
        self.0.lock().offsets_answered.clone()
    }

    /// Somebody asks for this to be committed.
    pub(crate) fn offsets_sent(&self, positions: &[(i32, Offset)]) {
        let sent = &mut self.0.lock().offsets_sent;
        for (partition, offset) in positions {
            let most = sent.entry(*partition).or_insert(*offset);
            *most = (*most).max(*offset);
        }
    }

    /// A commit was answered; `bounds` had been answered before it was sent.
    pub(crate) fn offsets_committed(&self, positions: &[(i32, Offset)], bounds: &Committed) {
        let entries = &mut *self.0.lock();
        for (partition, offset) in positions {
            entries.told(*partition, *offset, bounds, true);
        }
    }

    /// A committed offset was fetched; `bounds` had been answered before it was asked for. It binds as a commit's answer does: a
    /// commit whose own answer was an error, as its leader was deposed, may well stand.
    pub(crate) fn offset_fetched(&self, partition: i32, offset: Offset, bounds: &Committed) {
        self.0.lock().told(partition, offset, bounds, false);
    }

    /// The offsets told since the last call.
    pub(crate) fn take_offsets_told(&self) -> Vec<OffsetTold> {
        std::mem::take(&mut self.0.lock().offsets_told)
    }

    pub(crate) fn oddity(&self) -> Option<(&'static str, String)> {
        self.0.lock().oddity.clone()
    }

    /// Acknowledged values so far.
    pub(crate) fn acked(&self) -> u64 {
        self.0.lock().acked
    }

    /// Records consumed so far.
    pub(crate) fn consumed_count(&self) -> usize {
        self.0.lock().consumed.len()
    }

    /// Everything written, in order of partition and value.
    pub(crate) fn written(&self) -> Vec<(i32, String, Fate)> {
        let entries = self.0.lock();
        entries
            .written
            .iter()
            .map(|((partition, value), fate)| (*partition, value.clone(), *fate))
            .collect()
    }

    /// Everything consumed, in order of time.
    pub(crate) fn read(&self) -> Vec<Consumed> {
        self.0.lock().consumed.clone()
    }
}

impl Entries {
    fn told(&mut self, partition: i32, offset: Offset, bounds: &Committed, is_commit: bool) {
        let none = Offset(-1);
        self.offsets_told.push(OffsetTold {
            partition,
            offset,
            at_least: bounds.get(&partition).copied().unwrap_or(none),
            at_most: self.offsets_sent.get(&partition).copied().unwrap_or(none),
            is_commit,
        });
        let answered = self.offsets_answered.entry(partition).or_insert(offset);
        *answered = (*answered).max(offset);
    }
}
