//! Idempotent producers with `acks=all` that keep sending through every fault.
//!
//! Each has a codec, a linger time and a batch size of its own; keys, partitions, sizes and bursts are mixed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use history::{Event, Identity, Records};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer};

use super::plan::Plan;
use super::recorder::Recorder;

/// Records of one producer to one partition that may wait for their answers.
const IN_FLIGHT: usize = 1_000;
/// The same over all partitions: librdkafka's queue takes a few more.
const IN_FLIGHT_OF_ALL: usize = 90_000;
/// Between two bursts.
const PAUSE: Duration = Duration::from_millis(4);
/// Unsent records of the past that are made up for.
const BACKLOG: Duration = Duration::from_millis(100);
/// Records that are handed over one after the other, to one partition.
const BURST_MAX: u32 = 50;
/// What is tried between two pauses when nobody says how much; partitions that have enough waiting refuse.
const UNLIMITED: f64 = 2_000.0;
/// Acknowledgements that come so close together are one event.
const ONE_EVENT_US: u64 = 200;
/// How long a producer that can't go on may take to give its records up.
const GIVE_UP_WITHIN: Duration = Duration::from_secs(10);

/// Running producers.
#[derive(Debug)]
pub(super) struct Producers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Producers {
    /// Starts them.
    pub(super) fn start(plan: &Plan, recorder: &Recorder, seed: u64) -> Result<Self> {
        let stop = Arc::<AtomicBool>::default();
        let mut threads = Vec::new();
        for number in 0..plan.producers {
            let answers = Arc::new(Answers::new(recorder.clone(), number, plan.partitions));
            let sending = Sending {
                number,
                plan: plan.clone(),
                recorder: recorder.clone(),
                client: client(plan, &answers)?,
                answers,
                next: vec![0; plan.partitions as usize],
                random: SmallRng::seed_from_u64(seed ^ u64::from(number)),
                value: Vec::new(),
            };
            let stop = Arc::clone(&stop);
            let builder = std::thread::Builder::new().name(format!("producer-{number}"));
            threads.push(builder.spawn(move || sending.run(&stop))?);
        }
        Ok(Self { stop, threads })
    }

    /// Whether one has ended with an error of its own.
    pub(super) fn any_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Stops sending and waits for the answers to everything sent.
    pub(super) fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow!("a producer's thread panicked"))??;
        }
        Ok(())
    }
}

fn client(plan: &Plan, answers: &Arc<Answers>) -> Result<ThreadedProducer<Context>> {
    let context = Context(Arc::clone(answers));
    plan.producer(answers.producer)
        .create_with_context(context)
        .context("librdkafka refuses this configuration")
}

/// What a producer is told.
#[derive(Debug)]
struct Answers {
    recorder: Recorder,
    producer: u16,
    /// By partition: records without an answer.
    waiting: Vec<AtomicUsize>,
    open: Mutex<Option<Open>>,
}

/// Acknowledgements that may go on.
#[derive(Debug)]
struct Open {
    us: u64,
    offset: Option<u64>,
    records: Records,
}

impl Answers {
    fn new(recorder: Recorder, producer: u16, partitions: u32) -> Self {
        Self {
            recorder,
            producer,
            waiting: (0..partitions).map(|_| AtomicUsize::new(0)).collect(),
            open: Mutex::new(None),
        }
    }

    fn all_waiting(&self) -> usize {
        self.waiting.iter().map(|waiting| waiting.load(Ordering::Relaxed)).sum()
    }

    fn waiting(&self, partition: u32) -> Option<&AtomicUsize> {
        self.waiting.get(partition as usize)
    }

    fn on_acked(&self, partition: u32, sequence: u64, offset: Option<u64>) {
        let us = self.recorder.us();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.as_mut() {
            let count = u64::from(open.records.count);
            let follows = open.records.partition == partition
                && open.records.sequence + count == sequence
                && open.offset.map(|first| first + count) == offset
                && us.saturating_sub(open.us) < ONE_EVENT_US;
            if follows {
                open.records.count += 1;
                return;
            }
        }
        let records = Records {
            producer: self.producer,
            partition,
            sequence,
            count: 1,
        };
        let before = open.replace(Open { us, offset, records });
        self.write(before);
    }

    /// It is not in the log, if `is_refusal`; else nobody knows.
    fn on_failed(&self, partition: u32, sequence: u64, error: &KafkaError, is_refusal: bool) {
        self.flush();
        let records = Records {
            producer: self.producer,
            partition,
            sequence,
            count: 1,
        };
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let error = format!("{code:?}");
        self.recorder.record(if is_refusal {
            Event::Refused { records, error }
        } else {
            Event::Unknown { records, error }
        });
    }

    fn flush(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.write(open);
    }

    fn write(&self, open: Option<Open>) {
        if let Some(Open { us, offset, records }) = open {
            self.recorder.record_at(us, Event::Acked { records, offset });
        }
    }
}

/// Only a refusal of the request itself proves that a record isn't in the log: another error may follow an attempt that was
/// written, and whose answer was lost.
fn is_refusal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidRequiredAcks
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::InvalidRecord
        )
    )
}

