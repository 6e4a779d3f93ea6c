//! Produce (0): appends one batch a partition and answers when the promise that the producer asked for holds.
//!
//! PRODUCE-1: every append of a request happens before the handler's first await, so that the appends of a connection keep
//! its requests' order. PRODUCE-2: acks=0 is never answered; a failure then closes the connection, as in Kafka.
//! PRODUCE-3: payloads aren't decoded, but for compacted topics, whose records need keys, and to name the records at fault of a batch
//! that is refused. PRODUCE-4: a batch that nearly fills its request's frame goes to the log as it is, the frame's only owner: others
//! are copied, and the frame is let go before the wait.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use metadata::{MetadataImage, TopicImage};
use partition::Acks;
use records::{AppendRules, Batch, BatchError, Compression, MAX_DECOMPRESSED_BYTES, RecordRules, TimestampType};
use tokio::time::{Instant, timeout_at};
use types::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TimestampMs, TopicIdPartition};
use wire::messages::produce_request::TopicProduceData;
use wire::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use wire::messages::{ProduceRequest, ProduceResponse, TopicName};

use super::auto_create::is_internal;
use super::current_leader::NamedLeaders;
use super::error_codes::KafkaError;
use super::exchange::{ApiFault, Handled, decode, respond, text, timeout, topic_id};
use crate::client_quotas::QuotaKind;
use crate::context::{ApiRequest, BrokerContext};
use crate::partition::{AppendError, Appended};
use crate::topic_settings::PartitionSettings;

/// From this version on topics are named by id (KIP-516).
const TOPIC_IDS_SINCE: i16 = 13;
/// From this version on the answer says what is wrong with which record (KIP-467).
const RECORD_ERRORS_SINCE: i16 = 8;
/// An answer names at most so many records at fault: a small batch may unpack to many.
const RECORDS_NAMED_MAX: usize = 1000;
/// What is unpacked to name them; of a larger batch none are named.
const NAMED_RECORDS_BYTES_MAX: usize = 8 << 20;
/// zstd may be used from this version on (KIP-110).
const ZSTD_SINCE: i16 = 7;
/// From this version on the answer names the leader (KIP-951).
const CURRENT_LEADER_SINCE: i16 = 10;
/// A batch below this is copied: the buffer that small requests arrive in is as large as half of it.
const OWN_FRAME_MIN_BYTES: usize = 16 << 10;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let version = header.api_version;
    let bytes = request.body.len();
    let ProduceRequest {
        transactional_id,
        acks,
        timeout_ms,
        topic_data,
        ..
    } = decode(&header, request.body)?;
    let deadline = Instant::now() + timeout(timeout_ms).min(WAIT_MAX);
    let acks = Acks::from_wire(acks);
    let doorkeeper = Doorkeeper {
        broker: &broker,
        version,
        acks,
        transactional: transactional_id.is_some(),
        frame_bytes: bytes,
    };
    let mut topic_data = topic_data;
    for topic in &mut topic_data {
        // Names share the frame, which the batch would have for itself (PRODUCE-4).
        topic.name = TopicName(text(&topic.name.0));
    }
    let mut topics: Vec<Topic> = topic_data.into_iter().map(|topic| doorkeeper.topic(topic)).collect();
    // With the answer, so that all of the wait follows it.
    let throttle = || {
        let client_id = header.client_id.as_deref().unwrap_or_default();
        let (image, now) = (broker.host.image.load(), broker.host.clock.now());
        let charge = broker.quotas.charge(&image, QuotaKind::Produce, client_id, bytes, now);
        charge.map_or(0, |charge| {
            request.client.mute(charge.wait());
            charge.throttle_time_ms()
        })
    };

    if acks == Some(Acks::None) {
        throttle();
        return match topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .find_map(|part| part.outcome.as_ref().err())
        {
            None => Ok(None),
            Some(failure) => Err(ApiFault::UnacknowledgedFailure(failure.message.clone())),
        };
    }
    join_all(
        topics
            .iter_mut()
            .flat_map(|topic| &mut topic.partitions)
            .map(|part| part.commit(deadline)),
    )
    .await;

    let mut leaders = NamedLeaders::default();
    let image = broker.host.image.load();
    let mut name_leader = |part: &Part| {
        let wrong = matches!(&part.outcome, Err(failure) if failure.error == ErrorCode::NotLeaderOrFollower);
        part.id
            .filter(|_| wrong && version >= CURRENT_LEADER_SINCE)
            .and_then(|id| leaders.name(&image, id, &request.client.listener))
    };
    let responses = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|part| {
            let leader = name_leader(&part);
            part.answer(version, leader)
        });
        let partitions = partitions.collect();
        let answer = TopicProduceResponse::default().with_partition_responses(partitions);
        if version >= TOPIC_IDS_SINCE {
            answer.with_topic_id(topic.id)
        } else {
            answer.with_name(topic.name)
        }
    });
    let response = ProduceResponse::default()
        .with_throttle_time_ms(throttle())
        .with_responses(responses.collect());
    let endpoints = leaders.endpoints().map(|(id, endpoint)| {
        NodeEndpoint::default()
            .with_node_id(id.0.into())
            .with_host(text(&endpoint.host))
            .with_port(i32::from(endpoint.port))
            .with_rack(endpoint.rack.as_deref().map(text))
    });
    respond(&header, &response.with_node_endpoints(endpoints.collect()))
}

