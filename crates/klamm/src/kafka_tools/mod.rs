//! Kafka's own command-line tools, under their names and with their options: scripts that were written for them go on.
//!
//! A tool runs when the binary is called by its name (a link `kafka-topics` or `kafka-topics.sh` to `klamm`), or as
//! `klamm kafka-topics …`. Options, exit codes and what goes to standard output, column by column, are those of Apache
//! Kafka 4.3 (`org.apache.kafka.tools`); requests are shared with the operator's own commands.
//!
//! - TOOL-1: what a tool can't do is refused with a message that names the option; nothing is ignored in silence.
//! - TOOL-2: everything printed to standard output is part of the interface. Notes of ours go to standard error.
//! - TOOL-3: where Kafka's tools print in the order of a Java hash map, ours print sorted.

mod api_names;
mod broker_api_versions;
mod client_properties;
mod cluster;
mod columns;
mod configs;
mod connect;
mod console_consumer;
mod console_producer;
mod consumer_groups;
mod delete_records;
mod features;
mod get_offsets;
mod groups;
mod kafka_words;
mod leader_election;
mod log_dirs;
mod metadata_quorum;
mod options;
mod reassign_partitions;
mod record_lines;
mod tool;
mod topic_filter;
mod topics;

pub(crate) use tool::{HELP, called};
