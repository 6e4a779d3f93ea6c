//! The list of commands and the way from one to its exit code.

use std::io;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use tokio::runtime::Runtime;

use super::bench::BenchCommand;
use super::cluster::ClusterCommand;
use super::completion::CompletionArgs;
use super::config::ConfigCommand;
use super::consume::ConsumeArgs;
use super::group::GroupCommand;
use super::healthcheck::HealthcheckArgs;
use super::output::report_error;
use super::produce::ProduceArgs;
use super::quorum::QuorumCommand;
use super::topic::TopicCommand;
use super::verify::VerifyArgs;

/// What an operator can ask of a cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create, list, describe, alter and delete topics.
    #[command(subcommand)]
    Topic(TopicCommand),
    /// List, describe, reset and delete consumer groups.
    #[command(subcommand)]
    Group(GroupCommand),
    /// Look at configurations, set and delete them while the cluster runs.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at the cluster, move partitions, elect leaders, empty a broker.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Look at the metadata quorum, change its voters, recover it.
    #[command(subcommand)]
    Quorum(QuorumCommand),
    /// Write records: the arguments, or the lines of standard input.
    Produce(ProduceArgs),
    /// Read records and print them.
    Consume(ConsumeArgs),
    /// Check a cluster's promises: write, read and commit, break things if asked to, and say whether anything was lost.
    Verify(Box<VerifyArgs>),
    /// Measure a cluster: throughput, latency, how soon topics are there.
    #[command(subcommand)]
    Bench(Box<BenchCommand>),
    /// Ask a node whether it is ready: exit code 0 when it is. For containers.
    Healthcheck(HealthcheckArgs),
    /// Print the script that lets a shell complete klamm's commands.
    Completion(CompletionArgs),
}

/// Runs a command to its end; errors go to standard error and make the exit code 1. `whole` is the program with all its commands.
#[must_use]
pub(crate) fn run(command: Command, whole: clap::Command) -> ExitCode {
    match execute(command, whole) {
        Ok(()) => ExitCode::SUCCESS,
        // `klamm consume … | head`: the reader has what it wanted.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command, whole: clap::Command) -> anyhow::Result<()> {
    match command {
        Command::Topic(command) => runtime()?.block_on(command.run()),
        Command::Group(command) => runtime()?.block_on(command.run()),
        Command::Config(command) => runtime()?.block_on(command.run()),
        Command::Cluster(command) => runtime()?.block_on(command.run()),
        Command::Quorum(command) => runtime()?.block_on(command.run()),
        Command::Produce(args) => args.run(&runtime()?),
        Command::Consume(args) => runtime()?.block_on(args.run()),
        Command::Verify(args) => args.run(),
        Command::Bench(command) => command.run(),
        Command::Healthcheck(args) => args.run(),
        Command::Completion(args) => args.run(whole),
    }
}

/// One thread is enough for one command, and starts sooner.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the system gave no event loop")
}

pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
