//! The in-sync replicas as the leader knows them (KIP-497).
//!
//! ISR-1: while a change is in flight, the leader commits against the maximal ISR (old and proposed members together),
//! because the controller may already have taken the change whose answer is still on the way. An answer doesn't end that, only
//! a committed partition epoch does: a copy of the proposal, sent when an answer was late, may still be taken after another
//! copy was refused (found by crates/testing/model).

use types::BrokerId;

/// Committed membership, and the change that is in flight, if any.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Isr {
    /// The controller's last word.
    Committed {
        /// Members, the leader included.
        members: Vec<BrokerId>,
    },
    /// A change was proposed and its outcome isn't known yet.
    Pending {
        /// The controller's last word.
        committed: Vec<BrokerId>,
        /// What was proposed.
        proposed: Vec<BrokerId>,
    },
}

impl Isr {
    /// The members of the last committed ISR.
    #[must_use]
    pub fn committed(&self) -> &[BrokerId] {
        match self {
            Self::Committed { members } => members,
            Self::Pending { committed, .. } => committed,
        }
    }

    /// Whether a change is in flight.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Pending { .. })
    }

    /// Whether `broker` counts for the high watermark (ISR-1).
    #[must_use]
    pub fn counts(&self, broker: BrokerId) -> bool {
        #[cfg(feature = "bugs")]
        if bugs::is_planted(bugs::Bug::IgnoreMaximalIsr) {
            return self.committed().contains(&broker);
        }
        match self {
            Self::Committed { members } => members.contains(&broker),
            Self::Pending { committed, proposed } => committed.contains(&broker) || proposed.contains(&broker),
        }
    }
}
