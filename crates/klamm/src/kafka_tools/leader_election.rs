//! `kafka-leader-election` (`LeaderElectionCommand`).

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context as _, Error, Result, bail};
use serde::Deserialize;

use super::connect::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::kafka_words::exception_of;
use super::options::{OptionSpec, Options, UsageError, flag, value};
use crate::commands::brokers::Brokers;
use crate::commands::cluster::{Election, ElectionType, elect_leaders};
use crate::commands::group::TopicPartition;
use crate::commands::output::write_line;

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    value("admin.config", "config file", "(DEPRECATED) As --command-config."),
    value(
        "path-to-json-file",
        "Path to JSON file",
        "A file such as {\"partitions\": [{\"topic\": \"foo\", \"partition\": 1}]}.",
    ),
    value("topic", "topic name", "The topic of one partition."),
    value("partition", "partition id", "That partition."),
    flag("all-topic-partitions", "All partitions."),
    value("election-type", "election type", "preferred or unclean."),
];

#[derive(Debug, Deserialize)]
struct File {
    partitions: Option<Vec<FilePartition>>,
}

#[derive(Debug, Deserialize)]
struct FilePartition {
    topic: String,
    partition: i32,
}

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    let kind = check(options)?;
    let places = match options.value("path-to-json-file")? {
        Some(path) => Some(read_file(path)?),
        None => options
            .value("topic")?
            .map(str::to_owned)
            .zip(options.number("partition")?)
            .map(|place| vec![place]),
    };
    if options.has("admin.config") {
        write_line(
            "Option --admin.config has been deprecated and will be removed in a future version. Use --command-config instead.",
        )?;
    }
    let connection = connection(options)?;
    let mut brokers = Brokers::reach(&connection).await?;
    let elections = elect_leaders(&mut brokers, kind, places.as_deref(), connection.timeout_ms()).await?;
    let name = match kind {
        ElectionType::Preferred => "PREFERRED",
        ElectionType::Unclean => "UNCLEAN",
    };
    let mut elected = Vec::new();
    let mut not_needed = Vec::new();
    let mut failed = Vec::new();
    for ((topic, partition), election) in elections {
        let place = format!("{topic}-{partition}");
        match election {
            Election::Elected => elected.push(place),
            Election::NotNeeded => not_needed.push(place),
            Election::Failed(error) => failed.push((place, exception_of(&error))),
        }
    }
    if !elected.is_empty() {
        let places = elected.join(", ");
        write_line(&format!(
            "Successfully completed leader election ({name}) for partitions {places}"
        ))?;
    }
    // Asked for all partitions, Kafka's admin client leaves those out that need none.
    if !not_needed.is_empty() && places.is_some() {
        write_line(&format!(
            "Valid replica already elected for partitions {}",
            not_needed.join(", ")
        ))?;
    }
    for (place, error) in &failed {
        write_line(&format!(
            "Error completing leader election ({name}) for partition: {place}: {error}"
        ))?;
    }
    if !failed.is_empty() {
        bail!("{} replica(s) could not be elected", failed.len());
    }
    Ok(ExitCode::SUCCESS)
}

fn check(options: &Options) -> Result<ElectionType> {
    let missing: Vec<&str> = ["bootstrap-server", "election-type"]
        .into_iter()
        .filter(|name| !options.has(name))
        .collect();
    if !missing.is_empty() {
        bail!("Missing required option(s): {}", missing.join(", "));
    }
    options.forbid("admin.config", &["command-config"])?;
    let scopes = ["topic", "all-topic-partitions", "path-to-json-file"];
    if scopes.iter().filter(|scope| options.has(scope)).count() != 1 {
        bail!(
            "One and only one of the following options is required: {}",
            scopes.join(", ")
        );
    }
    match (options.has("topic"), options.has("partition")) {
        (true, false) => bail!("Missing required option(s): partition"),
        (false, true) => bail!("Option partition is only allowed if topic is used"),
        (true, true) | (false, false) => {}
    }
    let text = options.value("election-type")?.unwrap_or_default();
    match text.to_lowercase().as_str() {
        "preferred" => Ok(ElectionType::Preferred),
        "unclean" => Ok(ElectionType::Unclean),
        _ => Err(UsageError::of(format!(
            "Cannot parse argument '{text}' of option election-type"
        ))),
    }
}

fn read_file(path: &str) -> Result<Vec<TopicPartition>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("Unable to read file {path}"))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<TopicPartition>> {
    let file: File = serde_json::from_str(text).map_err(|_| Error::msg("Replica election data is empty"))?;
    let partitions = file
        .partitions
        .context("Replica election data is missing \"partitions\" field")?;
    let mut places: Vec<TopicPartition> = partitions.into_iter().map(|one| (one.topic, one.partition)).collect();
    let distinct: BTreeSet<&TopicPartition> = places.iter().collect();
    if distinct.len() != places.len() {
        let twice = places
            .iter()
            .enumerate()
            .filter(|(at, place)| places.iter().take(*at).any(|other| other == *place));
        let twice: Vec<String> = twice
            .map(|(_, (topic, partition))| format!("{topic}-{partition}"))
            .collect();
        bail!(
            "Replica election data contains duplicate partitions: [{}]",
            twice.join(", ")
        );
    }
    places.sort_unstable();
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        let options = Options::parse(OPTIONS, line.split_whitespace().map(str::to_owned).collect()).unwrap();
        check(&options).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn there_is_one_scope_and_a_topic_has_a_partition() {
        let at = "--bootstrap-server a:1 --election-type preferred";
        assert_eq!(
            refused("--topic t"),
            "Missing required option(s): bootstrap-server, election-type"
        );
        assert_eq!(refused(&format!("{at} --topic t --partition 0")), "");
        assert_eq!(refused(&format!("{at} --all-topic-partitions")), "");
        assert_eq!(
            refused(&format!("{at} --topic t")),
            "Missing required option(s): partition"
        );
        assert!(refused(at).starts_with("One and only one of the following options is required"));
        assert!(refused(&format!("{at} --all-topic-partitions --partition 1")).contains("only allowed if topic"));
        assert!(refused("--bootstrap-server a:1 --all-topic-partitions --election-type fair").contains("Cannot parse"));
    }

    #[test]
    fn the_file_names_each_partition_once() {
        let read = |text: &str| parse(text).map_err(|error| error.to_string());
        let two = r#"{"partitions":[{"topic":"b","partition":1},{"topic":"a","partition":0}]}"#;
        assert_eq!(read(two).unwrap(), [("a".to_owned(), 0), ("b".to_owned(), 1)]);
        let twice = r#"{"partitions":[{"topic":"a","partition":0},{"topic":"a","partition":0}]}"#;
        assert_eq!(
            read(twice).unwrap_err(),
            "Replica election data contains duplicate partitions: [a-0]"
        );
        assert!(read("{}").unwrap_err().contains("missing \"partitions\""));
    }
}
