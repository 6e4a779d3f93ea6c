//! `klamm bench end-to-end`: a record is written, replicated, and read by somebody who waits for it; then the next one.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message as _;
use serde::Serialize;

use super::enough::Enough;
use super::latencies::{Latencies, Percentiles, latency_table};
use super::payloads::Payloads;
use super::produce::SIZE;
use super::reader::{Begin, assign, reader};
use super::sender::{DELIVERY_TIMEOUT_MS, SETTINGS, Sender};
use super::target::{Session, Target};
use crate::commands::duration::parse_duration;
use crate::commands::progress::thousands;
use crate::commands::quiet::Quiet;

/// Partitions of a topic of its own.
const PARTITIONS: u32 = 1;
/// Bytes of the number that each record begins with.
const NUMBER_BYTES: usize = 8;
/// How long to wait for the record before a look at the clock.
const POLL: Duration = Duration::from_millis(100);
/// After that the record is lost, or the cluster is.
const PATIENCE: Duration = Duration::from_secs(60);

/// `klamm bench end-to-end`.
#[derive(Debug, Args)]
pub(crate) struct EndToEndArgs {
    /// Bytes of a record
    #[arg(short, long, default_value_t = SIZE, value_parser = clap::value_parser!(u32).range(8..=1_000_000))]
    size: u32,
    #[command(flatten)]
    enough: Enough,
    /// The same before, for so long, which isn't counted
    #[arg(long, value_parser = parse_duration, default_value = "2s")]
    warm_up: Duration,
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
    interrupted: bool,
    records: u64,
    seconds: f64,
    records_per_second: f64,
    /// From before a record is handed over until the consumer has it.
    latency_ms: Option<Percentiles>,
}

/// Both ends, and the number of the next record.
struct Loop {
    sender: Sender,
    consumer: BaseConsumer<Quiet>,
    payloads: Payloads,
    next: u64,
}

impl EndToEndArgs {
    pub(super) fn run(self) -> Result<()> {
        let mut session = self.target.open_in_sync(PARTITIONS)?;
        let settings = [("linger.ms", "0"), ("message.timeout.ms", DELIVERY_TIMEOUT_MS)];
        let config = session.config(&[settings.as_slice(), &SETTINGS].concat());
        let consumer = reader(&session)?;
        assign(&consumer, &session, Begin::Ends)?;
        let mut both = Loop {
            sender: Sender::new(&session, &config)?,
            consumer,
            payloads: Payloads::new(self.size as usize),
            // Others' records in a shared topic are not taken for ours.
            next: rand::random::<u64>() >> 1,
        };
        session.progress.say("warming up …");
        // At least once: connections are there then.
        both.run(&mut session, &|sent, elapsed| {
            if sent == 0 {
                return 0.0;
            }
            elapsed.as_secs_f64() / self.warm_up.as_secs_f64().max(1e-9)
        })?;
        let began = both.sender.start_clock();
        let latencies = both.run(&mut session, &|sent, elapsed| self.enough.done(sent, elapsed))?;
        let seconds = began.elapsed().as_secs_f64();
        session.progress.clear();
        let result = Measured {
            operation: "endToEnd",
            topic: session.topic.name.clone(),
            partitions: session.topic.partitions,
            record_bytes: self.size,
            interrupted: session.stop.requested(),
            records: latencies.count(),
            seconds,
            records_per_second: latencies.count() as f64 / seconds,
            latency_ms: latencies.percentiles(),
        };
        drop(both);
        self.target.output.write(&result, |result| {
            latency_table(result.records, result.records_per_second, result.latency_ms.as_ref())
        })
    }
}

impl Loop {
    fn run(&mut self, session: &mut Session, done: &dyn Fn(u64, Duration) -> f64) -> Result<Latencies> {
        let mut turns = session.partitions()?.cycle();
        let mut latencies = Latencies::default();
        let began = Instant::now();
        session.progress.restart();
        let mut record = Vec::new();
        loop {
            let count = latencies.count();
            let part = done(count, began.elapsed());
            if part >= 1.0 || session.stop.requested() {
                return Ok(latencies);
            }
            session
                .progress
                .show(part, count, |rate| format!("{} read ({rate:.0}/s)", thousands(count)));
            let number = self.next.to_be_bytes();
            self.next += 1;
            record.clear();
            record.extend_from_slice(&number);
            record.extend(self.payloads.next().iter().skip(NUMBER_BYTES));
            let since = Instant::now();
            self.sender.send(&record, turns.next(), since, &session.stop, || {})?;
            if self.read(session, &number, since)? {
                latencies.add(since.elapsed());
            }
        }
    }

    /// Waits for the record that begins with this number; false when somebody wants to stop.
    fn read(&self, session: &Session, number: &[u8], since: Instant) -> Result<bool> {
        loop {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) if message.payload().is_some_and(|payload| payload.starts_with(number)) => {
                    return Ok(true);
                }
                // Somebody else's, an end, or an error that librdkafka gets over by itself.
                Some(_) => {}
                None if session.stop.requested() => return Ok(false),
                None => {}
            }
            if since.elapsed() > PATIENCE {
                self.sender.delivered(since).check(&session.topic.name)?;
                bail!(
                    "a record of {} wasn't to be read within {} s",
                    session.topic.name,
                    PATIENCE.as_secs()
                );
            }
        }
    }
}
