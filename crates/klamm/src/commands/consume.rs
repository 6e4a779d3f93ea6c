//! `klamm consume`: prints records, with or without a group, through librdkafka.
//!
//! Without a group all partitions are assigned and nothing is committed. With one, the offsets of printed records are
//! committed, so that the next run goes on where this one stopped.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::connection::{CLIENT_ID, Connection};
use super::output::{Output, note};
use super::printed::Printed;
use super::produce::parse_pair;
use super::quiet::Quiet;
use super::record_format::{RecordFormat, json_of};
use super::topic::describe_topics;

/// librdkafka wants a group even where none is used; this one never joins nor commits.
pub(crate) const NO_GROUP: &str = "klamm-consume-without-group";

/// `klamm consume`.
#[derive(Debug, Args)]
pub(crate) struct ConsumeArgs {
    /// The topic
    topic: String,
    /// Begin with the oldest records [default: only new ones; a group goes on at its committed offsets]
    #[arg(long)]
    from_beginning: bool,
    /// Share the partitions with the other members of a group, and commit
    #[arg(short, long)]
    group: Option<String>,
    /// Only this partition; not with a group
    #[arg(short, long, conflicts_with = "group", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Print keys, too, with a tab between key and value
    #[arg(short, long, conflicts_with = "format")]
    key: bool,
    /// How to print a record: %k key, %v value, %t topic, %p partition, %o offset, %T timestamp, %h headers
    #[arg(short, long, value_parser = RecordFormat::parse)]
    format: Option<RecordFormat>,
    /// Stop after so many records
    #[arg(short = 'n', long)]
    max_messages: Option<u64>,
    /// Stop at the end of all partitions
    #[arg(short, long)]
    exit_at_end: bool,
    /// Any property of librdkafka; may be given more than once
    #[arg(short = 'X', long = "property", value_name = "KEY=VALUE", value_parser = parse_pair)]
    properties: Vec<(String, String)>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl ConsumeArgs {
    pub(super) async fn run(self) -> Result<()> {
        if self.max_messages == Some(0) {
            return Ok(());
        }
        // Asked first through our own client: it says in time, and clearly, when cluster or topic aren't there.
        let mut cluster = self.connection.connect().await?;
        let topic = describe_topics(&mut cluster, std::slice::from_ref(&self.topic)).await?;
        let topic = topic
            .first()
            .ok_or_else(|| anyhow!("the broker didn't answer for topic {}; try again", self.topic))?;
        let partitions: Vec<i32> = topic.partitions.iter().map(|partition| partition.partition).collect();
        drop(cluster);
        let consumer: StreamConsumer<Quiet> = self
            .config()
            .create_with_context(Quiet::default())
            .context("librdkafka refuses this configuration")?;
        // librdkafka pauses for half a second when a partition is assigned before its leader is known.
        consumer
            .fetch_metadata(Some(&self.topic), self.connection.timeout())
            .with_context(|| format!("finding the leaders of {} failed", self.topic))?;
        self.start(&consumer, &partitions)?;
        let printed = self.print(&consumer).await;
        if self.group.is_some() {
            match consumer.commit_consumer_state(CommitMode::Sync) {
                Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
                Err(error) => note(&format!("warning: the offsets were not committed: {error}")),
            }
        }
        printed
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.connection.bootstrap())
            .set("client.id", CLIENT_ID)
            .set("group.id", self.group.as_deref().unwrap_or(NO_GROUP))
            .set(
                "enable.auto.commit",
                if self.group.is_some() { "true" } else { "false" },
            )
            // Only what was printed is committed.
            .set("enable.auto.offset.store", "false")
            .set(
                "auto.offset.reset",
                if self.from_beginning { "earliest" } else { "latest" },
            )
            .set("enable.partition.eof", if self.exit_at_end { "true" } else { "false" })
            .set("allow.auto.create.topics", "false")
            .set("socket.timeout.ms", self.connection.timeout_ms().max(1_000).to_string())
            .set("fetch.wait.max.ms", "100");
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
    }

    fn start(&self, consumer: &StreamConsumer<Quiet>, partitions: &[i32]) -> Result<()> {
        if self.group.is_some() {
            consumer.subscribe(&[&self.topic]).context("subscribing failed")?;
            return Ok(());
        }
        let wanted: Vec<i32> = match self.partition {
            Some(partition) if !partitions.contains(&partition) => {
                let last = partitions.iter().max().copied().unwrap_or_default();
                bail!(
                    "topic {} has no partition {partition}: its partitions are 0 to {last}",
                    self.topic
                );
            }
            Some(partition) => vec![partition],
            None => partitions.to_vec(),
        };
        let offset = if self.from_beginning {
            Offset::Beginning
        } else {
            Offset::End
        };
        let mut assignment = TopicPartitionList::with_capacity(wanted.len());
        for partition in wanted {
            assignment
                .add_partition_offset(&self.topic, partition, offset)
                .context("assigning partitions failed")?;
        }
        consumer.assign(&assignment).context("assigning partitions failed")
    }

    /// Prints until the end that was asked for, or Ctrl-C.
    async fn print(&self, consumer: &StreamConsumer<Quiet>) -> Result<()> {
        let format = self.format.clone().unwrap_or_else(|| RecordFormat::plain(self.key));
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let mut ended: BTreeSet<i32> = BTreeSet::new();
        let mut gathered = Printed::default();
        let mut printed = 0_u64;
        loop {
            let received = tokio::select! {
                biased;
                // First: as long as records keep coming, nothing behind them is looked at.
                signal = &mut interrupted => {
                    signal.context("Ctrl-C can't be listened for")?;
                    return gathered.flush(consumer);
                }
                received = consumer.recv() => received,
                // Nothing is waiting: show what there is before sleeping.
                () = std::future::ready(()), if !gathered.is_empty() => {
                    gathered.flush(consumer)?;
                    continue;
                }
            };
            match received {
                Ok(record) => {
                    ended.remove(&record.partition());
                    self.append(&format, &record, gathered.bytes())?;
                    gathered.add(&record, self.group.is_some());
                    printed += 1;
                    if self.max_messages.is_some_and(|limit| printed >= limit) {
                        return gathered.flush(consumer);
                    }
                    if gathered.is_full() {
                        gathered.flush(consumer)?;
                        // The command's only thread hears of signals only when nothing is ready.
                        tokio::task::yield_now().await;
                    }
                }
                Err(KafkaError::PartitionEOF(partition)) => {
                    ended.insert(partition);
                    let assigned = consumer.assignment().map_or(0, |assignment| assignment.count());
                    if self.exit_at_end && ended.len() >= assigned {
                        return gathered.flush(consumer);
                    }
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    gathered.flush(consumer)?;
                    return Err(error).with_context(|| format!("reading {} failed", self.topic));
                }
            }
        }
    }

    fn append(&self, format: &RecordFormat, record: &BorrowedMessage<'_>, buffer: &mut Vec<u8>) -> Result<()> {
        if self.output.is_json() {
            serde_json::to_writer(&mut *buffer, &json_of(record))?;
            buffer.push(b'\n');
        } else {
            format.write(record, buffer);
        }
        Ok(())
    }
}

/// Errors that librdkafka gets over by itself.
pub(crate) fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
        )
    )
}
