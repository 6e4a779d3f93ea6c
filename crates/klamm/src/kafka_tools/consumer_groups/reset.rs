//! `kafka-consumer-groups --reset-offsets`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use types::ErrorCode;

use super::described::described;
use super::listing::meant;
use super::reset_plan::{Plan, read_plan, write_plan};
use super::time_text::{parse_datetime, parse_duration};
use super::{Wrapped, print_error};
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::error_advice::{Refusal, refusal};
use crate::commands::group::{
    EARLIEST, FoundOffsets, LATEST, TopicPartition, commit_offsets, committed_offsets, coordinator_of, leaders,
    offsets_at,
};
use crate::commands::output::{note, write_line};
use crate::kafka_tools::columns::{padded, width};
use crate::kafka_tools::options::{Options, UsageError};

type Offsets = BTreeMap<TopicPartition, i64>;

/// What is known of the cluster.
struct Reset<'a> {
    options: &'a Options,
    brokers: Brokers,
    leaders: BTreeMap<TopicPartition, i32>,
}

pub(super) async fn reset_offsets(options: &Options, connection: &Connection) -> Result<()> {
    let (brokers, metadata) = Brokers::of(connection).await?;
    let mut reset = Reset {
        options,
        brokers,
        leaders: leaders(&metadata),
    };
    let groups = meant(options, &mut reset.brokers).await?;
    let mut plan = Plan::new();
    for group in &groups {
        let state = match described(&mut reset.brokers, group).await {
            Ok(group) => group.state,
            Err(error) if is_unknown(&error) => "Dead".to_owned(),
            Err(error) => return Err(error),
        };
        let offsets = if matches!(state.as_str(), "Empty" | "Dead") {
            reset.group(group).await?
        } else {
            print_error(&format!(
                "Assignments can only be reset if the group '{group}' is inactive, but the current state is {state}."
            ))?;
            Offsets::new()
        };
        plan.insert(group.clone(), offsets);
    }
    if options.has("export") {
        let with_group = options.values("group").count() != 1;
        return write_line(&write_plan(&plan, with_group));
    }
    write_line(&table(&plan))
}

fn is_unknown(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<Wrapped>().map(|Wrapped(cause)| cause);
    let refusal = cause.and_then(|cause| cause.downcast_ref::<Refusal>());
    refusal.is_some_and(|refusal| refusal.code() == ErrorCode::GroupIdNotFound.code())
}

