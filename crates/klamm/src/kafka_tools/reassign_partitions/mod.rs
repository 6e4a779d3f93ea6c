//! `kafka-reassign-partitions` (`ReassignPartitionsCommand`), between brokers and between the directories of one.

mod change;
mod checks;
mod generate;
mod throttles;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde::Serialize;
use wire::messages::MetadataResponse;

use super::connect::{BOOTSTRAP_CONTROLLER, BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::kafka_words::{exception, exception_of};
use super::options::{OptionSpec, Options, UsageError, flag, value};
use crate::commands::brokers::Brokers;
use crate::commands::cluster::{ANY_LOG_DIR, PlannedReplicas, describe_log_dirs, read_plan_file};
use crate::commands::group::TopicPartition;
use crate::commands::output::write_line;

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    BOOTSTRAP_CONTROLLER,
    COMMAND_CONFIG,
    flag(
        "verify",
        "Tell whether the moves of a file are done; if all are, take the throttles away.",
    ),
    flag("generate", "Print a plan for the topics of a file."),
    flag("execute", "Start the moves of a file."),
    flag("cancel", "Take the moves of a file back."),
    flag("list", "List what moves."),
    value(
        "reassignment-json-file",
        "path",
        "A file such as {\"partitions\":[{\"topic\":\"foo\",\"partition\":1,\"replicas\":[1,2,3]}],\"version\":1}.",
    ),
    value(
        "topics-to-move-json-file",
        "path",
        "A file such as {\"topics\":[{\"topic\":\"foo\"}],\"version\":1}, for --generate.",
    ),
    value("broker-list", "0,1,2", "The brokers that --generate may use."),
    flag("disable-rack-aware", "--generate without looking at racks."),
    value(
        "throttle",
        "bytes/sec",
        "The rate at which replicas are moved between brokers.",
    ),
    value(
        "replica-alter-log-dirs-throttle",
        "bytes/sec",
        "The rate at which replicas are moved between the directories of a broker.",
    ),
    value(
        "timeout",
        "ms",
        "How long to try to start moves between directories; 10000 if not given.",
    ),
    flag("additional", "Move these in addition to what moves already."),
    flag("preserve-throttles", "Leave the throttles as they are."),
    flag(
        "disallow-replication-factor-change",
        "Refuse moves that change the number of replicas.",
    ),
];