/// No producer waits longer; it bounds what a request can hold on to.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);

/// One topic of the request, as far as it got.
struct Topic {
    name: TopicName,
    id: types::Uuid,
    partitions: Vec<Part>,
}

/// One partition of the request, as far as it got.
struct Part {
    index: PartitionIndex,
    /// Known when the topic is.
    id: Option<TopicIdPartition>,
    outcome: Result<Place, Failure>,
    /// What is waited for.
    appended: Option<Appended>,
}

/// Where the batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    base_offset: i64,
    log_append_time: Option<TimestampMs>,
    log_start_offset: i64,
}

/// Why it stands nowhere, or isn't known to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    error: ErrorCode,
    message: String,
    /// The records at fault, by their places in the batch, each with what is wrong with it.
    records: Vec<(usize, String)>,
    /// Shown where the records are at fault; -1 otherwise.
    log_start_offset: i64,
}

impl Failure {
    fn new(error: ErrorCode, message: &str) -> Self {
        Self {
            error,
            message: message.to_owned(),
            records: Vec::new(),
            log_start_offset: -1,
        }
    }
}

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        let message = error.to_string();
        let records = match &error {
            BatchError::MissingKey { index } | BatchError::InvalidRecord { index, .. } => {
                vec![(*index, message.clone())]
            }
            _ => Vec::new(),
        };
        Self {
            error: error.code(),
            message,
            records,
            log_start_offset: -1,
        }
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Invalid(error) => error.into(),
            other => Self {
                error: other.code(),
                message: other.to_string(),
                records: Vec::new(),
                log_start_offset: -1,
            },
        }
    }
}

/// Lets batches in.
struct Doorkeeper<'a> {
    broker: &'a BrokerContext,
    version: i16,
    acks: Option<Acks>,
    transactional: bool,
    frame_bytes: usize,
}

