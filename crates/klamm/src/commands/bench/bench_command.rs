//! Which measurements there are.

use anyhow::Result;
use clap::Subcommand;

use super::connections::ConnectionsArgs;
use super::consume::ConsumeArgs;
use super::end_to_end::EndToEndArgs;
use super::fan_out::FanOutArgs;
use super::latency::LatencyArgs;
use super::produce::ProduceArgs;
use super::topics::TopicsArgs;

/// `klamm bench`.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// As many records as the cluster takes, with acks=all: MB/s, and how long each took.
    Produce(ProduceArgs),
    /// Read a topic from its beginning to its end: MB/s.
    Consume(ConsumeArgs),
    /// A fixed number of records a second, or one at a time: how long until each is acknowledged.
    Latency(LatencyArgs),
    /// One record at a time: how long from writing it to reading it.
    EndToEnd(EndToEndArgs),
    /// A fixed number of records a second, and many consumers at the topic's end: how long from writing to reading.
    FanOut(FanOutArgs),
    /// Many clients, each with a connection of its own and a small batch from time to time.
    Connections(ConnectionsArgs),
    /// Create many partitions: how long until each of them has acknowledged a record.
    Topics(TopicsArgs),
}

impl BenchCommand {
    pub(in crate::commands) fn run(self) -> Result<()> {
        match self {
            Self::Produce(args) => args.run(),
            Self::Consume(args) => args.run(),
            Self::Latency(args) => args.run(),
            Self::EndToEnd(args) => args.run(),
            Self::FanOut(args) => args.run(),
            Self::Connections(args) => args.run(),
            Self::Topics(args) => args.run(),
        }
    }
}
