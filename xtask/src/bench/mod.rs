//! `cargo xtask bench`: `klamm bench` against nodes of Klamm, and of Apache Kafka in turns with them, on the same properties.
//!
//! * `rows`: which figures there are, and what each shall be. `results`: what was measured, its spread, its ratio. Both pure.
//! * `campaign`: the turns. `session`: all measurements of one system's fresh nodes.
//! * `nodes`: the processes. `probe`: whether they serve. `processes`: what /proc tells. `meter`: what a measurement costs.
//! * `memory`: the state of the machine's memory, the same for all.
//! * `page`, `plot`: docs/performance.md and its pictures. `machine`: what it was measured on.
//!
//! On a small machine the load generator and the brokers share the cores, so MB/s says little by itself: beside each figure stand
//! the brokers' CPU seconds, and how many cores others used meanwhile.

mod campaign;
mod loads;
mod machine;
mod memory;
mod meter;
mod nodes;
mod page;
mod plot;
mod probe;
mod processes;
mod results;
mod rows;
mod session;

pub(crate) use campaign::{Options, bench};
