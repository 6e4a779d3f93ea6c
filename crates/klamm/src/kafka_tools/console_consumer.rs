//! `kafka-console-consumer` (`ConsoleConsumer`), through librdkafka.
//!
//! Without a group nothing is joined: all partitions of the topic are assigned, and nothing is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::signal::unix::{SignalKind, signal};
use types::ErrorCode;
use wire::messages::MetadataRequest;
use wire::messages::metadata_request::MetadataRequestTopic;

use super::client_properties;
use super::connect::{BOOTSTRAP_SERVER, COMMAND_CONFIG, read_properties};
use super::options::{OptionSpec, Options, UsageError, flag, value};
use super::record_lines::{LineWriter, check_deserializer};
use crate::commands::connection::Connection;
use crate::commands::consume::{NO_GROUP, is_passing};
use crate::commands::error_advice::Refusal;
use crate::commands::group::topic_name;
use crate::commands::output::{note, write_line};
use crate::commands::printed::Printed;
use crate::commands::quiet::Quiet;
use crate::commands::topic::describe_topics;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
const FORMATTER: &str = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    value("topic", "topic", "The topic."),
    value("include", "regex", "A regular expression of topics."),
    value("partition", "partition", "Only this partition."),
    value(
        "offset",
        "consume offset",
        "Where to begin in it: a number, earliest or latest.",
    ),
    flag(
        "from-beginning",
        "Begin with the oldest records, where the group has no offset.",
    ),
    value("max-messages", "num_messages", "Stop after so many records."),
    value("timeout-ms", "timeout_ms", "Stop when no record comes for so long."),
    flag(
        "skip-message-on-error",
        "Nothing to skip: records are written as they are.",
    ),
    value(
        "group",
        "consumer group id",
        "The group to join; its offsets are committed.",
    ),
    value("isolation-level", "level", "read_committed or read_uncommitted."),
    value("formatter", "class", "Only Kafka's own DefaultMessageFormatter."),
    value(
        "formatter-property",
        "prop",
        "print.key, print.offset, key.separator and others: key=value.",
    ),
    value("property", "prop", "(DEPRECATED) As --formatter-property."),
    value("formatter-config", "config file", "A file of such properties."),
    value(
        "key-deserializer",
        "class",
        "StringDeserializer or ByteArrayDeserializer.",
    ),
    value(
        "value-deserializer",
        "class",
        "StringDeserializer or ByteArrayDeserializer.",
    ),
    value(
        "command-property",
        "consumer_prop",
        "A property of the consumer: key=value.",
    ),
    value(
        "consumer-property",
        "consumer_prop",
        "(DEPRECATED) As --command-property.",
    ),
    value("consumer.config", "config file", "(DEPRECATED) As --command-config."),
    flag("enable-systest-events", "Not supported."),
];

/// What ended the reading.
enum End {
    Done,
    Signal(u8),
}

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    check(options)?;
    let start = start(options)?;
    let writer = LineWriter::new(&formatter_properties(options)?)?;
    let mut properties = client_properties::read(options, "consumer.config", "consumer-property")?;
    properties.extend(client_properties::read(options, "command-config", "command-property")?);
    let group = group(options, &properties)?;
    let config = config(options, &properties, group.as_deref())?;
    let consumer: StreamConsumer<Quiet> = config
        .create_with_context(Quiet::default())
        .context("librdkafka refuses this configuration")?;
    let connection = Connection::to(
        options.value("bootstrap-server")?.unwrap_or_default().to_owned(),
        CONNECT_TIMEOUT,
    );
    match (options.value("topic")?, options.value("include")?) {
        (Some(topic), _) if group.is_none() => {
            if !assign(options, topic, start, &connection, &consumer).await? {
                note_timeout();
                return Ok(ExitCode::SUCCESS);
            }
        }
        (Some(topic), _) => consumer.subscribe(&[topic]).context("subscribing failed")?,
        (None, include) => {
            // librdkafka's patterns are POSIX's extended ones.
            let pattern = format!("^({})$", include.unwrap_or_default());
            consumer.subscribe(&[&pattern]).context("subscribing failed")?;
        }
    }
    let mut count = 0;
    let read = read(options, &writer, &consumer, group.is_some(), &mut count).await;
    if group.is_some() {
        match consumer.commit_consumer_state(CommitMode::Sync) {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => note(&format!("warning: the offsets were not committed: {error}")),
        }
    }
    note(&format!("Processed a total of {count} messages"));
    match read? {
        End::Done => Ok(ExitCode::SUCCESS),
        End::Signal(code) => Ok(ExitCode::from(code)),
    }
}

