//! The metadata image as the groups' shards see the cluster.

use std::fmt::Debug;
use std::sync::Arc;

use coordinator::{ClusterView, GroupOverrides, TopicView};
use metadata::{ConfigResource, MetadataImage};
use types::{TopicId, TopicName};

use crate::partition::PartitionHost;

/// Where a shard finds the newest image.
pub(super) trait ImageSource: Debug + Send + Sync {
    /// The image as applied here.
    fn image(&self) -> Arc<MetadataImage>;
}

impl ImageSource for PartitionHost {
    fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }
}

/// One image.
pub(super) struct ImageView(pub(super) Arc<MetadataImage>);

impl ClusterView for ImageView {
    fn version(&self) -> i64 {
        self.0.offset().0
    }

    fn topic(&self, name: &TopicName) -> Option<TopicView> {
        let topic = self.0.topic(name.as_str())?;
        Some(TopicView {
            id: topic.id,
            partitions: topic.partition_count(),
        })
    }

    fn name_of(&self, topic: TopicId) -> Option<TopicName> {
        self.0.topic_by_id(topic).map(|topic| topic.name.clone())
    }

    fn topic_names(&self) -> Vec<TopicName> {
        self.0.topics().map(|topic| topic.name.clone()).collect()
    }

    fn overrides(&self, group_id: &str) -> GroupOverrides {
        let set = self.0.config(&ConfigResource::Group(group_id.to_owned()));
        let milliseconds = |key: &str| set.get(key).and_then(|value| value.parse().ok());
        GroupOverrides {
            session_timeout_ms: milliseconds("consumer.session.timeout.ms"),
            heartbeat_interval_ms: milliseconds("consumer.heartbeat.interval.ms"),
            assignment_interval_ms: milliseconds("consumer.assignment.interval.ms"),
        }
    }
}
