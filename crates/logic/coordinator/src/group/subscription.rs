//! What a group of consumers is subscribed to: it keeps offsets of these topics from being expired or deleted.

use std::collections::BTreeSet;

use super::ClassicGroup;
use crate::record::{Reader, RecordError};

/// The protocol type of consumers, whose metadata the coordinator can read.
pub(crate) const CONSUMER: &str = "consumer";

/// Reads the topics of a consumer's subscription: v0 is a prefix of every later version.
fn topics(metadata: &[u8]) -> Result<Vec<String>, RecordError> {
    let mut reader = Reader::new(metadata);
    let version = reader.i16()?;
    if version < 0 {
        return Err(RecordError::UnknownVersion(version));
    }
    let mut topics = Vec::new();
    for _ in 0..reader.count(2)? {
        topics.push(reader.string()?.to_owned());
    }
    Ok(topics)
}

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
            all.extend(topics(&member.metadata(Some(protocol))).ok()?);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_from_any_version() {
        assert_eq!(
            topics(b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff\0\0\0\0").unwrap(),
            ["a", "bc"]
        );
        assert_eq!(topics(b"\0\0\0\0\0\0").unwrap(), Vec::<String>::new());
        assert!(topics(b"\0\0\x7f\xff\xff\xff").is_err());
        assert!(topics(b"").is_err());
    }
}
