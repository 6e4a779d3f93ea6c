//! The CSV file of `--export` and `--from-file`: `topic,partition,offset`, with the group before it if there are several.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::commands::group::TopicPartition;

/// By group: the offsets.
pub(super) type Plan = BTreeMap<String, BTreeMap<TopicPartition, i64>>;

/// Longer words are quoted by the library of Kafka's tool, whether they need it or not.
const UNQUOTED_MAX: usize = 24;

/// Reads a file. Lines without a group belong to the only one that was named.
pub(super) fn read_plan(path: &Path, groups: &[&str]) -> Result<Plan> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    parse_plan(&text, groups)
}

fn parse_plan(text: &str, groups: &[&str]) -> Result<Plan> {
    let mut plan = Plan::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        let (group, topic, partition, offset) = match (cells.as_slice(), groups) {
            ([topic, partition, offset], [group]) => (*group, topic, partition, offset),
            ([group, topic, partition, offset], _) => (*group, topic, partition, offset),
            _ => anyhow::bail!("{line} isn't topic,partition,offset, or that behind a group"),
        };
        let number = || format!("{line}: partition and offset are numbers");
        let place = ((*topic).to_owned(), partition.parse().with_context(number)?);
        let offset = offset.parse().with_context(number)?;
        plan.entry(group.to_owned()).or_default().insert(place, offset);
    }
    Ok(plan)
}

/// Each line ends with its line feed.
pub(super) fn write_plan(plan: &Plan, with_group: bool) -> String {
    let quoted = |text: &str| {
        if text.len() > UNQUOTED_MAX {
            format!("\"{text}\"")
        } else {
            text.to_owned()
        }
    };
    let mut text = String::new();
    for (group, offsets) in plan {
        for ((topic, partition), offset) in offsets {
            if with_group {
                text.push_str(&format!("{},", quoted(group)));
            }
            text.push_str(&format!("{},{partition},{offset}\n", quoted(topic)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_was_written_is_read_again() {
        let long = "a-topic-with-a-name-of-more-than-24-letters";
        let offsets = BTreeMap::from([((long.to_owned(), 0), 5), (("b".to_owned(), 1), 6)]);
        let plan = Plan::from([("g".to_owned(), offsets)]);
        let text = write_plan(&plan, false);
        assert_eq!(text, format!("\"{long}\",0,5\nb,1,6\n"));
        assert_eq!(parse_plan(&text, &["g"]).unwrap(), plan);
        let text = write_plan(&plan, true);
        assert_eq!(text, format!("g,\"{long}\",0,5\ng,b,1,6\n"));
        assert_eq!(parse_plan(&text, &["g", "h"]).unwrap(), plan);
    }

    #[test]
    fn lines_without_a_group_need_one_that_is_named() {
        parse_plan("a,0,1", &["g", "h"]).unwrap_err();
        parse_plan("a,x,1", &["g"]).unwrap_err();
        parse_plan("a", &["g"]).unwrap_err();
    }
}
