//! Faults: which, when, on whom, and by which means.
//!
//! * `fault`: what can be done to a node, and the schedule that a seed gives: pure.
//! * `nodes`: what a means must offer. `own_nodes`: processes that this command has started; `network`: their namespaces;
//!   `compose`: the services of Docker Compose; `commands`: whatever the user says.
//! * `injector`: the thread that goes by the schedule.

mod commands;
mod compose;
mod fault;
mod injector;
mod network;
mod nodes;
mod own_nodes;

pub(super) use commands::{CommandNodes, Commands};
pub(super) use compose::ComposeNodes;
pub(super) use fault::{FaultKind, Schedule};
pub(super) use injector::{Injecting, Injector};
pub(super) use network::Network;
pub(super) use nodes::Nodes;
pub(super) use own_nodes::OwnNodes;
