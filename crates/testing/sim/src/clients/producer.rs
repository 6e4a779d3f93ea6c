//! A producer with acks=all. It sends bursts of batches without waiting in between; an idempotent one sends what failed
//! again, in order and under the same sequences, until all of it is acknowledged, another one gives up what failed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use records::{BatchBuilder, NewRecord};
use types::{ErrorCode, Offset, ProducerEpoch, ProducerId, TimestampMs};
use wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use wire::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse, TopicName};
use wire::protocol::StrBytes;

use super::client::{Client, Leader};
use super::connection::Gone;
use super::{COMMIT_MS, Clients, TOPIC};
use crate::fabric::NodeId;
use crate::history::{Fate, SequenceRefusal};

/// How long a producer waits for an answer.
const ANSWER: Duration = Duration::from_millis(COMMIT_MS.unsigned_abs() as u64 + 1_000);
/// What the broker may need to ask the controller for a block of ids.
const ID_ANSWER: Duration = Duration::from_millis(6_000);
const INIT_VERSION: i16 = 4;
/// Versions of Produce in use by clients: the last one names topics by id.
const PRODUCE_VERSIONS: [i16; 4] = [7, 9, 12, 13];
/// In which topics are named by id.
const TOPIC_IDS_SINCE: i16 = 13;
/// What a broker says of a batch that it appended and can't answer for: the one refusal that leaves it open.
const LOST_LEADERSHIP: &str = "the leadership ended before the batch was committed";
/// In which answers have messages.
const MESSAGES_SINCE: i16 = 8;
/// Batches of a burst: five may be in flight, so that the broker knows each of them when it comes again.
const BURST_MAX: usize = 5;

/// Who writes, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer {
    /// Begins the values that it writes.
    pub(crate) id: i64,
    pub(crate) partition: i32,
    pub(crate) idempotent: bool,
    pub(crate) seed: u64,
}

/// A batch on its way.
#[derive(Debug, Clone)]
struct Sending {
    bytes: Bytes,
    values: Vec<String>,
    /// An attempt may have been appended.
    open: bool,
}

/// What an answer says of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Acked(Offset),
    /// Nothing was written.
    Refused,
    /// The sequence isn't the next one.
    OutOfOrder(String),
    /// It may stand or not.
    Open,
}