impl Doorkeeper<'_> {
    fn topic(&self, data: TopicProduceData) -> Topic {
        let image = self.broker.host.image.load();
        let found = self.find(&image, &data);
        let partitions = data.partition_data.into_iter().map(|part| {
            let index = PartitionIndex(part.index);
            let id = found.as_ref().ok().map(|topic| TopicIdPartition {
                topic_id: topic.id,
                partition: index,
            });
            let appended = match &found {
                Ok(topic) => self.append(topic, index, part.records),
                Err(failure) => Err(failure.clone()),
            };
            let outcome = appended.as_ref().map_or_else(
                |failure| Err(failure.clone()),
                |done| {
                    Ok(Place {
                        base_offset: done.base_offset.0,
                        log_append_time: done.log_append_time,
                        log_start_offset: done.log_start_offset.0,
                    })
                },
            );
            Part {
                index,
                id,
                outcome,
                appended: appended.ok(),
            }
        });
        let partitions = partitions.collect();
        Topic {
            name: data.name,
            id: data.topic_id,
            partitions,
        }
    }

    fn find<'i>(&self, image: &'i MetadataImage, data: &TopicProduceData) -> Result<&'i Arc<TopicImage>, Failure> {
        if self.acks.is_none() {
            return Err(Failure::new(ErrorCode::InvalidRequiredAcks, "acks must be -1, 0 or 1"));
        }
        if self.transactional {
            return Err(Failure::new(
                ErrorCode::InvalidTxnState,
                "transactions are not served yet",
            ));
        }
        let topic = if self.version >= TOPIC_IDS_SINCE {
            let found = topic_id(data.topic_id).and_then(|id| image.topic_by_id(id));
            found.ok_or_else(|| Failure::new(ErrorCode::UnknownTopicId, "this server does not host this topic ID"))?
        } else {
            let found = image.topic(data.name.0.as_str());
            found.ok_or_else(|| Failure::new(ErrorCode::UnknownTopicOrPartition, "no such topic"))?
        };
        if is_internal(topic.name.as_str()) {
            return Err(Failure::new(
                ErrorCode::InvalidTopicException,
                "cannot append to an internal topic",
            ));
        }
        Ok(topic)
    }

    fn append(&self, topic: &TopicImage, index: PartitionIndex, records: Option<Bytes>) -> Result<Appended, Failure> {
        if topic.partition(index).is_none() {
            return Err(Failure::new(ErrorCode::UnknownTopicOrPartition, "no such partition"));
        }
        let id = TopicIdPartition {
            topic_id: topic.id,
            partition: index,
        };
        let Some(partition) = self.broker.replicas.partition(id) else {
            return Err(match self.broker.replicas.refusal(id) {
                ErrorCode::KafkaStorageError => {
                    Failure::new(ErrorCode::KafkaStorageError, "the replica's log directory is offline")
                }
                refusal => Failure::new(refusal, "this broker does not lead the partition"),
            });
        };
        let batch = self
            .check(&partition.settings(), records.as_ref())
            .map_err(|failure| match failure.error {
                ErrorCode::InvalidTimestamp | ErrorCode::InvalidRecord if !failure.records.is_empty() => Failure {
                    log_start_offset: partition.status().log_start_offset.0,
                    ..failure
                },
                _ => failure,
            })?;
        if self.version < ZSTD_SINCE && batch.header.compression() == Ok(Compression::Zstd) {
            // Older consumers couldn't read it (KIP-110).
            return Err(Failure::new(
                ErrorCode::UnsupportedCompressionType,
                "produce requests before version 7 can't carry zstd",
            ));
        }
        drop(records);
        let (size_bytes, record_count) = (batch.bytes.len(), batch.header.record_count.unsigned_abs());
        let appended = partition.append(self.without_its_frame(batch), self.acks.unwrap_or(Acks::All), None)?;
        let metrics = &self.broker.host.metrics;
        metrics.produced_bytes.inc_by(size_bytes as u64);
        metrics.produced_records.inc_by(u64::from(record_count));
        Ok(appended)
    }

    /// PRODUCE-4: a small part of a frame would keep all of it.
    fn without_its_frame(&self, batch: Batch) -> Batch {
        let size_bytes = batch.bytes.len();
        if size_bytes >= OWN_FRAME_MIN_BYTES && size_bytes > self.frame_bytes / 2 {
            return batch;
        }
        Batch {
            bytes: Bytes::copy_from_slice(&batch.bytes),
            ..batch
        }
    }

    fn check(&self, settings: &PartitionSettings, records: Option<&Bytes>) -> Result<Batch, Failure> {
        check_batch(settings, records, self.broker.host.clock.now())
    }
}

