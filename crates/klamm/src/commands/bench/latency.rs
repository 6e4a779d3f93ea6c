//! `klamm bench latency`: how long until a record is acknowledged, at a rate that the cluster keeps up with easily.
//!
//! A record's time counts from when it was due, not from when the client got round to it: a client that was kept from sending
//! by what it measures would flatter the cluster. How late the client itself was is told besides.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::enough::Enough;
use super::latencies::{Latencies, Percentiles};
use super::payloads::Payloads;
use super::produce::{PARTITIONS, SIZE};
use super::sender::{DELIVERY_TIMEOUT_MS, Queued, SETTINGS, Sender};
use super::target::{Session, Target};
use crate::commands::duration::parse_duration;
use crate::commands::output::table;
use crate::commands::progress::thousands;

/// As Kafka's own producer has it. librdkafka's default has no bound: a broker that handles a connection's requests one after
/// the other would get ever more of them, each with a single record, instead of fewer and larger ones.
const IN_FLIGHT: &str = "5";
/// A pause while librdkafka's queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);
/// Where the kernel is told how exactly this thread wants to be woken; its default is 50 µs too late.
const TIMER_SLACK: (&str, &str) = ("/proc/self/timerslack_ns", "1000");

/// `klamm bench latency`.
#[derive(Debug, Args)]
pub(crate) struct LatencyArgs {
    /// Records a second
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// The next record when the one before is acknowledged: requests a second
    #[arg(long, conflicts_with = "rate")]
    one_at_a_time: bool,
    /// Bytes of a record
    #[arg(short, long, default_value_t = SIZE, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    size: u32,
    #[command(flatten)]
    enough: Enough,
    /// The same before, for so long, which isn't counted
    #[arg(long, value_parser = parse_duration, default_value = "2s")]
    warm_up: Duration,
    /// Number the records, so that none is written twice
    #[arg(long)]
    idempotence: bool,
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
    one_at_a_time: bool,
    /// What was asked for.
    rate: Option<u64>,
    idempotence: bool,
    interrupted: bool,
    records: u64,
    failed: u64,
    seconds: f64,
    /// What became of it.
    records_per_second: f64,
    /// From when a record was due to its acknowledgement.
    latency_ms: Option<Percentiles>,
    /// From when a record was due to when the client handed it over; it is part of the latency.
    client_late_ms: Option<Percentiles>,
}

impl LatencyArgs {
    pub(super) fn run(self) -> Result<()> {
        // Only more exact; where it can't be done, lateness tells.
        let _ = std::fs::write(TIMER_SLACK.0, TIMER_SLACK.1);
        let mut session = self.target.open_in_sync(PARTITIONS)?;
        let settings = [
            ("linger.ms", "0"),
            ("max.in.flight.requests.per.connection", IN_FLIGHT),
            ("enable.idempotence", if self.idempotence { "true" } else { "false" }),
            ("message.timeout.ms", DELIVERY_TIMEOUT_MS),
        ];
        let config = session.config(&[settings.as_slice(), &SETTINGS].concat());
        let sender = Sender::new(&session, &config)?;
        let mut payloads = Payloads::new(self.size as usize);
        sender.write_to_each(session.partitions()?, payloads.next(), &session.stop, |_| {})?;
        session.progress.say("warming up …");
        let warm = |_, elapsed: Duration| elapsed.as_secs_f64() / self.warm_up.as_secs_f64().max(1e-9);
        self.send(&mut session, &sender, &mut payloads, &warm)?;
        let (began, late) = self.send(&mut session, &sender, &mut payloads, &|sent, elapsed| {
            self.enough.done(sent, elapsed)
        })?;
        session.progress.clear();
        let delivered = sender.delivered(began);
        let records = delivered.latencies.count();
        let seconds = delivered.took.as_secs_f64();
        let result = Measured {
            operation: "latency",
            topic: session.topic.name.clone(),
            partitions: session.topic.partitions,
            record_bytes: self.size,
            one_at_a_time: self.one_at_a_time,
            rate: (!self.one_at_a_time).then_some(self.rate),
            idempotence: self.idempotence,
            interrupted: session.stop.requested(),
            records,
            failed: delivered.failed,
            seconds,
            records_per_second: if seconds > 0.0 { records as f64 / seconds } else { 0.0 },
            latency_ms: delivered.latencies.percentiles(),
            client_late_ms: late.percentiles(),
        };
        self.target.output.write(&result, render)?;
        delivered.check(&session.topic.name)
    }

    /// Sends and waits for the answers, on a clock of its own.
    fn send(
        &self,
        session: &mut Session,
        sender: &Sender,
        payloads: &mut Payloads,
        done: &dyn Fn(u64, Duration) -> f64,
    ) -> Result<(Instant, Latencies)> {
        let interval = Duration::from_secs(1).div_f64(self.rate as f64);
        let (mut sent, mut late) = (0_u64, Latencies::default());
        let stop = session.stop.clone();
        let began = sender.start_clock();
        session.progress.restart();
        while !stop.requested() {
            let due = if self.one_at_a_time {
                sender.wait_for_answers(sent, &stop);
                Instant::now()
            } else {
                let due = began + interval.mul_f64(sent as f64);
                wait_until(due);
                due
            };
            let part = done(sent, began.elapsed());
            if part >= 1.0 {
                break;
            }
            late.add(due.elapsed());
            // Records without a key share a partition for some milliseconds, as with Kafka's own producer.
            let payload = payloads.next();
            while sender.send(payload, None, due)? == Queued::NotYet && !stop.requested() {
                stop.wait(QUEUE_FULL_PAUSE);
            }
            sent += 1;
            session
                .progress
                .show(part, sent, |rate| format!("{} sent ({rate:.0}/s)", thousands(sent)));
        }
        sender.drain(sent, &stop);
        Ok((began, late))
    }
}

/// Asleep, not spinning: the cores belong to the brokers.
fn wait_until(due: Instant) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}

fn render(result: &Measured) -> String {
    let header = [["records", "records/s"].as_slice(), &Percentiles::HEADINGS].concat();
    let row = [
        thousands(result.records),
        thousands(result.records_per_second.round() as u64),
    ];
    table(
        &header,
        [row.into_iter().chain(Percentiles::cells(result.latency_ms.as_ref()))],
    )
}
