//! `kafka-delete-records` (`DeleteRecordsCommand`).

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use wire::messages::DeleteRecordsRequest;
use wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};

use super::connect::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::kafka_words::exception;
use super::options::{OptionSpec, Options, value};
use crate::commands::brokers::Brokers;
use crate::commands::group::{TopicPartition, leaders, topic_name};
use crate::commands::output::write_line;

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    value(
        "offset-json-file",
        "Offset json file path",
        "A file such as {\"partitions\":[{\"topic\": \"foo\", \"partition\": 1, \"offset\": 1}], \"version\":1}.",
    ),
];

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default = "first_version")]
    version: i32,
    partitions: Option<Vec<FilePartition>>,
}

#[derive(Debug, Deserialize)]
struct FilePartition {
    topic: String,
    partition: i32,
    offset: i64,
}

fn first_version() -> i32 {
    1
}

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    options.require(&["bootstrap-server", "offset-json-file"])?;
    let connection = connection(options)?;
    let path = options.value("offset-json-file")?.unwrap_or_default();
    let text = std::fs::read_to_string(path).with_context(|| format!("Unable to read file {path}"))?;
    let offsets = parse(&text)?;
    write_line("Executing records delete operation")?;
    let (mut brokers, metadata) = Brokers::of(&connection).await?;
    let leaders = leaders(&metadata);
    let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<DeleteRecordsPartition>>> = BTreeMap::new();
    let mut results: BTreeMap<TopicPartition, Result<i64, i16>> = BTreeMap::new();
    for ((topic, partition), offset) in &offsets {
        match leaders.get(&(topic.clone(), *partition)) {
            Some(leader) if *leader >= 0 => {
                let asked = DeleteRecordsPartition::default()
                    .with_partition_index(*partition)
                    .with_offset(*offset);
                by_leader
                    .entry(*leader)
                    .or_default()
                    .entry(topic)
                    .or_default()
                    .push(asked);
            }
            Some(_) => {
                let code = types::ErrorCode::LeaderNotAvailable.code();
                results.insert((topic.clone(), *partition), Err(code));
            }
            None => {
                let code = types::ErrorCode::UnknownTopicOrPartition.code();
                results.insert((topic.clone(), *partition), Err(code));
            }
        }
    }
    for (leader, topics) in by_leader {
        let topics = topics.into_iter().map(|(topic, partitions)| {
            DeleteRecordsTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(partitions)
        });
        let request = DeleteRecordsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(connection.timeout_ms());
        for topic in brokers.call(leader, &request).await?.topics {
            for partition in topic.partitions {
                let result = match partition.error_code {
                    0 => Ok(partition.low_watermark),
                    code => Err(code),
                };
                results.insert((topic.name.to_string(), partition.partition_index), result);
            }
        }
    }
    write_line("Records delete operation completed:")?;
    for ((topic, partition), result) in results {
        write_line(&match result {
            Ok(low_watermark) => format!("partition: {topic}-{partition}\tlow_watermark: {low_watermark}"),
            Err(code) => format!("partition: {topic}-{partition}\terror: {}", exception(code, None)),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(text: &str) -> Result<BTreeMap<TopicPartition, i64>> {
    let file: File = serde_json::from_str(text).context("The input string is not a valid JSON")?;
    if file.version != 1 {
        bail!("Not supported version field value {}", file.version);
    }
    let mut offsets = BTreeMap::new();
    let mut twice = Vec::new();
    for one in file.partitions.context("Missing partitions field")? {
        let name = format!("{}-{}", one.topic, one.partition);
        if offsets.insert((one.topic, one.partition), one.offset).is_some() {
            twice.push(name);
        }
    }
    if !twice.is_empty() {
        bail!(
            "Offset json file contains duplicate topic partitions: {}",
            twice.join(",")
        );
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_each_partition_once() {
        let one = r#"{"topic":"a","partition":1,"offset":5}"#;
        let read = parse(&format!(r#"{{"version":1,"partitions":[{one}]}}"#)).unwrap();
        assert_eq!(read, BTreeMap::from([(("a".to_owned(), 1), 5)]));
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert!(error(&format!(r#"{{"partitions":[{one},{one}]}}"#)).ends_with("duplicate topic partitions: a-1"));
        assert_eq!(error("{}"), "Missing partitions field");
        assert_eq!(error(r#"{"version":2}"#), "Not supported version field value 2");
        assert_eq!(error("x"), "The input string is not a valid JSON");
    }
}
