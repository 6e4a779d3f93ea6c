//! Idempotent producers with `acks=all` that keep sending through every fault.
//!
//! A value is a [`::history::Identity`]: every record says by itself who sent it, and as what.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ::history::Identity;
use anyhow::anyhow;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, Message};

use crate::deadline::wait_until;
use crate::history::{History, Outcome, Sent};
use crate::members::Cluster;

/// Records of a producer that may wait for their answer: it stops sending above that.
const IN_FLIGHT: usize = 2_000;
/// Between two bursts.
const BURST_PAUSE: Duration = Duration::from_millis(5);

/// What shall be sent.
#[derive(Debug, Clone)]
pub struct WorkloadSpec {
    topic: String,
    partitions: i32,
    producers: u16,
    burst: u64,
    value_bytes: usize,
    settings: Vec<(String, String)>,
}

impl WorkloadSpec {
    /// Two producers, about 2000 records of 200 bytes a second each, round robin over the partitions.
    pub fn new(topic: &str, partitions: i32) -> Self {
        Self {
            topic: topic.to_owned(),
            partitions,
            producers: 2,
            burst: 10,
            value_bytes: 200,
            settings: Vec::new(),
        }
    }

    /// How many producers.
    #[must_use]
    pub fn producers(mut self, producers: u16) -> Self {
        self.producers = producers;
        self
    }

    /// A setting of librdkafka.
    #[must_use]
    pub fn setting(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    fn config(&self, cluster: &Cluster) -> ClientConfig {
        let mut config = cluster.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "5");
        // Longer than any fault of a test: what isn't answered by then is an outcome that the test must explain.
        config
            .set("message.timeout.ms", "120000")
            .set("request.timeout.ms", "10000")
            .set("retry.backoff.ms", "20");
        for (key, value) in &self.settings {
            config.set(key, value);
        }
        config
    }
}

/// Running producers.
#[derive(Debug)]
pub struct Workload {
    answers: Arc<Answers>,
    stop: Vec<SyncSender<()>>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Workload {
    /// Starts to send.
    ///
    /// # Errors
    /// librdkafka refused a setting.
    pub fn start(cluster: &Cluster, spec: &WorkloadSpec) -> anyhow::Result<Self> {
        let answers = Arc::new(Answers::default());
        let (mut stop, mut threads) = (Vec::new(), Vec::new());
        for producer in 0..spec.producers {
            let context = Context {
                answers: Arc::clone(&answers),
                waiting: Arc::default(),
            };
            let waiting = Arc::clone(&context.waiting);
            let client: ThreadedProducer<Context> = spec.config(cluster).create_with_context(context)?;
            let (sender, receiver) = sync_channel(1);
            let sending = Sending {
                producer,
                spec: spec.clone(),
                client,
                waiting,
            };
            threads.push(std::thread::spawn(move || sending.run(&receiver)));
            stop.push(sender);
        }
        Ok(Self { answers, stop, threads })
    }

    /// How many records were acknowledged so far.
    pub fn acked(&self) -> usize {
        self.answers.acked.load(Ordering::Relaxed)
    }

    /// Waits for `more` further acknowledgements: the cluster serves writes again, or still.
    ///
    /// # Errors
    /// They didn't come within `seconds`.
    pub fn wait_for_acks(&self, more: usize, seconds: u64) -> anyhow::Result<()> {
        let goal = self.acked() + more;
        wait_until(&format!("{more} more acknowledgements"), seconds, || {
            Ok((self.acked() >= goal).then_some(()))
        })
    }

    /// Waits until `count` records in all were answered, in whatever way.
    ///
    /// # Errors
    /// They weren't within `seconds`.
    pub fn wait_for_answers(&self, count: usize, seconds: u64) -> anyhow::Result<()> {
        wait_until(&format!("{count} answers"), seconds, || {
            let answers = self.answers.sent.lock().unwrap_or_else(PoisonError::into_inner).len();
            Ok((answers >= count).then_some(()))
        })
    }

    /// Stops sending, waits for the answers to everything sent, and gives the history.
    ///
    /// # Errors
    /// A producer ended with an error of its own, or answers were still missing after two minutes.
    pub fn finish(mut self) -> anyhow::Result<History> {
        self.stop.clear();
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| anyhow!("a producer's thread panicked"))??;
        }
        let sent = std::mem::take(&mut *self.answers.sent.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(History { sent })
    }
}

#[derive(Debug, Default)]
struct Answers {
    acked: AtomicUsize,
    sent: Mutex<Vec<Sent>>,
}

#[derive(Debug)]
struct Context {
    answers: Arc<Answers>,
    waiting: Arc<AtomicUsize>,
}

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<(u16, u64)>;

    fn delivery(&self, result: &DeliveryResult<'_>, sender: Self::DeliveryOpaque) {
        let (partition, outcome) = match result {
            Ok(message) => (
                message.partition(),
                Outcome::Acked(Some(message.offset()).filter(|offset| *offset >= 0)),
            ),
            Err((error, message)) => (message.partition(), failure(error)),
        };
        let (producer, sequence) = *sender;
        let mut sent = self.answers.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.push(Sent {
            producer,
            sequence,
            partition,
            outcome,
        });
        drop(sent);
        if matches!(outcome, Outcome::Acked(_)) {
            self.answers.acked.fetch_add(1, Ordering::Relaxed);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Only a refusal before the append proves that a record isn't in the log. NOT_ENOUGH_REPLICAS is one, but a retry may
/// have followed an attempt that was cut off, so it counts only where there was no retry, which the caller's settings decide:
/// librdkafka reports it as the final error then.
fn failure(error: &KafkaError) -> Outcome {
    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
    match code {
        RDKafkaErrorCode::NotEnoughReplicas
        | RDKafkaErrorCode::MessageSizeTooLarge
        | RDKafkaErrorCode::InvalidRequiredAcks
        | RDKafkaErrorCode::TopicAuthorizationFailed => Outcome::Refused(code),
        _ => Outcome::Unknown(code),
    }
}

struct Sending {
    producer: u16,
    spec: WorkloadSpec,
    client: ThreadedProducer<Context>,
    waiting: Arc<AtomicUsize>,
}

impl Sending {
    /// Sends until the other end of `stop` is gone.
    fn run(&self, stop: &Receiver<()>) -> anyhow::Result<()> {
        let partitions = usize::try_from(self.spec.partitions)?;
        let mut sequences = vec![0_u64; partitions];
        let mut turn = 0;
        while matches!(stop.recv_timeout(BURST_PAUSE), Err(RecvTimeoutError::Timeout)) {
            if self.waiting.load(Ordering::Relaxed) > IN_FLIGHT {
                continue;
            }
            for _ in 0..self.spec.burst {
                let partition = turn % partitions;
                self.send(partition, sequences[partition])?;
                sequences[partition] += 1;
                turn += 1;
            }
        }
        Ok(self.client.flush(Duration::from_secs(130))?)
    }

    fn send(&self, partition: usize, sequence: u64) -> anyhow::Result<()> {
        let identity = Identity {
            run: 0,
            producer: self.producer,
            partition: u32::try_from(partition)?,
            sequence,
        };
        let mut value = Vec::new();
        identity.write(None, self.spec.value_bytes, &mut value);
        let record: BaseRecord<'_, (), [u8], _> =
            BaseRecord::with_opaque_to(&self.spec.topic, Box::new((self.producer, sequence)))
                .partition(i32::try_from(partition)?)
                .payload(&value);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.client
            .send(record)
            .map_err(|(error, _)| anyhow!("producer {}: {error}", self.producer))
    }
}
