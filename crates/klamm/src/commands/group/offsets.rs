//! What a group has committed, where its partitions begin and end, and how old its next record is.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use records::BatchHeader;
use wire::messages::fetch_request::{FetchPartition, FetchTopic};
use wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use wire::messages::{
    BrokerId, FetchRequest, GroupId, ListOffsetsRequest, MetadataResponse, OffsetFetchRequest, TopicName,
};
use wire::protocol::StrBytes;

use crate::commands::brokers::Brokers;
use crate::commands::error_advice::refusal;

/// A topic's name and a partition's number.
pub(crate) type TopicPartition = (String, i32);

/// By partition: the offset, none where there is no such record, or Kafka's error code.
pub(crate) type FoundOffsets = BTreeMap<TopicPartition, Result<Option<i64>, i16>>;

/// ListOffsets: the first record that is kept.
pub(crate) const EARLIEST: i64 = -2;
/// ListOffsets: behind the last committed record.
pub(crate) const LATEST: i64 = -1;
/// Later ones name topics by their ids only.
const OFFSET_FETCH_VERSION_MAX: i16 = 9;
const FETCH_VERSION_MAX: i16 = 12;
/// No replica: a client.
const NO_REPLICA: BrokerId = BrokerId(-1);

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// An offset that a group has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    /// Of the last record before it, if the member that committed it knew.
    pub(crate) leader_epoch: Option<i32>,
}

/// What the group has committed; the other partitions have nothing.
pub(crate) async fn committed_offsets(
    brokers: &mut Brokers,
    coordinator: i32,
    group: &str,
) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
    let asked = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
        .with_topics(None);
    let request = OffsetFetchRequest::default().with_groups(vec![asked]);
    let response = brokers
        .call_up_to(coordinator, &request, OFFSET_FETCH_VERSION_MAX)
        .await?;
    let what = format!("reading the offsets of group {group}");
    let mut committed = BTreeMap::new();
    for group in response.groups {
        if let Some(error) = refusal(&what, group.error_code, None) {
            return Err(error);
        }
        for topic in group.topics {
            let name = topic.name.to_string();
            for partition in topic
                .partitions
                .iter()
                .filter(|partition| partition.committed_offset >= 0)
            {
                let offset = CommittedOffset {
                    offset: partition.committed_offset,
                    leader_epoch: Some(partition.committed_leader_epoch).filter(|epoch| *epoch >= 0),
                };
                committed.insert((name.clone(), partition.partition_index), offset);
            }
        }
    }
    Ok(committed)
}

/// Who leads what.
pub(crate) fn leaders(metadata: &MetadataResponse) -> BTreeMap<TopicPartition, i32> {
    let topics = metadata
        .topics
        .iter()
        .filter_map(|topic| Some((topic.name.as_ref()?, topic)));
    topics
        .flat_map(|(name, topic)| {
            let partitions = topic.partitions.iter();
            partitions.map(move |one| ((name.to_string(), one.partition_index), one.leader_id.0))
        })
        .collect()
}

/// The offset of each partition's first record at or after `timestamp`, or a special one. Partitions without a leader are
/// missing.
pub(crate) async fn offsets_at(
    brokers: &mut Brokers,
    leaders: &BTreeMap<TopicPartition, i32>,
    wanted: impl IntoIterator<Item = &TopicPartition>,
    timestamp: i64,
) -> Result<FoundOffsets> {
    let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
    for place in wanted {
        if let Some(leader) = leaders.get(place).filter(|leader| **leader >= 0) {
            let topics = by_leader.entry(*leader).or_default();
            topics.entry(&place.0).or_default().push(place.1);
        }
    }
    let mut found = BTreeMap::new();
    for (leader, topics) in by_leader {
        let topics = topics.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|index| {
                ListOffsetsPartition::default()
                    .with_partition_index(index)
                    .with_timestamp(timestamp)
            });
            ListOffsetsTopic::default()
                .with_name(topic_name(name))
                .with_partitions(partitions.collect())
        });
        let request = ListOffsetsRequest::default()
            .with_replica_id(NO_REPLICA)
            .with_topics(topics.collect());
        for topic in brokers.call(leader, &request).await?.topics {
            for partition in &topic.partitions {
                let answer = match partition.error_code {
                    0 => Ok(Some(partition.offset).filter(|offset| *offset >= 0)),
                    code => Err(code),
                };
                found.insert((topic.name.to_string(), partition.partition_index), answer);
            }
        }
    }
    Ok(found)
}

/// How long ago the record at `offset` was written, in milliseconds: the time that a group is behind. By its batch's first timestamp.
pub(crate) async fn age_ms(
    brokers: &mut Brokers,
    leader: i32,
    place: &TopicPartition,
    offset: i64,
) -> Result<Option<u64>> {
    let partition = FetchPartition::default()
        .with_partition(place.1)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1);
    let topic = FetchTopic::default()
        .with_topic(topic_name(&place.0))
        .with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id(NO_REPLICA)
        .with_max_wait_ms(0)
        .with_max_bytes(1)
        .with_topics(vec![topic]);
    let response = brokers.call_up_to(leader, &request, FETCH_VERSION_MAX).await?;
    let partition = response.responses.into_iter().next().context("an empty answer")?;
    let partition = partition.partitions.into_iter().next().context("an empty answer")?;
    let header = partition
        .records
        .as_ref()
        .and_then(|bytes| BatchHeader::parse(bytes).ok());
    let written = header.and_then(|header| u64::try_from(header.base_timestamp.0).ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    Ok(written.map(|written| u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(written)))
}
