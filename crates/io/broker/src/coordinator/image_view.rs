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

/// The newest image, and since when its topics are as they are: most changes are of leaders and ISRs, and no reason for a group to look
/// at its topics again.
#[derive(Debug, Default)]
pub(super) struct ImageView {
    image: Arc<MetadataImage>,
    topics_since: i64,
}

impl ImageView {
    /// Takes an image that is as new or newer.
    pub(super) fn update(&mut self, image: Arc<MetadataImage>) {
        if !image.has_same_topics(&self.image) {
            self.topics_since = image.offset().0;
        }
        self.image = image;
    }
}

impl ClusterView for ImageView {
    fn version(&self) -> i64 {
        self.topics_since
    }

    fn topic(&self, name: &TopicName) -> Option<TopicView> {
        let topic = self.image.topic(name.as_str())?;
        Some(TopicView {
            id: topic.id,
            partitions: topic.partition_count(),
        })
    }

    fn name_of(&self, topic: TopicId) -> Option<TopicName> {
        self.image.topic_by_id(topic).map(|topic| topic.name.clone())
    }

    fn topic_names(&self) -> Vec<TopicName> {
        self.image.topics().map(|topic| topic.name.clone()).collect()
    }

    fn overrides(&self, group_id: &str) -> GroupOverrides {
        let set = self.image.config(&ConfigResource::Group(group_id.to_owned()));
        let of_brokers = self.image.broker_config(None);
        let number = |text: &String| text.parse().ok();
        let of_group = |key: &str| set.get(key).and_then(number);
        GroupOverrides {
            session_timeout_ms: of_group("consumer.session.timeout.ms"),
            heartbeat_interval_ms: of_group("consumer.heartbeat.interval.ms"),
            // The one that brokers can change while they run.
            assignment_interval_ms: of_group("consumer.assignment.interval.ms").or_else(|| {
                let all = of_brokers.get("group.consumer.assignment.interval.ms");
                all.and_then(number)
            }),
        }
    }
}
