//! Kafka's features and their levels (KIP-584): what clients see in ApiVersions, and what UpdateFeatures may change.
//!
//! Only what is served is here: a feature that a client sees at a level, it uses.

use crate::image::MetadataImage;

/// Whether groups of the new consumer protocol are served (KIP-848).
pub const GROUP_VERSION: &str = "group.version";

/// A feature of Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KafkaFeature {
    /// Kafka's name.
    pub name: &'static str,
    /// Lowest level that this version can work at.
    pub min: u16,
    /// Highest.
    pub max: u16,
    /// Whether the cluster's level can be set; else it is `max`.
    pub settable: bool,
}

/// Every feature that is served, ordered by name.
pub const KAFKA_FEATURES: &[KafkaFeature] = &[
    KafkaFeature {
        name: "eligible.leader.replicas.version",
        min: 0,
        max: 1,
        settable: false,
    },
    KafkaFeature {
        name: GROUP_VERSION,
        min: 0,
        max: 1,
        settable: true,
    },
    KafkaFeature {
        name: "kraft.version",
        min: 0,
        max: 1,
        settable: false,
    },
    // 4.4-IV2. Records of the metadata log are our own and have a version of their own, which clients don't see.
    KafkaFeature {
        name: "metadata.version",
        min: 7,
        max: 33,
        settable: false,
    },
];

/// Whether groups of the new consumer protocol are served.
#[must_use]
pub fn serves_consumer_groups(image: &MetadataImage) -> bool {
    KafkaFeature::named(GROUP_VERSION).is_some_and(|feature| feature.level(image) > 0)
}

impl KafkaFeature {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        KAFKA_FEATURES.iter().find(|feature| feature.name == name)
    }

    /// The level at which the cluster works; 0 is off.
    #[must_use]
    pub fn level(&self, image: &MetadataImage) -> u16 {
        if self.settable {
            // A metadata log of before the feature says nothing of it.
            image.finalized_level(self.name).unwrap_or(self.max).min(self.max)
        } else {
            self.max
        }
    }
}
