//! `GroupMetadataValue`: a group's last stable (or empty) generation.

use bytes::Bytes;
use types::TimestampMs;

use super::{Reader, RecordError, Writer};

/// The least bytes a member takes in any version: v4's six one-byte lengths, two timeouts and no tags.
const LEAST_MEMBER_BYTES: usize = 15;

/// What the log says of a group. Written as v3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// `consumer`, `connect`, …; empty for a group that never had members.
    pub protocol_type: String,
    /// Counts rebalances.
    pub generation: i32,
    /// The protocol chosen; none when the group is empty.
    pub protocol: Option<String>,
    /// The leader's member id; none when the group is empty.
    pub leader: Option<String>,
    /// When the group came into its state; the expiry of an empty group's offsets counts from here (KIP-211).
    pub current_state_timestamp: Option<TimestampMs>,
    /// Its members.
    pub members: Vec<PersistedMember>,
}

/// A member in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersistedMember {
    /// The member.
    pub member_id: String,
    /// Of a static member.
    pub group_instance_id: Option<String>,
    /// From its JoinGroup.
    pub client_id: String,
    /// From its JoinGroup.
    pub client_host: String,
    /// Milliseconds.
    pub rebalance_timeout_ms: i32,
    /// Milliseconds.
    pub session_timeout_ms: i32,
    /// Its metadata for the chosen protocol.
    pub subscription: Bytes,
    /// What the leader assigned to it.
    pub assignment: Bytes,
}

impl GroupMetadata {
    /// Reads a value, v0 to v4.
    ///
    /// # Errors
    /// An unknown version, or bytes that don't fit it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        if !(0..=4).contains(&version) {
            return Err(RecordError::UnknownVersion(version));
        }
        reader.flexible = version >= 4;
        let protocol_type = reader.string()?.to_owned();
        let generation = reader.i32()?;
        let protocol = reader.nullable_string()?.map(str::to_owned);
        let leader = reader.nullable_string()?.map(str::to_owned);
        let current_state_timestamp = if version >= 2 {
            Some(TimestampMs(reader.i64()?)).filter(|at| at.0 != -1)
        } else {
            None
        };
        let mut members = Vec::new();
        for _ in 0..reader.count(LEAST_MEMBER_BYTES)? {
            members.push(PersistedMember::decode(&mut reader, version)?);
        }
        reader.tags(|_, _| ())?;
        Ok(Self {
            protocol_type,
            generation,
            protocol,
            leader,
            current_state_timestamp,
            members,
        })
    }

    /// Writes the value.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::new(3)
            .string(&self.protocol_type)
            .i32(self.generation)
            .nullable_string(self.protocol.as_deref())
            .nullable_string(self.leader.as_deref())
            .i64(self.current_state_timestamp.map_or(-1, |at| at.0))
            .count(self.members.len());
        for member in &self.members {
            writer = writer
                .string(&member.member_id)
                .nullable_string(member.group_instance_id.as_deref())
                .string(&member.client_id)
                .string(&member.client_host)
                .i32(member.rebalance_timeout_ms)
                .i32(member.session_timeout_ms)
                .bytes(&member.subscription)
                .bytes(&member.assignment);
        }
        writer.finish()
    }
}

impl PersistedMember {
    fn decode(reader: &mut Reader<'_>, version: i16) -> Result<Self, RecordError> {
        let member_id = reader.string()?.to_owned();
        let group_instance_id = if version >= 3 {
            reader.nullable_string()?.map(str::to_owned)
        } else {
            None
        };
        let client_id = reader.string()?.to_owned();
        let client_host = reader.string()?.to_owned();
        let rebalance_timeout_ms = if version >= 1 { reader.i32()? } else { -1 };
        let session_timeout_ms = reader.i32()?;
        let subscription = reader.bytes()?;
        let assignment = reader.bytes()?;
        reader.tags(|_, _| ())?;
        Ok(Self {
            member_id,
            group_instance_id,
            client_id,
            client_host,
            // v0 had one timeout for both; Kafka falls back to the session's as well.
            rebalance_timeout_ms: if rebalance_timeout_ms == -1 {
                session_timeout_ms
            } else {
                rebalance_timeout_ms
            },
            session_timeout_ms,
            subscription,
            assignment,
        })
    }
}
