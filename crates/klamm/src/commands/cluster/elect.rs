//! `klamm cluster elect`: ElectLeaders.

use anyhow::{Error, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use types::ErrorCode;
use wire::messages::ElectLeadersRequest;
use wire::messages::elect_leaders_request::TopicPartitions;

use super::reassign_plan::parse_place;
use super::reassignments::by_topic;
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::error_advice::{Refusal, refusal};
use crate::commands::group::{TopicPartition, topic_name};
use crate::commands::output::{Output, table};

/// Who shall lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ElectionType {
    /// The first of the replicas, if it is in sync.
    Preferred,
    /// Where nobody leads: whoever is there, even if records are lost by it.
    Unclean,
}

/// `klamm cluster elect`.
#[derive(Debug, Args)]
pub(crate) struct ElectArgs {
    /// The partitions [default: all; an unclean election needs them, or --all]
    #[arg(value_name = "TOPIC/PARTITION", value_parser = parse_place)]
    partitions: Vec<TopicPartition>,
    /// All partitions of the cluster
    #[arg(long, conflicts_with = "partitions")]
    all: bool,
    /// Who shall lead
    #[arg(short, long = "type", value_enum, default_value = "preferred")]
    kind: ElectionType,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// What became of one partition.
#[derive(Debug)]
pub(crate) enum Election {
    /// Somebody else leads now.
    Elected,
    /// Who shall lead leads already.
    NotNeeded,
    /// It couldn't be.
    Failed(Error),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ElectedPartition {
    topic: String,
    partition: i32,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl ElectArgs {
    pub(super) async fn run(self) -> Result<()> {
        let places = self.places()?;
        let mut brokers = Brokers::reach(&self.connection).await?;
        let timeout_ms = self.connection.timeout_ms();
        let elections = elect_leaders(&mut brokers, self.kind, places, timeout_ms).await?;
        let results: Vec<ElectedPartition> = elections
            .into_iter()
            // Of all partitions only those are of interest where something happened.
            .filter(|(_, election)| !self.partitions.is_empty() || !matches!(election, Election::NotNeeded))
            .map(|((topic, partition), election)| {
                let (result, error) = match election {
                    Election::Elected => ("elected", None),
                    Election::NotNeeded => ("not needed", None),
                    Election::Failed(error) => ("failed", Some(error.to_string())),
                };
                ElectedPartition {
                    topic,
                    partition,
                    result,
                    error,
                }
            })
            .collect();
        self.output.write(&results, |results| {
            if results.is_empty() {
                return "every partition has the leader that it shall have".to_owned();
            }
            let rows = results
                .iter()
                .map(|one| [one.topic.clone(), one.partition.to_string(), one.result.to_owned()]);
            table(&["topic", "partition", "result"], rows)
        })?;
        let errors: Vec<&str> = results.iter().filter_map(|one| one.error.as_deref()).collect();
        match errors.as_slice() {
            [] => Ok(()),
            errors => Err(anyhow!(errors.join("\n"))),
        }
    }
}

impl ElectArgs {
    /// None: all. Records are lost by unclean elections, so all of them must be meant, not merely left unsaid.
    fn places(&self) -> Result<Option<&[TopicPartition]>> {
        match (self.partitions.as_slice(), self.kind) {
            ([], ElectionType::Unclean) if !self.all => {
                bail!("an unclean election may lose records: name partitions, or give --all for the whole cluster")
            }
            ([], ElectionType::Preferred | ElectionType::Unclean) => Ok(None),
            (places, ElectionType::Preferred | ElectionType::Unclean) => Ok(Some(places)),
        }
    }
}

/// Elects leaders of these partitions, or of all; those of which the controller says nothing need none.
pub(crate) async fn elect_leaders(
    brokers: &mut Brokers,
    kind: ElectionType,
    places: Option<&[TopicPartition]>,
    timeout_ms: i32,
) -> Result<Vec<(TopicPartition, Election)>> {
    let topics = places.map(|places| {
        let by_topic = by_topic(places.iter().map(|place| (place, place.1)));
        let topics = by_topic.into_iter().map(|(topic, indexes)| {
            TopicPartitions::default()
                .with_topic(topic_name(topic))
                .with_partitions(indexes)
        });
        topics.collect()
    });
    let request = ElectLeadersRequest::default()
        .with_election_type(match kind {
            ElectionType::Preferred => 0,
            ElectionType::Unclean => 1,
        })
        .with_topic_partitions(topics)
        .with_timeout_ms(timeout_ms);
    let response = brokers.call_any(&request).await?;
    if let Some(error) = refusal("electing leaders", response.error_code, None) {
        return Err(error);
    }
    let mut elections = Vec::new();
    for topic in response.replica_election_results {
        for partition in topic.partition_result {
            let place = (topic.topic.to_string(), partition.partition_id);
            let what = format!("electing the leader of {}-{}", place.0, place.1);
            let election = match refusal(&what, partition.error_code, partition.error_message.as_deref()) {
                None => Election::Elected,
                Some(error) if is_not_needed(&error) => Election::NotNeeded,
                Some(error) => Election::Failed(error),
            };
            elections.push((place, election));
        }
    }
    elections.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(elections)
}

fn is_not_needed(error: &Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| refusal.code() == ErrorCode::ElectionNotNeeded.code())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        elect: ElectArgs,
    }

    /// How many partitions are meant; none: all.
    fn places(line: &str) -> Result<Option<usize>> {
        let line = Line::try_parse_from(std::iter::once("elect").chain(line.split_whitespace()))?;
        Ok(line.elect.places()?.map(<[TopicPartition]>::len))
    }

    #[test]
    fn the_whole_cluster_elects_uncleanly_only_when_that_is_said() {
        assert_eq!(places("").unwrap(), None);
        assert_eq!(places("--all").unwrap(), None);
        assert_eq!(places("--type unclean t/0 t/1").unwrap(), Some(2));
        assert_eq!(places("--type unclean --all").unwrap(), None);
        let error = places("--type unclean").unwrap_err().to_string();
        assert!(error.contains("--all"), "{error}");
        places("--all t/0").unwrap_err();
    }
}
