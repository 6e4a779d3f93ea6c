//! Control records: what brokers write into logs for themselves (KIP-98, KIP-595).
//!
//! The key is a version and a type, both i16; later versions may append fields, which are ignored. A control batch holds
//! one record.

use bytes::Bytes;

use crate::{Batch, BatchError, Record};

/// Newest version of key and value that this code writes.
const VERSION: i16 = 0;

/// What a control record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlRecordType {
    /// The producer's transaction was aborted.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// A KRaft leader began its epoch.
    LeaderChange,
    /// A KRaft snapshot begins.
    SnapshotHeader,
    /// A KRaft snapshot ends.
    SnapshotFooter,
    /// KRaft's protocol version.
    KRaftVersion,
    /// KRaft's voters.
    KRaftVoters,
    /// A type that is newer than this code.
    Unknown(i16),
}

/// The end of a transaction on one partition, as the transaction coordinator wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EndTransactionMarker {
    /// Committed, else aborted.
    pub committed: bool,
    /// The leader epoch of the coordinator's partition: fences deposed coordinators.
    pub coordinator_epoch: i32,
}

fn i16_at(bytes: &[u8], at: usize) -> Option<i16> {
    bytes.get(at..)?.first_chunk().map(|raw| i16::from_be_bytes(*raw))
}

impl ControlRecordType {
    /// Reads a control record's key; `None` when it is too short or its version is negative.
    #[must_use]
    pub fn parse(key: &[u8]) -> Option<Self> {
        if i16_at(key, 0)? < 0 {
            return None;
        }
        Some(match i16_at(key, 2)? {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KRaftVersion,
            6 => Self::KRaftVoters,
            unknown => Self::Unknown(unknown),
        })
    }

    /// Kafka's id.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
            Self::Unknown(id) => id,
        }
    }

    /// A control record's key.
    #[must_use]
    pub fn encode(self) -> Bytes {
        let mut key = VERSION.to_be_bytes().to_vec();
        key.extend(self.id().to_be_bytes());
        key.into()
    }
}

impl EndTransactionMarker {
    /// Reads the marker from a control batch's record; `None` for another control record.
    ///
    /// # Errors
    /// [`BatchError::InvalidRecord`] for a key or value that is too short or has a negative version.
    pub fn parse(record: &Record) -> Result<Option<Self>, BatchError> {
        let invalid = |reason| BatchError::InvalidRecord { index: 0, reason };
        let key = record.key.as_ref().ok_or(invalid("null control key"))?;
        let committed = match ControlRecordType::parse(key).ok_or(invalid("bad control key"))? {
            ControlRecordType::Abort => false,
            ControlRecordType::Commit => true,
            ControlRecordType::LeaderChange
            | ControlRecordType::SnapshotHeader
            | ControlRecordType::SnapshotFooter
            | ControlRecordType::KRaftVersion
            | ControlRecordType::KRaftVoters
            | ControlRecordType::Unknown(_) => return Ok(None),
        };
        let value = record.value.as_deref().ok_or(invalid("null marker"))?;
        let version = i16_at(value, 0).ok_or(invalid("short marker"))?;
        if version < 0 {
            return Err(invalid("negative marker version"));
        }
        let epoch = value
            .get(2..)
            .and_then(|rest| rest.first_chunk::<4>())
            .ok_or(invalid("short marker"))?;
        Ok(Some(Self {
            committed,
            coordinator_epoch: i32::from_be_bytes(*epoch),
        }))
    }

    /// The control type of the marker's key.
    #[must_use]
    pub fn control_type(self) -> ControlRecordType {
        if self.committed {
            ControlRecordType::Commit
        } else {
            ControlRecordType::Abort
        }
    }

    /// The marker's value.
    #[must_use]
    pub fn encode(self) -> Bytes {
        let mut value = VERSION.to_be_bytes().to_vec();
        value.extend(self.coordinator_epoch.to_be_bytes());
        value.into()
    }
}

impl Batch {
    /// The transaction marker of a control batch. `None` for a data batch, another control record, or a control batch
    /// that compaction has emptied.
    ///
    /// # Errors
    /// Whatever is wrong with the record.
    pub fn end_transaction_marker(&self) -> Result<Option<EndTransactionMarker>, BatchError> {
        if !self.header.is_control() {
            return Ok(None);
        }
        match self.records()?.next() {
            None => Ok(None),
            Some(record) => EndTransactionMarker::parse(&record?),
        }
    }
}
