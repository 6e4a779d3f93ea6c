//! `kafka-get-offsets` (`GetOffsetShell`).

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Error, Result, bail};

use super::connect::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::kafka_words::{exception, message_of};
use super::options::{OptionSpec, Options, UsageError, flag, value};
use super::topic_filter::TopicFilter;
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::group::{EARLIEST, LATEST, TopicPartition, leaders, offsets_at};
use crate::commands::output::{note, write_line};

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    value(
        "topic-partitions",
        "topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3",
        "Patterns of topics, each with a partition, a range of them, or neither.",
    ),
    value("topic", "topic", "The topic, or a regular expression."),
    value("partitions", "partition ids", "The partitions, separated by commas."),
    value(
        "time",
        "timestamp",
        "A time in milliseconds, or -1 or latest, -2 or earliest, -3 or max-timestamp, -4 or earliest-local, -5 or \
         latest-tiered, -6 or earliest-pending-upload.",
    ),
    flag("exclude-internal-topics", "Leave out internal topics."),
];

/// Which partitions of which topics.
#[derive(Debug)]
struct Rule {
    topics: TopicFilter,
    partitions: Partitions,
}

#[derive(Debug, PartialEq, Eq)]
enum Partitions {
    /// These; all, if there are none.
    Listed(BTreeSet<i32>),
    /// From the first to below the second.
    Range(i32, i32),
}

impl Partitions {
    fn includes(&self, partition: i32) -> bool {
        match self {
            Self::Listed(listed) => listed.is_empty() || listed.contains(&partition),
            Self::Range(from, to) => (*from..*to).contains(&partition),
        }
    }
}

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    options.require(&["bootstrap-server"])?;
    let bootstrap = options.value("bootstrap-server")?.unwrap_or_default();
    let has_port = |address: &str| {
        address
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    };
    if !bootstrap.split(',').all(has_port) {
        return Err(UsageError::of(
            "Please provide valid host:port like host1:9091,host2:9092\n",
        ));
    }
    let connection = connection(options)?;
    match execute(options, &connection).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            note(&format!("Error occurred: {}", message_of(&error)));
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn execute(options: &Options, connection: &Connection) -> Result<()> {
    let patterns = options.value("topic-partitions")?;
    if patterns.is_some() && (options.has("topic") || options.has("partitions")) {
        bail!("--topic-partitions cannot be used with --topic or --partitions");
    }
    let time = timestamp(options.value("time")?.unwrap_or("latest"))?;
    let rules: Vec<Rule> = match patterns {
        Some(patterns) => patterns.split(',').map(parse_rule).collect::<Result<_>>()?,
        None => vec![Rule {
            topics: options
                .value("topic")?
                .map_or_else(TopicFilter::all, TopicFilter::parse)?,
            partitions: listed(options.value("partitions")?.unwrap_or_default())?,
        }],
    };
    let (mut brokers, metadata) = Brokers::of(connection).await?;
    let internal: BTreeSet<String> = metadata
        .topics
        .iter()
        .filter(|topic| topic.is_internal && options.has("exclude-internal-topics"))
        .filter_map(|topic| topic.name.as_ref().map(|name| name.to_string()))
        .collect();
    let leaders = leaders(&metadata);
    let mut places: Vec<&TopicPartition> = leaders
        .keys()
        .filter(|(topic, _)| !internal.contains(topic))
        .filter(|(topic, partition)| {
            let mut rules = rules.iter();
            rules.any(|rule| rule.topics.includes(topic) && rule.partitions.includes(*partition))
        })
        .collect();
    if places.is_empty() {
        bail!("Could not match any topic-partitions with the specified filters");
    }
    let found = offsets_at(&mut brokers, &leaders, places.iter().copied(), time).await?;
    // Kafka's tool sorts by the text of both, so partition 10 comes before partition 2.
    places.sort_by_key(|(topic, partition)| format!("{topic}-{partition}"));
    for place in places {
        let (topic, partition) = place;
        match found.get(place) {
            Some(Ok(Some(offset))) => write_line(&format!("{topic}:{partition}:{offset}"))?,
            Some(Ok(None)) => {}
            Some(Err(code)) => skipped(place, &exception(*code, None)),
            None => skipped(
                place,
                "org.apache.kafka.common.errors.LeaderNotAvailableException: nobody leads it",
            ),
        }
    }
    Ok(())
}

