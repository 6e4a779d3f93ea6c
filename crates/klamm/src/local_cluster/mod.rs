//! A cluster of real processes on this machine: each node is `klamm server` with a directory of its own.
//!
//! `klamm dev` runs one for its user, `klamm verify --chaos` one to break. Ports are chosen once and kept with the data, so
//! that a cluster started again is found at the same addresses.

mod cluster;
mod layout;
mod node_process;

pub(crate) use cluster::LocalCluster;
pub(crate) use layout::{Layout, NodePlace, PortChoice};
pub(crate) use node_process::NodeProcess;
