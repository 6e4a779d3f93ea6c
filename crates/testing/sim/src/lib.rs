//! The deterministic cluster: world, network, disk, clock, faults, clients, oracle, invariants.
//!
//! The real openraft and Raft store, the real controllers and brokers, over a disk in memory and wires that delay, lose and
//! break, on one thread, from one seed. [`run()`] takes a [`Scenario`] from an empty cluster through its faults to a
//! verdict; `tests` run many seeds.
//!
//! Where entropy comes from, and what closes each source: time (a paused timer a process, `clock` and `scope`), scheduling
//! (tokio's seed), election timeouts (`controller::raft::seed_randomness`), ids (seeds in the parts' configurations), hash
//! maps' keys (`entropy`), message order (`fabric`, by arrival time), the disk (`storage::testing`), the order in which a
//! dying process lets go of its connections (`fabric::TellOnDrop`).
//!
//! The clients speak Kafka's protocol: their frames go over the same wires into the broker's own connection code, dispatch
//! table and handlers (`entrance`), consumer groups included.

mod campaign;
mod clients;
mod clock;
mod entrance;
mod entropy;
mod fabric;
mod faults;
mod history;
mod inflict;
mod invariants;
mod network;
mod node;
mod panics;
mod run;
mod scope;
mod stream;
mod trace;
mod view;
mod world;

#[cfg(test)]
mod tests;

pub use bugs::Bug;
pub use campaign::campaign;
pub use faults::FaultPlan;
pub use invariants::Violation;
pub use run::{Report, run};
pub use world::Scenario;
