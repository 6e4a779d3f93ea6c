//! The records of groups of the consumer protocol (KIP-848), all flexible, all v0.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use types::{PartitionIndex, TimestampMs, TopicId, TopicName, Uuid};

use super::{Reader, RecordError, Writer};
use crate::JoinProtocol;

/// Partitions of topics.
pub type Assignment = BTreeMap<TopicId, BTreeSet<PartitionIndex>>;

/// Partitions that a member holds, each with the epoch in which it was given to the member (KIP-1251).
pub type HeldPartitions = BTreeMap<TopicId, BTreeMap<PartitionIndex, i32>>;

/// A topic id and an empty array of partitions.
const LEAST_TOPIC_BYTES: usize = 18;
const LEAST_PARTITION_BYTES: usize = 4;
/// A protocol's empty name and metadata, and its tags.
const LEAST_PROTOCOL_BYTES: usize = 3;
/// When the target assignment was made.
const TIMESTAMP_TAG: u32 = 0;
const METADATA_HASH_TAG: u32 = 0;
const CLASSIC_TAG: u32 = 0;
const EPOCHS_TAG: u32 = 0;

/// `ConsumerGroupMetadataValue`: the group's epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupEpoch {
    /// Grows with every change of what the members want or of the topics they want.
    pub epoch: i32,
    /// Of the topics that the group is subscribed to; 0 where it is unknown.
    pub metadata_hash: i64,
}

/// `ConsumerGroupTargetAssignmentMetadataValue`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetEpoch {
    /// The group's epoch that it was made for.
    pub epoch: i32,
    /// When it was made.
    pub made_at: TimestampMs,
}

/// What a classic member is, in a group that is moving from one protocol to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicMember {
    /// Milliseconds.
    pub session_timeout_ms: i32,
    /// Best first.
    pub protocols: Vec<JoinProtocol>,
}

