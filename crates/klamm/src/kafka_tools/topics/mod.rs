//! `kafka-topics` (`TopicCommand`).

mod change;
mod checks;
mod describe;
mod listing;

use std::process::ExitCode;

use anyhow::Result;

use super::connect::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::kafka_words::{message_of, note_advice};
use super::options::{OptionSpec, Options, UsageError, flag, value};
use crate::commands::connection::Connection;
use crate::commands::output::write_line;

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    flag("list", "List all topics."),
    flag("create", "Create a topic."),
    flag("delete", "Delete a topic."),
    flag("alter", "Alter the number of partitions and their replicas."),
    flag("describe", "Describe topics."),
    value(
        "topic",
        "topic",
        "The topic; a regular expression, except for --create.",
    ),
    value("topic-id", "topic-id", "The id of the topic to describe."),
    value("config", "name=value", "A configuration of the topic to create."),
    value("delete-config", "name", "No longer supported."),
    value("partitions", "# of partitions", "The number of partitions."),
    value(
        "replication-factor",
        "replication factor",
        "The replicas of each partition.",
    ),
    value(
        "replica-assignment",
        "id:id,id:id,...",
        "The brokers of each partition, for --create and --alter.",
    ),
    flag(
        "under-replicated-partitions",
        "Describe only partitions with too few replicas in sync.",
    ),
    flag(
        "unavailable-partitions",
        "Describe only partitions whose leader is not available.",
    ),
    flag(
        "under-min-isr-partitions",
        "Describe only partitions with fewer replicas in sync than configured.",
    ),
    flag(
        "at-min-isr-partitions",
        "Describe only partitions with just as many replicas in sync as configured.",
    ),
    flag(
        "topics-with-overrides",
        "Describe only topics that have configurations of their own.",
    ),
    flag("if-exists", "Alter, delete or describe only if the topic exists."),
    flag("if-not-exists", "Create only if the topic doesn't exist."),
    flag("exclude-internal", "Leave out internal topics."),
    value(
        "partition-size-limit-per-response",
        "maximum number of partitions per response",
        "Partitions of one answer, for --describe.",
    ),
];

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    checks::check(options)?;
    let connection = connection(options)?;
    match execute(options, &connection).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is::<UsageError>() => Err(error),
        Err(error) => {
            let message = message_of(&error);
            write_line(&format!("Error while executing topic command : {message}"))?;
            note_advice(&error);
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn execute(options: &Options, connection: &Connection) -> Result<()> {
    if options.has("create") {
        change::create(options, connection).await
    } else if options.has("alter") {
        change::alter(options, connection).await
    } else if options.has("list") {
        listing::list(options, connection).await
    } else if options.has("describe") {
        describe::describe(options, connection).await
    } else {
        change::delete(options, connection).await
    }
}
