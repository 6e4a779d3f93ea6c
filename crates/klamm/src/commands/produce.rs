//! `klamm produce`: arguments or lines of standard input become records, through librdkafka's idempotent producer.
//!
//! The exit code is 0 only when every record was acknowledged.

use std::io::{self, BufRead as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer};
use tokio::runtime::Runtime;

use super::connection::{CLIENT_ID, Connection};
use super::error_advice::CONNECT_ADVICE;
use super::output::{UnreachableNote, note, write_line};

/// Records that librdkafka's queue refused are offered again after this.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(100);

/// Which acknowledgement a record waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Acks {
    /// None: the record may be lost, and nobody will know.
    #[value(name = "0")]
    None,
    /// The leader's.
    #[value(name = "1")]
    Leader,
    /// All in-sync replicas'.
    #[value(name = "all", alias = "-1")]
    All,
}

/// The codec of batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// `klamm produce`.
#[derive(Debug, Args)]
pub(crate) struct ProduceArgs {
    /// The topic
    topic: String,
    /// Records to write [default: the lines of standard input]
    #[arg(value_name = "RECORD")]
    records: Vec<String>,
    /// What separates key and value; without it records have no key
    #[arg(short, long, value_name = "SEPARATOR")]
    key: Option<String>,
    /// The partition [default: by the key's hash as Java's client does it, or any]
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// A header for every record; may be given more than once
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = parse_pair)]
    headers: Vec<(String, String)>,
    /// Which acknowledgement a record waits for
    #[arg(long, value_enum, default_value = "all")]
    acks: Acks,
    /// The codec of batches
    #[arg(short = 'z', long, value_enum, default_value = "none")]
    compression: Compression,
    /// Any property of librdkafka; may be given more than once
    #[arg(short = 'X', long = "property", value_name = "KEY=VALUE", value_parser = parse_pair)]
    properties: Vec<(String, String)>,
    /// Print partition and offset of every record
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Reads `key=value`.
pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("expected key=value".to_owned()),
    }
}

/// What became of the records; librdkafka calls it from its own thread.
#[derive(Debug)]
pub(crate) struct Deliveries {
    verbose: bool,
    unreachable: UnreachableNote,
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl Deliveries {
    /// Nothing yet. `verbose`: each is told on standard output.
    pub(crate) fn new(verbose: bool) -> Self {
        Self {
            verbose,
            unreachable: UnreachableNote::default(),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Records that were not written.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

impl ClientContext for Deliveries {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {
        // Errors come with the records they concern.
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.unreachable.on_error(&error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                self.delivered.fetch_add(1, Ordering::Relaxed);
                if self.verbose {
                    let line = format!(
                        "{} partition {} offset {}",
                        message.topic(),
                        message.partition(),
                        message.offset()
                    );
                    // When nobody reads the lines any more, the records still count.
                    let _ = write_line(&line);
                }
            }
            Err((error, _)) => {
                // The first few say what is wrong; a million equal lines help nobody.
                if self.failed.fetch_add(1, Ordering::Relaxed) < 5 {
                    note(&format!("a record was not written: {error}"));
                }
            }
        }
    }
}

impl ProduceArgs {
    /// Connects with our own client first: it says at once, and clearly, when nobody is there. The runtime is for that
    /// only; librdkafka has threads of its own, and reading standard input blocks.
    pub(super) fn run(self, runtime: &Runtime) -> Result<()> {
        drop(runtime.block_on(self.connection.connect())?);
        let context = Deliveries::new(self.verbose);
        let producer: ThreadedProducer<Deliveries> = self
            .config()
            .create_with_context(context)
            .context("librdkafka refuses this configuration")?;
        if self.records.is_empty() {
            for line in io::stdin().lock().split(b'\n') {
                let line = line.context("standard input can't be read")?;
                let line = line.strip_suffix(b"\r").unwrap_or(&line);
                self.send(&producer, line)?;
            }
        } else {
            for record in &self.records {
                self.send(&producer, record.as_bytes())?;
            }
        }
        // Every record ends by its own timeout at the latest; the margin is for the callbacks.
        let patience = self.connection.timeout().saturating_mul(2) + Duration::from_secs(1);
        let flushed = producer.flush(patience);
        let deliveries = producer.context();
        let (delivered, failed) = (
            deliveries.delivered.load(Ordering::Relaxed),
            deliveries.failed.load(Ordering::Relaxed),
        );
        if failed > 0 {
            bail!(
                "{failed} of {} records were not written to {}\n{CONNECT_ADVICE}",
                failed + delivered,
                self.topic
            );
        }
        flushed.with_context(|| {
            format!(
                "records to {} are still unacknowledged; they may have been written",
                self.topic
            )
        })
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        let acks = match self.acks {
            Acks::None => "0",
            Acks::Leader => "1",
            Acks::All => "all",
        };
        let codec = match self.compression {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        };
        config
            .set("bootstrap.servers", self.connection.bootstrap())
            .set("client.id", CLIENT_ID)
            .set("acks", acks)
            // Kafka's idempotent producer needs acks=all.
            .set(
                "enable.idempotence",
                if self.acks == Acks::All { "true" } else { "false" },
            )
            .set("compression.codec", codec)
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", self.connection.timeout_ms().to_string())
            .set("socket.timeout.ms", self.connection.timeout_ms().max(1_000).to_string())
            .set(
                "topic.metadata.propagation.max.ms",
                (self.connection.timeout_ms() / 2).to_string(),
            )
            .set("retry.backoff.ms", "50")
            .set("linger.ms", "5");
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
    }

    /// Makes a record of a line.
    fn send(&self, producer: &ThreadedProducer<Deliveries>, line: &[u8]) -> Result<()> {
        let (key, value) = match self
            .key
            .as_deref()
            .and_then(|separator| split_once(line, separator.as_bytes()))
        {
            Some((key, value)) => (Some(key), value),
            None => (None, line),
        };
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic).payload(value);
        if let Some(key) = key {
            record = record.key(key);
        }
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        if !self.headers.is_empty() {
            let headers = self.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            });
            record = record.headers(headers);
        }
        enqueue(producer, record)
    }
}

/// Hands a record to librdkafka, waiting while its queue is full.
pub(crate) fn enqueue(producer: &ThreadedProducer<Deliveries>, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<()> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                // Its error says only that the queue isn't empty yet.
                let _ = producer.flush(QUEUE_FULL_PAUSE);
            }
            Err((error, record)) => {
                return Err(error).with_context(|| format!("a record for {} was refused", record.topic));
            }
        }
    }
}

/// Splits at the first occurrence of a separator that isn't empty.
fn split_once<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    if separator.is_empty() {
        return None;
    }
    let at = line.windows(separator.len()).position(|window| window == separator)?;
    Some((line.get(..at)?, line.get(at + separator.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_splits_at_the_first_separator() {
        assert_eq!(split_once(b"a::b::c", b"::"), Some((&b"a"[..], &b"b::c"[..])));
        assert_eq!(split_once(b"abc", b":"), None);
        assert_eq!(split_once(b"abc", b""), None);
        assert_eq!(split_once(b":", b":"), Some((&b""[..], &b""[..])));
    }
}
