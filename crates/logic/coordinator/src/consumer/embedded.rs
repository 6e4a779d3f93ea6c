//! What consumers of the classic protocol tell each other inside its opaque bytes: subscriptions and assignments, v0 to v3.

use bytes::Bytes;
use types::{PartitionIndex, TopicName};

use crate::record::{Reader, RecordError, Writer};

/// Partitions by their topics' names, in the order told.
pub(crate) type NamedPartitions = Vec<(TopicName, Vec<PartitionIndex>)>;

/// The newest version there is; later ones begin the same.
const NEWEST: i16 = 3;

/// What a member wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EmbeddedSubscription {
    /// Its format's version: the assignment is to be of the same.
    pub(crate) version: i16,
    pub(crate) topics: Vec<TopicName>,
    /// What it holds (v1: cooperative members say so).
    pub(crate) owned: NamedPartitions,
    /// From v3.
    pub(crate) rack_id: Option<String>,
}

pub(crate) fn decode_subscription(bytes: &[u8]) -> Result<EmbeddedSubscription, RecordError> {
    let mut reader = Reader::new(bytes);
    let (version, topics) = topics(&mut reader)?;
    reader.nullable_bytes()?;
    let owned = if version >= 1 {
        partitions(&mut reader)?
    } else {
        Vec::new()
    };
    if version >= 2 {
        // The generation in which it held them: the coordinator knows better.
        reader.i32()?;
    }
    let rack_id = match version >= 3 {
        true => reader.nullable_string()?.map(str::to_owned),
        false => None,
    };
    Ok(EmbeddedSubscription {
        version,
        topics,
        owned,
        rack_id,
    })
}

/// The topics of a subscription alone, whatever follows them: v0 is a prefix of every later version.
pub(crate) fn decode_topics(bytes: &[u8]) -> Result<Vec<TopicName>, RecordError> {
    topics(&mut Reader::new(bytes)).map(|(_, topics)| topics)
}

/// What a member was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EmbeddedAssignment {
    pub(crate) assigned: NamedPartitions,
    /// It carries more than that: its assignor, as that of Kafka Streams, can't do without.
    pub(crate) has_user_data: bool,
}

pub(crate) fn decode_assignment(bytes: &[u8]) -> Result<EmbeddedAssignment, RecordError> {
    if bytes.is_empty() {
        return Ok(EmbeddedAssignment::default());
    }
    let mut reader = Reader::new(bytes);
    version(&mut reader)?;
    Ok(EmbeddedAssignment {
        assigned: partitions(&mut reader)?,
        has_user_data: reader.nullable_bytes()?.is_some_and(|data| !data.is_empty()),
    })
}

pub(crate) fn encode_assignment(version: i16, assigned: &NamedPartitions) -> Bytes {
    let mut writer = Writer::new(version.clamp(0, NEWEST)).count(assigned.len());
    for (topic, partitions) in assigned {
        writer = writer.string(topic.as_str()).count(partitions.len());
        for partition in partitions {
            writer = writer.i32(partition.0);
        }
    }
    // No user data.
    writer.i32(-1).finish()
}

fn version(reader: &mut Reader<'_>) -> Result<i16, RecordError> {
    match reader.i16()? {
        version if version < 0 => Err(RecordError::UnknownVersion(version)),
        version => Ok(version.min(NEWEST)),
    }
}

fn topics(reader: &mut Reader<'_>) -> Result<(i16, Vec<TopicName>), RecordError> {
    let version = version(reader)?;
    let mut topics = Vec::new();
    for _ in 0..reader.count(2)? {
        topics.push(TopicName::new(reader.string()?));
    }
    Ok((version, topics))
}

fn partitions(reader: &mut Reader<'_>) -> Result<NamedPartitions, RecordError> {
    let mut named = Vec::new();
    for _ in 0..reader.count(6)? {
        let topic = TopicName::new(reader.string()?);
        let count = reader.count(4)?;
        let partitions: Result<Vec<_>, _> = (0..count).map(|_| reader.i32().map(PartitionIndex)).collect();
        named.push((topic, partitions?));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_of_every_version_are_read() {
        let v0 = b"\0\0\0\0\0\x01\0\x01a\xff\xff\xff\xff";
        let read = decode_subscription(v0).unwrap();
        assert_eq!((read.version, read.topics), (0, vec![TopicName::new("a")]));
        let v3 = b"\0\x03\0\0\0\x01\0\x01a\0\0\0\0\0\0\0\x01\0\x01a\0\0\0\x01\0\0\0\x07\0\0\0\x05\0\x01r";
        let read = decode_subscription(v3).unwrap();
        assert_eq!(read.owned, [(TopicName::new("a"), vec![PartitionIndex(7)])]);
        assert_eq!(read.rack_id.as_deref(), Some("r"));
        let newer = [&b"\0\x09"[..], &v3[2..], &b"more"[..]].concat();
        assert_eq!(decode_subscription(&newer).unwrap().version, 3);
        for end in 0..v3.len() {
            assert!(decode_subscription(&v3[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn topics_are_read_from_any_version() {
        assert_eq!(
            decode_topics(b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff\0\0\0\0").unwrap(),
            [TopicName::new("a"), TopicName::new("bc")]
        );
        assert_eq!(decode_topics(b"\0\0\0\0\0\0").unwrap(), []);
        assert!(decode_topics(b"\0\0\x7f\xff\xff\xff").is_err());
        assert!(decode_topics(b"").is_err());
    }

    #[test]
    fn assignments_come_back_as_they_were() {
        let assigned = vec![(TopicName::new("a"), vec![PartitionIndex(0), PartitionIndex(3)])];
        for version in [0, 3, 9] {
            let bytes = encode_assignment(version, &assigned);
            let read = decode_assignment(&bytes).unwrap();
            assert_eq!((&read.assigned, read.has_user_data), (&assigned, false));
            let before_user_data = &bytes[..bytes.len() - 4];
            let with_user_data = [before_user_data, b"\0\0\0\x01u"].concat();
            let read = decode_assignment(&with_user_data).unwrap();
            assert_eq!((&read.assigned, read.has_user_data), (&assigned, true));
            assert!(decode_assignment(before_user_data).is_err());
        }
        assert_eq!(decode_assignment(b"").unwrap(), EmbeddedAssignment::default());
        assert!(decode_assignment(b"\0\0\x7f\xff\xff\xff").is_err());
    }
}
