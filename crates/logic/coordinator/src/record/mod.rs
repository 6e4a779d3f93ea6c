//! The records of `__consumer_offsets` as bytes: Kafka's own, which its tools, Burrow and MirrorMaker read.
//!
//! A key starts with an i16 version that names its kind: 0 and 1 are offset commits, 2 is a classic group's metadata, 3 to 8 and
//! 16 are the consumer protocol's (KIP-848; 4 was given up for the hash in 3); others (share and streams groups) are skipped. A value starts with its own version. We write what Kafka 4 writes, values v3
//! (v1 where a client set an expiry), and read v0 to v4. Nothing here panics or allocates beyond the bytes at hand.

mod consumer_group;
mod group_metadata;
mod key;
mod offset_commit;
mod reader;
mod writer;

pub use consumer_group::{
    Assignment, ClassicMember, CurrentAssignment, GroupEpoch, HeldPartitions, MemberState, MemberSubscription,
    ResolvedPattern, TargetEpoch, decode_target, encode_target,
};
pub use group_metadata::{GroupMetadata, PersistedMember};
pub use key::RecordKey;
pub use offset_commit::CommittedOffset;
pub(crate) use reader::Reader;
pub use reader::RecordError;
pub(crate) use writer::{MAX_STRING_BYTES, Writer};

#[cfg(test)]
mod tests;
