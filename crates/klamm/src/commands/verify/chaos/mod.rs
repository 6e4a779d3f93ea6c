//! Faults: which, when, on whom, and by which means.
//!
//! * `fault`: what can be done to a node. `schedule`: the faults that a seed gives. Both are pure.
//! * `nodes`: what a means must offer. `own_nodes`: processes that this command has started; `network`: their namespaces; `broken_syncs`:
//!   calls that fail. `means`: what can be done here;
//!   `compose`: the services of Docker Compose; `commands`: whatever the user says.
//! * `injector`: the thread that goes by the schedule.

mod broken_syncs;
mod commands;
mod compose;
mod fault;
mod injector;
mod means;
mod network;
mod nodes;
mod own_nodes;
mod schedule;

pub(super) use commands::{CommandNodes, Commands};
pub(super) use compose::ComposeNodes;
pub(super) use fault::FaultKind;
pub(super) use injector::{Injecting, Injector};
pub(super) use means::Means;
pub(super) use network::Network;
pub(super) use nodes::Nodes;
pub(super) use own_nodes::OwnNodes;
pub(super) use schedule::Schedule;
