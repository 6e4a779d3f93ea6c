//! `kafka-consumer-groups` (`ConsumerGroupCommand`).
//!
//! An error of the cluster is printed to standard output and the exit code is 0 all the same, as Kafka's tool does.

mod checks;
mod delete;
mod described;
mod listing;
mod offsets_table;
mod reset;
mod reset_plan;
mod state_tables;
mod time_text;

use std::process::ExitCode;

use anyhow::{Error, Result};
use regex::Regex;

use super::connect::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::kafka_words::{exception_of, message_of, note_advice};
use super::options::{OptionSpec, Options, UsageError, flag, optional, value};
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::output::write_line;

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    value("group", "consumer group", "The group; may be given more than once."),
    value(
        "topic",
        "topic",
        "The topic whose offsets are reset or deleted, or some of its partitions as in topic:0,1; may be given more than once.",
    ),
    flag("all-topics", "Reset the offsets of all topics of the group."),
    flag("list", "List the groups."),
    flag("describe", "Describe groups with their offsets and lag."),
    flag("all-groups", "Act on all groups."),
    flag("delete", "Delete groups with their offsets."),
    value("timeout", "timeout (ms)", "How long to wait for an answer."),
    flag("reset-offsets", "Reset the offsets of groups without members."),
    flag("delete-offsets", "Delete offsets of topics."),
    flag("dry-run", "Only show the new offsets."),
    flag("execute", "Commit the new offsets."),
    flag("export", "Print the new offsets as CSV."),
    value("to-offset", "offset", "To this offset."),
    value("from-file", "path to CSV file", "To the offsets of a file."),
    value("to-datetime", "datetime", "To a time: YYYY-MM-DDThh:mm:ss.sss."),
    value("by-duration", "duration", "To so long ago: PnDTnHnMnS."),
    flag("to-earliest", "To the first record that is kept."),
    flag("to-latest", "Behind the last record."),
    flag("to-current", "To the committed offset."),
    value(
        "shift-by",
        "number-of-offsets",
        "So many records forward, or back if negative.",
    ),
    flag("members", "Describe the members."),
    flag("verbose", "Describe more of it."),
    flag("offsets", "Describe the offsets."),
    optional(
        "state",
        "state",
        "Describe the state, or list it, or list only groups of these states.",
    ),
    optional("type", "type", "List the types, or only groups of these types."),
    value("validate-regex", "regex", "Tell whether a regular expression is valid."),
];

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    checks::check(options)?;
    if let Some(regex) = options.value("validate-regex")? {
        write_line(&match Regex::new(regex) {
            Ok(_) => format!("The regular expression `{regex}` is valid."),
            Err(error) => format!("The regular expression `{regex}` is invalid: {error}."),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let connection = connection(options)?;
    let connection = match options.number::<u64>("timeout")? {
        Some(millis) => Connection::to(connection.bootstrap(), std::time::Duration::from_millis(millis)),
        None => connection,
    };
    match execute(options, &connection).await {
        Ok(()) => {}
        Err(error) if error.is::<UsageError>() => return Err(error),
        Err(error) => {
            let cause = match error.downcast_ref::<Wrapped>() {
                Some(Wrapped(cause)) => exception_of(cause),
                None => message_of(&error),
            };
            print_error(&format!("Executing consumer group command failed due to {cause}"))?;
            note_advice(&error);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn execute(options: &Options, connection: &Connection) -> Result<()> {
    let mut brokers = Brokers::reach(connection).await?;
    if options.has("list") {
        listing::list(options, &mut brokers).await
    } else if options.has("describe") {
        let groups = listing::meant(options, &mut brokers).await?;
        if options.has("members") {
            state_tables::describe_members(&groups, options.has("verbose"), &mut brokers).await
        } else if options.has("state") {
            state_tables::describe_states(&groups, options.has("verbose"), &mut brokers).await
        } else {
            offsets_table::describe_offsets(&groups, options.has("verbose"), &mut brokers, connection).await
        }
    } else if options.has("delete") {
        let groups = listing::meant(options, &mut brokers).await?;
        delete::delete_groups(&groups, &mut brokers).await
    } else if options.has("reset-offsets") {
        reset::reset_offsets(options, connection).await
    } else {
        delete::delete_offsets(options, connection).await
    }
}

/// An error that Java's tool wraps into another one, so that its name is printed, too.
#[derive(Debug)]
struct Wrapped(Error);

impl std::fmt::Display for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Wrapped {}

fn wrapped(error: Error) -> Error {
    Error::new(Wrapped(error))
}

fn print_error(message: &str) -> Result<()> {
    write_line(&format!("\nError: {message}"))
}
