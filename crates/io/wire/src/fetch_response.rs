//! The Fetch response, encoded without copying its records.
//!
//! The codec would copy every record batch into one buffer. Here the fields around the records go into one buffer, and
//! the frame is a chain of slices of it and of the records as they came from the log (WIRE-3):
//!
//! ```text
//! | size, header, topic, partition 0, records length | batches ... | tags, partition 1, records length | batches ... |
//!   slice of one buffer                                log's bytes   slice of one buffer                 log's bytes
//! ```
//!
//! - FETCH-1: for each version the joined bytes are those that the codec writes (differential test).
//! - FETCH-2: an empty record set has length 0 and is never null; consumers take null for a corrupt answer.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use types::{BrokerId, EpochEnd, ErrorCode, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId, TopicName};

use crate::apis::{response_header_version, served_api};
use crate::response::{EncodeError, ResponseFrame, SIZE_BYTES, frame_size, put_header};

const API_KEY: i16 = ApiKey::Fetch as i16;

/// A Fetch response (key 1) of any served version. What a version lacks is left out when it is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchResponse {
    /// How long the client was or shall be throttled, ms.
    pub throttle_time_ms: i32,
    /// The error of the request as a whole (v7 and up), mostly of its session.
    pub error: ErrorCode,
    /// The fetch session, 0 for none (v7 and up, KIP-227).
    pub session_id: i32,
    /// In the order of the request.
    pub topics: Vec<FetchTopic>,
    /// Where the leaders named by [`FetchPartition::current_leader`] listen (v16 and up, KIP-951).
    pub node_endpoints: Vec<FetchNodeEndpoint>,
}

/// A topic's partitions in a Fetch response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTopic {
    /// Written up to v12.
    pub name: TopicName,
    /// Written from v13 on (KIP-516).
    pub id: TopicId,
    /// In the order of the request.
    pub partitions: Vec<FetchPartition>,
}

/// One partition's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPartition {
    /// Which.
    pub index: PartitionIndex,
    /// Why there are no records, or `None`.
    pub error: ErrorCode,
    /// Exclusive; -1 with an error.
    pub high_watermark: Offset,
    /// Exclusive; -1 with an error.
    pub last_stable_offset: Offset,
    /// v5 and up; -1 with an error.
    pub log_start_offset: Offset,
    /// `None` is null, which Kafka answers to `read_uncommitted` and with errors.
    pub aborted_transactions: Option<Vec<FetchAbortedTransaction>>,
    /// The replica to read from instead (v11 and up, KIP-392).
    pub preferred_read_replica: Option<BrokerId>,
    /// Where the follower's log diverges (v12 and up, KIP-595).
    pub diverging_epoch: Option<FetchEpochEnd>,
    /// The leader, with errors that name another one (v12 and up, KIP-951).
    pub current_leader: Option<FetchLeader>,
    /// The snapshot to fetch instead (v12 and up); only metadata quorums of Kafka use it.
    pub snapshot_id: Option<FetchSnapshotId>,
    /// Whole record batches, in order, each slice with one or more; the last batch of a chain may be cut.
    pub records: Vec<Bytes>,
}

impl FetchPartition {
    /// An answer without records, as Kafka builds it for an error.
    #[must_use]
    pub fn of_error(index: PartitionIndex, error: ErrorCode) -> Self {
        Self {
            index,
            error,
            high_watermark: Offset(-1),
            last_stable_offset: Offset(-1),
            log_start_offset: Offset(-1),
            aborted_transactions: None,
            preferred_read_replica: None,
            diverging_epoch: None,
            current_leader: None,
            snapshot_id: None,
            records: Vec::new(),
        }
    }

    /// The bytes of all records.
    #[must_use]
    pub fn records_bytes(&self) -> usize {
        self.records.iter().map(Bytes::len).sum()
    }
}

/// A transaction that was aborted: its records are to be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchAbortedTransaction {
    /// Whose.
    pub producer_id: ProducerId,
    /// Its first record in this partition.
    pub first_offset: Offset,
}

/// The largest epoch that both logs may share, and where it ends at the leader.
pub type FetchEpochEnd = EpochEnd;

/// The leader and its epoch, as far as this broker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLeader {
    /// Who leads; -1 for nobody.
    pub leader_id: BrokerId,
    /// Since when.
    pub leader_epoch: LeaderEpoch,
}

