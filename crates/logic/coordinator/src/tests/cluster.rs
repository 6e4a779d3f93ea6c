//! A cluster that is only its topics.

use std::collections::BTreeMap;

use types::{TopicId, TopicName, Uuid};

use crate::{ClusterView, GroupOverrides, TopicView};

#[derive(Debug, Clone, Default)]
pub(super) struct TestCluster {
    version: i64,
    topics: BTreeMap<TopicName, TopicView>,
    made: u128,
    /// Every group's own settings.
    pub(super) overrides: GroupOverrides,
}

impl TestCluster {
    pub(super) fn with(topics: &[(&str, i32)]) -> Self {
        let mut cluster = Self::default();
        for (name, partitions) in topics {
            cluster.set(name, *partitions);
        }
        cluster
    }

    /// Makes a topic, or gives it more partitions.
    pub(super) fn set(&mut self, name: &str, partitions: i32) {
        self.version += 1;
        self.made += 1;
        let id = TopicId(Uuid::from_u128(self.made));
        let topic = self
            .topics
            .entry(TopicName::new(name))
            .or_insert(TopicView { id, partitions });
        topic.partitions = topic.partitions.max(partitions);
    }

    pub(super) fn delete(&mut self, name: &str) {
        self.version += 1;
        self.topics.remove(&TopicName::new(name));
    }

    pub(super) fn view(&self, name: &str) -> Option<TopicView> {
        self.topics.get(&TopicName::new(name)).copied()
    }
}

impl ClusterView for TestCluster {
    fn version(&self) -> i64 {
        self.version
    }

    fn topic(&self, name: &TopicName) -> Option<TopicView> {
        self.topics.get(name).copied()
    }

    fn name_of(&self, topic: TopicId) -> Option<TopicName> {
        let found = self.topics.iter().find(|(_, view)| view.id == topic);
        found.map(|(name, _)| name.clone())
    }

    fn topic_names(&self) -> Vec<TopicName> {
        self.topics.keys().cloned().collect()
    }

    fn overrides(&self, _group_id: &str) -> GroupOverrides {
        self.overrides
    }
}
