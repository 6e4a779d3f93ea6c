//! Idempotent and transactional producers of one partition (KIP-98), as Kafka's ProducerStateManager.
//!
//! PID-1: a batch that was appended is never appended again while its producer is known and it is among the producer's
//! last five. PID-2: a producer's batches are appended in the order of their sequences. PID-3: an older epoch of a
//! producer id never writes after a newer one. PID-4: producers are bounded in number; the longest idle one is forgotten
//! first, one with an open transaction never (the last stable offset hangs on it). PID-5: a producer that can't
//! have been forgotten, for its id was given out after this replica opened its log or last forgot anybody, begins at
//! sequence 0. Kafka takes any sequence of a producer that it doesn't know; then the second batch may be taken while the
//! first is on its way to a leader that hangs, and librdkafka takes the second one's acknowledgement for the first one's,
//! too.
//!
//! Two ways in: the leader asks [`ProducerStates::check`] before it appends a client's batch; everyone (leader, follower,
//! recovery) tells [`ProducerStates::on_append`] or [`ProducerStates::on_marker`] after. What is in the log was admitted
//! by its leader, so the second way cannot fail. All of it is derived from the log: `storage` writes snapshots, and after
//! a truncation clears, loads the last snapshot and replays what follows.

mod check;
mod entry;
mod snapshot;
mod states;
#[cfg(test)]
mod tests;

pub use check::{SequenceCheck, SequenceError};
pub use entry::{BATCHES_RETAINED, BatchMetadata, ProducerEntry};
pub use snapshot::{SnapshotError, decode_snapshot, encode_snapshot};
pub use states::{CompletedTransaction, MAX_PRODUCERS, ProducerStates};
