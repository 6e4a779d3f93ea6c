//! An image as records, and back.
//!
//! META-8: `from_snapshot(image.offset(), image.to_records()) == image`.

use types::MetadataOffset;

use super::{ConfigResource, MetadataImage, quota_record};
use crate::proto::{self, MetadataRecord};
use crate::record::{ReplayError, uuid_bytes};

impl MetadataImage {
    /// The records of a snapshot, made one by one: an image of any size costs no second copy.
    pub fn to_records(&self) -> impl Iterator<Item = MetadataRecord> + '_ {
        let identity = self.cluster_id.iter().map(|id| {
            proto::ClusterIdentity {
                cluster_id: id.0.clone(),
            }
            .into()
        });
        let features = self.features().map(|(name, level)| {
            proto::FeatureLevel {
                name: name.to_owned(),
                level: level.into(),
            }
            .into()
        });
        let brokers = self.brokers().map(|broker| broker.to_record().into());
        let topics = self.topics.values().flat_map(|topic| {
            let header = proto::Topic {
                topic_id: uuid_bytes(topic.id.0),
                name: topic.name.as_str().to_owned(),
            };
            let partitions = topic.partitions().map(|(partition, registration)| {
                registration
                    .to_record(types::TopicIdPartition {
                        topic_id: topic.id,
                        partition,
                    })
                    .into()
            });
            std::iter::once(MetadataRecord::from(header)).chain(partitions)
        });
        let configs = self.configs().flat_map(|(resource, map)| {
            map.iter()
                .map(move |(key, value)| config_record(resource, key, Some(value)))
        });
        let quotas = self.client_quotas().flat_map(|(entity, limits)| {
            limits
                .iter()
                .map(move |(key, value)| quota_record(entity, key, Some(value.get())))
        });
        let producer_ids = (self.next_producer_id.0 > 0).then(|| {
            let next_producer_id = self.next_producer_id.0;
            proto::ProducerIds {
                broker_id: -1,
                broker_epoch: -1,
                next_producer_id,
            }
            .into()
        });
        identity
            .chain(features)
            .chain(brokers)
            .chain(topics)
            .chain(configs)
            .chain(quotas)
            .chain(producer_ids)
    }

    /// The image at `offset` from a snapshot's records.
    ///
    /// # Errors
    /// When the records aren't those of an image.
    pub fn from_snapshot(
        offset: MetadataOffset,
        records: impl IntoIterator<Item = MetadataRecord>,
    ) -> Result<Self, ReplayError> {
        let mut image = Self::new();
        for record in records {
            image.apply(&record)?;
        }
        image.offset = offset;
        Ok(image)
    }
}

pub(crate) fn config_record(resource: &ConfigResource, key: &str, value: Option<&str>) -> MetadataRecord {
    proto::Config {
        resource_type: resource.resource_type().into(),
        resource_name: resource.name(),
        key: key.to_owned(),
        value: value.map(str::to_owned),
    }
    .into()
}
