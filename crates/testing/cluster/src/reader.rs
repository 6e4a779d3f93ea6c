//! Reads whole topics back, without a group.

use std::collections::BTreeMap;
use std::time::Duration;

use ::history::Identity;
use anyhow::ensure;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::deadline::Deadline;
use crate::members::Cluster;

/// A record as a consumer got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRecord {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its value.
    pub value: Vec<u8>,
}

impl ReadRecord {
    /// Producer and sequence of a record that a [`crate::Workload`] sent.
    ///
    /// # Errors
    /// It is no such record, it was damaged, or sent to another partition.
    pub fn sender(&self) -> anyhow::Result<(u16, u64)> {
        let identity = Identity::read(None, &self.value)?;
        let own = u32::try_from(self.partition)?;
        ensure!(identity.partition == own, "sent to partition {}", identity.partition);
        Ok((identity.producer, identity.sequence))
    }
}

/// Everything from the beginning to the high watermarks at the time of the call, each partition in the order it came.
///
/// # Errors
/// A partition had no leader, or the end wasn't reached within `seconds`.
pub fn read_all(cluster: &Cluster, topic: &str, seconds: u64) -> anyhow::Result<Vec<ReadRecord>> {
    let deadline = Deadline::seconds(seconds);
    let ends = high_watermarks(cluster, topic, deadline)?;
    let mut config = cluster.client();
    config
        .set("group.id", "reads-all")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true");
    let consumer: BaseConsumer = config.create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in ends.keys() {
        assignment.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut left: BTreeMap<i32, i64> = ends.into_iter().filter(|(_, end)| *end > 0).collect();
    let mut records = Vec::new();
    while !left.is_empty() {
        ensure!(
            !deadline.is_over(),
            "read {} records in {seconds} s; (partition, end) not reached: {left:?}",
            records.len()
        );
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else {
            continue;
        };
        let (partition, offset) = (message.partition(), message.offset());
        if left.get(&partition).is_some_and(|end| offset + 1 >= *end) {
            left.remove(&partition);
        }
        records.push(ReadRecord {
            partition,
            offset,
            value: message.payload().unwrap_or_default().to_vec(),
        });
    }
    Ok(records)
}

/// The high watermark of each partition.
pub(crate) fn high_watermarks(
    cluster: &Cluster,
    topic: &str,
    deadline: Deadline,
) -> anyhow::Result<BTreeMap<i32, i64>> {
    let consumer: BaseConsumer = cluster.client().create()?;
    let mut ends = BTreeMap::new();
    for partition in cluster.partitions(topic)? {
        let end = loop {
            // Right after a failover the leader doesn't know its high watermark yet (KIP-207): ask again.
            match consumer.fetch_watermarks(topic, partition.partition, Duration::from_secs(2)) {
                Ok((_, end)) => break end,
                Err(error) => ensure!(
                    !deadline.is_over(),
                    "high watermark of {topic}-{}: {error}",
                    partition.partition
                ),
            }
        };
        ends.insert(partition.partition, end);
    }
    Ok(ends)
}
