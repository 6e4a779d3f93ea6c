//! What a shard needs of its log: the seam for tests, which fake it, and for the real partition.

use std::fmt::Debug;

use bytes::Bytes;
use futures::future::BoxFuture;
use records::Batch;
use types::{ErrorCode, Offset};

/// Where the log stands, within the leadership that the log handle belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogPlace {
    /// First offset that isn't committed.
    pub(crate) high_watermark: Offset,
    /// Next offset.
    pub(crate) log_end_offset: Offset,
    /// First offset kept.
    pub(crate) log_start_offset: Offset,
}

/// Committed bytes of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadChunk {
    /// Whole batches; the first may begin before the offset that was asked for.
    pub(crate) records: Bytes,
    /// Where to read on.
    pub(crate) next: Offset,
}

/// One partition of `__consumer_offsets` as its leader in one leader epoch holds it.
pub(crate) trait GroupLog: Debug + Send + Sync + 'static {
    /// Where it stands; `None` when the leadership is over (CO-1).
    fn place(&self) -> Option<LogPlace>;

    /// Appends a batch to be committed by all in-sync replicas, and tells its first record's offset.
    ///
    /// # Errors
    /// Why it wasn't appended, as Produce would answer; nothing was written then.
    fn append(&self, batch: &Batch) -> Result<Offset, ErrorCode>;

    /// Reads committed batches from an offset on; empty when there are none.
    ///
    /// # Errors
    /// What is wrong with the log.
    fn read(&self, from: Offset) -> BoxFuture<'_, Result<ReadChunk, String>>;

    /// From now on a change of the high watermark or of the role is remembered for [`GroupLog::woken`].
    fn arm(&self);

    /// Waits for a change since [`GroupLog::arm`]. May end without one. Dropping it forgets nothing.
    fn woken(&self) -> BoxFuture<'_, ()>;
}
