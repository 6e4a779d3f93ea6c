//! `cargo xtask chaos`: `klamm verify` with every fault that this machine can do, as often as asked for.
//!
//! * `plan`: which runs there are, with which seeds: pure. `campaign`: goes through them. `verify_run`: one of them.
//! * `against`: the same load and the same faults for Apache Kafka and for Klamm.

mod against;
mod campaign;
mod plan;
mod verify_run;

pub(crate) use against::against_kafka;
pub(crate) use campaign::{Campaign, campaign};
