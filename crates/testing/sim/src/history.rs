//! What the clients saw: which records were acknowledged, which failed, of which nothing is known.

use std::collections::BTreeMap;
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

#[derive(Debug, Default)]
struct Entries {
    written: BTreeMap<(i32, String), Fate>,
    consumed: Vec<Consumed>,
    oddity: Option<String>,
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
    pub(crate) fn odd(&self, what: String) {
        self.0.lock().oddity.get_or_insert(what);
    }

    /// A sequence was refused.
    pub(crate) fn refused(&self, refusal: SequenceRefusal) {
        self.0.lock().refusals.push(refusal);
    }

    /// The refusals since the last call.
    pub(crate) fn take_refusals(&self) -> Vec<SequenceRefusal> {
        std::mem::take(&mut self.0.lock().refusals)
    }

    pub(crate) fn oddity(&self) -> Option<String> {
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
