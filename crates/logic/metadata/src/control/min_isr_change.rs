//! What a change of `min.insync.replicas` does to the ELR (KIP-966).
//!
//! A lower one lets the high watermark move with the ISR as it is, and then who is outside it no longer holds
//! everything that was visible. So the ELR goes in the same decision, and in the log before the configuration.

use types::{TopicIdPartition, TopicName};

use super::ControlDefaults;
use super::partition_change::{Liveness, PartitionChangeBuilder};
use crate::image::{ConfigMap, ConfigResource, MIN_INSYNC_REPLICAS, MetadataImage, TopicImage};
use crate::proto::MetadataRecord;

/// The changes of partitions that must precede the change of `resource` to `configs`.
pub(crate) fn partition_changes(
    image: &MetadataImage,
    resource: &ConfigResource,
    configs: &ConfigMap,
    defaults: &ControlDefaults,
) -> Vec<MetadataRecord> {
    let value = configs.get(MIN_INSYNC_REPLICAS);
    if value == image.config(resource).get(MIN_INSYNC_REPLICAS) {
        return Vec::new();
    }
    let own = value.and_then(|value| value.trim().parse().ok());
    match resource {
        ConfigResource::Topic(name) => {
            let cluster = || cluster_min_isr(image, defaults);
            let topic = image.topic(name.as_str()).into_iter();
            topic
                .flat_map(|topic| changes_of(image, topic, own.unwrap_or_else(cluster), defaults))
                .collect()
        }
        ConfigResource::DefaultBroker => {
            let min_isr = own.unwrap_or(defaults.min_insync_replicas);
            let inherits = |name: &TopicName| !image.topic_config(name).contains_key(MIN_INSYNC_REPLICAS);
            let topics = image.topics().filter(|topic| inherits(&topic.name));
            topics
                .flat_map(|topic| changes_of(image, topic, min_isr, defaults))
                .collect()
        }
        ConfigResource::Broker(_) | ConfigResource::Group(_) | ConfigResource::ClientMetrics(_) => Vec::new(),
    }
}

fn cluster_min_isr(image: &MetadataImage, defaults: &ControlDefaults) -> usize {
    let value = image.broker_config(None).get(MIN_INSYNC_REPLICAS);
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(defaults.min_insync_replicas)
}

fn changes_of<'a>(
    image: &'a MetadataImage,
    topic: &'a TopicImage,
    min_isr: usize,
    defaults: &'a ControlDefaults,
) -> impl Iterator<Item = MetadataRecord> + 'a {
    let tracked = topic
        .partitions()
        .filter(|(_, partition)| !partition.elr.is_empty() || !partition.last_known_elr.is_empty());
    tracked.filter_map(move |(partition, _)| {
        let id = TopicIdPartition {
            topic_id: topic.id,
            partition,
        };
        PartitionChangeBuilder::new(Liveness::of(image), id, defaults)?
            .min_isr(min_isr.max(1))
            .build()
    })
}
