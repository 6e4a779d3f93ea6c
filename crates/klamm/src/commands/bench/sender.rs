//! The producer of a measurement, and what became of its records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, ProducerContext, ThreadedProducer};

use super::latencies::Latencies;
use super::target::Session;
use crate::commands::output::UnreachableNote;
use crate::stop_signal::StopSignal;

/// After that a record counts as failed.
pub(super) const DELIVERY_TIMEOUT_MS: &str = "60000";
/// Between two looks at what is still waiting.
const LOOK: Duration = Duration::from_millis(1);

/// Settings of every producer here: an acknowledgement means all in-sync replicas.
pub(super) const SETTINGS: [(&str, &str); 3] = [
    ("acks", "all"),
    // As many as librdkafka's own measuring program takes, but no more memory than that.
    ("queue.buffering.max.messages", "200000"),
    ("queue.buffering.max.kbytes", "262144"),
];

/// A producer.
pub(super) struct Sender {
    client: ThreadedProducer<Deliveries>,
    deliveries: Arc<State>,
    topic: String,
}

/// What became of the records since the clock started.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) latencies: Latencies,
    pub(super) failed: u64,
    /// From the start of the clock to the last acknowledgement.
    pub(super) took: Duration,
    first_error: Option<String>,
}

impl Delivered {
    /// An error if records weren't written.
    pub(super) fn check(&self, topic: &str) -> Result<()> {
        match &self.first_error {
            None => Ok(()),
            Some(error) => bail!(
                "{} of {} records were not written to {topic}, the first because: {error}",
                self.failed,
                self.failed + self.latencies.count()
            ),
        }
    }
}

#[derive(Debug)]
struct State {
    /// What the times of records count from.
    origin: Instant,
    answers: Mutex<Answers>,
    acknowledged: AtomicU64,
    answered: AtomicU64,
    /// Woken at every answer, if it wants to be.
    waiter: Thread,
    wake: AtomicBool,
}

#[derive(Debug, Default)]
struct Answers {
    latencies: Latencies,
    failed: u64,
    first_error: Option<String>,
    last: Option<Instant>,
}

#[derive(Debug)]
struct Deliveries {
    state: Arc<State>,
    unreachable: UnreachableNote,
}

impl ClientContext for Deliveries {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {
        // Errors come with the records they concern.
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.unreachable.on_error(&error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    /// Nanoseconds since the origin: a box for each record would cost more than the record.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, since: usize) {
        let state = &self.state;
        let now = Instant::now();
        let mut answers = state.answers.lock();
        match result {
            Ok(_) => {
                let took = (now - state.origin).saturating_sub(Duration::from_nanos(since as u64));
                answers.latencies.add(took);
                answers.last = Some(now);
                state.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                answers.failed += 1;
                answers.first_error.get_or_insert_with(|| error.to_string());
            }
        }
        drop(answers);
        state.answered.fetch_add(1, Ordering::Release);
        if state.wake.load(Ordering::Relaxed) {
            state.waiter.unpark();
        }
    }
}

impl Sender {
    /// Connects; the calling thread is the one that will wait for answers.
    pub(super) fn new(session: &Session, config: &ClientConfig) -> Result<Self> {
        let state = Arc::new(State {
            origin: Instant::now(),
            answers: Mutex::default(),
            acknowledged: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            waiter: std::thread::current(),
            wake: AtomicBool::new(false),
        });
        let context = Deliveries {
            state: Arc::clone(&state),
            unreachable: UnreachableNote::default(),
        };
        Ok(Self {
            client: config
                .create_with_context(context)
                .context("librdkafka refuses this configuration")?,
            deliveries: state,
            topic: session.topic.name.clone(),
        })
    }

    /// Writes a record to every partition, and waits: connections are there afterwards, and leaders known. `after_each` may
    /// say how many are acknowledged.
    pub(super) fn write_to_each(
        &self,
        partitions: std::ops::Range<i32>,
        payload: &[u8],
        stop: &StopSignal,
        mut after_each: impl FnMut(u64),
    ) -> Result<()> {
        let mut sent = 0;
        for partition in partitions {
            self.send(payload, Some(partition), Instant::now(), stop, || {})?;
            sent += 1;
        }
        while self.answered() < sent && !stop.requested() {
            after_each(self.acknowledged());
            stop.wait(LOOK);
        }
        let answers = self.deliveries.answers.lock();
        match &answers.first_error {
            Some(error) => Err(anyhow!("writing to {} failed: {error}", self.topic)),
            None => Ok(()),
        }
    }

    /// Starts the clock: what was written before counts no more. Nothing may be on its way.
    pub(super) fn start_clock(&self) -> Instant {
        *self.deliveries.answers.lock() = Answers::default();
        self.deliveries.acknowledged.store(0, Ordering::Relaxed);
        self.deliveries.answered.store(0, Ordering::Release);
        Instant::now()
    }

    /// Hands a record over, and waits for room in librdkafka's queue as long as nobody wants to stop; `meanwhile` is called at each
    /// look. The record's time counts from `since`.
    pub(super) fn send(
        &self,
        payload: &[u8],
        partition: Option<i32>,
        since: Instant,
        stop: &StopSignal,
        mut meanwhile: impl FnMut(),
    ) -> Result<()> {
        let since = since.saturating_duration_since(self.deliveries.origin).as_nanos();
        let opaque = usize::try_from(since).unwrap_or(usize::MAX);
        loop {
            let mut record: BaseRecord<'_, (), [u8], usize> =
                BaseRecord::with_opaque_to(&self.topic, opaque).payload(payload);
            record.partition = partition;
            match self.client.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) if stop.requested() => {
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    meanwhile();
                    stop.wait(LOOK);
                }
                Err((error, _)) => {
                    return Err(error).with_context(|| format!("a record for {} was refused", self.topic));
                }
            }
        }
    }

    /// How many are acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.deliveries.acknowledged.load(Ordering::Relaxed)
    }

    fn answered(&self) -> u64 {
        self.deliveries.answered.load(Ordering::Acquire)
    }

    /// Waits until so many are answered, one way or the other, and is woken by the answer itself. Every record is, by its
    /// own timeout at the latest; somebody who wants to stop doesn't wait for that.
    pub(super) fn wait_for_answers(&self, sent: u64, stop: &StopSignal) {
        self.deliveries.wake.store(true, Ordering::Relaxed);
        while self.answered() < sent && !stop.requested() {
            stop.wait(Duration::from_millis(100));
        }
        self.deliveries.wake.store(false, Ordering::Relaxed);
    }

    /// Waits for the answers to all that was sent, without librdkafka's flush: that would change how batches are made.
    pub(super) fn drain(&self, sent: u64, stop: &StopSignal) {
        while self.answered() < sent && !stop.requested() {
            stop.wait(LOOK);
        }
    }

    /// What became of everything since the clock was started at `began`.
    pub(super) fn delivered(&self, began: Instant) -> Delivered {
        let mut answers = std::mem::take(&mut *self.deliveries.answers.lock());
        Delivered {
            took: answers.last.map_or(Duration::ZERO, |last| last - began),
            failed: answers.failed,
            first_error: answers.first_error.take(),
            latencies: answers.latencies,
        }
    }
}
