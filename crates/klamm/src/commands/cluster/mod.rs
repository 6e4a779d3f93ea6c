//! `klamm cluster …`.

mod cluster_command;
mod describe;
mod safe_to_stop;

pub(super) use cluster_command::ClusterCommand;
