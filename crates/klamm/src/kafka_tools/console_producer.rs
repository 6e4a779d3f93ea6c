//! `kafka-console-producer` (`ConsoleProducer`), through librdkafka's idempotent producer.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use tokio::runtime::Runtime;

use super::client_properties;
use super::connect::{BOOTSTRAP_SERVER, COMMAND_CONFIG, read_properties};
use super::options::{OptionSpec, Options, UsageError, flag, optional, value};
use super::record_lines::{LineReader, LineRecord};
use crate::commands::connection::Connection;
use crate::commands::output::write_line;
use crate::commands::produce::{Deliveries, enqueue};

/// As long as Kafka's producer waits for a record's acknowledgement.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
const READER: &str = "org.apache.kafka.tools.LineMessageReader";

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    value("topic", "topic", "The topic."),
    flag(
        "sync",
        "Wait for the acknowledgement of each record before the next one.",
    ),
    optional(
        "compression-codec",
        "compression-codec",
        "none, gzip, snappy, lz4 or zstd; gzip without a value.",
    ),
    value("batch-size", "size", "Bytes of a batch."),
    value("max-partition-memory-bytes", "bytes", "(DEPRECATED) As --batch-size."),
    value(
        "message-send-max-retries",
        "count",
        "How often a record is tried again.",
    ),
    value("retry-backoff-ms", "ms", "Between two tries."),
    value("timeout", "ms", "How long a batch may wait for more records."),
    value("request-required-acks", "acks", "0, 1, -1 or all."),
    value("request-timeout-ms", "ms", "How long a request may take."),
    value("metadata-expiry-ms", "ms", "How old metadata may become."),
    value("max-block-ms", "ms", "How long to look for a broker."),
    value("max-memory-bytes", "bytes", "How much may wait to be sent."),
    value("socket-buffer-size", "size", "The socket's send buffer."),
    value("line-reader", "reader_class", "Only Kafka's own LineMessageReader."),
    value(
        "reader-property",
        "prop",
        "parse.key, key.separator, parse.headers, null.marker and others: key=value.",
    ),
    value("property", "prop", "(DEPRECATED) As --reader-property."),
    value("reader-config", "config file", "A file of such properties."),
    value(
        "command-property",
        "producer_prop",
        "A property of the producer: key=value.",
    ),
    value(
        "producer-property",
        "producer_prop",
        "(DEPRECATED) As --command-property.",
    ),
    value("producer.config", "config file", "(DEPRECATED) As --command-config."),
];

/// Options that are properties of the producer under another name.
const NAMED: [(&str, &str); 9] = [
    ("batch-size", "batch.size"),
    ("max-partition-memory-bytes", "batch.size"),
    ("message-send-max-retries", "retries"),
    ("retry-backoff-ms", "retry.backoff.ms"),
    ("timeout", "linger.ms"),
    ("request-required-acks", "acks"),
    ("request-timeout-ms", "request.timeout.ms"),
    ("metadata-expiry-ms", "metadata.max.age.ms"),
    ("socket-buffer-size", "socket.send.buffer.bytes"),
];

pub(super) fn run(options: &Options, runtime: &Runtime) -> Result<ExitCode> {
    options.require(&["topic"])?;
    let renamed = [
        ("command-config", "producer.config", "producer.config"),
        ("command-property", "producer-property", "producer-property"),
        ("reader-property", "property", "property"),
    ];
    for (new, old, shown) in renamed {
        if options.has(new) && options.has(old) {
            return Err(UsageError::of(format!(
                "Options --{new} and --{shown} cannot be specified together."
            )));
        }
        if options.has(old) {
            write_line(&format!(
                "Warning: --{old} is deprecated and will be removed in a future version. Use --{new} instead."
            ))?;
        }
    }
    if options.has("max-partition-memory-bytes") {
        write_line(
            "Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka 5.0. Use --batch-size instead.",
        )?;
    }
    if options.value("line-reader")?.is_some_and(|class| class != READER) {
        bail!("--line-reader is not supported by klamm but for {READER}");
    }
    options.require(&["bootstrap-server"])?;
    let bootstrap = options.value("bootstrap-server")?.unwrap_or_default().to_owned();
    let reader = LineReader::new(&reader_properties(options)?)?;
    // Our own client says at once, and clearly, when nobody is there.
    let patience = options
        .number::<u64>("max-block-ms")?
        .map_or(CONNECT_TIMEOUT, Duration::from_millis);
    let connection = Connection::to(bootstrap, patience);
    drop(runtime.block_on(connection.connect())?);
    let producer: ThreadedProducer<Deliveries> = config(options, &connection)?
        .create_with_context(Deliveries::new(false))
        .context("librdkafka refuses this configuration")?;
    let sent = send_all(options, &reader, &producer);
    // What was read before a line that can't be is written all the same.
    let flushed = producer.flush(DELIVERY_TIMEOUT);
    sent?;
    flushed.context("records are still unacknowledged; they may have been written")?;
    Ok(ExitCode::SUCCESS)
}

