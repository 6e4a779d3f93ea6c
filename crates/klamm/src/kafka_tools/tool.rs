//! The list of tools, and the way from a name to an exit code.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use super::kafka_words::message_of;
use super::options::{OptionSpec, Options, UsageError, usage};
use super::{
    broker_api_versions, cluster, configs, console_consumer, console_producer, consumer_groups, delete_records,
    features, get_offsets, groups, leader_election, log_dirs, metadata_quorum, reassign_partitions, topics,
};
use crate::commands::output::{note, write_line};
use crate::commands::{is_broken_pipe, runtime};

/// For `klamm --help`: clap doesn't know of these.
pub(crate) const HELP: &str = "Kafka's own tools are here, too, with Kafka's options and output: `klamm kafka-topics …`, or a link of that \
name to this program.\nThey are kafka-broker-api-versions, -cluster, -configs, -console-consumer, -console-producer, -consumer-groups, \
-delete-records, -features, -get-offsets, -groups, -leader-election, -log-dirs, -metadata-quorum, -reassign-partitions and -topics.";

/// The release of Kafka whose tools these are like.
const KAFKA_VERSION: &str = "4.3.1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    BrokerApiVersions,
    Cluster,
    Configs,
    ConsoleConsumer,
    ConsoleProducer,
    ConsumerGroups,
    DeleteRecords,
    Features,
    GetOffsets,
    Groups,
    LeaderElection,
    LogDirs,
    MetadataQuorum,
    ReassignPartitions,
    Topics,
}

const TOOLS: [Tool; 15] = [
    Tool::BrokerApiVersions,
    Tool::Cluster,
    Tool::Configs,
    Tool::ConsoleConsumer,
    Tool::ConsoleProducer,
    Tool::ConsumerGroups,
    Tool::DeleteRecords,
    Tool::Features,
    Tool::GetOffsets,
    Tool::Groups,
    Tool::LeaderElection,
    Tool::LogDirs,
    Tool::MetadataQuorum,
    Tool::ReassignPartitions,
    Tool::Topics,
];

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::BrokerApiVersions => "kafka-broker-api-versions",
            Self::Cluster => "kafka-cluster",
            Self::Configs => "kafka-configs",
            Self::ConsoleConsumer => "kafka-console-consumer",
            Self::ConsoleProducer => "kafka-console-producer",
            Self::ConsumerGroups => "kafka-consumer-groups",
            Self::DeleteRecords => "kafka-delete-records",
            Self::Features => "kafka-features",
            Self::GetOffsets => "kafka-get-offsets",
            Self::Groups => "kafka-groups",
            Self::LeaderElection => "kafka-leader-election",
            Self::LogDirs => "kafka-log-dirs",
            Self::MetadataQuorum => "kafka-metadata-quorum",
            Self::ReassignPartitions => "kafka-reassign-partitions",
            Self::Topics => "kafka-topics",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::BrokerApiVersions => "Shows which versions of which APIs every broker serves.",
            Self::Cluster => "Shows the cluster's id and its brokers' addresses, and unregisters brokers.",
            Self::Configs => {
                "Shows and changes the configurations of topics, brokers, groups, client metrics and quotas."
            }
            Self::ConsoleConsumer => "Reads records and writes them to standard output.",
            Self::ConsoleProducer => "Writes the lines of standard input as records.",
            Self::ConsumerGroups => "Lists, describes, resets and deletes consumer groups.",
            Self::DeleteRecords => "Deletes the records of partitions up to an offset.",
            Self::Features => "Shows and changes the feature levels of the cluster.",
            Self::GetOffsets => "Shows the offsets of partitions, their ends or those at a time.",
            Self::Groups => "Lists groups of all types.",
            Self::LeaderElection => "Elects the leaders of partitions.",
            Self::LogDirs => "Shows which replicas lie in which log directories.",
            Self::MetadataQuorum => "Shows the metadata quorum.",
            Self::ReassignPartitions => "Moves replicas between brokers.",
            Self::Topics => "Creates, deletes, describes and alters topics.",
        }
    }

    fn options(self) -> &'static [OptionSpec] {
        match self {
            Self::BrokerApiVersions => broker_api_versions::OPTIONS,
            Self::Cluster => cluster::OPTIONS,
            Self::Configs => configs::OPTIONS,
            Self::ConsoleConsumer => console_consumer::OPTIONS,
            Self::ConsoleProducer => console_producer::OPTIONS,
            Self::ConsumerGroups => consumer_groups::OPTIONS,
            Self::DeleteRecords => delete_records::OPTIONS,
            Self::Features => features::OPTIONS,
            Self::GetOffsets => get_offsets::OPTIONS,
            Self::Groups => groups::OPTIONS,
            Self::LeaderElection => leader_election::OPTIONS,
            Self::LogDirs => log_dirs::OPTIONS,
            Self::MetadataQuorum => metadata_quorum::OPTIONS,
            Self::ReassignPartitions => reassign_partitions::OPTIONS,
            Self::Topics => topics::OPTIONS,
        }
    }

    fn run(self, options: &Options) -> Result<ExitCode> {
        let runtime = runtime()?;
        match self {
            Self::BrokerApiVersions => runtime.block_on(broker_api_versions::run(options)),
            Self::Cluster => runtime.block_on(cluster::run(options)),
            Self::Configs => runtime.block_on(configs::run(options)),
            Self::ConsoleConsumer => runtime.block_on(console_consumer::run(options)),
            Self::ConsoleProducer => console_producer::run(options, &runtime),
            Self::ConsumerGroups => runtime.block_on(consumer_groups::run(options)),
            Self::DeleteRecords => runtime.block_on(delete_records::run(options)),
            Self::Features => runtime.block_on(features::run(options)),
            Self::GetOffsets => runtime.block_on(get_offsets::run(options)),
            Self::Groups => runtime.block_on(groups::run(options)),
            Self::LeaderElection => runtime.block_on(leader_election::run(options)),
            Self::LogDirs => runtime.block_on(log_dirs::run(options)),
            Self::MetadataQuorum => runtime.block_on(metadata_quorum::run(options)),
            Self::ReassignPartitions => runtime.block_on(reassign_partitions::run(options)),
            Self::Topics => runtime.block_on(topics::run(options)),
        }
    }
}

