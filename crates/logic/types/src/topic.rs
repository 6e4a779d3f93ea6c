//! Topics and partitions by name and by id.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::TopicId;

/// A partition's number within its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PartitionIndex(pub i32);

impl fmt::Display for PartitionIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A topic's name. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// Why a topic name is refused, in Kafka's terms.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TopicNameError {
    /// Kafka's "the empty string is not allowed".
    #[error("topic name is invalid: the empty string is not allowed")]
    Empty,
    /// `.` and `..` are folders.
    #[error("topic name is invalid: '.' or '..' is not allowed")]
    Dots,
    /// A folder name is the topic plus `-` plus the partition, at most 255 bytes.
    #[error("topic name is invalid: the length of '{0}' is longer than the max allowed length 249")]
    TooLong(String),
    /// Outside `[a-zA-Z0-9._-]`.
    #[error("topic name '{0}' is illegal, it contains a character other than ASCII alphanumerics, '.', '_' and '-'")]
    IllegalCharacter(String),
}

impl TopicName {
    /// Takes any text, as a request names it; [`TopicName::validate`] says whether Kafka allows it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Kafka's rules: 1 to 249 of `[a-zA-Z0-9._-]`, neither `.` nor `..`.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn validate(&self) -> Result<(), TopicNameError> {
        let name = self.as_str();
        if name.is_empty() {
            return Err(TopicNameError::Empty);
        }
        if name == "." || name == ".." {
            return Err(TopicNameError::Dots);
        }
        if name.len() > 249 {
            return Err(TopicNameError::TooLong(name.to_owned()));
        }
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        {
            return Err(TopicNameError::IllegalCharacter(name.to_owned()));
        }
        Ok(())
    }

    /// Two names that differ only by `.` and `_` collide in metric names; Kafka refuses the second.
    #[must_use]
    pub fn collides_with(&self, other: &Self) -> bool {
        self != other
            && self.0.len() == other.0.len()
            && self
                .0
                .bytes()
                .zip(other.0.bytes())
                .all(|(left, right)| left == right || (matches!(left, b'.' | b'_') && matches!(right, b'.' | b'_')))
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TopicName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// A partition as clients of the older versions name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A partition by its topic's identity: how nodes name it to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIdPartition {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
}

impl fmt::Display for TopicIdPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic_id, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rules() {
        assert_eq!(TopicName::new("a.b_c-9").validate(), Ok(()));
        assert_eq!(TopicName::new("").validate(), Err(TopicNameError::Empty));
        assert_eq!(TopicName::new("..").validate(), Err(TopicNameError::Dots));
        assert!(matches!(
            TopicName::new("a b").validate(),
            Err(TopicNameError::IllegalCharacter(_))
        ));
        assert!(matches!(
            TopicName::new(&"x".repeat(250)).validate(),
            Err(TopicNameError::TooLong(_))
        ));
    }

    #[test]
    fn dot_and_underscore_collide() {
        assert!(TopicName::new("a.b").collides_with(&TopicName::new("a_b")));
        assert!(!TopicName::new("a.b").collides_with(&TopicName::new("a.b")));
        assert!(!TopicName::new("a.b").collides_with(&TopicName::new("a-b")));
    }
}
