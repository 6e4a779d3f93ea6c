//! `klamm bench consume`: a topic from its beginning to its end.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use serde::Serialize;

use super::enough::Enough;
use super::payloads::Payloads;
use super::produce::{Codec, PARTITIONS, SIZE, fill};
use super::reader::{Begin, assign, limits, reader};
use super::sender::{DELIVERY_TIMEOUT_MS, SETTINGS, Sender};
use super::target::{Session, Target};
use super::throughput::Throughput;
use crate::commands::output::table;
use crate::commands::progress::thousands;
use crate::commands::quiet::Quiet;

/// How long to wait for one record before a look at the clock.
const POLL: Duration = Duration::from_millis(100);
/// Without a single record for so long, something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);
/// Records between two looks at the clock.
const LOOK_EVERY: u64 = 1_024;
/// Records that are written first, if no topic is named.
const RECORDS: u64 = 1_000_000;

/// `klamm bench consume`.
#[derive(Debug, Args)]
pub(crate) struct ConsumeArgs {
    /// Without --topic: records that are written first, which isn't measured
    #[arg(long, value_name = "COUNT", default_value_t = RECORDS, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// Bytes of each of those
    #[arg(short, long, default_value_t = SIZE, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    size: u32,
    /// The codec of their batches
    #[arg(short = 'z', long, value_enum, default_value = "none")]
    codec: Codec,
    /// End after so many records read [default: at the end of the topic]
    #[arg(short = 'n', long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Consumed {
    operation: &'static str,
    topic: String,
    partitions: u32,
    interrupted: bool,
    /// Bytes of keys and values.
    bytes: u64,
    #[serde(flatten)]
    throughput: Throughput,
}

impl ConsumeArgs {
    pub(super) fn run(self) -> Result<()> {
        let mut session = self.target.open_in_sync(PARTITIONS)?;
        if session.topic.created.is_some() {
            session
                .progress
                .say(&format!("writing {} records …", thousands(self.records)));
            self.write(&mut session)?;
            session.progress.say("reading them …");
        }
        let consumer = reader(&session)?;
        let (bytes, throughput) = self.read(&mut session, &consumer)?;
        drop(consumer);
        let result = Consumed {
            operation: "consume",
            topic: session.topic.name.clone(),
            partitions: session.topic.partitions,
            interrupted: session.stop.requested(),
            bytes,
            throughput,
        };
        self.target.output.write(&result, |result| {
            table(&Throughput::HEADINGS, [result.throughput.cells()])
        })
    }

    fn write(&self, session: &mut Session) -> Result<()> {
        let settings = [
            ("linger.ms", "10"),
            ("compression.codec", self.codec.name()),
            ("message.timeout.ms", DELIVERY_TIMEOUT_MS),
        ];
        let config = session.config(&[settings.as_slice(), &SETTINGS].concat());
        let sender = Sender::new(session, &config)?;
        let began = sender.start_clock();
        let mut payloads = Payloads::new(self.size as usize);
        let all = Enough::count(self.records);
        fill(session, &sender, &mut payloads, began, |sent, elapsed| {
            all.done(sent, elapsed)
        })?;
        sender.delivered(began).check(&session.topic.name)
    }

    fn read(&self, session: &mut Session, consumer: &BaseConsumer<Quiet>) -> Result<(u64, Throughput)> {
        let mut ended = vec![false; session.topic.partitions as usize];
        // Where offsets have gaps there are fewer, and the partitions' ends end it.
        let wanted = stored(consumer, session)?.min(self.count.unwrap_or(u64::MAX));
        let (mut records, mut bytes) = (0, 0);
        let stop = session.stop.clone();
        let began = Instant::now();
        let (mut timed, mut last) = (0, began);
        session.progress.restart();
        assign(consumer, session, Begin::Beginning)?;
        while records < wanted && ended.contains(&false) && !stop.requested() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    records += 1;
                    bytes += (message.payload().map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len)) as u64;
                    if records % LOOK_EVERY != 0 && records != wanted {
                        continue;
                    }
                    (timed, last) = (records, Instant::now());
                    let done = records as f64 / wanted as f64;
                    session.progress.show(done, records, |rate| {
                        format!("{} read ({rate:.0}/s)", thousands(records))
                    });
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    let at = usize::try_from(partition).unwrap_or(usize::MAX);
                    ended.get_mut(at).into_iter().for_each(|ended| *ended = true);
                }
                Some(Err(error)) if is_fatal(&error) => return Err(error.into()),
                Some(Err(_)) | None if last.elapsed() > PATIENCE => {
                    bail!(
                        "topic {} gave no record for {} s",
                        session.topic.name,
                        PATIENCE.as_secs()
                    );
                }
                Some(Err(_)) | None => {}
            }
        }
        if timed < records {
            last = Instant::now();
        }
        session.progress.clear();
        Ok((bytes, Throughput::of(records, bytes, last - began)))
    }
}

/// How many records there are now, going by the offsets.
fn stored(consumer: &BaseConsumer<Quiet>, session: &Session) -> Result<u64> {
    let mut all = 0;
    for (begin, end) in limits(consumer, session)? {
        all += u64::try_from(end - begin).unwrap_or(0);
    }
    Ok(all)
}

/// Errors that librdkafka doesn't get over by itself.
fn is_fatal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::Fatal
        )
    )
}
