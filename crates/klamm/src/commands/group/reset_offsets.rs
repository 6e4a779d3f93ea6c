//! `klamm group reset-offsets`: commits other offsets for a group that nobody is in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::{ArgGroup, Args};
use serde::Serialize;
use wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::messages::{GroupId, OffsetCommitRequest};
use wire::protocol::StrBytes;

use super::group_command::coordinator_of;
use super::list::listed_groups;
use super::offsets::{
    CommittedOffset, EARLIEST, FoundOffsets, LATEST, TopicPartition, committed_offsets, leaders, offsets_at, topic_name,
};
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::duration::parse_duration;
use crate::commands::error_advice::refusal;
use crate::commands::output::{Output, table};

/// Later ones name topics by their ids only.
const COMMIT_VERSION_MAX: i16 = 9;

/// `klamm group reset-offsets`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true))]
pub(crate) struct ResetOffsetsArgs {
    /// The group; it must have no members
    name: String,
    /// A topic, all of it or some partitions, as in orders or orders:0,3; may be given more than once
    #[arg(
        short,
        long = "topic",
        value_name = "TOPIC[:PARTITIONS]",
        required_unless_present = "all_topics"
    )]
    topics: Vec<String>,
    /// Every topic that the group has committed offsets of
    #[arg(long, conflicts_with = "topics")]
    all_topics: bool,
    /// To the first record that is kept
    #[arg(long, group = "target")]
    to_earliest: bool,
    /// Behind the last record
    #[arg(long, group = "target")]
    to_latest: bool,
    /// To this offset, or the nearest one that there is
    #[arg(long, group = "target", value_name = "OFFSET")]
    to_offset: Option<i64>,
    /// So many records forward, or back if negative
    #[arg(long, group = "target", value_name = "RECORDS", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// To the first record at or after this time, in milliseconds since 1970
    #[arg(long, group = "target", value_name = "MS")]
    to_timestamp: Option<i64>,
    /// To the first record of the last so long, as in 90s, 10m, 2h
    #[arg(long, group = "target", value_name = "TIME", value_parser = parse_duration)]
    by_duration: Option<Duration>,
    /// Commit them; without it they are only shown
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResetOffsets {
    group: String,
    executed: bool,
    partitions: Vec<ResetPartition>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResetPartition {
    topic: String,
    partition: i32,
    before: Option<i64>,
    after: i64,
}

/// What was found; an error isn't "nothing": the group would skip records.
fn found(offsets: &FoundOffsets, place: &TopicPartition) -> Result<Option<i64>> {
    match offsets.get(place) {
        Some(Ok(offset)) => Ok(*offset),
        Some(Err(code)) => {
            let what = format!("looking up partition {} of topic {}", place.1, place.0);
            Err(refusal(&what, *code, None).unwrap_or_else(|| anyhow!("{what} failed")))
        }
        None => bail!("partition {} of topic {} has no leader now", place.1, place.0),
    }
}

impl ResetOffsetsArgs {
    pub(crate) async fn run(self) -> Result<()> {
        let (mut brokers, metadata) = Brokers::of(&self.connection).await?;
        let listed = listed_groups(&mut brokers).await?;
        if let Some(group) = listed.iter().find(|group| group.group == self.name) {
            ensure!(
                matches!(group.state.as_str(), "Empty" | "Dead"),
                "group {} has members (it is {}): stop them first, they would commit over it",
                self.name,
                group.state
            );
        }
        let coordinator = coordinator_of(&mut brokers, &self.name).await?;
        let before = committed_offsets(&mut brokers, coordinator, &self.name).await?;
        let leaders = leaders(&metadata);
        let wanted = self.wanted(&leaders, &before)?;
        let after = self.targets(&mut brokers, &leaders, &wanted, &before).await?;
        if self.execute {
            commit_offsets(&mut brokers, coordinator, &self.name, &after).await?;
        }
        let partitions = after.into_iter().map(|(place, after)| ResetPartition {
            before: before.get(&place).map(|before| before.offset),
            topic: place.0,
            partition: place.1,
            after,
        });
        let result = ResetOffsets {
            group: self.name.clone(),
            executed: self.execute,
            partitions: partitions.collect(),
        };
        self.output.write(&result, |result| {
            let rows = result.partitions.iter().map(|one| {
                let before = one.before.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
                [
                    one.topic.clone(),
                    one.partition.to_string(),
                    before,
                    one.after.to_string(),
                ]
            });
            let table = table(&["topic", "partition", "before", "after"], rows);
            if result.executed {
                table
            } else {
                format!("{table}\nnothing was changed; add --execute to commit these offsets")
            }
        })
    }

    fn wanted(
        &self,
        leaders: &BTreeMap<TopicPartition, i32>,
        committed: &BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<BTreeSet<TopicPartition>> {
        if self.all_topics {
            let topics: BTreeSet<&str> = committed.keys().map(|(topic, _)| topic.as_str()).collect();
            let of_topics = leaders.keys().filter(|(topic, _)| topics.contains(topic.as_str()));
            return Ok(of_topics.cloned().collect());
        }
        let mut wanted = BTreeSet::new();
        for text in &self.topics {
            let (topic, partitions) = match text.split_once(':') {
                None => (text.as_str(), None),
                Some((topic, list)) => {
                    let numbers = list.split(',').map(|number| number.trim().parse::<i32>());
                    let numbers: Result<BTreeSet<i32>, _> = numbers.collect();
                    let numbers = numbers.with_context(|| format!("{text} isn't TOPIC or TOPIC:0,1"))?;
                    (topic, Some(numbers))
                }
            };
            let present: BTreeSet<i32> = leaders
                .keys()
                .filter(|(name, _)| name == topic)
                .map(|(_, index)| *index)
                .collect();
            ensure!(!present.is_empty(), "no topic {topic}; see `klamm topic list`");
            for index in partitions.as_ref().unwrap_or(&present) {
                ensure!(present.contains(index), "topic {topic} has no partition {index}");
                wanted.insert((topic.to_owned(), *index));
            }
        }
        Ok(wanted)
    }

    /// The new offsets, each within what its partition holds.
    async fn targets(
        &self,
        brokers: &mut Brokers,
        leaders: &BTreeMap<TopicPartition, i32>,
        wanted: &BTreeSet<TopicPartition>,
        committed: &BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        let starts = offsets_at(brokers, leaders, wanted, EARLIEST).await?;
        let ends = offsets_at(brokers, leaders, wanted, LATEST).await?;
        let since = match (self.to_timestamp, self.by_duration) {
            (Some(timestamp), _) => Some(timestamp.max(0)),
            (None, Some(duration)) => {
                let then = SystemTime::now().duration_since(UNIX_EPOCH)?.saturating_sub(duration);
                Some(i64::try_from(then.as_millis())?)
            }
            (None, None) => None,
        };
        let at_time = match since {
            Some(timestamp) => offsets_at(brokers, leaders, wanted, timestamp).await?,
            None => BTreeMap::new(),
        };
        let mut targets = BTreeMap::new();
        for place in wanted {
            let (Some(start), Some(end)) = (found(&starts, place)?, found(&ends, place)?) else {
                bail!(
                    "partition {} of topic {} doesn't tell where it begins and ends",
                    place.1,
                    place.0
                );
            };
            let target = if self.to_earliest {
                start
            } else if let Some(offset) = self.to_offset {
                offset
            } else if let Some(records) = self.shift_by {
                let from = committed.get(place);
                let from = from.with_context(|| {
                    format!(
                        "nothing is committed of partition {} of topic {}: no offset to shift",
                        place.1, place.0
                    )
                })?;
                from.offset.saturating_add(records)
            } else if since.is_some() {
                // Nothing so young: behind the last record, as Kafka's tool does.
                found(&at_time, place)?.unwrap_or(end)
            } else {
                end
            };
            targets.insert(place.clone(), target.min(end).max(start));
        }
        Ok(targets)
    }
}

/// Commits offsets for a group that nobody is in.
pub(crate) async fn commit_offsets(
    brokers: &mut Brokers,
    coordinator: i32,
    group: &str,
    offsets: &BTreeMap<TopicPartition, i64>,
) -> Result<()> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, index), offset) in offsets {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(*index)
            .with_committed_offset(*offset)
            .with_committed_metadata(Some(StrBytes::default()));
        topics.entry(topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        OffsetCommitRequestTopic::default()
            .with_name(topic_name(name))
            .with_partitions(partitions)
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics.collect());
    let response = brokers.call_up_to(coordinator, &request, COMMIT_VERSION_MAX).await?;
    for topic in response.topics {
        for partition in &topic.partitions {
            let what = format!("committing {}-{}", topic.name.as_str(), partition.partition_index);
            if let Some(error) = refusal(&what, partition.error_code, None) {
                return Err(error);
            }
        }
    }
    Ok(())
}