fn reader_properties(options: &Options) -> Result<BTreeMap<String, String>> {
    let mut properties = BTreeMap::new();
    if let Some(file) = options.value("reader-config")? {
        let file = read_properties(Path::new(file))?;
        properties.extend(file.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    for text in options.values("property").chain(options.values("reader-property")) {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        properties.insert(key.to_owned(), value.to_owned());
    }
    Ok(properties)
}

fn config(options: &Options, connection: &Connection) -> Result<ClientConfig> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", connection.bootstrap())
        .set("client.id", "console-producer")
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string());
    let mut properties = client_properties::read(options, "producer.config", "producer-property")?;
    properties.extend(client_properties::read(options, "command-config", "command-property")?);
    for (option, property) in NAMED {
        if let Some(value) = options.value(option)? {
            properties.push((property.to_owned(), value.to_owned()));
        }
    }
    if let Some(bytes) = options.number::<u64>("max-memory-bytes")? {
        let kibibytes = (bytes / 1024).max(1);
        properties.push(("queue.buffering.max.kbytes".to_owned(), kibibytes.to_string()));
    }
    if options.has("compression-codec") {
        let codec = options.value("compression-codec")?.unwrap_or("gzip");
        properties.push(("compression.type".to_owned(), codec.to_owned()));
    }
    client_properties::apply(&mut config, &properties)?;
    let acks = properties.iter().rev().find(|(key, _)| key == "acks");
    let is_all = acks.is_none_or(|(_, acks)| acks == "all" || acks == "-1");
    if config.get("enable.idempotence").is_none() {
        config.set("enable.idempotence", if is_all { "true" } else { "false" });
    }
    Ok(config)
}

fn send_all(options: &Options, reader: &LineReader, producer: &ThreadedProducer<Deliveries>) -> Result<()> {
    let topic = options.value("topic")?.unwrap_or_default();
    let sync = options.has("sync");
    let prompts = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut lines = io::stdin().lock().split(b'\n');
    let mut number = 0;
    loop {
        if prompts {
            let mut out = io::stdout().lock();
            out.write_all(b">")?;
            out.flush()?;
        }
        let Some(line) = lines.next() else { return Ok(()) };
        let line = line.context("standard input can't be read")?;
        number += 1;
        // As Java reads text: what isn't UTF-8 is replaced, not refused.
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line));
        let record = reader.read(&line, number)?;
        send(topic, &record, producer)?;
        if sync {
            producer
                .flush(DELIVERY_TIMEOUT)
                .context("a record is still unacknowledged")?;
            if producer.context().failed() > 0 {
                bail!("a record was not written to {topic}");
            }
        }
    }
}

fn send(topic: &str, line: &LineRecord<'_>, producer: &ThreadedProducer<Deliveries>) -> Result<()> {
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
    if let Some(key) = line.key {
        record = record.key(key.as_bytes());
    }
    if let Some(value) = line.value {
        record = record.payload(value.as_bytes());
    }
    if !line.headers.is_empty() {
        let headers = line.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: *value })
        });
        record = record.headers(headers);
    }
    enqueue(producer, record)
}
