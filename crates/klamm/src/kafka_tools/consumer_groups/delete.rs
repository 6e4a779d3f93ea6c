//! `kafka-consumer-groups --delete` and `--delete-offsets`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use types::ErrorCode;
use wire::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use wire::messages::{DeleteGroupsRequest, GroupId, OffsetDeleteRequest};
use wire::protocol::StrBytes;

use super::print_error;
use super::reset::topic_partitions;
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::group::{TopicPartition, coordinator_of, leaders, topic_name};
use crate::commands::output::write_line;
use crate::kafka_tools::columns::{MISSING, padded, width};
use crate::kafka_tools::kafka_words::{exception, exception_of, message};
use crate::kafka_tools::options::Options;

pub(super) async fn delete_groups(groups: &[String], brokers: &mut Brokers) -> Result<()> {
    let mut deleted = Vec::new();
    let mut failed = Vec::new();
    for group in groups {
        match delete_group(group, brokers).await {
            Ok(0) => deleted.push(format!("'{group}'")),
            Ok(code) => failed.push((group, exception(code, None))),
            Err(error) => failed.push((group, exception_of(&error))),
        }
    }
    let deleted = deleted.join(", ");
    if failed.is_empty() {
        return write_line(&format!(
            "Deletion of requested consumer groups ({deleted}) was successful."
        ));
    }
    print_error("Deletion of some consumer groups failed:")?;
    for (group, reason) in failed {
        write_line(&format!("* Group '{group}' could not be deleted due to: {reason}"))?;
    }
    if !deleted.is_empty() {
        write_line(&format!("\nThese consumer groups were deleted successfully: {deleted}"))?;
    }
    Ok(())
}

/// Kafka's code of what became of it.
async fn delete_group(group: &str, brokers: &mut Brokers) -> Result<i16> {
    let coordinator = coordinator_of(brokers, group).await?;
    let id = GroupId(StrBytes::from_string(group.to_owned()));
    let request = DeleteGroupsRequest::default().with_groups_names(vec![id]);
    let response = brokers.call(coordinator, &request).await?;
    Ok(response.results.first().map_or(0, |result| result.error_code))
}

pub(super) async fn delete_offsets(options: &Options, connection: &Connection) -> Result<()> {
    let (mut brokers, metadata) = Brokers::of(connection).await?;
    let group = options.value("group")?.unwrap_or_default();
    let leaders = leaders(&metadata);
    let mut results: BTreeMap<TopicPartition, i16> = BTreeMap::new();
    let mut places: BTreeSet<TopicPartition> = BTreeSet::new();
    for text in options.values("topic") {
        let is_known = text.contains(':') || leaders.keys().any(|(topic, _)| topic == text);
        if is_known {
            places.extend(topic_partitions(text, &leaders)?);
        } else {
            results.insert((text.to_owned(), -1), ErrorCode::UnknownTopicOrPartition.code());
        }
    }
    let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
    for (topic, index) in &places {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(*index);
        topics.entry(topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        OffsetDeleteRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(partitions)
    });
    let request = OffsetDeleteRequest::default()
        .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
        .with_topics(topics.collect());
    let coordinator = coordinator_of(&mut brokers, group).await?;
    let response = brokers.call(coordinator, &request).await?;
    let whole = response.error_code;
    for topic in &response.topics {
        for partition in &topic.partitions {
            results.insert(
                (topic.name.to_string(), partition.partition_index),
                partition.error_code,
            );
        }
    }
    if whole != 0 {
        results.extend(places.into_iter().map(|place| (place, whole)));
    }
    let first = results.iter().find(|((_, index), code)| *index >= 0 && **code != 0);
    report(
        group,
        if whole != 0 {
            whole
        } else {
            first.map_or(0, |(_, code)| *code)
        },
    )?;
    write_line(&table(&results))
}

fn report(group: &str, code: i16) -> Result<()> {
    let error = ErrorCode::from_code(code);
    if error.is_none() {
        return write_line(&format!("Request succeeded for deleting offsets from group {group}."));
    }
    let of_group = [
        ErrorCode::InvalidGroupId,
        ErrorCode::GroupIdNotFound,
        ErrorCode::GroupAuthorizationFailed,
        ErrorCode::NonEmptyGroup,
    ];
    let of_partition = [
        ErrorCode::GroupSubscribedToTopic,
        ErrorCode::TopicAuthorizationFailed,
        ErrorCode::UnknownTopicOrPartition,
    ];
    if of_group.contains(&error) {
        print_error(&message(code, None))
    } else if of_partition.contains(&error) {
        print_error("Encountered some partition-level error, see the follow-up details.")
    } else {
        print_error(&format!("Encountered some unknown error: {}", error.name()))
    }
}

fn table(results: &BTreeMap<TopicPartition, i16>) -> String {
    let topic_width = width(15, results.keys().map(|(topic, _)| topic.as_str()));
    let line = |topic: &str, partition: &str, status: &str| {
        format!("\n{}", padded([(topic, topic_width), (partition, 10), (status, 15)]))
    };
    let mut text = line("TOPIC", "PARTITION", "STATUS");
    for ((topic, index), code) in results {
        let partition = if *index < 0 {
            MISSING.to_owned()
        } else {
            index.to_string()
        };
        let status = match code {
            0 => "Successful".to_owned(),
            code => format!("Error: {}", exception(*code, None)),
        };
        text.push_str(&line(topic, &partition, &status));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_offsets_are_a_table_with_what_became_of_each() {
        let results = BTreeMap::from([(("t".to_owned(), 0), 0), (("u".to_owned(), -1), 3)]);
        assert_eq!(
            table(&results),
            "\nTOPIC           PARTITION  STATUS         \
             \nt               0          Successful     \
             \nu               -          Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: \
             This server does not host this topic-partition."
        );
    }
}
