//! The states of a classic group.

use std::fmt;

/// Where a group is in its life.
///
/// ```text
///            first member joins            all joined, or time is up
///   Empty ───────────────────► PreparingRebalance ──────────────► CompletingRebalance
///     ▲                         │  ▲          ▲                            │
///     └── all members left ─────┘  │          └── a member joins or leaves ┤
///                                  │                                       │ assignment committed
///                                  └──── a member joins or leaves ── Stable ◄
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// No members; it may have offsets.
    Empty,
    /// Members are asked to join again.
    PreparingRebalance,
    /// Members wait for the leader's assignment.
    CompletingRebalance,
    /// Everyone has an assignment.
    Stable,
    /// It doesn't exist. No group of a shard is in this state; only answers show it.
    Dead,
}

impl GroupState {
    /// Kafka's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
