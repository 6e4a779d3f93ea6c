//! `klamm bench connections`: many clients, each with a connection of its own and a small batch from time to time.
//!
//! Not through librdkafka, which has several threads for each client: a thousand of them would measure the machine. One thread
//! serves all of them here, through Klamm's own client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Args;
use parking_lot::Mutex;
use records::{BatchBuilder, NewRecord};
use serde::Serialize;
use tokio::task::JoinSet;
use types::{ErrorCode, TimestampMs};
use wire::Client;
use wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use wire::messages::{ProduceRequest, TopicName};
use wire::protocol::StrBytes;

use super::latencies::{Latencies, Percentiles, latency_table};
use super::payloads::Payloads;
use super::produce::PARTITIONS;
use super::sender::{DELIVERY_TIMEOUT_MS, SETTINGS, Sender};
use super::target::{Session, Target};
use crate::commands::connection::CLIENT_ID;
use crate::commands::duration::parse_duration;
use crate::commands::progress::thousands;
use crate::file_limit::raise_file_limit;

/// The last version of Produce that names topics; later ones have their ids.
const NAMES_UNTIL: i16 = 12;
/// Connections that are being opened at a time: a broker's queue for new ones is short.
const OPENING: usize = 32;
/// How long a connection, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at the progress.
const LOOK: Duration = Duration::from_millis(100);

/// `klamm bench connections`.
#[derive(Debug, Args)]
pub(crate) struct ConnectionsArgs {
    /// Clients, each with a connection to one broker
    #[arg(short, long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    connections: u32,
    /// From one batch of a client to its next, as in 100ms
    #[arg(long, value_parser = parse_duration, default_value = "100ms")]
    every: Duration,
    /// Records of a batch
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    records: u32,
    /// Bytes of a record
    #[arg(short, long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    size: u32,
    /// How long, once all are connected
    #[arg(short, long, value_parser = parse_duration, default_value = "10s")]
    duration: Duration,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    operation: &'static str,
    topic: String,
    partitions: u32,
    connections: u32,
    every_ms: f64,
    batch_records: u32,
    record_bytes: u32,
    interrupted: bool,
    connect_seconds: f64,
    batches: u64,
    seconds: f64,
    batches_per_second: f64,
    /// From when a batch was due to its acknowledgement.
    latency_ms: Option<Percentiles>,
}

/// One client.
struct OneOfMany {
    client: Client,
    request: ProduceRequest,
    /// After the beginning: the clients' batches are spread over the time between two of them.
    first: Duration,
}

impl ConnectionsArgs {
    pub(super) fn run(self) -> Result<()> {
        ensure!(!self.every.is_zero(), "--every must be longer than 0");
        raise_file_limit();
        let mut session = self.target.open_in_sync(PARTITIONS)?;
        self.begin_partitions(&session)?;
        let leaders = session.topic.leaders()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let opening = Instant::now();
        session.progress.say(&format!(
            "connecting {} times …",
            thousands(u64::from(self.connections))
        ));
        let clients = runtime.block_on(self.connect(&session, &leaders))?;
        let connect_seconds = opening.elapsed().as_secs_f64();
        let began = Instant::now();
        let latencies = runtime.block_on(self.send(&mut session, clients, began))?;
        let seconds = began.elapsed().as_secs_f64();
        session.progress.clear();
        let batches = latencies.count();
        let result = Measured {
            operation: "connections",
            topic: session.topic.name.clone(),
            partitions: session.topic.partitions,
            connections: self.connections,
            every_ms: self.every.as_secs_f64() * 1e3,
            batch_records: self.records,
            record_bytes: self.size,
            interrupted: session.stop.requested(),
            connect_seconds,
            batches,
            seconds,
            batches_per_second: batches as f64 / seconds,
            latency_ms: latencies.percentiles(),
        };
        self.target.output.write(&result, |result| {
            latency_table(result.batches, result.batches_per_second, result.latency_ms.as_ref())
        })
    }

