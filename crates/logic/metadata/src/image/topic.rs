//! One topic: its identity and its partitions.

use std::sync::Arc;

use imbl::Vector;
use types::{PartitionIndex, TopicId, TopicName};

use super::PartitionRegistration;

/// A topic as committed. Cheap to clone; partitions are shared between images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// Its identity.
    pub id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// Its partitions; the place is the index.
    pub partitions: Vector<Arc<PartitionRegistration>>,
}

impl TopicImage {
    /// The partition of that index.
    #[must_use]
    pub fn partition(&self, index: PartitionIndex) -> Option<&Arc<PartitionRegistration>> {
        usize::try_from(index.0).ok().and_then(|at| self.partitions.get(at))
    }

    /// The partitions in the order of their indexes.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionIndex, &Arc<PartitionRegistration>)> {
        (0_i32..).map(PartitionIndex).zip(self.partitions.iter())
    }

    /// How many partitions it has.
    #[must_use]
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }
}
