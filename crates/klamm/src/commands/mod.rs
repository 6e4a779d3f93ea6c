//! The operator's commands: topics, configurations, the cluster, producing and consuming, verifying, measuring, the container's health check.
//!
//! They know nothing of a node's inside: `topic` and `cluster` speak Kafka's protocol through `wire`'s client, `produce`,
//! `consume`, `verify` and `bench` use librdkafka, so all of them work against Apache Kafka, too. Results go to standard output, as
//! tables or JSON; what happened besides, and errors with what to do next, to standard error. `main` adds
//! [`Command`]'s variants to its own and calls [`run`].

mod bench;
pub(crate) mod brokers;
pub(crate) mod cluster;
mod cluster_state;
mod command;
mod completion;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod consume;
mod duration;
pub(crate) mod error_advice;
pub(crate) mod group;
mod healthcheck;
pub(crate) mod output;
pub(crate) mod printed;
pub(crate) mod produce;
mod progress;
pub(crate) mod quiet;
pub(crate) mod quorum;
mod record_format;
pub(crate) mod topic;
mod verify;

pub(crate) use command::{Command, is_broken_pipe, run, runtime};
