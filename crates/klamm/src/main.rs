//! The klamm binary: `klamm server`, `klamm dev`, the operator's commands, and Kafka's own tools under their names.

mod allocator;
mod commands;
mod dev;
mod directories;
mod file_limit;
mod http;
mod kafka_tools;
mod local_cluster;
mod logging;
mod node;
mod server;
mod stop_signal;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Klamm: an event-streaming cluster that every Kafka client knows how to use.
#[derive(Debug, Parser)]
#[command(name = "klamm", version, about, propagate_version = true, after_help = kafka_tools::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node: broker, controller, or both.
    Server(server::ServerArguments),
    /// Run a cluster of several nodes on this machine, for development and tests.
    Dev(dev::DevArguments),
    #[command(flatten)]
    Operator(commands::Command),
}

fn main() -> ExitCode {
    allocator::set_up();
    if let Some(called) = kafka_tools::called(std::env::args_os()) {
        return called.run();
    }
    match Arguments::parse().command {
        Command::Server(arguments) => server::run(&arguments),
        Command::Dev(arguments) => dev::run(arguments),
        Command::Operator(command) => commands::run(command, Arguments::command()),
    }
}