impl Reset<'_> {
    /// The new offsets of one group, committed if that is asked for.
    async fn group(&mut self, group: &str) -> Result<Offsets> {
        let coordinator = coordinator_of(&mut self.brokers, group).await?;
        let committed = committed_offsets(&mut self.brokers, coordinator, group).await?;
        let committed: Offsets = committed.into_iter().map(|(place, at)| (place, at.offset)).collect();
        let places = self.places(&committed)?;
        self.check(&places)?;
        let offsets = self.offsets(group, &places, &committed).await?;
        if self.options.has("execute") && !offsets.is_empty() {
            commit_offsets(&mut self.brokers, coordinator, group, &offsets).await?;
        }
        Ok(offsets)
    }

    /// The partitions that are meant.
    fn places(&self, committed: &Offsets) -> Result<BTreeSet<TopicPartition>> {
        if self.options.has("all-topics") {
            return Ok(committed.keys().cloned().collect());
        }
        let mut places = BTreeSet::new();
        for text in self.options.values("topic") {
            places.extend(topic_partitions(text, &self.leaders)?);
        }
        Ok(places)
    }

    /// They exist, and somebody leads them.
    fn check(&self, places: &BTreeSet<TopicPartition>) -> Result<()> {
        let named = |places: Vec<&TopicPartition>| {
            let names = places.iter().map(|(topic, partition)| format!("{topic}-{partition}"));
            names.collect::<Vec<_>>().join(",")
        };
        let missing: Vec<&TopicPartition> = places
            .iter()
            .filter(|place| !self.leaders.contains_key(place))
            .collect();
        if !missing.is_empty() {
            bail!("The partitions \"{}\" do not exist", named(missing));
        }
        let leads = |place: &TopicPartition| self.leaders.get(place).is_some_and(|leader| *leader >= 0);
        let leaderless: Vec<&TopicPartition> = places.iter().filter(|place| !leads(place)).collect();
        if !leaderless.is_empty() {
            bail!("The partitions \"{}\" have no leader", named(leaderless));
        }
        Ok(())
    }

    async fn offsets(
        &mut self,
        group: &str,
        places: &BTreeSet<TopicPartition>,
        committed: &Offsets,
    ) -> Result<Offsets> {
        let options = self.options;
        if let Some(offset) = options.number::<i64>("to-offset")? {
            return self
                .within(places.iter().map(|place| (place.clone(), offset)).collect())
                .await;
        }
        if options.has("to-earliest") {
            return self.at(places, EARLIEST, "starting offset").await;
        }
        if options.has("to-latest") {
            return self.at(places, LATEST, "ending offset").await;
        }
        if let Some(records) = options.number::<i64>("shift-by")? {
            let mut wanted = Offsets::new();
            for place in places {
                let Some(offset) = committed.get(place) else {
                    return Err(UsageError::of(format!(
                        "Cannot shift offset for partition {}-{} since there is no current committed offset",
                        place.0, place.1
                    )));
                };
                wanted.insert(place.clone(), offset.saturating_add(records));
            }
            return self.within(wanted).await;
        }
        if let Some(text) = options.value("to-datetime")? {
            return self.at_time(places, parse_datetime(text)?).await;
        }
        if let Some(text) = options.value("by-duration")? {
            let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
            return self.at_time(places, now.saturating_sub(parse_duration(text)?)).await;
        }
        if let Some(file) = options.value("from-file")? {
            let named: Vec<&str> = options.values("group").collect();
            let mut plan = read_plan(Path::new(file), &named)?;
            let Some(wanted) = plan.remove(group) else {
                print_error(&format!("No reset plan for group {group} found"))?;
                return Ok(Offsets::new());
            };
            return self.within(wanted).await;
        }
        // To the committed offset, and behind the last record where there is none.
        let mut offsets: Offsets = committed.clone();
        offsets.retain(|place, _| places.contains(place));
        let others = places
            .iter()
            .filter(|place| !committed.contains_key(place))
            .cloned()
            .collect();
        offsets.extend(self.at(&others, LATEST, "ending offset").await?);
        Ok(offsets)
    }

    async fn at(&mut self, places: &BTreeSet<TopicPartition>, timestamp: i64, what: &str) -> Result<Offsets> {
        let found = offsets_at(&mut self.brokers, &self.leaders, places, timestamp).await?;
        let mut offsets = Offsets::new();
        for place in places {
            let Some(offset) = found_at(&found, place)? else {
                return Err(UsageError::of(format!(
                    "Error getting {what} of topic partition: {}-{}",
                    place.0, place.1
                )));
            };
            offsets.insert(place.clone(), offset);
        }
        Ok(offsets)
    }

    async fn at_time(&mut self, places: &BTreeSet<TopicPartition>, timestamp: i64) -> Result<Offsets> {
        let found = offsets_at(&mut self.brokers, &self.leaders, places, timestamp).await?;
        let mut offsets = Offsets::new();
        let mut empty = BTreeSet::new();
        for place in places {
            match found_at(&found, place)? {
                Some(offset) => {
                    offsets.insert(place.clone(), offset);
                }
                None => {
                    write_line(&format!(
                        "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.",
                        place.1, place.0
                    ))?;
                    empty.insert(place.clone());
                }
            }
        }
        offsets.extend(self.at(&empty, LATEST, "offset by timestamp").await?);
        Ok(offsets)
    }

    /// No further than what there is.
    async fn within(&mut self, wanted: Offsets) -> Result<Offsets> {
        let places: BTreeSet<TopicPartition> = wanted.keys().cloned().collect();
        self.check(&places)?;
        let starts = self.at(&places, EARLIEST, "starting offset").await?;
        let ends = self.at(&places, LATEST, "ending offset").await?;
        let bounded = wanted.into_iter().map(|(place, offset)| {
            let start = starts.get(&place).copied().unwrap_or(offset);
            let end = ends.get(&place).copied().unwrap_or(offset);
            let (bound, which) = if offset > end {
                (end, "higher than latest")
            } else if offset < start {
                (start, "lower than earliest")
            } else {
                return (place, offset);
            };
            note(&format!(
                "New offset ({offset}) is {which} offset for topic partition {}-{}. Value will be set to {bound}",
                place.0, place.1
            ));
            (place, bound)
        });
        Ok(bounded.collect())
    }
}

