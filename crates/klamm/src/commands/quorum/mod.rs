//! `klamm quorum …`: the metadata quorum, with the verbs of Kafka's `kafka-metadata-quorum`.

mod add;
mod describe;
mod members;
mod quorum_command;
mod recover;
mod remove;

pub(crate) use members::quorum_state;
pub(super) use members::{QuorumDescription, describe_quorum};
pub(super) use quorum_command::QuorumCommand;