fn check(options: &Options) -> Result<()> {
    if options.given(&["topic", "include"]).collect::<BTreeSet<_>>().len() != 1 {
        return Err(UsageError::of(
            "Exactly one of the following arguments is required: [topic], [include]",
        ));
    }
    if options.has("partition") {
        if !options.has("topic") {
            return Err(UsageError::of("The topic is required when partition is specified."));
        }
        if options.has("from-beginning") && options.has("offset") {
            return Err(UsageError::of(
                "Options from-beginning and offset cannot be specified together.",
            ));
        }
    } else if options.has("offset") {
        return Err(UsageError::of("The partition is required when offset is specified."));
    }
    options.require(&["bootstrap-server"])?;
    for (new, old) in [
        ("command-property", "consumer-property"),
        ("command-config", "consumer.config"),
        ("formatter-property", "property"),
    ] {
        if options.has(new) && options.has(old) {
            return Err(UsageError::of(format!(
                "Options --{old} and --{new} cannot be specified together."
            )));
        }
        if options.has(old) {
            write_line(&format!(
                "Option --{old} is deprecated and will be removed in a future version. Use --{new} instead."
            ))?;
        }
    }
    options.refuse(&["enable-systest-events"])?;
    if options.value("formatter")?.is_some_and(|class| class != FORMATTER) {
        bail!("--formatter is not supported by klamm but for {FORMATTER}");
    }
    check_deserializer(options.value("key-deserializer")?)?;
    check_deserializer(options.value("value-deserializer")?)
}

fn start(options: &Options) -> Result<Offset> {
    let without = if options.has("from-beginning") {
        Offset::Beginning
    } else {
        Offset::End
    };
    let Some(text) = options.value("offset")? else {
        return Ok(without);
    };
    match text.to_lowercase().as_str() {
        "earliest" => Ok(Offset::Beginning),
        "latest" => Ok(Offset::End),
        number => match number.parse::<i64>() {
            Ok(offset) if offset >= 0 => Ok(Offset::Offset(offset)),
            Ok(_) | Err(_) => Err(UsageError::of(format!(
                "The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."
            ))),
        },
    }
}