/// A metadata snapshot's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchSnapshotId {
    /// Exclusive.
    pub end_offset: Offset,
    /// Its last epoch.
    pub epoch: LeaderEpoch,
}

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchNodeEndpoint {
    /// Which.
    pub node_id: BrokerId,
    /// Its advertised host on this listener.
    pub host: String,
    /// Its advertised port on this listener.
    pub port: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
}

impl FetchResponse {
    /// Encodes it, with size prefix and header, as a chain of slices.
    ///
    /// # Errors
    /// [`EncodeError::UnsupportedVersion`] outside the served versions, [`EncodeError::TooLong`] when the frame or one
    /// partition's records exceed 2 GiB, [`EncodeError::StringTooLong`] for a name beyond 32767 bytes.
    pub fn encode(&self, version: i16, correlation_id: i32) -> Result<ResponseFrame, EncodeError> {
        let unsupported = EncodeError::UnsupportedVersion {
            api_key: API_KEY,
            version,
        };
        if !served_api(API_KEY).is_some_and(|api| api.serves(version)) {
            return Err(unsupported);
        }
        let header_version = response_header_version(API_KEY, version).ok_or(unsupported)?;
        let mut out = Chain::new(version, self.fields_bytes_estimate());
        put_header(&mut out.fields, header_version, correlation_id);
        out.response(self)?;
        out.finish()
    }

    /// Room for the fields, rather too much: a second allocation costs more than some spare bytes.
    fn fields_bytes_estimate(&self) -> usize {
        let topics = self.topics.iter().map(|topic| {
            let aborted = topic
                .partitions
                .iter()
                .filter_map(|partition| partition.aborted_transactions.as_ref());
            let aborted: usize = aborted.map(|list| list.len() * 17).sum();
            32 + topic.name.as_str().len() + topic.partitions.len() * 96 + aborted
        });
        64 + topics.sum::<usize>() + self.node_endpoints.len() * 128
    }
}

/// The frame while it is built: the fields in one buffer, and where records go between them.
struct Chain {
    version: i16,
    flexible: bool,
    fields: BytesMut,
    records: Vec<(usize, Bytes)>,
    records_bytes: usize,
}

impl Chain {
    fn new(version: i16, fields_bytes: usize) -> Self {
        Self {
            version,
            flexible: version >= 12,
            fields: BytesMut::with_capacity(fields_bytes),
            records: Vec::new(),
            records_bytes: 0,
        }
    }

    fn finish(mut self) -> Result<ResponseFrame, EncodeError> {
        let size = frame_size(API_KEY, self.fields.len() - SIZE_BYTES + self.records_bytes)?;
        if let Some(prefix) = self.fields.first_chunk_mut::<SIZE_BYTES>() {
            *prefix = size.to_be_bytes();
        }
        let mut fields = self.fields.freeze();
        let mut chunks = Vec::with_capacity(2 * self.records.len() + 1);
        let mut cut = 0;
        for (at, records) in self.records {
            if at > cut {
                chunks.push(fields.split_to(at - cut));
                cut = at;
            }
            chunks.push(records);
        }
        if !fields.is_empty() {
            chunks.push(fields);
        }
        Ok(ResponseFrame { chunks })
    }

    fn response(&mut self, response: &FetchResponse) -> Result<(), EncodeError> {
        self.fields.put_i32(response.throttle_time_ms);
        if self.version >= 7 {
            self.fields.put_i16(response.error.code());
            self.fields.put_i32(response.session_id);
        }
        self.array_length(response.topics.len())?;
        for topic in &response.topics {
            self.topic(topic)?;
        }
        if self.version >= 16 && !response.node_endpoints.is_empty() {
            self.unsigned_varint(1);
            self.node_endpoints(&response.node_endpoints)
        } else {
            self.no_tagged_fields();
            Ok(())
        }
    }

    fn topic(&mut self, topic: &FetchTopic) -> Result<(), EncodeError> {
        if self.version <= 12 {
            self.string(topic.name.as_str())?;
        } else {
            self.fields.put_slice(topic.id.0.as_bytes());
        }
        self.array_length(topic.partitions.len())?;
        for partition in &topic.partitions {
            self.partition(partition)?;
        }
        self.no_tagged_fields();
        Ok(())
    }

