//! The states of a consumer group.

/// How far a group is; it follows from epochs and members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsumerGroupState {
    /// No members; it may have offsets.
    Empty,
    /// The target assignment is behind the group's epoch.
    Assigning,
    /// Some member isn't where its target is.
    Reconciling,
    /// Everyone has their target.
    Stable,
    /// It doesn't exist; only answers show it.
    Dead,
}

impl ConsumerGroupState {
    /// Kafka's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}
