//! What a group of consumers is subscribed to: it keeps offsets of these topics from being expired or deleted.

use std::collections::BTreeSet;

use super::ClassicGroup;
use crate::consumer::decode_topics;

/// The protocol type of consumers, whose metadata the coordinator can read.
pub(crate) const CONSUMER: &str = "consumer";

impl ClassicGroup {
    pub(crate) fn is_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// `None` if the group's metadata can't be read, because it isn't consumers' or is broken.
    pub(super) fn compute_subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.is_consumers() {
            return None;
        }
        let mut all = BTreeSet::new();
        if self.members.is_empty() {
            return Some(all);
        }
        let protocol = self.protocol.as_deref()?;
        for member in self.members.values() {
            let topics = decode_topics(&member.metadata(Some(protocol))).ok()?;
            all.extend(topics.iter().map(|topic| topic.as_str().to_owned()));
        }
        Some(all)
    }

    /// Consumers whose subscriptions can't be read might be subscribed to anything.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribed_topics
            .as_ref()
            .map_or_else(|| self.is_consumers(), |topics| topics.contains(topic))
    }
}