fn skipped(place: &TopicPartition, reason: &str) {
    let (topic, partition) = place;
    note(&format!(
        "Skip getting offsets for topic-partition {topic}-{partition} due to error: {reason}"
    ));
}

/// ListOffsets' number of it.
fn timestamp(text: &str) -> Result<i64> {
    match text {
        "latest" => Ok(LATEST),
        "earliest" => Ok(EARLIEST),
        "max-timestamp" => Ok(-3),
        "earliest-local" => Ok(-4),
        "latest-tiered" => Ok(-5),
        "earliest-pending-upload" => Ok(-6),
        number => number.parse().map_err(|_| {
            Error::msg(format!(
                "Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or \
                 earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp"
            ))
        }),
    }
}

fn listed(text: &str) -> Result<Partitions> {
    if text.is_empty() {
        return Ok(Partitions::Listed(BTreeSet::new()));
    }
    let numbers: Result<BTreeSet<i32>, _> = text.split(',').map(str::parse).collect();
    numbers.map(Partitions::Listed).map_err(|_| {
        Error::msg(format!(
            "--partitions expects a comma separated list of numeric partition ids, but received: {text}"
        ))
    })
}

/// `topic`, `topic:1`, `topic:1-3`, `topic:1-`, `topic:-3`, and each of these without a topic.
fn parse_rule(text: &str) -> Result<Rule> {
    let invalid = || Error::msg(format!("Invalid rule specification: {text}"));
    let (topic, partitions) = text.split_once(':').unwrap_or((text, ""));
    let topics = if topic.is_empty() {
        TopicFilter::all()?
    } else {
        TopicFilter::parse(topic)?
    };
    let bound = |text: &str, without: i32| match text {
        "" => Ok(without),
        text => text.parse::<i32>().ok().filter(|bound| *bound >= 0).ok_or_else(invalid),
    };
    let partitions = match partitions.split_once('-') {
        Some((from, to)) => Partitions::Range(bound(from, 0)?, bound(to, i32::MAX)?),
        None if partitions.is_empty() => Partitions::Range(0, i32::MAX),
        None => Partitions::Listed(BTreeSet::from([bound(partitions, 0)?])),
    };
    Ok(Rule { topics, partitions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_a_partition_a_range_or_all() {
        let partitions = |text: &str| parse_rule(text).unwrap().partitions;
        assert_eq!(partitions("t"), Partitions::Range(0, i32::MAX));
        assert_eq!(partitions("t:1"), Partitions::Listed(BTreeSet::from([1])));
        assert_eq!(partitions("t:1-3"), Partitions::Range(1, 3));
        assert_eq!(partitions(":-3"), Partitions::Range(0, 3));
        assert_eq!(partitions("t:5-"), Partitions::Range(5, i32::MAX));
        assert!(parse_rule(":0").unwrap().topics.includes("any"));
        assert!(Partitions::Range(1, 3).includes(2) && !Partitions::Range(1, 3).includes(3));
        parse_rule("t:x").unwrap_err();
    }

    #[test]
    fn times_are_words_or_numbers() {
        assert_eq!(timestamp("latest").unwrap(), -1);
        assert_eq!(timestamp("-2").unwrap(), -2);
        assert_eq!(timestamp("1700000000000").unwrap(), 1_700_000_000_000);
        assert!(
            timestamp("soon")
                .unwrap_err()
                .to_string()
                .starts_with("Malformed time argument soon.")
        );
        assert!(listed("1,x").unwrap_err().to_string().ends_with("but received: 1,x"));
    }
}
