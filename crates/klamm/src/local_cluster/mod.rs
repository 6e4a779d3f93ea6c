//! A cluster of real processes on this machine: each node is `klamm server` with a directory of its own.
//!
//! `klamm dev` runs one for its user, `klamm verify --chaos` one to break. Ports are chosen once and kept with the data, so
//! that a cluster started again is found at the same addresses. Where faults ask for it, a node has disks and a clock of its own.

mod clock;
mod cluster;
mod disks;
mod layout;
mod node_process;
mod tool;

pub(crate) use clock::Clock;
pub(crate) use cluster::{LocalCluster, Surroundings};
pub(crate) use disks::{Disk, DiskRole};
pub(crate) use layout::{Layout, NodePlace, PortChoice};
pub(crate) use node_process::NodeProcess;
pub(crate) use tool::run_command;