fn found_at(found: &FoundOffsets, place: &TopicPartition) -> Result<Option<i64>> {
    match found.get(place) {
        Some(Ok(offset)) => Ok(*offset),
        Some(Err(code)) => {
            let what = format!("looking up {}-{}", place.0, place.1);
            refusal(&what, *code, None).map_or(Ok(None), Err)
        }
        None => Ok(None),
    }
}

/// `topic` or `topic:0,1`.
pub(super) fn topic_partitions(
    text: &str,
    leaders: &BTreeMap<TopicPartition, i32>,
) -> Result<BTreeSet<TopicPartition>> {
    let Some((topic, list)) = text.split_once(':') else {
        let all = leaders.keys().filter(|(topic, _)| topic == text);
        let all: BTreeSet<TopicPartition> = all.cloned().collect();
        if all.is_empty() {
            let what = format!("looking for topic {text}");
            let unknown = refusal(&what, ErrorCode::UnknownTopicOrPartition.code(), None);
            return unknown.map_or(Ok(all), Err);
        }
        return Ok(all);
    };
    if list.is_empty() || list.contains(':') {
        return Err(UsageError::of(format!(
            "Invalid topic arg '{text}', expected topic name and partitions"
        )));
    }
    let numbers = list.split(',').map(|number| {
        let parsed = number.parse().map(|number| (topic.to_owned(), number));
        parsed.map_err(|_| UsageError::of(format!("Invalid partition '{number}' specified in topic arg '{text}''")))
    });
    numbers.collect()
}

fn table(plan: &Plan) -> String {
    let group_width = width(15, plan.keys().map(String::as_str));
    let topics = plan.values().flat_map(BTreeMap::keys);
    let topic_width = width(15, topics.map(|(topic, _)| topic.as_str()));
    let line = |group: &str, topic: &str, partition: &str, offset: &str| {
        let cells = [(group, group_width), (topic, topic_width), (partition, 10), (offset, 0)];
        format!("\n{}", padded(cells))
    };
    let mut text = String::new();
    if !plan.is_empty() {
        text = line("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
    }
    for (group, offsets) in plan {
        for ((topic, partition), offset) in offsets {
            text.push_str(&line(group, topic, &partition.to_string(), &offset.to_string()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_offsets_are_a_table_of_four_columns() {
        let plan = Plan::from([("g".to_owned(), Offsets::from([(("orders".to_owned(), 1), 42)]))]);
        assert_eq!(
            table(&plan),
            "\nGROUP           TOPIC           PARTITION  NEW-OFFSET\ng               orders          1          42"
        );
        assert_eq!(table(&Plan::new()), "");
    }

    #[test]
    fn a_topic_is_all_of_its_partitions_or_those_that_are_named() {
        let leaders = BTreeMap::from([
            (("t".to_owned(), 0), 1),
            (("t".to_owned(), 1), 1),
            (("u".to_owned(), 0), 1),
        ]);
        let read = |text| topic_partitions(text, &leaders);
        assert_eq!(read("t").unwrap().len(), 2);
        assert_eq!(read("t:5").unwrap(), BTreeSet::from([("t".to_owned(), 5)]));
        for bad in ["t:", "t:a", "t:1:2", "x"] {
            read(bad).unwrap_err();
        }
    }
}