#[derive(Debug, Clone)]
struct Context(Arc<Answers>);

impl ClientContext for Context {
    /// Silent, unless somebody looks for something: `-X log_level=7 -X debug=eos` puts it among the history's notes.
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        let text = format!("producer {}: {facility} {message}", self.0.producer);
        self.0.recorder.record(Event::Note { text });
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            let text = format!("producer {}: {reason}", self.0.producer);
            self.0.recorder.record(Event::Note { text });
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = Box<(u32, u64)>;

    fn delivery(&self, result: &DeliveryResult<'_>, record: Box<(u32, u64)>) {
        let (partition, sequence) = *record;
        match result {
            Ok(message) => self
                .0
                .on_acked(partition, sequence, u64::try_from(message.offset()).ok()),
            Err((error, _)) => self.0.on_failed(partition, sequence, error, is_refusal(error)),
        }
        if let Some(waiting) = self.0.waiting(partition) {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

struct Sending {
    number: u16,
    plan: Plan,
    recorder: Recorder,
    client: ThreadedProducer<Context>,
    answers: Arc<Answers>,
    /// By partition: the next sequence.
    next: Vec<u64>,
    random: SmallRng,
    value: Vec<u8>,
}

impl Sending {
    fn run(mut self, stop: &AtomicBool) -> Result<()> {
        let rate = self.plan.rate.map(|rate| rate as f64 / f64::from(self.plan.producers));
        let mut last = Instant::now();
        let mut budget = 0.0;
        let mut burst = 1;
        while !stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(PAUSE);
            self.answers.flush();
            if self.client.client().fatal_error().is_some() {
                self.replace_client()?;
            }
            let now = Instant::now();
            budget = match rate {
                Some(rate) => {
                    let most = (rate * BACKLOG.as_secs_f64()).max(f64::from(BURST_MAX));
                    (budget + rate * (now - last).as_secs_f64()).min(most)
                }
                None => UNLIMITED,
            };
            last = now;
            while budget >= f64::from(burst) {
                budget -= f64::from(burst);
                self.burst(burst);
                burst = self.random.random_range(1..=BURST_MAX);
            }
        }
        let flushed = self.client.flush(self.plan.answers_within());
        self.answers.flush();
        match flushed {
            Ok(()) | Err(KafkaError::Flush(_)) => Ok(()),
            Err(error) => Err(error).context("waiting for the last answers failed"),
        }
    }

    /// Sends to one partition; one that doesn't answer is left alone, so that the others go on.
    fn burst(&mut self, count: u32) {
        let partition = self.random.random_range(0..self.plan.partitions);
        let Some(waiting) = self.answers.waiting(partition) else {
            return;
        };
        let limit = IN_FLIGHT.min(IN_FLIGHT_OF_ALL / self.plan.partitions as usize).max(50);
        if waiting.load(Ordering::Relaxed) + count as usize > limit {
            return;
        }
        waiting.fetch_add(count as usize, Ordering::Relaxed);
        let Some(next) = self.next.get_mut(partition as usize) else {
            return;
        };
        let first = *next;
        *next += u64::from(count);
        // Before the first of them is handed over: nobody may read what isn't announced.
        self.recorder.record(Event::Sent(Records {
            producer: self.number,
            partition,
            sequence: first,
            count,
        }));
        for at in 0..u64::from(count) {
            self.send(partition, first + at);
        }
    }

    fn send(&mut self, partition: u32, sequence: u64) {
        let key = match self.random.random_range(0..4) {
            0 => None,
            1 => Some(String::new()),
            2 => Some(format!("key-{}", self.random.random_range(0..100))),
            _ => Some(format!("{}-{sequence}", self.number)),
        };
        let bytes = match self.random.random_range(0..200) {
            0 => 20_000,
            1..=20 => self.random.random_range(1_000..4_000),
            _ => self.random.random_range(30..400),
        };
        let identity = Identity {
            run: self.plan.run,
            producer: self.number,
            partition,
            sequence,
        };
        identity.write(key.as_deref().map(str::as_bytes), bytes, &mut self.value);
        let opaque = Box::new((partition, sequence));
        let mut record: BaseRecord<'_, str, [u8], _> =
            BaseRecord::with_opaque_to(&self.plan.topic, opaque).payload(&self.value);
        record = record.partition(i32::try_from(partition).unwrap_or(i32::MAX));
        if let Some(key) = &key {
            record = record.key(key);
        }
        if let Err((error, _)) = self.client.send(record) {
            // It was never queued, whatever the reason.
            self.answers.on_failed(partition, sequence, &error, true);
            if let Some(waiting) = self.answers.waiting(partition) {
                waiting.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// librdkafka says that this producer can't go on; its records were given up, or are about to be.
    fn replace_client(&mut self) -> Result<()> {
        let deadline = Instant::now() + GIVE_UP_WITHIN;
        while self.answers.all_waiting() > 0 && Instant::now() < deadline {
            std::thread::park_timeout(PAUSE);
        }
        self.answers.flush();
        self.client = client(&self.plan, &self.answers)?;
        Ok(())
    }
}
