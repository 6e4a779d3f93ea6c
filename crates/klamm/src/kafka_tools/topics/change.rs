//! `kafka-topics --create`, `--alter` and `--delete`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use config::topic_keys::topic_key;
use types::ErrorCode;
use wire::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use wire::messages::delete_topics_request::DeleteTopicState;
use wire::messages::{BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};
use wire::protocol::StrBytes;

use super::listing::{ensure_found, matching};
use crate::commands::connection::Connection;
use crate::commands::error_advice::refusal;
use crate::commands::group::topic_name;
use crate::commands::output::write_line;
use crate::commands::topic::describe_topics;
use crate::kafka_tools::options::Options;

/// `1:2:3,2:3:1`: the brokers of each partition.
fn replica_assignment(options: &Options) -> Result<Vec<Vec<i32>>> {
    let Some(text) = options.value("replica-assignment")?.filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut assignment: Vec<Vec<i32>> = Vec::new();
    for (index, partition) in text.split(',').enumerate() {
        let brokers: Result<Vec<i32>, _> = partition.split(':').map(|id| id.trim().parse()).collect();
        let brokers = brokers.with_context(|| format!("{partition} isn't a list of broker ids"))?;
        let twice: Vec<String> = brokers
            .iter()
            .enumerate()
            .filter(|(at, id)| brokers.iter().skip(at + 1).any(|other| other == *id))
            .map(|(_, id)| id.to_string())
            .collect();
        if !twice.is_empty() {
            bail!(
                "Partition replica lists may not contain duplicate entries: {}",
                twice.join(",")
            );
        }
        if assignment.first().is_some_and(|first| first.len() != brokers.len()) {
            bail!("Partition {index} has different replication factor: {brokers:?}");
        }
        assignment.push(brokers);
    }
    Ok(assignment)
}

fn configs(options: &Options) -> Result<BTreeMap<String, String>> {
    let mut configs = BTreeMap::new();
    for text in options.values("config") {
        let mut parts = text.split('=').map(str::trim);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(key), Some(value), None) if !value.is_empty() => configs.insert(key.to_owned(), value.to_owned()),
            _ => bail!(
                "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\"."
            ),
        };
    }
    // Kafka's tool looks at the names itself; the values are the broker's to check.
    if let Some(unknown) = configs.keys().find(|key| topic_key(key).is_none()) {
        bail!("Unknown topic config name: {unknown}");
    }
    Ok(configs)
}

pub(super) async fn create(options: &Options, connection: &Connection) -> Result<()> {
    let name = options.value("topic")?.unwrap_or_default();
    let assignment = replica_assignment(options)?;
    let configs = configs(options)?;
    let partitions: Option<i32> = options.number("partitions")?;
    let factor: Option<i32> = options.number("replication-factor")?;
    if name.contains(['.', '_']) {
        write_line(
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To \
             avoid issues it is best to use either, but not both.",
        )?;
    }
    let factor = factor
        .map(i16::try_from)
        .transpose()
        .ok()
        .filter(|factor| factor.is_none_or(|factor| factor >= 1));
    let Some(factor) = factor else {
        bail!("The replication factor must be between 1 and {} inclusive", i16::MAX);
    };
    if partitions.is_some_and(|count| count < 1) {
        bail!("The partitions must be greater than 0");
    }
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let configs = configs.iter().map(|(key, value)| {
        CreatableTopicConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)))
    });
    let assignments = assignment.iter().zip(0..).map(|(brokers, index)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(index)
            .with_broker_ids(brokers.iter().copied().map(BrokerId).collect())
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions.unwrap_or(-1))
        .with_replication_factor(factor.unwrap_or(-1))
        .with_assignments(assignments.collect())
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(connection.timeout_ms());
    let response = connection.connect().await?.call(&request).await?;
    for topic in response.topics {
        if topic.error_code == ErrorCode::TopicAlreadyExists.code() && options.has("if-not-exists") {
            return Ok(());
        }
        let what = format!("creating topic {name}");
        if let Some(error) = refusal(&what, topic.error_code, topic.error_message.as_deref()) {
            return Err(error);
        }
    }
    write_line(&format!("Created topic {name}."))
}

