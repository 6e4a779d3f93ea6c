//! `klamm bench fan-out`: records at a fixed rate, and many consumers that wait at the topic's end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message as _;
use serde::Serialize;

use super::enough::Enough;
use super::latencies::{Latencies, Percentiles, latency_table};
use super::latency::wait_until;
use super::payloads::Payloads;
use super::produce::{PARTITIONS, SIZE};
use super::reader::{Begin, assign, reader};
use super::sender::{DELIVERY_TIMEOUT_MS, SETTINGS, Sender};
use super::target::{Session, Target};
use crate::commands::progress::thousands;
use crate::commands::quiet::Quiet;
use crate::file_limit::raise_file_limit;

/// Bytes of the time that each record begins with.
const TIME_BYTES: usize = 8;
/// How long to wait for one record before a look at whether there will be more.
const POLL: Duration = Duration::from_millis(100);
/// Without a single record for so long after the last one was written, the rest is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// `klamm bench fan-out`.
#[derive(Debug, Args)]
pub(crate) struct FanOutArgs {
    /// Consumers, each of which reads everything
    #[arg(short, long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    consumers: u32,
    /// Records a second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Bytes of a record
    #[arg(short, long, default_value_t = SIZE, value_parser = clap::value_parser!(u32).range(8..=1_000_000))]
    size: u32,
    #[command(flatten)]
    enough: Enough,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    operation: &'static str,
    topic: String,
    partitions: u32,
    record_bytes: u32,
    consumers: u32,
    rate: u64,
    interrupted: bool,
    written: u64,
    /// By all consumers together.
    read: u64,
    seconds: f64,
    read_per_second: f64,
    /// From before a record is handed over until a consumer has it.
    latency_ms: Option<Percentiles>,
}

/// What writer and readers know of each other.
struct Shared {
    /// What the times in records count from.
    origin: Instant,
    read: AtomicU64,
    ended: AtomicBool,
}

impl FanOutArgs {
    pub(super) fn run(self) -> Result<()> {
        raise_file_limit();
        let mut session = self.target.open_in_sync(PARTITIONS)?;
        let settings = [("linger.ms", "0"), ("message.timeout.ms", DELIVERY_TIMEOUT_MS)];
        let config = session.config(&[settings.as_slice(), &SETTINGS].concat());
        let sender = Sender::new(&session, &config)?;
        let mut payloads = Payloads::new(self.size as usize);
        sender.write_to_each(session.partitions()?, payloads.next(), &session.stop, |_| {})?;
        let consumers = (0..self.consumers).map(|_| {
            let consumer = reader(&session)?;
            assign(&consumer, &session, Begin::Ends)?;
            Ok(consumer)
        });
        let consumers: Vec<BaseConsumer<Quiet>> = consumers.collect::<Result<_>>()?;
        let shared = Shared {
            origin: Instant::now(),
            read: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        };
        let began = Instant::now();
        let (written, latencies) = std::thread::scope(|scope| {
            let readers: Vec<_> = consumers
                .iter()
                .map(|consumer| spawn_reader(scope, consumer, &shared))
                .collect();
            let written = self.write(&mut session, &sender, &mut payloads, &shared);
            shared.ended.store(true, Ordering::Release);
            let mut latencies = Latencies::default();
            for reader in readers {
                latencies.merge(&reader.join().map_err(|_| anyhow!("a consumer broke"))?);
            }
            written.map(|written| (written, latencies))
        })?;
        let seconds = began.elapsed().as_secs_f64();
        session.progress.clear();
        let read = latencies.count();
        let result = Measured {
            operation: "fanOut",
            topic: session.topic.name.clone(),
            partitions: session.topic.partitions,
            record_bytes: self.size,
            consumers: self.consumers,
            rate: self.rate,
            interrupted: session.stop.requested(),
            written,
            read,
            seconds,
            read_per_second: read as f64 / seconds,
            latency_ms: latencies.percentiles(),
        };
        self.target.output.write(&result, |result| {
            latency_table(result.read, result.read_per_second, result.latency_ms.as_ref())
        })?;
        sender.delivered(began).check(&session.topic.name)
    }

    /// Writes, and waits until everybody has read everything.
    fn write(&self, session: &mut Session, sender: &Sender, payloads: &mut Payloads, shared: &Shared) -> Result<u64> {
        let interval = Duration::from_secs(1).div_f64(self.rate as f64);
        let stop = session.stop.clone();
        let mut turns = session.partitions()?.cycle();
        let mut record = Vec::new();
        let mut written = 0_u64;
        let began = sender.start_clock();
        session.progress.restart();
        while !stop.requested() {
            let part = self.enough.done(written, began.elapsed());
            if part >= 1.0 {
                break;
            }
            let due = began + interval.mul_f64(written as f64);
            wait_until(due);
            record.clear();
            record.extend_from_slice(&nanos(shared.origin.elapsed()).to_be_bytes());
            record.extend(payloads.next().iter().skip(TIME_BYTES));
            sender.send(&record, turns.next(), due, &stop, || {})?;
            written += 1;
            let read = shared.read.load(Ordering::Relaxed);
            session.progress.show(part, written, |rate| {
                format!("{} written ({rate:.0}/s), {} read", thousands(written), thousands(read))
            });
        }
        sender.drain(written, &stop);
        let wanted = sender.acknowledged() * u64::from(self.consumers);
        let mut progress = (shared.read.load(Ordering::Acquire), Instant::now());
        while progress.0 < wanted && !stop.requested() {
            stop.wait(Duration::from_millis(1));
            let read = shared.read.load(Ordering::Acquire);
            if read > progress.0 {
                progress = (read, Instant::now());
            } else if progress.1.elapsed() > PATIENCE {
                bail!(
                    "{} of {} records of {} were read, and no other one within {} s",
                    thousands(read),
                    thousands(wanted),
                    session.topic.name,
                    PATIENCE.as_secs()
                );
            }
        }
        Ok(written)
    }
}

fn spawn_reader<'scope>(
    scope: &'scope Scope<'scope, '_>,
    consumer: &'scope BaseConsumer<Quiet>,
    shared: &'scope Shared,
) -> ScopedJoinHandle<'scope, Latencies> {
    scope.spawn(move || {
        let mut latencies = Latencies::default();
        while !shared.ended.load(Ordering::Acquire) {
            // An end, or an error that librdkafka gets over by itself, is no record.
            let Some(Ok(message)) = consumer.poll(POLL) else {
                continue;
            };
            let time = message
                .payload()
                .and_then(|payload| payload.first_chunk::<TIME_BYTES>());
            let Some(time) = time else { continue };
            let now = nanos(shared.origin.elapsed());
            latencies.add(Duration::from_nanos(now.saturating_sub(u64::from_be_bytes(*time))));
            shared.read.fetch_add(1, Ordering::Release);
        }
        latencies
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