/// The one batch of a partition, checked by its topic's rules.
fn check_batch(settings: &PartitionSettings, records: Option<&Bytes>, now: TimestampMs) -> Result<Batch, Failure> {
    let batch = Batch::from_produce(records.ok_or(BatchError::NoBatch)?)?;
    let rules = AppendRules {
        max_message_bytes: settings.max_message_bytes,
        timestamp_type: if settings.log_append_time {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        },
        timestamp_before_max_ms: settings.timestamp_before_max_ms,
        timestamp_after_max_ms: settings.timestamp_after_max_ms,
        now,
    };
    match batch.check_for_append(&rules) {
        Err(error @ BatchError::TimestampOutOfRange { earliest, latest, .. }) => {
            return Err(Failure {
                records: records_out_of_range(&batch, earliest..=latest).unwrap_or_default(),
                ..error.into()
            });
        }
        checked => checked?,
    }
    if batch.header.is_transactional() {
        // Without a coordinator nobody would ever end the transaction.
        return Err(Failure::new(
            ErrorCode::InvalidTxnState,
            "transactions are not served yet",
        ));
    }
    if settings.compacted {
        let record_rules = RecordRules {
            compacted: true,
            max_decompressed_bytes: MAX_DECOMPRESSED_BYTES,
        };
        match batch.check_records(&rules, &record_rules) {
            Err(error @ BatchError::MissingKey { .. }) => {
                return Err(Failure {
                    records: keyless_records(&batch)?,
                    ..error.into()
                });
            }
            checked => checked?,
        }
    }
    Ok(batch)
}

/// The records without a key: producers send the others of the batch again. At most [`RECORDS_NAMED_MAX`] of them.
fn keyless_records(batch: &Batch) -> Result<Vec<(usize, String)>, BatchError> {
    let records = batch.records_within(MAX_DECOMPRESSED_BYTES)?.enumerate();
    let keyless = records.filter(|(_, record)| record.as_ref().is_ok_and(|record| record.key.is_none()));
    let named = keyless.map(|(index, _)| (index, BatchError::MissingKey { index }.to_string()));
    Ok(named.take(RECORDS_NAMED_MAX).collect())
}

/// The records whose timestamps the topic doesn't take. At most [`RECORDS_NAMED_MAX`] of them.
fn records_out_of_range(batch: &Batch, taken: RangeInclusive<i64>) -> Result<Vec<(usize, String)>, BatchError> {
    let (earliest, latest) = (*taken.start(), *taken.end());
    let records = batch.records_within(NAMED_RECORDS_BYTES_MAX)?.enumerate();
    let named = records.filter_map(|(index, record)| {
        let timestamp = record.ok()?.timestamp.0;
        let error = BatchError::TimestampOutOfRange {
            timestamp,
            earliest,
            latest,
        };
        (!taken.contains(&timestamp)).then(|| (index, error.to_string()))
    });
    Ok(named.take(RECORDS_NAMED_MAX).collect())
}

impl Part {
    /// Waits until the batch is committed, if that was asked for.
    async fn commit(&mut self, deadline: Instant) {
        let Some(appended) = self.appended.take() else { return };
        let failure = match timeout_at(deadline, appended.committed()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => Failure::new(error, "the leadership ended before the batch was committed"),
            Err(_) => Failure::new(ErrorCode::RequestTimedOut, "the batch was not replicated in time"),
        };
        self.outcome = Err(failure);
    }

    fn answer(self, version: i16, leader: Option<(BrokerId, LeaderEpoch)>) -> PartitionProduceResponse {
        let answer = PartitionProduceResponse::default().with_index(self.index.0);
        let failure = match self.outcome {
            Ok(place) => {
                let answer = answer
                    .with_base_offset(place.base_offset)
                    .with_log_append_time_ms(place.log_append_time.map_or(-1, |time| time.0));
                return if version >= 5 {
                    answer.with_log_start_offset(place.log_start_offset)
                } else {
                    answer
                };
            }
            Err(failure) => failure,
        };
        let mut answer = answer
            .with_error_code(failure.error.code())
            .with_base_offset(-1)
            .with_log_append_time_ms(-1);
        if version >= 5 {
            answer = answer.with_log_start_offset(failure.log_start_offset);
        }
        if version >= RECORD_ERRORS_SINCE {
            let at_fault = failure.records.iter().map(|(record, message)| {
                BatchIndexAndErrorMessage::default()
                    .with_batch_index(i32::try_from(*record).unwrap_or(i32::MAX))
                    .with_batch_index_error_message(Some(text(message)))
            });
            answer = answer
                .with_record_errors(at_fault.collect())
                .with_error_message(Some(text(&failure.message)));
        }
        if let Some((leader, epoch)) = leader {
            let current = LeaderIdAndEpoch::default()
                .with_leader_id(leader.0.into())
                .with_leader_epoch(epoch.0);
            answer = answer.with_current_leader(current);
        }
        answer
    }
}

#[cfg(test)]
mod tests;
