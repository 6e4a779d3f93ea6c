//! Names of partition directories: `<topic>-<partition>`, `<topic>-<partition>.<unique id>-delete` on their way out, and
//! `…-future` while a partition's log is being copied from another directory.

use std::path::PathBuf;

use types::{PartitionIndex, TopicId, TopicName, TopicPartition, Uuid};

/// A file name holds 255 bytes on every file system that matters.
const MAX_NAME_BYTES: usize = 255;
const DELETE_SUFFIX: &str = "-delete";
const FUTURE_SUFFIX: &str = "-future";

/// A partition found in a log directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDirectory {
    /// By the directory's name.
    pub partition: TopicPartition,
    /// By `partition.metadata`; `None` when that is missing or odd.
    pub topic_id: Option<TopicId>,
    /// Where.
    pub path: PathBuf,
}

/// The partition that a directory's name stands for.
pub(crate) fn parse(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    if partition.is_empty() || !partition.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let topic = TopicName::new(topic);
    topic.validate().ok()?;
    Some(TopicPartition {
        topic,
        partition: PartitionIndex(partition.parse().ok()?),
    })
}

/// Whether the directory was on its way out, or is a copy that didn't become one (MOVE-2); Kafka's `-stray` ones stay what they are.
pub(crate) fn is_retired(name: &str) -> bool {
    let rest = name
        .strip_suffix(DELETE_SUFFIX)
        .or_else(|| name.strip_suffix(FUTURE_SUFFIX));
    rest.and_then(|rest| rest.rsplit_once('.'))
        .is_some_and(|(_, id)| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The name under which a partition's directory waits for its removal; a long topic name is cut, as in Kafka.
pub(crate) fn retired_name(partition: &TopicPartition, unique: Uuid) -> String {
    unique_name(partition, unique, DELETE_SUFFIX)
}

/// The name under which a partition's log is copied from another directory.
pub(crate) fn future_name(partition: &TopicPartition, unique: Uuid) -> String {
    unique_name(partition, unique, FUTURE_SUFFIX)
}

fn unique_name(partition: &TopicPartition, unique: Uuid, suffix: &str) -> String {
    let suffix = format!("-{}.{}{suffix}", partition.partition, unique.as_simple());
    let topic: String = partition
        .topic
        .as_str()
        .chars()
        .take(MAX_NAME_BYTES - suffix.len())
        .collect();
    topic + &suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        let partition = parse("my-topic-12").unwrap();
        assert_eq!(
            (partition.topic.as_str(), partition.partition),
            ("my-topic", PartitionIndex(12))
        );
        assert_eq!(parse("lost+found"), None);
        assert_eq!(parse("a-b"), None);
        assert_eq!(parse("-1"), None);
        let retired = retired_name(&partition, Uuid::from_u128(1));
        assert_eq!(retired, "my-topic-12.00000000000000000000000000000001-delete");
        assert!(is_retired(&retired));
        assert_eq!(parse(&retired), None);
        assert!(!is_retired("really-delete"));
        let future = future_name(&partition, Uuid::from_u128(1));
        assert_eq!(future, "my-topic-12.00000000000000000000000000000001-future");
        assert!(is_retired(&future));
        let long = TopicPartition {
            topic: TopicName::new(&"t".repeat(249)),
            partition: PartitionIndex(0),
        };
        assert_eq!(retired_name(&long, Uuid::nil()).len(), 255);
    }
}
