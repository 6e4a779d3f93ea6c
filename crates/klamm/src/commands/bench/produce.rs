//! `klamm bench produce`: as many records as the cluster takes.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::enough::Enough;
use super::latencies::Percentiles;
use super::payloads::Payloads;
use super::sender::{DELIVERY_TIMEOUT_MS, SETTINGS, Sender};
use super::target::{Session, Target};
use super::throughput::Throughput;
use crate::commands::output::table;
use crate::commands::progress::thousands;

/// Partitions of a topic of its own.
pub(super) const PARTITIONS: u32 = 12;
/// Bytes of a record.
pub(super) const SIZE: u32 = 1024;
/// Records between two looks at the clock for the progress.
const SHOW_EVERY: u64 = 1_024;

/// The codec of batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// As librdkafka calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// `klamm bench produce`.
#[derive(Debug, Args)]
pub(crate) struct ProduceArgs {
    /// Bytes of a record
    #[arg(short, long, default_value_t = SIZE, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    size: u32,
    #[command(flatten)]
    enough: Enough,
    /// The codec of batches
    #[arg(short = 'z', long, value_enum, default_value = "none")]
    codec: Codec,
    /// Milliseconds that a batch waits for more records
    #[arg(long, value_name = "MS", default_value_t = 10)]
    linger: u32,
    /// Number the records, so that none is written twice: at most five requests at a time for each broker
    #[arg(long)]
    idempotence: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Produced {
    operation: &'static str,
    topic: String,
    partitions: u32,
    record_bytes: u32,
    codec: &'static str,
    linger_ms: u32,
    idempotence: bool,
    interrupted: bool,
    failed: u64,
    #[serde(flatten)]
    throughput: Throughput,
    /// From handing a record over to its acknowledgement, with its wait in the client's queue.
    latency_ms: Option<Percentiles>,
}

impl ProduceArgs {
    pub(super) fn run(self) -> Result<()> {
        let mut session = self.target.open_in_sync(PARTITIONS)?;
        let linger = self.linger.to_string();
        let settings = [
            ("linger.ms", linger.as_str()),
            ("compression.codec", self.codec.name()),
            ("enable.idempotence", if self.idempotence { "true" } else { "false" }),
            ("message.timeout.ms", DELIVERY_TIMEOUT_MS),
        ];
        let config = session.config(&[settings.as_slice(), &SETTINGS].concat());
        let sender = Sender::new(&session, &config)?;
        let mut payloads = Payloads::new(self.size as usize);
        sender.write_to_each(session.partitions()?, payloads.next(), &session.stop, |_| {})?;
        let began = sender.start_clock();
        fill(&mut session, &sender, &mut payloads, began, |sent, elapsed| {
            self.enough.done(sent, elapsed)
        })?;
        let delivered = sender.delivered(began);
        let records = delivered.latencies.count();
        let result = Produced {
            operation: "produce",
            topic: session.topic.name.clone(),
            partitions: session.topic.partitions,
            record_bytes: self.size,
            codec: self.codec.name(),
            linger_ms: self.linger,
            idempotence: self.idempotence,
            interrupted: session.stop.requested(),
            failed: delivered.failed,
            throughput: Throughput::of(records, records * u64::from(self.size), delivered.took),
            latency_ms: delivered.latencies.percentiles(),
        };
        self.target.output.write(&result, render)?;
        delivered.check(&session.topic.name)
    }
}

/// Sends until `done` says 1, and waits for the answers. `done` gets how many were sent, and for how long.
pub(super) fn fill(
    session: &mut Session,
    sender: &Sender,
    payloads: &mut Payloads,
    began: Instant,
    done: impl Fn(u64, Duration) -> f64,
) -> Result<()> {
    let mut sent = 0;
    let stop = session.stop.clone();
    session.progress.restart();
    loop {
        let now = Instant::now();
        let part = done(sent, now - began);
        if part >= 1.0 || stop.requested() {
            break;
        }
        if sent % SHOW_EVERY == 0 {
            show(session, sender, part);
        }
        sender.send(payloads.next(), None, now, &stop, || show(session, sender, part))?;
        sent += 1;
    }
    sender.drain(sent, &stop);
    session.progress.clear();
    Ok(())
}

fn show(session: &mut Session, sender: &Sender, part: f64) {
    let acknowledged = sender.acknowledged();
    session.progress.show(part, acknowledged, |rate| {
        format!("{} acknowledged ({rate:.0}/s)", thousands(acknowledged))
    });
}

fn render(result: &Produced) -> String {
    let header = [Throughput::HEADINGS.as_slice(), &Percentiles::HEADINGS].concat();
    let row = result.throughput.cells().into_iter();
    table(&header, [row.chain(Percentiles::cells(result.latency_ms.as_ref()))])
}