    fn partition(&mut self, partition: &FetchPartition) -> Result<(), EncodeError> {
        self.fields.put_i32(partition.index.0);
        self.fields.put_i16(partition.error.code());
        self.fields.put_i64(partition.high_watermark.0);
        self.fields.put_i64(partition.last_stable_offset.0);
        if self.version >= 5 {
            self.fields.put_i64(partition.log_start_offset.0);
        }
        match &partition.aborted_transactions {
            Some(aborted) => {
                self.array_length(aborted.len())?;
                for transaction in aborted {
                    self.fields.put_i64(transaction.producer_id.0);
                    self.fields.put_i64(transaction.first_offset.0);
                    self.no_tagged_fields();
                }
            }
            None if self.flexible => self.fields.put_u8(0),
            None => self.fields.put_i32(-1),
        }
        if self.version >= 11 {
            self.fields
                .put_i32(partition.preferred_read_replica.map_or(-1, |replica| replica.0));
        }
        self.records(&partition.records)?;
        if self.flexible {
            self.partition_tags(partition);
        }
        Ok(())
    }

    fn records(&mut self, records: &[Bytes]) -> Result<(), EncodeError> {
        let length: usize = records.iter().map(Bytes::len).sum();
        self.array_length(length)?;
        let at = self.fields.len();
        let slices = records.iter().filter(|slice| !slice.is_empty());
        self.records.extend(slices.map(|slice| (at, slice.clone())));
        self.records_bytes += length;
        Ok(())
    }

    fn partition_tags(&mut self, partition: &FetchPartition) {
        let tags = [
            partition.diverging_epoch.is_some(),
            partition.current_leader.is_some(),
            partition.snapshot_id.is_some(),
        ];
        self.unsigned_varint(tags.into_iter().map(u32::from).sum());
        if let Some(end) = partition.diverging_epoch {
            self.tag(0, 4 + 8 + 1);
            self.fields.put_i32(end.epoch.0);
            self.fields.put_i64(end.end_offset.0);
            self.no_tagged_fields();
        }
        if let Some(leader) = partition.current_leader {
            self.tag(1, 4 + 4 + 1);
            self.fields.put_i32(leader.leader_id.0);
            self.fields.put_i32(leader.leader_epoch.0);
            self.no_tagged_fields();
        }
        if let Some(snapshot) = partition.snapshot_id {
            self.tag(2, 8 + 4 + 1);
            self.fields.put_i64(snapshot.end_offset.0);
            self.fields.put_i32(snapshot.epoch.0);
            self.no_tagged_fields();
        }
    }

    /// The endpoints as the value of tag 0. Their size comes first, so they are built aside; they are few.
    fn node_endpoints(&mut self, endpoints: &[FetchNodeEndpoint]) -> Result<(), EncodeError> {
        let mut value = Self::new(self.version, endpoints.len() * 64);
        value.array_length(endpoints.len())?;
        for endpoint in endpoints {
            value.fields.put_i32(endpoint.node_id.0);
            value.string(&endpoint.host)?;
            value.fields.put_i32(endpoint.port);
            match &endpoint.rack {
                Some(rack) => value.string(rack)?,
                None => value.fields.put_u8(0),
            }
            value.no_tagged_fields();
        }
        self.tag(0, value.fields.len());
        self.fields.put_slice(&value.fields);
        Ok(())
    }

    fn tag(&mut self, tag: u32, length: usize) {
        self.unsigned_varint(tag);
        self.unsigned_varint(u32::try_from(length).unwrap_or(u32::MAX));
    }

    fn no_tagged_fields(&mut self) {
        if self.flexible {
            self.fields.put_u8(0);
        }
    }

    /// The count of an array or the length of bytes: int32, or a varint of one more.
    fn array_length(&mut self, length: usize) -> Result<(), EncodeError> {
        let length = frame_size(API_KEY, length)?;
        if self.flexible {
            self.unsigned_varint(length.unsigned_abs() + 1);
        } else {
            self.fields.put_i32(length);
        }
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), EncodeError> {
        let length = i16::try_from(text.len()).map_err(|_| EncodeError::StringTooLong {
            api_key: API_KEY,
            length_bytes: text.len(),
        })?;
        if self.flexible {
            self.unsigned_varint(u32::from(length.unsigned_abs()) + 1);
        } else {
            self.fields.put_i16(length);
        }
        self.fields.put_slice(text.as_bytes());
        Ok(())
    }

    fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.fields.put_u8(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.fields.put_u8(value.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests;
