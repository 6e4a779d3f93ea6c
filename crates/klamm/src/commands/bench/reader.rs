//! The consumer of a measurement: without a group, assigned to all partitions.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::target::Session;
use crate::commands::quiet::Quiet;

/// How long a question for leaders or ends may take.
const QUESTION: Duration = Duration::from_secs(10);

/// Settings of every consumer here.
const SETTINGS: [(&str, &str); 7] = [
    // librdkafka wants a group even where none is used; this one never joins nor commits.
    ("group.id", "klamm-bench-without-group"),
    ("enable.auto.commit", "false"),
    ("enable.partition.eof", "true"),
    // Ends are told soon; data never waits for it.
    ("fetch.wait.max.ms", "100"),
    ("allow.auto.create.topics", "false"),
    // As many as librdkafka's own measuring program: what limits the cluster shall not be the client's queue.
    ("queued.min.messages", "1000000"),
    // A reader whose queue of 64 MB was full once waits for a whole second otherwise, long after it is empty.
    ("fetch.queue.backoff.ms", "2"),
];

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Beginning,
    /// At the ends as they are now.
    Ends,
}

/// A consumer that knows the leaders; it reads when [`assign`] has told it what.
pub(super) fn reader(session: &Session) -> Result<BaseConsumer<Quiet>> {
    let consumer: BaseConsumer<Quiet> = session
        .config(&SETTINGS)
        .create_with_context(Quiet::default())
        .context("librdkafka refuses this configuration")?;
    let topic = &session.topic.name;
    // librdkafka pauses for half a second when a partition is assigned before its leader is known.
    consumer
        .fetch_metadata(Some(topic), QUESTION)
        .with_context(|| format!("finding the leaders of {topic} failed"))?;
    Ok(consumer)
}

/// The first offset of each partition, and the one after its last.
pub(super) fn limits(consumer: &BaseConsumer<Quiet>, session: &Session) -> Result<Vec<(i64, i64)>> {
    let topic = &session.topic.name;
    let limits = session.partitions()?.map(|partition| {
        consumer
            .fetch_watermarks(topic, partition, QUESTION)
            .with_context(|| format!("partition {partition} of {topic} doesn't tell its end"))
    });
    limits.collect()
}

/// From now on it reads.
pub(super) fn assign(consumer: &BaseConsumer<Quiet>, session: &Session, begin: Begin) -> Result<()> {
    let offsets: Vec<Offset> = match begin {
        Begin::Beginning => session.partitions()?.map(|_| Offset::Beginning).collect(),
        Begin::Ends => {
            let ends = limits(consumer, session)?.into_iter();
            ends.map(|(_, end)| Offset::Offset(end)).collect()
        }
    };
    let mut assignment = TopicPartitionList::new();
    for (partition, offset) in session.partitions()?.zip(offsets) {
        assignment.add_partition_offset(&session.topic.name, partition, offset)?;
    }
    consumer.assign(&assignment).context("assigning partitions failed")
}
