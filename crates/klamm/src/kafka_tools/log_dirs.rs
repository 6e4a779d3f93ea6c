//! `kafka-log-dirs` (`LogDirsCommand`).

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::columns::joined;
use super::connect::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::kafka_words::exception_name;
use super::options::{OptionSpec, Options, flag, value};
use crate::commands::brokers::Brokers;
use crate::commands::cluster::{LogDir, describe_log_dirs};
use crate::commands::output::write_line;

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    flag("describe", "Describe the log directories."),
    value("topic-list", "topic1,topic2", "The topics; all, if none is named."),
    value("broker-list", "0,1,2", "The brokers; all, if none is named."),
];

#[derive(Debug, Serialize)]
struct Report {
    brokers: Vec<BrokerReport>,
    version: i32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BrokerReport {
    broker: i32,
    log_dirs: Vec<DirectoryReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DirectoryReport {
    partitions: Vec<PartitionReport>,
    error: Option<String>,
    log_dir: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PartitionReport {
    partition: String,
    size: i64,
    offset_lag: i64,
    is_future: bool,
}

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    options.require(&["bootstrap-server", "describe"])?;
    let connection = connection(options)?;
    let words = |text: Option<&str>| -> BTreeSet<String> {
        let words = text.unwrap_or_default().split(',').filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let topics = words(options.value("topic-list")?);
    let asked = words(options.value("broker-list")?);
    let asked: Result<BTreeSet<i32>, _> = asked.iter().map(|id| id.parse()).collect();
    let asked = asked.context("--broker-list takes broker ids")?;
    let mut brokers = Brokers::reach(&connection).await?;
    let known = brokers.ids();
    let unknown: Vec<i32> = asked.iter().filter(|id| !known.contains(id)).copied().collect();
    if !unknown.is_empty() {
        bail!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
            joined(&unknown),
            joined(&known)
        );
    }
    let meant: Vec<i32> = known
        .into_iter()
        .filter(|id| asked.is_empty() || asked.contains(id))
        .collect();
    write_line("Querying brokers for log directories information")?;
    let mut reports = Vec::new();
    for broker in &meant {
        let directories = describe_log_dirs(&mut brokers, *broker).await?;
        reports.push(BrokerReport {
            broker: *broker,
            log_dirs: directories
                .into_iter()
                .map(|directory| report(directory, &topics))
                .collect(),
        });
    }
    write_line(&format!(
        "Received log directory information from brokers {}",
        joined(&meant)
    ))?;
    let report = Report {
        brokers: reports,
        version: 1,
    };
    write_line(&serde_json::to_string(&report)?)?;
    Ok(ExitCode::SUCCESS)
}

fn report(directory: LogDir, topics: &BTreeSet<String>) -> DirectoryReport {
    let replicas = directory.replicas.into_iter();
    let replicas = replicas.filter(|replica| topics.is_empty() || topics.contains(&replica.place.0));
    DirectoryReport {
        partitions: replicas
            .map(|replica| PartitionReport {
                partition: format!("{}-{}", replica.place.0, replica.place.1),
                size: replica.size,
                offset_lag: replica.offset_lag,
                is_future: replica.is_future,
            })
            .collect(),
        error: (directory.error_code != 0).then(|| exception_name(directory.error_code)),
        log_dir: directory.path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_reported_with_kafkas_names() {
        let directory = LogDir {
            path: "/data".to_owned(),
            error_code: 56,
            usable_bytes: None,
            replicas: Vec::new(),
        };
        assert_eq!(
            serde_json::to_string(&report(directory, &BTreeSet::new())).unwrap(),
            r#"{"partitions":[],"error":"org.apache.kafka.common.errors.KafkaStorageException","logDir":"/data"}"#
        );
    }
}
