//! The clients: producers that write with acks=all and retry, consumers that read from the start, and their topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use broker::BrokerContext;
use bytes::Bytes;
use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{ConfigEntry, CreateTopicItem, CreateTopicsRequest, DeleteTopicItem, DeleteTopicsRequest};
use partition::Acks;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use records::{Batch, BatchBuilder, NewRecord, Tail, batches};
use tokio::time::{sleep, timeout};
use types::{ErrorCode, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs};

use crate::fabric::NodeId;
use crate::history::{Consumed, Fate, History, SequenceRefusal};
use crate::network::SimNetwork;

/// The topic that is written to.
pub(crate) const TOPIC: &str = "events";
/// How long a client waits for one answer.
const REQUEST: Duration = Duration::from_millis(2_500);
/// How long a broker holds a produce request.
const COMMIT: Duration = Duration::from_millis(1_500);
/// Bytes of one read.
const READ_BYTES: usize = 4 << 10;

/// What clients share.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) network: SimNetwork,
    pub(crate) nodes: NodeId,
    pub(crate) history: History,
    /// Set when the world wants no more writes.
    pub(crate) stop: Arc<AtomicBool>,
    /// Writers that still run.
    pub(crate) writing: Arc<AtomicUsize>,
}

/// A broker's answer to a produce request.
#[derive(Debug)]
enum Produced {
    Acked(Offset),
    /// Nothing was written; why.
    Refused(String),
    /// Appended, and then no more was heard.
    Open,
}

async fn produce(context: Arc<BrokerContext>, partition: i32, batch: Batch) -> Produced {
    let partition = match context.replicas.partition_by_name(TOPIC, PartitionIndex(partition)) {
        Ok(partition) => partition,
        Err(code) => return Produced::Refused(code.to_string()),
    };
    match partition.append(&batch, Acks::All, None) {
        Err(error) => Produced::Refused(error.to_string()),
        Ok(appended) => {
            let base_offset = appended.base_offset;
            match timeout(COMMIT, appended.committed()).await {
                Ok(Ok(())) => Produced::Acked(base_offset),
                Ok(Err(_)) | Err(_) => Produced::Open,
            }
        }
    }
}

