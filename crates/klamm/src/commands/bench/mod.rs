//! `klamm bench`: how fast a cluster is, of whatever make, measured through librdkafka.
//!
//! * `produce`, `consume`, `latency`, `end_to_end`, `fan_out`, `connections`, `topics`: one measurement each, with its arguments and its result.
//! * `target`: what they share: where the cluster is, and the topic, which is the run's own unless one is named.
//! * `sender`: the producer, and what became of its records. `reader`: the consumer. `payloads`: what is written.
//! * `latencies`: percentiles. `throughput`: records by time.
//!
//! The clock starts when the client is connected to every leader: what is measured is the cluster, not the client's start.

mod bench_command;
mod connections;
mod consume;
mod end_to_end;
mod enough;
mod fan_out;
mod latencies;
mod latency;
mod payloads;
mod produce;
mod reader;
mod sender;
mod target;
mod throughput;
mod topics;

pub(super) use bench_command::BenchCommand;
