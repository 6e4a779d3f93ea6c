//! The operator's commands: topics, the cluster, producing and consuming, verifying, measuring, the container's health check.
//!
//! They know nothing of a node's inside: `topic` and `cluster` speak Kafka's protocol through `wire`'s client, `produce`,
//! `consume`, `verify` and `bench` use librdkafka, so all of them work against Apache Kafka, too. Results go to standard output, as
//! tables or JSON; what happened besides, and errors with what to do next, to standard error. `main` adds
//! [`Command`]'s variants to its own and calls [`run`].

mod bench;
mod brokers;
mod cluster;
mod cluster_state;
mod command;
mod connection;
mod consume;
mod duration;
mod error_advice;
mod group;
mod healthcheck;
mod output;
mod produce;
mod progress;
mod quiet;
mod quorum;
mod record_format;
mod topic;
mod verify;

pub(crate) use command::{Command, run};
