//! `klamm bench topics`: from asking for many partitions until each of them has acknowledged a record.
//!
//! That the metadata names leaders and a full ISR is no proof that there are replicas: Apache Kafka's controller writes them
//! down at once, its brokers make the logs afterwards. An acknowledgement with acks=all is one.

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use clap::Args;
use serde::Serialize;

use super::latencies::{Latencies, Percentiles};
use super::sender::{SETTINGS, Sender};
use super::target::{Session, Target};
use crate::commands::output::table;
use crate::commands::progress::thousands;

/// Partitions when nobody says how many.
const PARTITIONS: u32 = 1_000;
/// A single record: what counts is that it is acknowledged.
const PAYLOAD: &[u8] = b"x";

/// The client hears of new leaders soon, and tries again soon.
const CLIENT: [(&str, &str); 6] = [
    ("linger.ms", "5"),
    ("message.timeout.ms", "600000"),
    ("retry.backoff.ms", "50"),
    ("retry.backoff.max.ms", "200"),
    ("topic.metadata.refresh.interval.ms", "2000"),
    ("topic.metadata.propagation.max.ms", "600000"),
];

/// `klamm bench topics`.
#[derive(Debug, Args)]
pub(crate) struct TopicsArgs {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    operation: &'static str,
    topic: String,
    partitions: u32,
    /// Until the creation was answered.
    create_seconds: f64,
    /// Until each partition had acknowledged a record, from the same moment.
    acknowledged_seconds: f64,
    /// Until the deletion was answered.
    delete_seconds: f64,
    /// From handing over each partition's record to its acknowledgement.
    latency_ms: Option<Percentiles>,
}

impl TopicsArgs {
    pub(super) fn run(self) -> Result<()> {
        let mut session = self.target.open(PARTITIONS)?;
        let Some((began, answered)) = session.topic.created else {
            bail!("what is measured is a topic's creation: leave --topic out");
        };
        let latencies = write_to_each(&mut session)?;
        let acknowledged = began.elapsed();
        ensure!(!session.stop.requested(), "interrupted");
        let Session { topic, .. } = session;
        let (name, partitions) = (topic.name.clone(), topic.partitions);
        let deleting = Instant::now();
        topic.delete()?;
        let result = Created {
            operation: "topics",
            topic: name,
            partitions,
            create_seconds: answered.as_secs_f64(),
            acknowledged_seconds: acknowledged.as_secs_f64(),
            delete_seconds: deleting.elapsed().as_secs_f64(),
            latency_ms: latencies.percentiles(),
        };
        self.target.output.write(&result, render)
    }
}

fn write_to_each(session: &mut Session) -> Result<Latencies> {
    let config = session.config(&[CLIENT.as_slice(), &SETTINGS].concat());
    let sender = Sender::new(session, &config)?;
    let began = sender.start_clock();
    let partitions = session.partitions()?;
    let all = f64::from(session.topic.partitions);
    let stop = session.stop.clone();
    let progress = &mut session.progress;
    sender.write_to_each(partitions, PAYLOAD, &stop, |acknowledged| {
        progress.show(acknowledged as f64 / all, acknowledged, |_| {
            format!("{} partitions have acknowledged a record", thousands(acknowledged))
        });
    })?;
    progress.clear();
    Ok(sender.delivered(began).latencies)
}

fn render(result: &Created) -> String {
    table(
        &["partitions", "created s", "acknowledged s", "deleted s"],
        [[
            thousands(u64::from(result.partitions)),
            format!("{:.3}", result.create_seconds),
            format!("{:.3}", result.acknowledged_seconds),
            format!("{:.3}", result.delete_seconds),
        ]],
    )
}