pub(super) async fn alter(options: &Options, connection: &Connection) -> Result<()> {
    let assignment = replica_assignment(options)?;
    let count: i32 = options.number("partitions")?.unwrap_or_default();
    let mut cluster = connection.connect().await?;
    let names = matching(&mut cluster, options).await?;
    ensure_found(&names, options)?;
    if names.is_empty() {
        return Ok(());
    }
    let described = describe_topics(&mut cluster, &names).await?;
    let topics = described.iter().map(|topic| {
        let added = assignment.iter().skip(topic.partitions.len());
        let added = added.map(|brokers| {
            let brokers = brokers.iter().copied().map(BrokerId).collect();
            CreatePartitionsAssignment::default().with_broker_ids(brokers)
        });
        CreatePartitionsTopic::default()
            .with_name(topic_name(&topic.topic))
            .with_count(count)
            .with_assignments((!assignment.is_empty()).then(|| added.collect()))
    });
    let request = CreatePartitionsRequest::default()
        .with_topics(topics.collect())
        .with_timeout_ms(connection.timeout_ms());
    let response = cluster.call(&request).await?;
    for topic in response.results {
        let what = format!("adding partitions to topic {}", topic.name.as_str());
        if let Some(error) = refusal(&what, topic.error_code, topic.error_message.as_deref()) {
            return Err(error);
        }
    }
    Ok(())
}

pub(super) async fn delete(options: &Options, connection: &Connection) -> Result<()> {
    /// From here on a topic is named by a structure that can hold its id instead.
    const VERSION_WITH_STATES: i16 = 6;
    let mut cluster = connection.connect().await?;
    let names = matching(&mut cluster, options).await?;
    ensure_found(&names, options)?;
    if names.is_empty() {
        return Ok(());
    }
    let request = DeleteTopicsRequest::default().with_timeout_ms(connection.timeout_ms());
    let newest = cluster.version_of::<DeleteTopicsRequest>();
    let request = if newest.is_some_and(|newest| newest >= VERSION_WITH_STATES) {
        let states = names
            .iter()
            .map(|name| DeleteTopicState::default().with_name(Some(topic_name(name))));
        request.with_topics(states.collect())
    } else {
        request.with_topic_names(names.iter().map(|name| topic_name(name)).collect())
    };
    for topic in cluster.call(&request).await?.responses {
        let what = "deleting a topic";
        if let Some(error) = refusal(what, topic.error_code, topic.error_message.as_deref()) {
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka_tools::topics::OPTIONS;

    fn parse(line: &str) -> Options {
        Options::parse(OPTIONS, line.split_whitespace().map(str::to_owned).collect()).unwrap()
    }

    #[test]
    fn an_assignment_has_equally_many_brokers_everywhere_and_none_twice() {
        let read = |text: &str| replica_assignment(&parse(&format!("--replica-assignment {text}")));
        assert_eq!(read("1:2,2:1").unwrap(), [vec![1, 2], vec![2, 1]]);
        let error = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(
            error("1:1"),
            "Partition replica lists may not contain duplicate entries: 1"
        );
        assert_eq!(error("1:2,3"), "Partition 1 has different replication factor: [3]");
        assert!(replica_assignment(&parse("--create")).unwrap().is_empty());
    }

    #[test]
    fn a_config_is_a_key_and_a_value() {
        let read = |line: &str| configs(&parse(line));
        let both = read("--config segment.ms=1 --config segment.bytes=2").unwrap();
        assert_eq!(both.get("segment.bytes").map(String::as_str), Some("2"));
        for bad in [
            "--config segment.ms",
            "--config segment.ms=",
            "--config segment.ms=b=c",
            "--config a=b",
        ] {
            read(bad).unwrap_err();
        }
    }
}
