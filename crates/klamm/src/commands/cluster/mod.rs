//! `klamm cluster …`.

mod cluster_command;
mod describe;

pub(super) use cluster_command::ClusterCommand;
