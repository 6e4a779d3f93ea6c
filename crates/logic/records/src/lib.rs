//! Record batches v2 as bytes: check, stamp, iterate, compress, build.
//!
//! A batch stays the bytes that its producer sent, from the socket to the disk to the consumer. What the broker must
//! know stands in the first 61 bytes ([`BatchHeader`]); what it must write (base offset, leader epoch) lies outside the
//! CRC ([`stamp()`]). Payloads are decoded only where a rule needs them: control records, compaction, deep checks, tools.
//!
//! Invariants: REC-1: no input panics, overflows, or allocates more than its own bytes or a named bound justify (EDGE).
//! REC-2: a batch is never changed inside its CRC without the CRC being computed anew. REC-3: slices share the input's
//! buffer; nothing here copies an uncompressed payload. REC-4: an iterator ends after its first error.

mod append_check;
mod attributes;
mod batch;
mod batches;
mod builder;
mod compression;
mod control;
mod error;
mod header;
mod record;
mod stamp;
#[cfg(test)]
mod tests;
mod varint;

pub use append_check::{AppendRules, RecordRules};
pub use attributes::{Attributes, Compression, TimestampType};
pub use batch::Batch;
pub use batches::{Batches, Tail, batches};
pub use builder::{BatchBuilder, NewRecord};
pub use compression::{MAX_DECOMPRESSED_BYTES, compress, decompress};
pub use control::{ControlRecordType, EndTransactionMarker};
pub use error::BatchError;
pub use header::{BATCH_HEADER_BYTES, BatchHeader, LOG_OVERHEAD_BYTES, MAGIC_V2, NO_SEQUENCE, NO_TIMESTAMP};
pub use record::{EncodedHeaders, Record, RecordHeader, Records};
pub use stamp::{stamp, stamp_log_append_time};
