//! `klamm bench latency`: how long until a record is acknowledged, at a rate that the cluster keeps up with easily.
//!
//! A record's time counts from when it was due, not from when the client got round to it: a client that was kept from sending
//! by what it measures would flatter the cluster. How late the client itself was is told besides.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::enough::Enough;
use super::latencies::{Latencies, Percentiles, latency_table};
use super::payloads::Payloads;
use super::produce::{PARTITIONS, SIZE};
use super::sender::{DELIVERY_TIMEOUT_MS, SETTINGS, Sender};
use super::target::{Session, Target};
use crate::commands::duration::parse_duration;
use crate::commands::progress::thousands;

/// As Kafka's own producer has it. librdkafka's default has no bound: a broker that handles a connection's requests one after
/// the other would get ever more of them, each with a single record, instead of fewer and larger ones.
const IN_FLIGHT: &str = "5";
/// Records without a key share a partition for so long, as with Kafka's own producer; without it and without lingering, librdkafka
/// rolls a die for each record, and none ever shares a request.
const STICKY_MS: &str = "10";
/// Where the kernel is told how exactly this thread wants to be woken; its default is 50 µs too late.
const TIMER_SLACK: (&str, &str) = ("/proc/self/timerslack_ns", "1000");

/// `klamm bench latency`.
#[derive(Debug, Args)]
pub(crate) struct LatencyArgs {
    /// Records a second
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Hand over together what is due in so long, as in 2ms: fewer and larger requests [default: each record by itself]
    #[arg(long, value_parser = parse_duration, default_value = "0s", hide_default_value = true)]
    every: Duration,
    /// The next record when the one before is acknowledged: requests a second
    #[arg(long, conflicts_with_all = ["rate", "every"])]
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
    every_ms: f64,
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
            ("sticky.partitioning.linger.ms", STICKY_MS),
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
            every_ms: self.every.as_secs_f64() * 1e3,
            idempotence: self.idempotence,
            interrupted: session.stop.requested(),
            records,
            failed: delivered.failed,
            seconds,
            records_per_second: if seconds > 0.0 { records as f64 / seconds } else { 0.0 },
            latency_ms: delivered.latencies.percentiles(),
            client_late_ms: late.percentiles(),
        };
        self.target.output.write(&result, |result| {
            latency_table(result.records, result.records_per_second, result.latency_ms.as_ref())
        })?;
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
                let due = began + due_after(sent, interval, self.every);
                wait_until(due);
                due
            };
            let part = done(sent, began.elapsed());
            if part >= 1.0 {
                break;
            }
            late.add(due.elapsed());
            sender.send(payloads.next(), None, due, &stop, || {})?;
            sent += 1;
            session
                .progress
                .show(part, sent, |rate| format!("{} sent ({rate:.0}/s)", thousands(sent)));
        }
        sender.drain(sent, &stop);
        Ok((began, late))
    }
}

/// When a record is due: with all others of the same tick, if there are ticks.
fn due_after(sent: u64, interval: Duration, every: Duration) -> Duration {
    let due = interval.mul_f64(sent as f64);
    if every.is_zero() {
        return due;
    }
    every.mul_f64((due.as_secs_f64() / every.as_secs_f64()).floor())
}

/// Asleep, not spinning: the cores belong to the brokers.
pub(super) fn wait_until(due: Instant) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_due_one_by_one_or_by_the_tick() {
        let ms = Duration::from_millis;
        let half = Duration::from_micros(500);
        let dues = |every| [0, 1, 3, 4, 9].map(|sent| due_after(sent, half, every));
        assert_eq!(dues(Duration::ZERO), [ms(0), half, 3 * half, ms(2), 9 * half]);
        assert_eq!(dues(ms(2)), [ms(0), ms(0), ms(0), ms(2), ms(4)]);
    }
}
