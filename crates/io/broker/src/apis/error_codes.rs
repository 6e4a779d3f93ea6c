//! From our errors to Kafka's codes: the one place. Exhaustive on purpose, so that a new kind of error can't be answered as
//! something else in silence.

use partition::AdmissionRefusal;
use partition::producer_state::SequenceError;
use records::BatchError;
use storage::LogError;
use types::ErrorCode;

use crate::controller_client::ControllerError;
use crate::partition::{AppendError, DeleteRecordsError, ReadError};

/// An error that a client is told.
pub(crate) trait KafkaError {
    /// Kafka's code of it.
    fn code(&self) -> ErrorCode;
}

impl KafkaError for AppendError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotLeader => ErrorCode::NotLeaderOrFollower,
            Self::Refused(refusal) => refusal.code(),
            Self::Invalid(error) => error.code(),
            Self::DiskFull(_) => ErrorCode::KafkaStorageError,
            Self::Log(error) => error.code(),
        }
    }
}

impl KafkaError for AdmissionRefusal {
    fn code(&self) -> ErrorCode {
        match self {
            Self::FencedEpoch(_) => ErrorCode::FencedLeaderEpoch,
            Self::UnknownEpoch(_) => ErrorCode::UnknownLeaderEpoch,
            Self::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
            // The one refusal after which every client sends its batches again, in their order.
            Self::MayOvertake(_) => ErrorCode::NotLeaderOrFollower,
            Self::Sequence(error) => error.code(),
        }
    }
}

impl KafkaError for SequenceError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::InvalidTxnState { .. } => ErrorCode::InvalidTxnState,
            Self::TransactionCoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

impl KafkaError for BatchError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidBatchLength(_) | Self::CrcMismatch { .. } => ErrorCode::CorruptMessage,
            // A format of the future is damage to Kafka, and what is left of a batch that was cut isn't seen as one.
            Self::UnsupportedMagic(magic) if !(0..2).contains(magic) => ErrorCode::CorruptMessage,
            Self::Truncated { .. }
            | Self::UnsupportedMagic(_)
            | Self::InvalidRecordCount(_)
            | Self::InvalidOffsetRange { .. }
            | Self::NoBatch
            | Self::MoreThanOneBatch
            | Self::NonZeroBaseOffset(_)
            | Self::EmptyBatch
            | Self::InconsistentRecordCount { .. }
            | Self::ControlBatchFromClient
            | Self::InvalidSequence(_)
            | Self::MissingKey { .. }
            | Self::InvalidRecord { .. }
            | Self::Decompression { .. } => ErrorCode::InvalidRecord,
            Self::UnsupportedCompression(_) => ErrorCode::UnsupportedCompressionType,
            Self::MessageTooLarge { .. } | Self::DecompressedTooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::TimestampOutOfRange { .. } | Self::LogAppendTimeFromClient => ErrorCode::InvalidTimestamp,
            Self::Unbuildable(_) => ErrorCode::RecordListTooLarge,
        }
    }
}

impl KafkaError for LogError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::InvalidBatch(error) => error.code(),
            Self::Storage { .. }
            | Self::Poisoned { .. }
            | Self::OutOfOrder { .. }
            | Self::BatchSize { .. }
            | Self::Corrupt { .. }
            | Self::Uncleanable { .. }
            | Self::InconsistentTopicId { .. } => ErrorCode::KafkaStorageError,
        }
    }
}

impl KafkaError for ReadError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotLeader => ErrorCode::NotLeaderOrFollower,
            Self::FencedEpoch(_) => ErrorCode::FencedLeaderEpoch,
            Self::UnknownEpoch(_) => ErrorCode::UnknownLeaderEpoch,
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::OffsetNotAvailable => ErrorCode::OffsetNotAvailable,
            Self::Log(error) => error.code(),
        }
    }
}

impl KafkaError for DeleteRecordsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotLeader => ErrorCode::NotLeaderOrFollower,
            Self::OutOfRange(_) => ErrorCode::OffsetOutOfRange,
            Self::Pending(_) => ErrorCode::RequestTimedOut,
            Self::Log(error) => error.code(),
        }
    }
}

impl KafkaError for ControllerError {
    /// In both cases the change may or may not be made: clients look and ask again.
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoController | Self::Unknown(_) => ErrorCode::RequestTimedOut,
        }
    }
}
