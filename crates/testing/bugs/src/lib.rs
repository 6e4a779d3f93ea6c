//! Deliberate bugs, to prove that the simulation's checkers can see.
//!
//! Crates of the product ask for one in a single place each, compiled in only with their feature `bugs`, which the
//! simulation alone turns on. Nothing but the simulation can plant a bug: there is no key, no variable and no request for
//! it, and it holds for the planting thread only.

use std::cell::Cell;

/// What can be done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// A new follower cuts its log at its high watermark (what KIP-101 ended).
    TruncateByHighWatermark,
    /// A leader takes a follower's log for its own prefix without comparing epochs.
    SkipEpochCheck,
    /// Topics that sync acknowledge what was only written.
    AckBeforeWrite,
    /// A voter answers before its vote is synced.
    VoteWithoutSync,
    /// An ISR change that is in flight doesn't count for the high watermark yet.
    IgnoreMaximalIsr,
    /// The high watermark rises while the ISR is below min ISR.
    RiseUnderMinIsr,
    /// An acknowledgement counts whatever stream it belongs to.
    CountOldStreamsAck,
    /// A new leader knows no producers.
    ForgetProducersAtFailover,
    /// The host has the same boot id after a power cut.
    EqualBootId,
    /// A wiped node's new directory votes beside its old one.
    TwoVotersOfOneId,
}

impl Bug {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::TruncateByHighWatermark,
        Self::SkipEpochCheck,
        Self::AckBeforeWrite,
        Self::VoteWithoutSync,
        Self::IgnoreMaximalIsr,
        Self::RiseUnderMinIsr,
        Self::CountOldStreamsAck,
        Self::ForgetProducersAtFailover,
        Self::EqualBootId,
        Self::TwoVotersOfOneId,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// From now on this thread has that bug.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this thread has that bug.
#[must_use]
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