/// A tool with its arguments.
#[derive(Debug)]
pub(crate) struct Called {
    tool: Tool,
    arguments: Vec<OsString>,
}

/// The tool that is meant, by the program's name or its first argument. None: klamm itself is meant.
pub(crate) fn called(arguments: impl IntoIterator<Item = OsString>) -> Option<Called> {
    let mut arguments = arguments.into_iter();
    let program = arguments.next()?;
    let by_program = Path::new(&program).file_name().and_then(|name| tool_of(name.to_str()?));
    let tool = match by_program {
        Some(tool) => tool,
        None => tool_of(arguments.next()?.to_str()?)?,
    };
    Some(Called {
        tool,
        arguments: arguments.collect(),
    })
}

fn tool_of(name: &str) -> Option<Tool> {
    let name = name.strip_suffix(".sh").unwrap_or(name);
    TOOLS.into_iter().find(|tool| tool.name() == name)
}

impl Called {
    /// To its end; the exit code is Kafka's.
    #[must_use]
    pub(crate) fn run(self) -> ExitCode {
        let tool = self.tool;
        match self.execute() {
            Ok(code) => code,
            // `kafka-topics --list … | head`: the reader has what it wanted.
            Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
            Err(error) => {
                note(&message_of(&error));
                if error.is::<UsageError>() {
                    note(&usage(tool.options()));
                }
                ExitCode::FAILURE
            }
        }
    }

    fn execute(self) -> Result<ExitCode> {
        let tool = self.tool;
        let arguments: Result<Vec<String>, OsString> = self.arguments.into_iter().map(OsString::into_string).collect();
        let arguments = arguments.ok().context("an argument isn't UTF-8")?;
        if arguments.is_empty() {
            return Err(UsageError::of(tool.about()));
        }
        let options = Options::parse(tool.options(), arguments)?;
        if options.has("help") {
            return Err(UsageError::of(tool.about()));
        }
        if options.has("version") {
            write_line(KAFKA_VERSION)?;
            return Ok(ExitCode::SUCCESS);
        }
        tool.run(&options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(arguments: &[&str]) -> Option<(Tool, usize)> {
        let called = called(arguments.iter().map(OsString::from))?;
        Some((called.tool, called.arguments.len()))
    }

    #[test]
    fn a_tool_is_called_by_the_programs_name_or_by_the_first_argument() {
        assert_eq!(tool(&["/usr/bin/kafka-topics", "--list"]), Some((Tool::Topics, 1)));
        assert_eq!(tool(&["kafka-configs.sh"]), Some((Tool::Configs, 0)));
        assert_eq!(tool(&["klamm", "kafka-groups.sh", "--list"]), Some((Tool::Groups, 1)));
        assert_eq!(tool(&["klamm", "topic", "list"]), None);
        assert_eq!(tool(&["klamm"]), None);
        assert_eq!(tool(&["kafka-acls"]), None);
    }

    #[test]
    fn every_tool_has_a_link_in_the_image() {
        let image = include_str!("../../../../deploy/docker/Dockerfile");
        let links = image.split("for tool in").nth(1).unwrap().split("; do").next().unwrap();
        let links: Vec<&str> = links.split([' ', '\\', '\n']).filter(|word| !word.is_empty()).collect();
        let tools: Vec<&str> = TOOLS
            .iter()
            .map(|tool| tool.name().strip_prefix("kafka-").unwrap())
            .collect();
        assert_eq!(links, tools);
    }

    #[test]
    fn every_tool_is_in_the_help_and_its_options_are_named_once() {
        for tool in TOOLS {
            let short = tool.name().strip_prefix("kafka").unwrap();
            assert!(HELP.contains(short), "{}", tool.name());
            let mut names: Vec<&str> = tool.options().iter().map(|option| option.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{}", tool.name());
        }
    }
}
