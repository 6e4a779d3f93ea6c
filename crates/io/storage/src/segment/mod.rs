//! One segment of a log: a `.log` file and the indexes derived from it.
//!
//! The last segment of a log is *active* (written to, its indexes partly in memory), the others are *closed* (immutable,
//! a few words in memory, their files opened on demand).

pub(crate) mod aborted_transactions;
mod active;
mod closed;
mod index_entry;
pub(crate) mod scan;
pub(crate) mod sparse_index;

pub use aborted_transactions::AbortedTransaction;
pub(crate) use active::{ActiveSegment, RollLimits, cleaned_file};
pub(crate) use closed::ClosedSegment;
pub(crate) use index_entry::{IndexEntry, OffsetEntry, TimeEntry};