impl Clients {
    /// Writes to one partition until told to stop.
    pub(crate) async fn write(self, writer: Writer) {
        self.writing.fetch_add(1, Ordering::Relaxed);
        let client = Client::new(self.clone(), writer.seed);
        let mut producer = Producer {
            writer,
            client,
            version: PRODUCE_VERSIONS[usize::try_from(writer.seed % 4).unwrap_or(0)],
            identity: None,
            sequence: 0,
            serial: 0,
        };
        while !self.stopping() {
            producer.burst().await;
            producer.client.rest(1..160).await;
        }
        self.writing.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Producer {
    writer: Writer,
    client: Client,
    version: i16,
    identity: Option<ProducerId>,
    sequence: i32,
    serial: u64,
}

impl Producer {
    async fn burst(&mut self) {
        if self.writer.idempotent && !self.identify().await {
            return;
        }
        let count = if self.client.dice.random_bool(0.6) {
            1
        } else {
            self.client.dice.random_range(2..=BURST_MAX)
        };
        let mut batches: Vec<Sending> = (0..count).filter_map(|_| self.build()).collect();
        while !batches.is_empty() {
            batches = self.send(batches).await;
            if !self.writer.idempotent {
                return;
            }
            if !batches.is_empty() {
                self.client.back_off().await;
                self.client.refresh().await;
            }
        }
        // Now and then another session, as after a restart.
        if self.client.dice.random_ratio(1, 40) {
            self.identity = None;
        }
    }

    /// Gets a producer id.
    async fn identify(&mut self) -> bool {
        while self.identity.is_none() {
            if self.client.clients.stopping() {
                return false;
            }
            let node = self.client.any_broker();
            let request = InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(60_000);
            if let Ok(answer) = self.client.call(node, INIT_VERSION, &request, ID_ANSWER).await {
                match ErrorCode::from_code(answer.error_code) {
                    ErrorCode::None => {
                        self.identity = Some(ProducerId(answer.producer_id.0));
                        self.sequence = 0;
                        self.client.clients.history.identified(answer.producer_id.0);
                    }
                    ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable => {}
                    other => self.odd(&format!("InitProducerId was answered with {other}")),
                }
            }
            if self.identity.is_none() {
                self.client.back_off().await;
            }
        }
        true
    }

    fn build(&mut self) -> Option<Sending> {
        let count = self.client.dice.random_range(1..4_usize);
        let values: Vec<String> = (0..count as u64)
            .map(|at| format!("{}:{}", self.writer.id, self.serial + at))
            .collect();
        self.serial += count as u64;
        let mut builder = BatchBuilder::new();
        if let Some(id) = self.identity.filter(|_| self.writer.idempotent) {
            builder = builder.producer(id, ProducerEpoch(0), self.sequence);
        }
        let now: TimestampMs = self.client.clients.network.now();
        let padding = self.client.dice.random_range(0..200);
        for value in &values {
            builder.append(NewRecord::new(now, vec![b'k'; padding], value.clone().into_bytes()));
        }
        self.sequence = self.sequence.wrapping_add(i32::try_from(count).unwrap_or(0));
        let Ok(bytes) = builder.finish() else {
            self.odd("a batch could not be built");
            return None;
        };
        Some(Sending {
            bytes,
            values,
            open: false,
        })
    }

    /// Sends all batches one after the other, then takes the answers; returns what is to be sent again.
    async fn send(&mut self, batches: Vec<Sending>) -> Vec<Sending> {
        let Some(leader) = self.client.find_leader(self.writer.partition).await else {
            return batches;
        };
        let Ok(connection) = self.client.connection(leader.node).await else {
            self.client.refresh().await;
            return batches;
        };
        let mut sent = Vec::new();
        for batch in batches {
            // An idempotent batch whose predecessor was not even sent must not overtake it.
            let due = match self.request(&batch.bytes) {
                Some(request) => connection.send(self.version, &request).await,
                None => Err(Gone),
            };
            sent.push((batch, due));
        }
        let (mut again, mut failed) = (Vec::new(), false);
        for (mut batch, due) in sent {
            let outcome = match due {
                Err(Gone) => None,
                Ok(due) => Some(due.answer(ANSWER).await),
            };
            let outcome = match outcome {
                None => Outcome::Refused,
                Some(Err(Gone)) => {
                    self.client.drop_connection(leader.node);
                    Outcome::Open
                }
                Some(Ok(answer)) => self.judge(leader.node, &answer),
            };
            if let Outcome::OutOfOrder(why) = &outcome
                && !failed
            {
                // All before it were acknowledged.
                self.refused(leader, &batch, why);
            }
            failed |= !matches!(outcome, Outcome::Acked(_));
            batch.open |= outcome == Outcome::Open;
            self.note(&batch, &outcome);
            if !matches!(outcome, Outcome::Acked(_)) {
                again.push(batch);
            }
        }
        again
    }

    fn request(&self, bytes: &Bytes) -> Option<ProduceRequest> {
        let partition = PartitionProduceData::default()
            .with_index(self.writer.partition)
            .with_records(Some(bytes.clone()));
        let mut topic = TopicProduceData::default().with_partition_data(vec![partition]);
        if self.version >= TOPIC_IDS_SINCE {
            topic.topic_id = self.client.topic_id()?;
        } else {
            topic.name = TopicName(StrBytes::from_static_str(TOPIC));
        }
        Some(
            ProduceRequest::default()
                .with_acks(-1)
                .with_timeout_ms(COMMIT_MS)
                .with_topic_data(vec![topic]),
        )
    }

    fn judge(&self, node: NodeId, answer: &ProduceResponse) -> Outcome {
        let Some(part) = answer
            .responses
            .first()
            .and_then(|topic| topic.partition_responses.first())
        else {
            self.odd(&format!("node {node} answered Produce without the partition"));
            return Outcome::Open;
        };
        let message = part.error_message.as_ref().map_or("", |message| message.as_str());
        match ErrorCode::from_code(part.error_code) {
            ErrorCode::None => Outcome::Acked(Offset(part.base_offset)),
            ErrorCode::NotLeaderOrFollower if self.version < MESSAGES_SINCE || message == LOST_LEADERSHIP => {
                Outcome::Open
            }
            ErrorCode::NotLeaderOrFollower
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId => Outcome::Refused,
            // A write that failed midway may have left the batch in the log.
            ErrorCode::RequestTimedOut | ErrorCode::NotEnoughReplicasAfterAppend | ErrorCode::KafkaStorageError => {
                Outcome::Open
            }
            code @ (ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId) if self.writer.idempotent => {
                Outcome::OutOfOrder(format!("{code}: {message}"))
            }
            other => {
                self.odd(&format!("node {node} answered Produce with {other}: {message}"));
                Outcome::Open
            }
        }
    }

    fn note(&self, batch: &Sending, outcome: &Outcome) {
        let history = &self.client.clients.history;
        for (at, value) in batch.values.iter().enumerate() {
            let fate = match outcome {
                Outcome::Acked(base) => Fate::Acked(Offset(base.0 + i64::try_from(at).unwrap_or(0))),
                Outcome::Refused | Outcome::OutOfOrder(_) if !batch.open => Fate::Failed,
                Outcome::Refused | Outcome::OutOfOrder(_) | Outcome::Open => Fate::Unknown,
            };
            history.wrote(self.writer.partition, value, fate);
        }
    }

    fn refused(&self, leader: Leader, batch: &Sending, why: &str) {
        let first = batch.values.first().map_or("", String::as_str);
        self.client.clients.history.refused(SequenceRefusal {
            node: leader.node,
            partition: self.writer.partition,
            why: format!("{first} refused: {why}"),
        });
    }

    fn odd(&self, what: &str) {
        let Writer { id, partition, .. } = self.writer;
        self.client
            .clients
            .history
            .odd("IDEM", format!("producer {id} of partition {partition}: {what}"));
    }
}
