//! `klamm group describe`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use super::list::listed_groups;
use super::members::{GroupMember, members_of};
use super::offsets::{CommittedOffset, LATEST, TopicPartition, age_ms, committed_offsets, leaders, offsets_at};
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::output::{Output, table};

/// `klamm group describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// The groups; all of them, where none is named
    names: Vec<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedGroup {
    group: String,
    #[serde(rename = "type")]
    kind: String,
    state: String,
    coordinator: i32,
    members: Vec<GroupMember>,
    partitions: Vec<DescribedPartition>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedPartition {
    topic: String,
    partition: i32,
    /// The next record that the group reads.
    committed: Option<i64>,
    end: Option<i64>,
    /// Records between the two.
    lag: Option<i64>,
    /// How long ago the next record was written, in milliseconds; 0 when there is none.
    lag_ms: Option<u64>,
    member: Option<String>,
    client: Option<String>,
    host: Option<String>,
}

impl DescribeArgs {
    pub(crate) async fn run(self) -> Result<()> {
        let (mut brokers, metadata) = Brokers::of(&self.connection).await?;
        let mut groups = listed_groups(&mut brokers).await?;
        for name in &self.names {
            let known = groups.iter().any(|group| group.group == *name);
            known
                .then_some(())
                .with_context(|| format!("no group {name}; see `klamm group list`"))?;
        }
        groups.retain(|group| self.names.is_empty() || self.names.contains(&group.group));
        let leaders = leaders(&metadata);
        let mut described = Vec::new();
        for group in groups {
            let members = members_of(&mut brokers, &group).await?;
            let committed = committed_offsets(&mut brokers, group.coordinator, &group.group).await?;
            let partitions = partitions(&mut brokers, &leaders, &members, &committed).await?;
            described.push(DescribedGroup {
                group: group.group,
                kind: group.kind,
                state: group.state,
                coordinator: group.coordinator,
                members,
                partitions,
            });
        }
        self.output.write(&described, |groups| {
            let texts = groups.iter().map(text);
            texts.collect::<Vec<_>>().join("\n\n")
        })
    }
}

/// What the group has committed or reads now.
async fn partitions(
    brokers: &mut Brokers,
    leaders: &BTreeMap<TopicPartition, i32>,
    members: &[GroupMember],
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
) -> Result<Vec<DescribedPartition>> {
    let mut owners: BTreeMap<TopicPartition, Option<&GroupMember>> =
        committed.keys().map(|place| (place.clone(), None)).collect();
    for member in members {
        for (topic, indexes) in &member.partitions {
            owners.extend(indexes.iter().map(|index| ((topic.clone(), *index), Some(member))));
        }
    }
    let ends = offsets_at(brokers, leaders, owners.keys(), LATEST).await?;
    let mut described = Vec::new();
    for (place, owner) in owners {
        let offset = committed.get(&place).map(|committed| committed.offset);
        let end = ends.get(&place).and_then(|found| found.ok().flatten());
        let lag = offset.zip(end).map(|(offset, end)| (end - offset).max(0));
        let lag_ms = match (lag, offset, leaders.get(&place)) {
            (Some(0), _, _) => Some(0),
            (Some(_), Some(offset), Some(leader)) => age_ms(brokers, *leader, &place, offset).await?,
            _ => None,
        };
        described.push(DescribedPartition {
            topic: place.0,
            partition: place.1,
            committed: offset,
            end,
            lag,
            lag_ms,
            member: owner.map(|member| member.member.clone()),
            client: owner.map(|member| member.client.clone()),
            host: owner.map(|member| member.host.clone()),
        });
    }
    Ok(described)
}

fn text(group: &DescribedGroup) -> String {
    let head = format!(
        "group {}: {} ({}), {} members, coordinator {}",
        group.group,
        group.state,
        group.kind,
        group.members.len(),
        group.coordinator
    );
    if group.partitions.is_empty() {
        return format!("{head}\nnothing committed, nothing assigned");
    }
    let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let rows = group.partitions.iter().map(|one| {
        [
            one.topic.clone(),
            one.partition.to_string(),
            number(one.committed),
            number(one.end),
            number(one.lag),
            one.lag_ms.map_or_else(|| "-".to_owned(), age),
            word(&one.member),
            word(&one.host),
            word(&one.client),
        ]
    });
    let header = [
        "topic",
        "partition",
        "committed",
        "end",
        "lag",
        "behind",
        "member",
        "host",
        "client",
    ];
    format!("{head}\n{}", table(&header, rows))
}

/// A time that people read at a glance.
fn age(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_or_three_digits() {
        assert_eq!(
            [0, 999, 1_000, 119_999, 120_000, 7_200_000, 172_800_000].map(age),
            ["0 ms", "999 ms", "1 s", "119 s", "2 min", "2 h", "2 d"]
        );
    }
}
