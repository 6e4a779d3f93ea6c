//! Replay: the only way in which an image changes.
//!
//! Valid records can't fail; one that does means that two nodes would differ, so the shell must stop. A record
//! that fails has changed nothing.

use std::sync::Arc;

use types::{
    BrokerEpoch, BrokerId, ClusterId, MetadataOffset, PartitionIndex, ProducerId, TopicId, TopicIdPartition, TopicName,
};

use super::{BrokerRegistration, ConfigResource, MetadataImage, PartitionRegistration, TopicImage, collision_name};
use crate::proto::metadata_record::Record;
use crate::proto::{self, MetadataRecord};
use crate::record::{ReplayError, uuid_from};

impl MetadataImage {
    /// Applies the next record of the log.
    ///
    /// # Errors
    /// A record that doesn't fit this image: a broken invariant. Nothing has changed then.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        self.apply(record)?;
        self.offset = MetadataOffset(self.offset.0.saturating_add(1));
        Ok(())
    }

    /// Applies records in turn.
    ///
    /// # Errors
    /// As [`MetadataImage::replay`]; the records before the one that failed have been applied.
    pub fn replay_all<'a>(&mut self, records: impl IntoIterator<Item = &'a MetadataRecord>) -> Result<(), ReplayError> {
        records.into_iter().try_for_each(|record| self.replay(record))
    }

    pub(super) fn apply(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record.record.as_ref().ok_or(ReplayError::UnknownRecord)? {
            Record::ClusterIdentity(record) => self.apply_cluster_identity(record),
            Record::RegisterBroker(record) => self.apply_register_broker(record),
            Record::UnregisterBroker(record) => self.apply_unregister_broker(record),
            Record::BrokerChange(record) => self.apply_broker_change(record),
            Record::Topic(record) => self.apply_topic(record),
            Record::Partition(record) => self.apply_partition(record),
            Record::PartitionChange(record) => self.apply_partition_change(record),
            Record::RemoveTopic(record) => self.apply_remove_topic(record),
            Record::Config(record) => self.apply_config(record),
            Record::ProducerIds(record) => self.apply_producer_ids(record),
            Record::FeatureLevel(record) => self.apply_feature_level(record),
            Record::ClientQuota(record) => self.apply_client_quota(record),
        }
    }

    fn apply_cluster_identity(&mut self, record: &proto::ClusterIdentity) -> Result<(), ReplayError> {
        match &self.cluster_id {
            Some(present) if present.0 != record.cluster_id => Err(ReplayError::ClusterId {
                present: present.0.clone(),
                record: record.cluster_id.clone(),
            }),
            _ => {
                self.cluster_id = Some(ClusterId(record.cluster_id.clone()));
                Ok(())
            }
        }
    }

    fn apply_register_broker(&mut self, record: &proto::RegisterBroker) -> Result<(), ReplayError> {
        let id = BrokerId(record.broker_id);
        if id.0 < 0 {
            return Err(ReplayError::InvalidBrokerId(id));
        }
        let registration = BrokerRegistration::from_record(record)?;
        if let Some(present) = self.brokers.get(&id)
            && present.epoch > registration.epoch
        {
            return Err(ReplayError::BrokerEpoch {
                id,
                present: present.epoch,
                record: registration.epoch,
            });
        }
        self.brokers.insert(id, Arc::new(registration));
        Ok(())
    }

    fn apply_unregister_broker(&mut self, record: &proto::UnregisterBroker) -> Result<(), ReplayError> {
        let id = BrokerId(record.broker_id);
        self.check_broker(id, BrokerEpoch(record.broker_epoch))?;
        self.brokers.remove(&id);
        Ok(())
    }

    fn apply_broker_change(&mut self, record: &proto::BrokerChange) -> Result<(), ReplayError> {
        let id = BrokerId(record.broker_id);
        self.check_broker(id, BrokerEpoch(record.broker_epoch))?;
        let registration = self.brokers.get_mut(&id).ok_or(ReplayError::UnknownBroker(id))?;
        Arc::make_mut(registration).apply(record)
    }

    fn check_broker(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<(), ReplayError> {
        let present = self.brokers.get(&id).ok_or(ReplayError::UnknownBroker(id))?.epoch;
        if present == epoch {
            Ok(())
        } else {
            Err(ReplayError::BrokerEpoch {
                id,
                present,
                record: epoch,
            })
        }
    }

    fn apply_topic(&mut self, record: &proto::Topic) -> Result<(), ReplayError> {
        let id = TopicId(uuid_from(&record.topic_id)?);
        if self.topics.contains_key(&id) || self.names.contains_key(record.name.as_str()) {
            return Err(ReplayError::TopicExists(id));
        }
        let name = TopicName::new(&record.name);
        if let Some(collision) = collision_name(&name) {
            self.collision_names.insert(collision, id);
        }
        self.names.insert(name.clone(), id);
        self.topics.insert(
            id,
            Arc::new(TopicImage {
                id,
                name,
                partitions: imbl::Vector::new(),
            }),
        );
        Ok(())
    }

    fn apply_partition(&mut self, record: &proto::Partition) -> Result<(), ReplayError> {
        let topic_id = TopicId(uuid_from(&record.topic_id)?);
        let id = TopicIdPartition {
            topic_id,
            partition: PartitionIndex(record.index),
        };
        let registration = PartitionRegistration::from_record(record);
        if let Some(leader) = registration.leader
            && !registration.replicas.contains(&leader)
        {
            return Err(ReplayError::LeaderIsNoReplica(leader));
        }
        let topic = self
            .topics
            .get_mut(&topic_id)
            .ok_or(ReplayError::UnknownTopic(topic_id))?;
        if usize::try_from(record.index) != Ok(topic.partitions.len()) {
            return Err(ReplayError::PartitionOutOfOrder(id));
        }
        let leaderless = registration.leader.is_none();
        for replica in &registration.replicas {
            self.replicas_of.entry(*replica).or_default().insert(id);
        }
        Arc::make_mut(topic).partitions.push_back(Arc::new(registration));
        self.partition_count += 1;
        if leaderless {
            self.leaderless.insert(id);
        }
        Ok(())
    }

    fn apply_partition_change(&mut self, record: &proto::PartitionChange) -> Result<(), ReplayError> {
        let topic_id = TopicId(uuid_from(&record.topic_id)?);
        let id = TopicIdPartition {
            topic_id,
            partition: PartitionIndex(record.index),
        };
        let topic = self
            .topics
            .get_mut(&topic_id)
            .ok_or(ReplayError::UnknownTopic(topic_id))?;
        let at = usize::try_from(record.index).map_err(|_| ReplayError::UnknownPartition(id))?;
        // Changed on a copy: a record that is refused leaves the partition, and the sharing, as they were.
        let mut changed = topic
            .partitions
            .get(at)
            .ok_or(ReplayError::UnknownPartition(id))?
            .as_ref()
            .clone();
        let before = record.replicas.is_some().then(|| changed.replicas.clone());
        changed.apply(record)?;
        if let Some(before) = before {
            for replica in before.iter().filter(|replica| !changed.replicas.contains(replica)) {
                unindex(&mut self.replicas_of, *replica, id);
            }
            for replica in &changed.replicas {
                self.replicas_of.entry(*replica).or_default().insert(id);
            }
        }
        if changed.leader.is_none() {
            self.leaderless.insert(id);
        } else if !self.leaderless.is_empty() {
            self.leaderless.remove(&id);
        }
        Arc::make_mut(topic).partitions.set(at, Arc::new(changed));
        Ok(())
    }

    fn apply_remove_topic(&mut self, record: &proto::RemoveTopic) -> Result<(), ReplayError> {
        let topic_id = TopicId(uuid_from(&record.topic_id)?);
        let topic = self
            .topics
            .remove(&topic_id)
            .ok_or(ReplayError::UnknownTopic(topic_id))?;
        self.names.remove(&topic.name);
        if let Some(collision) = collision_name(&topic.name)
            && self.collision_names.get(&collision) == Some(&topic_id)
        {
            self.collision_names.remove(&collision);
        }
        self.configs.remove(&ConfigResource::Topic(topic.name.clone()));
        for (partition, registration) in topic.partitions() {
            let id = TopicIdPartition { topic_id, partition };
            for replica in &registration.replicas {
                unindex(&mut self.replicas_of, *replica, id);
            }
            self.leaderless.remove(&id);
        }
        self.partition_count = self.partition_count.saturating_sub(topic.partitions.len());
        Ok(())
    }

    fn apply_config(&mut self, record: &proto::Config) -> Result<(), ReplayError> {
        let resource = ConfigResource::from_wire(record.resource_type(), &record.resource_name)
            .ok_or(ReplayError::UnknownResource(record.resource_type))?;
        if let Some(value) = &record.value {
            Arc::make_mut(self.configs.entry(resource).or_default()).insert(record.key.clone(), value.clone());
        } else if let Some(map) = self.configs.get_mut(&resource) {
            Arc::make_mut(map).remove(&record.key);
            if map.is_empty() {
                self.configs.remove(&resource);
            }
        }
        Ok(())
    }

    fn apply_producer_ids(&mut self, record: &proto::ProducerIds) -> Result<(), ReplayError> {
        if record.next_producer_id < self.next_producer_id.0 {
            return Err(ReplayError::ProducerId {
                present: self.next_producer_id.0,
                record: record.next_producer_id,
            });
        }
        self.next_producer_id = ProducerId(record.next_producer_id);
        Ok(())
    }

    fn apply_feature_level(&mut self, record: &proto::FeatureLevel) -> Result<(), ReplayError> {
        let level = u16::try_from(record.level).map_err(|_| ReplayError::InvalidFeatureLevel(record.level))?;
        // One that was turned off isn't one that was never set.
        self.features.insert(record.name.clone(), level);
        Ok(())
    }
}

fn unindex(
    replicas_of: &mut imbl::OrdMap<BrokerId, imbl::OrdSet<TopicIdPartition>>,
    replica: BrokerId,
    id: TopicIdPartition,
) {
    if let Some(ids) = replicas_of.get_mut(&replica) {
        ids.remove(&id);
        if ids.is_empty() {
            replicas_of.remove(&replica);
        }
    }
}