/// Errors of the cluster and of the plan go to standard output, with exit code 1.
pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    checks::check(options)?;
    match execute(options).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is::<UsageError>() => Err(error),
        Err(error) => {
            match error.downcast_ref::<Terse>() {
                Some(Terse(message)) => write_line(message)?,
                None => write_line(&format!("Error: {}", exception_of(&error)))?,
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn execute(options: &Options) -> Result<()> {
    let connection = connection(options)?;
    let (brokers, metadata) = Brokers::of(&connection).await?;
    let mut state = ClusterState { brokers, metadata };
    let plan = match options.value("reassignment-json-file")? {
        Some(path) => read_plan_file(Path::new(path))?,
        None => Vec::new(),
    };
    if options.has("verify") {
        verify::verify(&mut state, &plan, options).await
    } else if options.has("generate") {
        generate::generate(&mut state, options).await
    } else if options.has("execute") {
        change::execute(&mut state, &plan, options).await
    } else if options.has("cancel") {
        change::cancel(&mut state, &plan, options).await
    } else {
        change::list(&mut state).await
    }
}

/// A message without "Error: " before it.
#[derive(Debug)]
struct Terse(String);

impl std::fmt::Display for Terse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Terse {}

/// The brokers, and the topics as they were a moment ago.
struct ClusterState {
    brokers: Brokers,
    metadata: MetadataResponse,
}

impl ClusterState {
    /// All partitions of a topic with their replicas, if there is such a topic.
    fn topic(&self, name: &str) -> Option<BTreeMap<i32, Vec<i32>>> {
        let mut topics = self.metadata.topics.iter();
        let topic = topics.find(|topic| topic.name.as_ref().is_some_and(|found| found.as_str() == name))?;
        let partitions = topic.partitions.iter().map(|partition| {
            let replicas = partition.replica_nodes.iter().map(|node| node.0);
            (partition.partition_index, replicas.collect())
        });
        Some(partitions.collect())
    }

    /// The replicas of each partition that a plan names; all of them must be there.
    fn current(&self, plan: &[PlannedReplicas]) -> Result<BTreeMap<TopicPartition, Vec<i32>>> {
        const UNKNOWN: i16 = 3;
        let mut current = BTreeMap::new();
        let mut missing = BTreeSet::new();
        for planned in plan {
            let Some(partitions) = self.topic(&planned.topic) else {
                let said = format!("Topic {} not found.", planned.topic);
                bail!(exception(UNKNOWN, Some(&said)));
            };
            match partitions.get(&planned.partition) {
                Some(replicas) => {
                    current.insert(planned.place(), replicas.clone());
                }
                None => {
                    missing.insert(name(&planned.place()));
                }
            }
        }
        if !missing.is_empty() {
            let said = format!(
                "Unable to find partition: {}",
                missing.into_iter().collect::<Vec<_>>().join(", ")
            );
            bail!(exception(UNKNOWN, Some(&said)));
        }
        Ok(current)
    }

    /// Where each replica lies, and the directory that shall take its place.
    async fn directories(&mut self, brokers: &BTreeSet<i32>) -> Result<Directories> {
        let mut found = Directories::new();
        for broker in brokers {
            if !self.brokers.ids().contains(broker) {
                continue;
            }
            for directory in describe_log_dirs(&mut self.brokers, *broker).await? {
                for replica in directory.replicas {
                    let place = found.entry((replica.place, *broker)).or_default();
                    if replica.is_future {
                        place.future = Some(directory.path.clone());
                    } else {
                        place.current = Some(directory.path.clone());
                    }
                }
            }
        }
        Ok(found)
    }
}

/// By partition and broker.
type Directories = BTreeMap<(TopicPartition, i32), ReplicaDirectory>;

#[derive(Debug, Default)]
struct ReplicaDirectory {
    current: Option<String>,
    future: Option<String>,
}

#[derive(Debug, Serialize)]
struct PlanFile<'a> {
    version: i32,
    partitions: Vec<PlanPartition<'a>>,
}

#[derive(Debug, Serialize)]
struct PlanPartition<'a> {
    topic: &'a str,
    partition: i32,
    replicas: &'a [i32],
    log_dirs: Vec<&'a str>,
}

/// A plan as it is read again.
fn plan_json(partitions: &BTreeMap<TopicPartition, Vec<i32>>, directories: &Directories) -> Result<String> {
    let partitions = partitions.iter().map(|(place, replicas)| {
        let directory = |replica: &i32| {
            let found = directories.get(&(place.clone(), *replica))?;
            found.current.as_deref()
        };
        PlanPartition {
            topic: &place.0,
            partition: place.1,
            replicas,
            log_dirs: replicas
                .iter()
                .map(|replica| directory(replica).unwrap_or("any"))
                .collect(),
        }
    });
    let file = PlanFile {
        version: 1,
        partitions: partitions.collect(),
    };
    Ok(serde_json::to_string(&file)?)
}

fn name(place: &TopicPartition) -> String {
    format!("{}-{}", place.0, place.1)
}

/// `""` for one, `"s"` for more.
fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// What the plan says of directories: by broker and partition, as Kafka's tool sorts them.
fn planned_directories(plan: &[PlannedReplicas]) -> BTreeMap<(i32, TopicPartition), &str> {
    let mut wanted = BTreeMap::new();
    for planned in plan {
        let targets = planned.log_dirs.iter().flatten();
        for (replica, target) in planned.replicas.iter().zip(targets) {
            if target != ANY_LOG_DIR {
                wanted.insert((*replica, planned.place()), target.as_str());
            }
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_written_as_kafkas_tool_writes_it() {
        let place = ("t".to_owned(), 1);
        let directory = ReplicaDirectory {
            current: Some("/data".to_owned()),
            future: None,
        };
        let json = plan_json(
            &BTreeMap::from([(place.clone(), vec![2, 3])]),
            &Directories::from([((place, 3), directory)]),
        );
        assert_eq!(
            json.unwrap(),
            r#"{"version":1,"partitions":[{"topic":"t","partition":1,"replicas":[2,3],"log_dirs":["any","/data"]}]}"#
        );
    }
}
