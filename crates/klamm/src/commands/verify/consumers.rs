//! Readers without a group: each reads all partitions from their beginning, as the records come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use history::Event;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::plan::Plan;
use super::read_runs::ReadRuns;
use super::recorder::Recorder;

/// How long to wait for a record before what was got is written down.
const POLL: Duration = Duration::from_millis(50);
/// How long readers may take to end; a coordinator that is down is waited for.
const END_WITHIN: Duration = Duration::from_secs(60);

/// Running readers.
#[derive(Debug)]
pub(super) struct Consumers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// By reader and partition: the offset after the last one got.
    positions: Vec<Arc<Vec<AtomicU64>>>,
}

impl Consumers {
    /// Starts `plan.consumers` readers, whose numbers begin at `first`.
    pub(super) fn start(plan: &Plan, recorder: &Recorder, first: u16) -> Result<Self> {
        let stop = Arc::<AtomicBool>::default();
        let (mut threads, mut positions) = (Vec::new(), Vec::new());
        for reader in first..first + plan.consumers {
            let consumer = assigned_consumer(plan)?;
            let own: Arc<Vec<AtomicU64>> = Arc::new((0..plan.partitions).map(|_| AtomicU64::new(0)).collect());
            positions.push(Arc::clone(&own));
            let mut runs = ReadRuns::new(recorder.clone(), reader, plan.run);
            let (stop, recorder) = (Arc::clone(&stop), recorder.clone());
            let builder = std::thread::Builder::new().name(format!("consumer-{reader}"));
            threads.push(builder.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match consumer.poll(POLL) {
                        Some(Ok(message)) => {
                            runs.add(&message);
                            let partition = usize::try_from(message.partition()).unwrap_or(usize::MAX);
                            if let Some(place) = own.get(partition) {
                                let next = u64::try_from(message.offset()).map_or(0, |offset| offset + 1);
                                place.store(next, Ordering::Relaxed);
                            }
                        }
                        Some(Err(error)) => note_refusal(&recorder, reader, &error),
                        None => runs.flush(),
                    }
                }
                runs.flush();
            })?);
        }
        Ok(Self {
            stop,
            threads,
            positions,
        })
    }

    /// A partition in which a reader hasn't got everything below its end yet, in words.
    pub(super) fn behind(&self, ends: &[u64]) -> Option<String> {
        self.positions.iter().enumerate().find_map(|(reader, positions)| {
            let positions = positions.iter().map(|position| position.load(Ordering::Relaxed));
            let behind = positions
                .zip(ends)
                .enumerate()
                .find(|(_, (position, end))| position < *end);
            behind.map(|(partition, (position, end))| {
                format!("consumer {reader} is at offset {position} of {end} in partition {partition}")
            })
        })
    }

    /// Ends them.
    pub(super) fn finish(self, recorder: &Recorder) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        join("consumer", self.threads, recorder).map(drop)
    }
}

/// Waits for readers that were told to end, and leaves those that don't to themselves: librdkafka may wait for a coordinator that
/// never comes back, and a run against a cluster that is gone has to end with a verdict, too.
pub(super) fn join<T>(what: &str, threads: Vec<JoinHandle<T>>, recorder: &Recorder) -> Result<Vec<T>> {
    let deadline = Instant::now() + END_WITHIN;
    let mut ended = Vec::new();
    for thread in threads {
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::park_timeout(POLL);
        }
        if thread.is_finished() {
            ended.push(thread.join().map_err(|_| anyhow!("a {what}'s thread panicked"))?);
        } else {
            let what = format!("a {what} hasn't ended {} s after it was told to", END_WITHIN.as_secs());
            recorder.record(Event::Stalled { what });
        }
    }
    Ok(ended)
}

/// Silences librdkafka's log.
#[derive(Debug)]
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}
}

impl ConsumerContext for Quiet {}

/// With `auto.offset.reset=error` librdkafka says once that a position was refused, and reads that partition no more. All
/// other errors it gets over by itself.
pub(super) fn note_refusal(recorder: &Recorder, reader: u16, error: &KafkaError) {
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
        let error = error.to_string();
        recorder.record(Event::OutOfRange { reader, error });
    }
}

/// A consumer that begins at the beginning of every partition.
pub(super) fn assigned_consumer(plan: &Plan) -> Result<BaseConsumer<Quiet>> {
    let mut config = plan.consumer("klamm-verify-without-group");
    config.set("auto.offset.reset", "error");
    let consumer: BaseConsumer<Quiet> = config
        .create_with_context(Quiet)
        .context("librdkafka refuses this configuration")?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..plan.partitions {
        let partition = i32::try_from(partition)?;
        assignment.add_partition_offset(&plan.topic, partition, Offset::Offset(0))?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}