fn formatter_properties(options: &Options) -> Result<BTreeMap<String, String>> {
    let mut properties = BTreeMap::new();
    if let Some(file) = options.value("formatter-config")? {
        let file = read_properties(Path::new(file))?;
        properties.extend(file.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    for text in options.values("property").chain(options.values("formatter-property")) {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        properties.insert(key.to_owned(), value.to_owned());
    }
    Ok(properties)
}

/// The group that is named, wherever it is.
fn group(options: &Options, properties: &[(String, String)]) -> Result<Option<String>> {
    let of_properties = properties
        .iter()
        .filter(|(key, _)| key == "group.id")
        .map(|(_, value)| value.as_str());
    let named: BTreeSet<&str> = options.value("group")?.into_iter().chain(of_properties).collect();
    if named.len() > 1 {
        let names: Vec<String> = named.iter().map(|name| format!("'{name}'")).collect();
        return Err(UsageError::of(format!(
            "The group ids provided in different places (directly using '--group', via '--consumer-property', or via \
             '--consumer.config') do not match. Detected group ids: {}",
            names.join(", ")
        )));
    }
    if !named.is_empty() && options.has("partition") {
        return Err(UsageError::of(
            "Options group and partition cannot be specified together.",
        ));
    }
    let group = named.first().map(|name| (*name).to_owned());
    // A pattern of topics can only be subscribed to, and that takes a group: one of its own, as Kafka's tool has it.
    let of_pattern = || format!("console-consumer-{}", rand::random::<u32>() % 100_000);
    Ok(group.or_else(|| options.has("include").then(of_pattern)))
}

fn config(options: &Options, properties: &[(String, String)], group: Option<&str>) -> Result<ClientConfig> {
    let mut config = ClientConfig::new();
    let reset = properties
        .iter()
        .rev()
        .find(|(key, _)| key == "auto.offset.reset")
        .map(|(_, value)| value.as_str());
    if let Some(reset) = reset.filter(|reset| options.has("from-beginning") && *reset != "earliest") {
        bail!(
            "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please remove one option"
        );
    }
    config
        .set("client.id", "console-consumer")
        .set("enable.auto.commit", if group.is_some() { "true" } else { "false" })
        .set("isolation.level", "read_uncommitted")
        .set("allow.auto.create.topics", "true")
        .set("fetch.wait.max.ms", "100")
        .set(
            "auto.offset.reset",
            if options.has("from-beginning") {
                "earliest"
            } else {
                "latest"
            },
        );
    client_properties::apply(&mut config, properties)?;
    config
        .set(
            "bootstrap.servers",
            options.value("bootstrap-server")?.unwrap_or_default(),
        )
        .set("group.id", group.unwrap_or(NO_GROUP))
        // Only what was printed is committed.
        .set("enable.auto.offset.store", "false");
    if let Some(level) = options.value("isolation-level")? {
        config.set("isolation.level", level);
    }
    Ok(config)
}

async fn assign(
    options: &Options,
    topic: &str,
    start: Offset,
    connection: &Connection,
    consumer: &StreamConsumer<Quiet>,
) -> Result<bool> {
    let partitions: Vec<i32> = match options.number("partition")? {
        Some(partition) => vec![partition],
        None => match partitions_of(topic, patience(options)?, connection).await? {
            Some(partitions) => partitions,
            None => return Ok(false),
        },
    };
    // librdkafka pauses for half a second when a partition is assigned before its leader is known.
    consumer
        .fetch_metadata(Some(topic), connection.timeout())
        .with_context(|| format!("finding the leaders of {topic} failed"))?;
    let mut assignment = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        assignment.add_partition_offset(topic, partition, start)?;
    }
    consumer.assign(&assignment).context("assigning partitions failed")?;
    Ok(true)
}

/// The topic's partitions, waiting for the topic if it isn't there: asking for it may create it. None: it took too long.
async fn partitions_of(topic: &str, patience: Duration, connection: &Connection) -> Result<Option<Vec<i32>>> {
    /// Between two looks.
    const PAUSE: Duration = Duration::from_millis(300);
    let began = Instant::now();
    let mut cluster = connection.connect().await?;
    let asked = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    let creating = MetadataRequest::default()
        .with_topics(Some(vec![asked]))
        .with_allow_auto_topic_creation(true);
    loop {
        match describe_topics(&mut cluster, &[topic.to_owned()]).await {
            Ok(described) => {
                let partitions = described.iter().flat_map(|topic| &topic.partitions);
                return Ok(Some(partitions.map(|partition| partition.partition).collect()));
            }
            Err(error) if is_unknown_topic(&error) => {}
            Err(error) => return Err(error),
        }
        if began.elapsed() > patience {
            return Ok(None);
        }
        cluster.call(&creating).await?;
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_unknown_topic(error: &Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| refusal.code() == ErrorCode::UnknownTopicOrPartition.code())
}

/// How long to wait for the next record.
fn patience(options: &Options) -> Result<Duration> {
    let millis = options.number::<i64>("timeout-ms")?;
    let millis = millis.and_then(|millis| u64::try_from(millis).ok());
    Ok(millis.map_or(Duration::MAX, Duration::from_millis))
}

fn note_timeout() {
    note("Error processing message, terminating consumer process: org.apache.kafka.common.errors.TimeoutException");
}

/// Prints until the end that was asked for, or a signal.
async fn read(
    options: &Options,
    writer: &LineWriter,
    consumer: &StreamConsumer<Quiet>,
    in_group: bool,
    count: &mut u64,
) -> Result<End> {
    // A negative number means no limit.
    let limit = options
        .number::<i64>("max-messages")?
        .and_then(|limit| u64::try_from(limit).ok());
    let patience = patience(options)?;
    let mut terminated = signal(SignalKind::terminate()).context("signals can't be listened for")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("signals can't be listened for")?;
    let mut gathered = Printed::default();
    while limit.is_none_or(|limit| *count < limit) {
        let received = tokio::select! {
            biased;
            // First: as long as records keep coming, nothing behind them is looked at.
            _ = terminated.recv() => {
                gathered.flush(consumer)?;
                return Ok(End::Signal(143));
            }
            _ = interrupted.recv() => {
                gathered.flush(consumer)?;
                return Ok(End::Signal(130));
            }
            received = consumer.recv() => received,
            // Nothing is waiting: show what there is before sleeping.
            () = std::future::ready(()), if !gathered.is_empty() => {
                gathered.flush(consumer)?;
                continue;
            }
            () = tokio::time::sleep(patience) => {
                note_timeout();
                return Ok(End::Done);
            }
        };
        match received {
            Ok(record) => {
                writer.write(&record, gathered.bytes());
                gathered.add(&record, in_group);
                *count += 1;
                if gathered.is_full() {
                    gathered.flush(consumer)?;
                    // The command's only thread hears of signals only when nothing is ready.
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if is_passing(&error) || is_missing(&error) => {}
            Err(error) => {
                gathered.flush(consumer)?;
                return Err(error).context("reading failed");
            }
        }
    }
    gathered.flush(consumer)?;
    Ok(End::Done)
}

/// A topic may come yet.
fn is_missing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Options {
        let line = format!("--bootstrap-server a:1 {line}");
        Options::parse(OPTIONS, line.split_whitespace().map(str::to_owned).collect()).unwrap()
    }

    #[test]
    fn a_topic_or_a_pattern_is_read_and_an_offset_needs_a_partition() {
        let refused = |line: &str| {
            check(&parse(line))
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        assert_eq!(refused("--topic t --from-beginning"), "");
        assert_eq!(refused("--include a.*"), "");
        assert!(refused("--topic t --include a").starts_with("Exactly one of the following"));
        assert!(refused("--topic t --offset 5").starts_with("The partition is required"));
        assert!(
            refused("--topic t --partition 0 --offset 5 --from-beginning").contains("cannot be specified together")
        );
        assert!(refused("--topic t --enable-systest-events").contains("not supported"));
        assert!(refused("--topic t --formatter x.Y").contains("not supported"));
    }

    #[test]
    fn offsets_are_words_or_numbers_and_groups_agree() {
        assert_eq!(start(&parse("--topic t")).unwrap(), Offset::End);
        assert_eq!(start(&parse("--topic t --from-beginning")).unwrap(), Offset::Beginning);
        assert_eq!(
            start(&parse("--topic t --partition 0 --offset 7")).unwrap(),
            Offset::Offset(7)
        );
        start(&parse("--topic t --partition 0 --offset -7")).unwrap_err();
        let of_file = [("group.id".to_owned(), "g".to_owned())];
        assert_eq!(
            group(&parse("--topic t --group g"), &of_file).unwrap().as_deref(),
            Some("g")
        );
        group(&parse("--topic t --group h"), &of_file).unwrap_err();
        group(&parse("--topic t --partition 0"), &of_file).unwrap_err();
        assert_eq!(group(&parse("--topic t"), &[]).unwrap(), None);
        assert!(group(&parse("--include t"), &[]).unwrap().is_some());
    }
}
