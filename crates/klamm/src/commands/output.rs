//! Results on standard output: tables for people, JSON for programs.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Serialize;

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// The choice of it.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// For people or for programs
    #[arg(short = 'o', long, value_enum, default_value = "table")]
    output: OutputFormat,
}

impl Output {
    /// Whether programs read it.
    pub(crate) fn is_json(&self) -> bool {
        self.output == OutputFormat::Json
    }

    /// Writes the result in the form that was asked for.
    pub(crate) fn write<T: Serialize>(&self, result: &T, table: impl FnOnce(&T) -> String) -> Result<()> {
        let text = match self.output {
            OutputFormat::Json => serde_json::to_string_pretty(result)?,
            OutputFormat::Table => table(result),
        };
        write_line(text.trim_end_matches('\n'))
    }
}

/// A line to standard output.
pub(crate) fn write_line(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// What went wrong, to standard error.
pub(crate) fn report_error(error: &anyhow::Error) {
    // Nobody is left to tell when standard error is closed, too.
    let _ = writeln!(io::stderr(), "error: {error:#}");
}

/// What happened besides, to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says once, however often librdkafka tries, that nobody is reachable.
#[derive(Debug, Default)]
pub(crate) struct UnreachableNote {
    is_given: AtomicBool,
}

impl UnreachableNote {
    /// Looks at an error of librdkafka's own threads.
    pub(crate) fn on_error(&self, error: &KafkaError, reason: &str) {
        let is_down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if is_down && !self.is_given.swap(true, Ordering::Relaxed) {
            note(&format!("no broker is reachable, still trying: {reason}"));
        }
    }
}

/// A table with a header and no borders, so that lines can be cut and grepped.
pub(crate) fn table<R, C>(header: &[&str], rows: R) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|name| name.to_uppercase()).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.into_iter().collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Ids as Kafka's tools write them: `1,2,3`, and `-` for none.
pub(crate) fn join_ids(ids: &[i32]) -> String {
    if ids.is_empty() {
        "-".to_owned()
    } else {
        ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_columns_without_borders() {
        let text = table(&["topic", "partitions"], [vec!["orders".to_owned(), "3".to_owned()]]);
        assert_eq!(text, "TOPIC   PARTITIONS\norders  3");
        assert_eq!(join_ids(&[]), "-");
        assert_eq!(join_ids(&[3, 1]), "3,1");
    }
}
