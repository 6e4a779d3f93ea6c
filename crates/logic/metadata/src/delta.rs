//! What changed between two images: what a broker must do when it publishes the newer one.
//!
//! Computed from the records in between, so that it costs what changed. Only after a snapshot are whole images
//! compared; parts that the images share are skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use types::{BrokerId, PartitionIndex, TopicId, TopicIdPartition, TopicName};

use crate::image::{ConfigResource, MetadataImage, TopicImage};
use crate::proto::metadata_record::Record;
use crate::proto::{self, MetadataRecord};
use crate::record::uuid_from;

/// What differs between an older and a newer image. Values are to be read from the newer one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageDelta {
    /// Topics that the newer image has and the older hasn't.
    pub topics_created: BTreeSet<TopicId>,
    /// Topics that the older image has and the newer hasn't, with the name they had.
    pub topics_deleted: BTreeMap<TopicId, TopicName>,
    /// Partitions of the newer image that are new or changed, those of created topics included.
    pub partitions_changed: BTreeSet<TopicIdPartition>,
    /// Resources some of whose configuration changed, deleted topics not included.
    pub configs_changed: BTreeSet<ConfigResource>,
    /// Brokers that were registered, changed or unregistered.
    pub brokers_changed: BTreeSet<BrokerId>,
    /// Some feature's level changed.
    pub features_changed: bool,
    /// Some client's quota changed.
    pub quotas_changed: bool,
}

impl ImageDelta {
    /// What `records` changed, which lead from `older` to `newer`.
    #[must_use]
    pub fn of(older: &MetadataImage, newer: &MetadataImage, records: &[MetadataRecord]) -> Self {
        let mut delta = Self::default();
        for record in records.iter().filter_map(|record| record.record.as_ref()) {
            delta.note(older, newer, record);
        }
        delta
    }

    /// What differs between two images, whatever lies in between: after a snapshot.
    #[must_use]
    pub fn between(older: &MetadataImage, newer: &MetadataImage) -> Self {
        let mut delta = Self {
            features_changed: !older.features().eq(newer.features()),
            quotas_changed: !older.client_quotas().eq(newer.client_quotas()),
            ..Self::default()
        };
        for topic in older.topics() {
            if newer.topic_by_id(topic.id).is_none() {
                delta.topics_deleted.insert(topic.id, topic.name.clone());
            }
        }
        for topic in newer.topics() {
            delta.compare_topic(older.topic_by_id(topic.id), topic);
        }
        delta.compare_configs(older, newer);
        delta.compare_configs(newer, older);
        let known = older.brokers().chain(newer.brokers()).map(|broker| broker.id);
        delta.brokers_changed = known.filter(|id| older.broker(*id) != newer.broker(*id)).collect();
        delta.configs_changed.retain(|resource| exists(newer, resource));
        delta
    }

    /// Whether there is nothing to publish.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn note(&mut self, older: &MetadataImage, newer: &MetadataImage, record: &Record) {
        match record {
            Record::ClusterIdentity(_) | Record::ProducerIds(_) => {}
            Record::FeatureLevel(_) => self.features_changed = true,
            Record::ClientQuota(_) => self.quotas_changed = true,
            Record::RegisterBroker(record) => self.note_broker(record.broker_id),
            Record::UnregisterBroker(record) => self.note_broker(record.broker_id),
            Record::BrokerChange(record) => self.note_broker(record.broker_id),
            Record::Topic(record) => self.note_topic(older, newer, &record.topic_id),
            Record::RemoveTopic(record) => self.note_topic(older, newer, &record.topic_id),
            Record::Partition(record) => self.note_partition(newer, &record.topic_id, record.index),
            Record::PartitionChange(record) => self.note_partition(newer, &record.topic_id, record.index),
            Record::Config(record) => self.note_config(newer, record),
        }
    }

    fn note_broker(&mut self, id: i32) {
        self.brokers_changed.insert(BrokerId(id));
    }

    fn note_topic(&mut self, older: &MetadataImage, newer: &MetadataImage, id: &[u8]) {
        let Ok(id) = uuid_from(id).map(TopicId) else { return };
        match (older.topic_by_id(id), newer.topic_by_id(id)) {
            (None, Some(_)) => {
                self.topics_created.insert(id);
            }
            (Some(topic), None) => {
                self.topics_deleted.insert(id, topic.name.clone());
                // Its configuration went with it: that counts when another topic has the name by now.
                let resource = ConfigResource::Topic(topic.name.clone());
                if exists(newer, &resource) && older.config(&resource) != newer.config(&resource) {
                    self.configs_changed.insert(resource);
                }
            }
            // Created and deleted within the batch: nobody ever saw it.
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    fn note_partition(&mut self, newer: &MetadataImage, topic_id: &[u8], index: i32) {
        let Ok(topic_id) = uuid_from(topic_id).map(TopicId) else {
            return;
        };
        let id = TopicIdPartition {
            topic_id,
            partition: PartitionIndex(index),
        };
        if newer.partition(id).is_some() {
            self.partitions_changed.insert(id);
        }
    }

    fn note_config(&mut self, newer: &MetadataImage, record: &proto::Config) {
        let resource = ConfigResource::from_wire(record.resource_type(), &record.resource_name);
        self.configs_changed
            .extend(resource.filter(|resource| exists(newer, resource)));
    }

    fn compare_topic(&mut self, older: Option<&Arc<TopicImage>>, newer: &Arc<TopicImage>) {
        if older.is_none() {
            self.topics_created.insert(newer.id);
        }
        if older.is_some_and(|older| Arc::ptr_eq(older, newer)) {
            return;
        }
        for (partition, registration) in newer.partitions() {
            let before = older.and_then(|older| older.partition(partition));
            if before.is_none_or(|before| !Arc::ptr_eq(before, registration) && before != registration) {
                self.partitions_changed.insert(TopicIdPartition {
                    topic_id: newer.id,
                    partition,
                });
            }
        }
    }

    fn compare_configs(&mut self, one: &MetadataImage, other: &MetadataImage) {
        let different = one
            .configs()
            .filter(|(resource, configs)| other.config(resource) != *configs);
        self.configs_changed
            .extend(different.map(|(resource, _)| resource.clone()));
    }
}

fn exists(image: &MetadataImage, resource: &ConfigResource) -> bool {
    match resource {
        ConfigResource::Topic(name) => image.topic(name.as_str()).is_some(),
        ConfigResource::Broker(_)
        | ConfigResource::DefaultBroker
        | ConfigResource::Group(_)
        | ConfigResource::ClientMetrics(_) => true,
    }
}