impl Clients {
    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Creates a topic through whichever broker answers, until it exists.
    pub(crate) async fn create_topic(&self, name: &str, partitions: i32, configs: Vec<(&str, String)>) -> bool {
        let item = CreateTopicItem {
            name: name.to_owned(),
            partitions,
            replication_factor: 3,
            configs: configs
                .into_iter()
                .map(|(key, value)| ConfigEntry {
                    key: key.to_owned(),
                    value: Some(value),
                })
                .collect(),
            ..CreateTopicItem::default()
        };
        let request = Request::CreateTopics(CreateTopicsRequest {
            topics: vec![item],
            validate_only: false,
        });
        for attempt in 0..400 {
            let node = 1 + attempt % self.nodes;
            if let Some(Response::CreateTopics(response)) = self.ask(node, request.clone()).await {
                let code = response.topics.first().map_or(-1, |topic| topic.error_code);
                let exists = i32::from(ErrorCode::TopicAlreadyExists.code());
                if code == 0 || code == exists {
                    return true;
                }
                tracing::info!(topics = ?response.topics, "a topic was not created");
            }
            sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Asks a broker to delete a topic.
    pub(crate) async fn delete_topic(&self, node: NodeId, name: &str) {
        let topics = vec![DeleteTopicItem {
            name: name.to_owned(),
            topic_id: Bytes::new(),
        }];
        let _ = self
            .ask(node, Request::DeleteTopics(DeleteTopicsRequest { topics }))
            .await;
    }

    async fn ask(&self, node: NodeId, request: Request) -> Option<Response> {
        let answer = self.network.request(node, REQUEST, move |context| async move {
            context.controllers.request(request, Duration::from_secs(2)).await
        });
        answer.await.ok()??.ok()?.response
    }

    /// Creates and deletes topics while the others write.
    pub(crate) async fn churn(self, seed: u64) {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut round = 0;
        while !self.stopping() {
            round += 1;
            let name = format!("churn-{}", round % 3);
            if dice.random_bool(0.6) {
                let _ = timeout(REQUEST, self.create_topic(&name, dice.random_range(1..4), Vec::new())).await;
            } else {
                self.delete_topic(dice.random_range(1..=self.nodes), &name).await;
            }
            sleep(Duration::from_millis(dice.random_range(300..2_500))).await;
        }
    }

    /// Writes batches to one partition, one after the other, until told to stop. An idempotent producer retries a batch
    /// until it is acknowledged; another writes something new when it doesn't know.
    pub(crate) async fn write(self, id: i64, partition: i32, idempotent: bool, seed: u64) {
        self.writing.fetch_add(1, Ordering::Relaxed);
        let mut dice = StdRng::seed_from_u64(seed);
        let mut node = dice.random_range(1..=self.nodes);
        let (mut sequence, mut serial) = (0_i32, 0_u64);
        while !self.stopping() {
            let count = dice.random_range(1..4_usize);
            let values: Vec<String> = (0..count).map(|at| format!("{id}:{}", serial + at as u64)).collect();
            serial += count as u64;
            let Some(batch) = build(
                self.network.now(),
                id,
                idempotent.then_some(sequence),
                &values,
                dice.random_range(0..200),
            ) else {
                self.history.odd("a batch could not be built".to_owned());
                break;
            };
            self.write_batch(&mut node, partition, &batch, &values, idempotent, &mut dice)
                .await;
            sequence = sequence.wrapping_add(i32::try_from(count).unwrap_or(0));
            sleep(Duration::from_millis(dice.random_range(1..120))).await;
        }
        self.writing.fetch_sub(1, Ordering::Relaxed);
    }

    async fn write_batch(
        &self,
        node: &mut NodeId,
        partition: i32,
        batch: &Batch,
        values: &[String],
        idempotent: bool,
        dice: &mut StdRng,
    ) {
        let note = |fate: &dyn Fn(usize) -> Fate| {
            for (at, value) in values.iter().enumerate() {
                self.history.wrote(partition, value, fate(at));
            }
        };
        let mut open = false;
        loop {
            let sent = batch.clone();
            let answer = self
                .network
                .request(*node, REQUEST, move |context| produce(context, partition, sent))
                .await;
            match answer {
                Ok(Some(Produced::Acked(base))) => {
                    note(&|at| Fate::Acked(Offset(base.0 + i64::try_from(at).unwrap_or(0))));
                    return;
                }
                Ok(Some(Produced::Refused(reason))) => {
                    if idempotent && reason.contains("sequence") {
                        let why = format!("{} refused: {reason}", values.first().map_or("", String::as_str));
                        self.history.refused(SequenceRefusal {
                            node: *node,
                            partition,
                            why,
                        });
                    }
                    if !open {
                        note(&|_| Fate::Failed);
                    }
                }
                Ok(Some(Produced::Open)) | Err(_) => {
                    open = true;
                    note(&|_| Fate::Unknown);
                    if !idempotent {
                        return;
                    }
                }
                Ok(None) => {}
            }
            *node = 1 + (*node + dice.random_range(0..self.nodes)) % self.nodes;
            sleep(Duration::from_millis(dice.random_range(5..60))).await;
        }
    }

    /// Reads one partition from its start, in order, from whoever leads it.
    pub(crate) async fn read(self, id: i64, partition: i32, seed: u64) {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut node = dice.random_range(1..=self.nodes);
        let mut position = Offset::ZERO;
        loop {
            let from = position;
            let answer = self.network.request(node, REQUEST, move |context| async move {
                let partition = context
                    .replicas
                    .partition_by_name(TOPIC, PartitionIndex(partition))
                    .ok()?;
                if !partition.status().is_leader {
                    return None;
                }
                partition.read_committed(from, READ_BYTES).ok()
            });
            match answer.await {
                Ok(Some(Some((bytes, _, _)))) => position = self.take(id, partition, position, &bytes),
                Ok(_) | Err(_) => node = 1 + (node + dice.random_range(0..self.nodes)) % self.nodes,
            }
            sleep(Duration::from_millis(dice.random_range(20..200))).await;
        }
    }

    fn take(&self, consumer: i64, partition: i32, mut position: Offset, bytes: &Bytes) -> Offset {
        for (offset, value) in values_of(bytes) {
            if offset < position {
                continue;
            }
            if offset > position {
                self.history.odd(format!(
                    "ACK: consumer {consumer} of partition {partition} wanted {position} and got {offset}"
                ));
            }
            position = offset.next();
            self.history.consumed(Consumed {
                consumer,
                partition,
                offset,
                value,
            });
        }
        position
    }
}

/// The records of whole batches, as (offset, value).
pub(crate) fn values_of(bytes: &Bytes) -> Vec<(Offset, String)> {
    let mut values = Vec::new();
    for batch in batches(bytes, Tail::Whole).flatten() {
        let Ok(records) = batch.records() else { continue };
        for record in records.flatten() {
            let value = record.value.as_deref().unwrap_or_default();
            values.push((record.offset, String::from_utf8_lossy(value).into_owned()));
        }
    }
    values
}

fn build(now: TimestampMs, id: i64, sequence: Option<i32>, values: &[String], padding: usize) -> Option<Batch> {
    let mut builder = BatchBuilder::new();
    if let Some(sequence) = sequence {
        builder = builder.producer(ProducerId(id), ProducerEpoch(0), sequence);
    }
    for value in values {
        builder.append(NewRecord::new(now, vec![b'k'; padding], value.clone().into_bytes()));
    }
    Batch::parse(&builder.finish().ok()?).ok()
}
