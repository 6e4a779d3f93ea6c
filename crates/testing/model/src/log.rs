//! A replica's log in small: batches of one record, epochs, and how much of it is on stable storage.

use partition::EpochLookup;
use types::{EpochEnd, LeaderEpoch, Offset};

/// A record, told from all others of the same run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) value: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Log {
    pub(crate) records: Vec<Record>,
    /// Below it nothing is lost by a power cut.
    pub(crate) synced: usize,
    /// An epoch that was assigned at the log's end and has no records yet.
    assigned: Option<LeaderEpoch>,
}

impl Log {
    pub(crate) fn end(&self) -> Offset {
        offset(self.records.len())
    }

    pub(crate) fn assign_epoch(&mut self, epoch: LeaderEpoch) {
        self.assigned = Some(epoch);
    }

    pub(crate) fn forget_epochs_without_records(&mut self) {
        self.assigned = None;
    }

    pub(crate) fn append(&mut self, record: Record) {
        self.assigned = self.assigned.filter(|epoch| *epoch > record.epoch);
        self.records.push(record);
    }

    pub(crate) fn truncate_to(&mut self, end: Offset) {
        self.records.truncate(index(end));
        self.synced = self.synced.min(self.records.len());
        self.assigned = None;
    }

    pub(crate) fn starts_with(&self, records: &[Record]) -> bool {
        self.records.starts_with(records)
    }
}

impl EpochLookup for Log {
    fn log_start_offset(&self) -> Offset {
        Offset::ZERO
    }

    fn log_end_offset(&self) -> Offset {
        self.end()
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let end = self.records.partition_point(|record| record.epoch <= epoch);
        if end == self.records.len()
            && let Some(assigned) = self.assigned.filter(|assigned| *assigned <= epoch)
        {
            return Some(EpochEnd {
                epoch: assigned,
                end_offset: self.end(),
            });
        }
        match end.checked_sub(1).and_then(|last| self.records.get(last)) {
            Some(record) => Some(EpochEnd {
                epoch: record.epoch,
                end_offset: offset(end),
            }),
            None if self.records.is_empty() && self.assigned.is_none() => None,
            None => Some(EpochEnd {
                epoch,
                end_offset: Offset::ZERO,
            }),
        }
    }

    fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.assigned.or_else(|| self.records.last().map(|record| record.epoch))
    }
}

pub(crate) fn offset(index: usize) -> Offset {
    Offset(i64::try_from(index).unwrap_or(i64::MAX))
}

pub(crate) fn index(offset: Offset) -> usize {
    usize::try_from(offset.0).unwrap_or(0)
}