    /// A broker of Apache Kafka may not know yet that it leads what the metadata say it leads; librdkafka asks again until it does.
    fn begin_partitions(&self, session: &Session) -> Result<()> {
        let settings = [("message.timeout.ms", DELIVERY_TIMEOUT_MS)];
        let config = session.config(&[settings.as_slice(), &SETTINGS].concat());
        let mut payloads = Payloads::new(self.size as usize);
        Sender::new(session, &config)?.write_to_each(session.partitions()?, payloads.next(), &session.stop, |_| {})
    }

    /// Each to the leader of its partition.
    async fn connect(&self, session: &Session, leaders: &[String]) -> Result<Vec<OneOfMany>> {
        let batch = self.batch()?;
        let mut opening: JoinSet<Result<OneOfMany>> = JoinSet::new();
        let mut clients = Vec::new();
        for (number, (partition, leader)) in (0..self.connections).zip(leaders.iter().enumerate().cycle()) {
            if session.stop.requested() {
                break;
            }
            if opening.len() >= OPENING
                && let Some(client) = opening.join_next().await
            {
                clients.push(client??);
            }
            let request = request(&session.topic.name, i32::try_from(partition)?, &batch);
            let first = self.every.mul_f64(f64::from(number) / f64::from(self.connections));
            let leader = leader.clone();
            opening.spawn(async move {
                let client = Client::connect(&leader, CLIENT_ID, PATIENCE).await?;
                Ok(OneOfMany { client, request, first })
            });
        }
        while let Some(client) = opening.join_next().await {
            clients.push(client??);
        }
        Ok(clients)
    }

    fn batch(&self) -> Result<bytes::Bytes> {
        let mut payloads = Payloads::new(self.size as usize);
        let now = TimestampMs(std::time::UNIX_EPOCH.elapsed()?.as_millis() as i64);
        let mut batch = BatchBuilder::new();
        for _ in 0..self.records {
            batch.append(NewRecord::new(now, Vec::new(), payloads.next().to_vec()));
        }
        batch.finish().context("a batch can't be made")
    }

    async fn send(&self, session: &mut Session, clients: Vec<OneOfMany>, began: Instant) -> Result<Latencies> {
        let latencies = Arc::new(Mutex::new(Latencies::default()));
        let end = began.checked_add(self.duration);
        let mut sending: JoinSet<Result<()>> = JoinSet::new();
        for client in clients {
            let (latencies, every, stop) = (Arc::clone(&latencies), self.every, session.stop.clone());
            sending.spawn(async move {
                let OneOfMany {
                    mut client,
                    request,
                    first,
                } = client;
                let mut due = began + first;
                while end.is_none_or(|end| due < end) && !stop.requested() {
                    tokio::time::sleep_until(due.into()).await;
                    let response = client.call_up_to(&request, NAMES_UNTIL, PATIENCE).await?;
                    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
                    if let Some(refused) = partitions.map(|partition| partition.error_code).find(|code| *code != 0) {
                        return Err(anyhow!("a batch was refused: {}", ErrorCode::from_code(refused)));
                    }
                    latencies.lock().add(due.elapsed());
                    due += every;
                }
                Ok(())
            });
        }
        session.progress.restart();
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                ended = sending.join_next() => match ended {
                    Some(ended) => ended??,
                    None => break,
                },
                _ = look.tick() => {
                    let count = latencies.lock().count();
                    let part = began.elapsed().as_secs_f64() / self.duration.as_secs_f64().max(1e-9);
                    session.progress.show(part, count, |rate| {
                        format!("{} batches acknowledged ({rate:.0}/s)", thousands(count))
                    });
                }
            }
        }
        let all = latencies.lock().clone();
        Ok(all)
    }
}

fn request(topic: &str, partition: i32, batch: &bytes::Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch.clone()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(i32::try_from(PATIENCE.as_millis()).unwrap_or(i32::MAX))
        .with_topic_data(vec![topic])
}
