//! `kafka-consumer-groups --describe` with offsets and lag.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::described::{DescribedGroup, announce, described};
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::group::{CommittedOffset, LATEST, TopicPartition, committed_offsets, leaders, offsets_at};
use crate::commands::output::write_line;
use crate::kafka_tools::columns::{MISSING, or_missing, padded, width};

/// One partition of one group.
#[derive(Debug)]
struct Row {
    place: TopicPartition,
    committed: Option<CommittedOffset>,
    end: Option<i64>,
    consumer: String,
    host: String,
    client: String,
}

pub(super) async fn describe_offsets(
    groups: &[String],
    verbose: bool,
    brokers: &mut Brokers,
    connection: &Connection,
) -> Result<()> {
    let mut tables = Vec::new();
    for group in groups {
        let group = described(brokers, group).await?;
        let rows = rows(&group, brokers, connection).await?;
        tables.push((group, rows));
    }
    for (group, rows) in tables {
        if announce(&group, rows.len())? {
            write_line(&table(&group.group, &rows, verbose))?;
        }
    }
    Ok(())
}

/// First what members have, those with the most partitions before the others; then what nobody has.
async fn rows(group: &DescribedGroup, brokers: &mut Brokers, connection: &Connection) -> Result<Vec<Row>> {
    let committed = committed_offsets(brokers, group.coordinator, &group.group).await?;
    let mut owned: Vec<(BTreeSet<TopicPartition>, [String; 3])> = Vec::new();
    let mut members: Vec<_> = group
        .members
        .iter()
        .filter(|member| member.partition_count() > 0)
        .collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.partition_count()));
    for member in members {
        let topics = member.assignment.iter();
        let places = topics.flat_map(|(topic, indexes)| indexes.iter().map(|index| (topic.clone(), *index)));
        let names = [member.id.clone(), member.host.clone(), member.client.clone()];
        owned.push((places.collect(), names));
    }
    let is_owned = |place: &TopicPartition| owned.iter().any(|(places, _)| places.contains(place));
    let unowned = committed.keys().filter(|place| !is_owned(place)).cloned().collect();
    owned.push((unowned, [MISSING; 3].map(str::to_owned)));
    let (mut fresh, metadata) = Brokers::of(connection).await?;
    let leaders = leaders(&metadata);
    let all = owned.iter().flat_map(|(places, _)| places);
    let ends = offsets_at(&mut fresh, &leaders, all, LATEST).await?;
    let mut rows = Vec::new();
    for (places, [consumer, host, client]) in owned {
        rows.extend(places.into_iter().map(|place| Row {
            committed: committed.get(&place).copied(),
            end: ends.get(&place).and_then(|found| found.ok().flatten()),
            place,
            consumer: consumer.clone(),
            host: host.clone(),
            client: client.clone(),
        }));
    }
    Ok(rows)
}

/// Each line begins with its line feed, as Kafka's tool prints it: so there is an empty line before the head.
fn table(group: &str, rows: &[Row], verbose: bool) -> String {
    let widths: BTreeMap<&str, usize> = BTreeMap::from([
        ("group", width(15, [group])),
        ("topic", width(15, rows.iter().map(|row| row.place.0.as_str()))),
        ("consumer", width(15, rows.iter().map(|row| row.consumer.as_str()))),
        ("host", width(15, rows.iter().map(|row| row.host.as_str()))),
    ]);
    let of = |column: &str| widths.get(column).copied().unwrap_or_default();
    let line = |cells: [&str; 10]| {
        let [
            group,
            topic,
            partition,
            epoch,
            current,
            end,
            lag,
            consumer,
            host,
            client,
        ] = cells;
        let mut line = vec![(group, of("group")), (topic, of("topic")), (partition, 10)];
        line.extend(verbose.then_some((epoch, 15)));
        line.extend([(current, 15), (end, 15), (lag, 15)]);
        line.extend([(consumer, of("consumer")), (host, of("host")), (client, 0)]);
        format!("\n{}", padded(line))
    };
    let mut text = line([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "LEADER-EPOCH",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ]);
    for row in rows {
        let offset = row.committed.map(|committed| committed.offset);
        let lag = offset.zip(row.end).map(|(offset, end)| end - offset);
        text.push_str(&line([
            group,
            &row.place.0,
            &row.place.1.to_string(),
            &or_missing(row.committed.and_then(|committed| committed.leader_epoch)),
            &or_missing(offset),
            &or_missing(row.end),
            &or_missing(lag),
            &row.consumer,
            &row.host,
            &row.client,
        ]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_kafkas_columns_and_begins_with_an_empty_line() {
        let row = Row {
            place: ("orders".to_owned(), 2),
            committed: Some(CommittedOffset {
                offset: 7,
                leader_epoch: None,
            }),
            end: Some(10),
            consumer: MISSING.to_owned(),
            host: MISSING.to_owned(),
            client: MISSING.to_owned(),
        };
        let text = table("g", &[row], false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "",
                "GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID",
                "g               orders          2          7               10              3               -               -               -",
            ]
        );
    }

    #[test]
    fn verbose_tells_the_leader_epoch_and_what_is_unknown_has_a_dash() {
        let row = Row {
            place: ("t".to_owned(), 0),
            committed: None,
            end: None,
            consumer: "a-very-long-consumer-id".to_owned(),
            host: "/127.0.0.1".to_owned(),
            client: "c".to_owned(),
        };
        let text = table("g", &[row], true);
        assert!(text.contains("LEADER-EPOCH    CURRENT-OFFSET"), "{text}");
        assert!(text.contains("0          -               -               -               -               a-very-long-consumer-id /127.0.0.1"), "{text}");
    }
}
