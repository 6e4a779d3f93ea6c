//! What clients did and were told, and whether a cluster that keeps its promises could have told them so.
//!
//! A run of `klamm verify`, or a cluster test, is a stream of [`Entry`]s: operations with their times and outcomes. The stream
//! goes through a [`Ledger`], which keeps a few bytes a record, and, if somebody wants curves, a [`Timeline`]. At the end
//! [`Ledger::check`] gives every violation. One file below `checks` holds one property:
//!
//! * ACK-1: an acknowledged record is in the log, and no record is there twice.
//! * ACK-2: it is at the offset that was acknowledged.
//! * ACK-3: within a partition, the records of one producer are in the order in which they were sent.
//! * ACK-4: nothing is read that was refused, damaged, or not sent before. (An unknown outcome may be there or not.)
//! * VIS-2: what was read once stays: every later reader finds the same record at its offset. (VIS-1, replicas agree byte for
//!   byte, needs the replicas' files; `crates/testing/cluster` checks it.)
//! * VIS-3: nothing is read above what was written: at or above the final end of the log.
//! * VIS-4: a reader's offsets go up one by one from where it began; none is skipped, repeated or refused as out of range.
//! * GRP-1: a group's committed offsets never go back behind a commit that was answered before the question.
//! * GRP-2: below a group's last commit, every record was read by one of its members.
//! * LIVE-1: after a fault the cluster becomes whole, everything sent is answered, and readers reach the end, within bounds.
//!
//! Offsets count from 0 and have no gaps: a run has its topic to itself, without transactions or compaction.

mod answer;
mod bits;
mod checks;
mod event;
mod latency;
mod ledger;
mod payload;
mod state;
mod timeline;
mod totals;
mod violations;

pub use event::{CommitOutcome, Entry, Event, ReaderKind, Records};
pub use latency::Latencies;
pub use ledger::{Ledger, MalformedHistory};
pub use payload::{Damage, Identity, VALUE_BYTES_MIN};
pub use timeline::{Bucket, Gap, Phase, Timeline};
pub use totals::Totals;
pub use violations::{Property, Violations};