/// `ConsumerGroupMemberMetadataValue`: what a member wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberSubscription {
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.rack`
    pub rack_id: Option<String>,
    /// From the request's header.
    pub client_id: String,
    /// As Kafka shows it, `/127.0.0.1`.
    pub client_host: String,
    /// The topics it named.
    pub topics: BTreeSet<TopicName>,
    /// The pattern it gave.
    pub pattern: Option<String>,
    /// How long it may take to give a partition up. Milliseconds; -1 where it didn't say.
    pub rebalance_timeout_ms: i32,
    /// The assignor it asks for.
    pub assignor: Option<String>,
    /// Of a classic member.
    pub classic: Option<ClassicMember>,
}

/// How far a member is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It has what it is to have in its epoch.
    #[default]
    Stable,
    /// It must give partitions up, and hasn't said that it has.
    Unrevoked,
    /// It waits for partitions that others still hold.
    Unreleased,
    /// Of a later version: it is to begin anew.
    Unknown,
}

/// `ConsumerGroupCurrentMemberAssignmentValue`: what a member has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentAssignment {
    /// 0 before the first assignment; -2 when a static member is away.
    pub epoch: i32,
    /// The one before it.
    pub previous_epoch: i32,
    /// How far it is.
    pub state: MemberState,
    /// What it reads.
    pub assigned: HeldPartitions,
    /// What it is to give up, and may still read.
    pub pending_revocation: HeldPartitions,
}

impl Default for CurrentAssignment {
    fn default() -> Self {
        Self {
            epoch: 0,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: HeldPartitions::new(),
            pending_revocation: HeldPartitions::new(),
        }
    }
}

/// `ConsumerGroupRegularExpressionValue`: the topics that a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedPattern {
    /// Those that matched.
    pub topics: BTreeSet<TopicName>,
    /// The metadata's offset that was looked at.
    pub version: i64,
    /// When.
    pub resolved_at: TimestampMs,
}

fn value(bytes: &[u8]) -> Result<Reader<'_>, RecordError> {
    let mut reader = Reader::new(bytes);
    match reader.i16()? {
        0 => {
            reader.flexible = true;
            Ok(reader)
        }
        version => Err(RecordError::UnknownVersion(version)),
    }
}

fn i64_field(value: i64) -> Bytes {
    Bytes::copy_from_slice(&value.to_be_bytes())
}

impl GroupEpoch {
    /// Reads a value.
    ///
    /// # Errors
    /// An unknown version, or bytes that don't fit it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = value(bytes)?;
        let epoch = reader.i32()?;
        let mut metadata_hash = 0;
        reader.tags(|tag, field| {
            if tag == METADATA_HASH_TAG {
                metadata_hash = field.i64().unwrap_or(0);
            }
        })?;
        Ok(Self { epoch, metadata_hash })
    }

    /// Writes the value.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let hash = (METADATA_HASH_TAG, i64_field(self.metadata_hash));
        let tags = if self.metadata_hash == 0 { &[][..] } else { &[hash][..] };
        Writer::flexible(0).i32(self.epoch).tags(tags).finish()
    }
}

impl TargetEpoch {
    /// Reads a value.
    ///
    /// # Errors
    /// An unknown version, or bytes that don't fit it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = value(bytes)?;
        let epoch = reader.i32()?;
        let mut made_at = TimestampMs(0);
        reader.tags(|tag, field| {
            if tag == TIMESTAMP_TAG {
                made_at = TimestampMs(field.i64().unwrap_or(0));
            }
        })?;
        Ok(Self { epoch, made_at })
    }

    /// Writes the value.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let made_at = (TIMESTAMP_TAG, i64_field(self.made_at.0));
        let tags = if self.made_at.0 == 0 { &[][..] } else { &[made_at][..] };
        Writer::flexible(0).i32(self.epoch).tags(tags).finish()
    }
}

impl MemberSubscription {
    /// Reads a value.
    ///
    /// # Errors
    /// An unknown version, or bytes that don't fit it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = value(bytes)?;
        let instance_id = reader.nullable_string()?.map(str::to_owned);
        let rack_id = reader.nullable_string()?.map(str::to_owned);
        let client_id = reader.string()?.to_owned();
        let client_host = reader.string()?.to_owned();
        let topics = names(&mut reader)?;
        let pattern = reader.nullable_string()?.map(str::to_owned);
        let rebalance_timeout_ms = reader.i32()?;
        let assignor = reader.nullable_string()?.map(str::to_owned);
        let mut classic = Ok(None);
        reader.tags(|tag, field| {
            if tag == CLASSIC_TAG {
                classic = ClassicMember::read(field);
            }
        })?;
        Ok(Self {
            instance_id,
            rack_id,
            client_id,
            client_host,
            topics,
            pattern,
            rebalance_timeout_ms,
            assignor,
            classic: classic?,
        })
    }

    /// Writes the value.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let classic = self.classic.as_ref().map(|classic| (CLASSIC_TAG, classic.encode()));
        let tags: Vec<(u32, Bytes)> = classic.into_iter().collect();
        put_names(
            Writer::flexible(0)
                .nullable_string(self.instance_id.as_deref())
                .nullable_string(self.rack_id.as_deref())
                .string(&self.client_id)
                .string(&self.client_host),
            &self.topics,
        )
        .nullable_string(self.pattern.as_deref())
        .i32(self.rebalance_timeout_ms)
        .nullable_string(self.assignor.as_deref())
        .tags(&tags)
        .finish()
    }
}

impl ClassicMember {
    /// A nullable structure: a byte below zero is null.
    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, RecordError> {
        if reader.i8()? < 0 {
            return Ok(None);
        }
        let session_timeout_ms = reader.i32()?;
        let mut protocols = Vec::new();
        for _ in 0..reader.count(LEAST_PROTOCOL_BYTES)? {
            let name = reader.string()?.to_owned();
            let metadata = reader.bytes()?;
            reader.tags(|_, _| ())?;
            protocols.push(JoinProtocol { name, metadata });
        }
        reader.tags(|_, _| ())?;
        Ok(Some(Self {
            session_timeout_ms,
            protocols,
        }))
    }

    fn encode(&self) -> Bytes {
        let mut writer = Writer::structure()
            .i8(1)
            .i32(self.session_timeout_ms)
            .count(self.protocols.len());
        for protocol in &self.protocols {
            writer = writer.string(&protocol.name).bytes(&protocol.metadata).tags(&[]);
        }
        writer.tags(&[]).finish()
    }
}

impl MemberState {
    fn from_code(code: i8) -> Self {
        match code {
            1 => Self::Stable,
            2 => Self::Unrevoked,
            3 => Self::Unreleased,
            _ => Self::Unknown,
        }
    }

    fn code(self) -> i8 {
        match self {
            Self::Stable => 1,
            Self::Unrevoked => 2,
            Self::Unreleased => 3,
            Self::Unknown => 127,
        }
    }
}

impl CurrentAssignment {
    /// Reads a value. A partition without an epoch of its own is held since the member's (KIP-1251).
    ///
    /// # Errors
    /// An unknown version, or bytes that don't fit it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = value(bytes)?;
        let epoch = reader.i32()?;
        let previous_epoch = reader.i32()?;
        let state = MemberState::from_code(reader.i8()?);
        let assigned = held(&mut reader, epoch)?;
        let pending_revocation = held(&mut reader, epoch)?;
        reader.tags(|_, _| ())?;
        Ok(Self {
            epoch,
            previous_epoch,
            state,
            assigned,
            pending_revocation,
        })
    }

    /// Writes the value.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let writer = Writer::flexible(0)
            .i32(self.epoch)
            .i32(self.previous_epoch)
            .i8(self.state.code());
        let writer = put_held(writer, &self.assigned);
        put_held(writer, &self.pending_revocation).tags(&[]).finish()
    }
}

/// Reads a `ConsumerGroupTargetAssignmentMemberValue`.
///
/// # Errors
/// An unknown version, or bytes that don't fit it.
pub fn decode_target(bytes: &[u8]) -> Result<Assignment, RecordError> {
    let mut reader = value(bytes)?;
    let mut target = Assignment::new();
    for _ in 0..reader.count(LEAST_TOPIC_BYTES)? {
        let topic = topic_id(&mut reader)?;
        let partitions = partitions(&mut reader)?;
        reader.tags(|_, _| ())?;
        target.entry(topic).or_default().extend(partitions);
    }
    reader.tags(|_, _| ())?;
    Ok(target)
}

/// Writes a `ConsumerGroupTargetAssignmentMemberValue`.
#[must_use]
pub fn encode_target(target: &Assignment) -> Bytes {
    let mut writer = Writer::flexible(0).count(target.len());
    for (topic, partitions) in target {
        writer = writer.uuid(topic.0.as_bytes()).count(partitions.len());
        for partition in partitions {
            writer = writer.i32(partition.0);
        }
        writer = writer.tags(&[]);
    }
    writer.tags(&[]).finish()
}

impl ResolvedPattern {
    /// Reads a value.
    ///
    /// # Errors
    /// An unknown version, or bytes that don't fit it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = value(bytes)?;
        let topics = names(&mut reader)?;
        let version = reader.i64()?;
        let resolved_at = TimestampMs(reader.i64()?);
        reader.tags(|_, _| ())?;
        Ok(Self {
            topics,
            version,
            resolved_at,
        })
    }

    /// Writes the value.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        put_names(Writer::flexible(0), &self.topics)
            .i64(self.version)
            .i64(self.resolved_at.0)
            .tags(&[])
            .finish()
    }
}

fn names(reader: &mut Reader<'_>) -> Result<BTreeSet<TopicName>, RecordError> {
    (0..reader.count(1)?)
        .map(|_| Ok(TopicName::new(reader.string()?)))
        .collect()
}

fn put_names(writer: Writer, names: &BTreeSet<TopicName>) -> Writer {
    let writer = writer.count(names.len());
    names.iter().fold(writer, |writer, name| writer.string(name.as_str()))
}

fn topic_id(reader: &mut Reader<'_>) -> Result<TopicId, RecordError> {
    reader.uuid().map(|id| TopicId(Uuid::from_bytes(id)))
}

fn partitions(reader: &mut Reader<'_>) -> Result<Vec<PartitionIndex>, RecordError> {
    (0..reader.count(LEAST_PARTITION_BYTES)?)
        .map(|_| reader.i32().map(PartitionIndex))
        .collect()
}

fn held(reader: &mut Reader<'_>, member_epoch: i32) -> Result<HeldPartitions, RecordError> {
    let mut held = HeldPartitions::new();
    for _ in 0..reader.count(LEAST_TOPIC_BYTES)? {
        let topic = topic_id(reader)?;
        let partitions = partitions(reader)?;
        let mut epochs = Ok(Vec::new());
        reader.tags(|tag, field| {
            if tag == EPOCHS_TAG {
                epochs = field
                    .count(LEAST_PARTITION_BYTES)
                    .and_then(|count| (0..count).map(|_| field.i32()).collect());
            }
        })?;
        let epochs: Vec<i32> = epochs?;
        let epochs = epochs.into_iter().chain(std::iter::repeat(member_epoch));
        held.entry(topic)
            .or_default()
            .extend(partitions.into_iter().zip(epochs));
    }
    Ok(held)
}

fn put_held(writer: Writer, held: &HeldPartitions) -> Writer {
    let mut writer = writer.count(held.len());
    for (topic, partitions) in held {
        writer = writer.uuid(topic.0.as_bytes()).count(partitions.len());
        let mut epochs = Writer::structure().count(partitions.len());
        for (partition, epoch) in partitions {
            writer = writer.i32(partition.0);
            epochs = epochs.i32(*epoch);
        }
        writer = writer.tags(&[(EPOCHS_TAG, epochs.finish())]);
    }
    writer
}
