//! What the log holds after the last record was sent: every partition from 0 to its end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use history::Event;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;

use super::consumers::{Quiet, assigned_consumer, note_refusal};
use super::plan::Plan;
use super::read_runs::ReadRuns;
use super::recorder::Recorder;

/// How long one question for an end may take.
const QUESTION: Duration = Duration::from_secs(3);
/// Right after a failover a leader doesn't know its high watermark yet (KIP-207).
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// Without a single record for so long, the reader gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait for one record.
const POLL: Duration = Duration::from_millis(100);

/// The ends of all partitions, written down.
pub(super) fn note_ends(plan: &Plan, recorder: &Recorder) -> Result<Vec<u64>> {
    let consumer: BaseConsumer<Quiet> = plan.consumer("klamm-verify-ends").create_with_context(Quiet)?;
    let deadline = Instant::now() + ENDS_WITHIN;
    let mut ends = Vec::new();
    for partition in 0..plan.partitions {
        let end = loop {
            match consumer.fetch_watermarks(&plan.topic, i32::try_from(partition)?, QUESTION) {
                Ok((_, end)) => break u64::try_from(end).context("an end below 0")?,
                Err(error) if Instant::now() > deadline => {
                    bail!("partition {partition} doesn't tell its end: {error}");
                }
                Err(_) => std::thread::park_timeout(POLL),
            }
        };
        recorder.record(Event::End { partition, offset: end });
        ends.push(end);
    }
    Ok(ends)
}

/// Reads everything below the ends. What can't be read is missing in the history, and so in the verdict.
pub(super) fn read_back(plan: &Plan, recorder: &Recorder, reader: u16, ends: &[u64]) -> Result<()> {
    let consumer = assigned_consumer(plan)?;
    let mut runs = ReadRuns::new(recorder.clone(), reader, plan.run);
    let mut left: Vec<bool> = ends.iter().map(|end| *end > 0).collect();
    let mut last = Instant::now();
    while left.contains(&true) && last.elapsed() < PATIENCE {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                last = Instant::now();
                let at = usize::try_from(message.partition()).unwrap_or(usize::MAX);
                let next = u64::try_from(message.offset()).map_or(0, |offset| offset + 1);
                let Some((left, end)) = left.get_mut(at).zip(ends.get(at)) else {
                    continue;
                };
                // Nobody writes any more: there is nothing above the end, and if there is, it shall be seen.
                runs.add(&message);
                *left = *left && next < *end;
            }
            Some(Err(error)) => note_refusal(recorder, reader, &error),
            None => runs.flush(),
        }
    }
    runs.flush();
    Ok(())
}
