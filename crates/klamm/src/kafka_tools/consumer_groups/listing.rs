//! `kafka-consumer-groups --list`, and which groups are meant.

use anyhow::Result;

use crate::commands::brokers::Brokers;
use crate::commands::group::{ListedGroup, listed_groups};
use crate::commands::output::write_line;
use crate::kafka_tools::columns::{padded, width};
use crate::kafka_tools::options::{Options, UsageError};

/// Of a group that consumes, by either protocol (`GroupState.groupStatesForType`).
const STATES: [&str; 7] = [
    "PreparingRebalance",
    "Stable",
    "CompletingRebalance",
    "Dead",
    "Empty",
    "Assigning",
    "Reconciling",
];
const TYPES: [&str; 2] = ["Classic", "Consumer"];

pub(super) async fn list(options: &Options, brokers: &mut Brokers) -> Result<()> {
    let (with_type, with_state) = (options.has("type"), options.has("state"));
    let types = chosen(options.value("type")?, &TYPES, "types list", "types")?;
    let states = chosen(options.value("state")?, &STATES, "state list", "states")?;
    let groups = consumer_groups(brokers).await?;
    let groups: Vec<&ListedGroup> = groups
        .iter()
        .filter(|group| states.is_empty() || states.contains(&group.state.as_str()))
        .filter(|group| types.is_empty() || types.iter().any(|kind| kind.eq_ignore_ascii_case(&group.kind)))
        .collect();
    if !with_type && !with_state {
        return groups.iter().try_for_each(|group| write_line(&group.group));
    }
    let group_width = width(15, groups.iter().map(|group| group.group.as_str())) + 10;
    let line = |group: &str, kind: &str, state: &str| {
        let mut cells = vec![(group, group_width)];
        cells.extend(with_type.then_some((kind, 20)));
        cells.extend(with_state.then_some((state, 20)));
        padded(cells)
    };
    write_line(&line("GROUP", "TYPE", "STATE"))?;
    for group in groups {
        let kind = TYPES.iter().find(|kind| kind.eq_ignore_ascii_case(&group.kind));
        write_line(&line(&group.group, kind.unwrap_or(&"Unknown"), &group.state))?;
    }
    Ok(())
}

/// The groups that consume, of either protocol.
async fn consumer_groups(brokers: &mut Brokers) -> Result<Vec<ListedGroup>> {
    let mut groups = listed_groups(brokers).await?;
    groups.retain(|group| {
        matches!(group.kind.as_str(), "classic" | "consumer" | "") && matches!(group.protocol.as_str(), "" | "consumer")
    });
    Ok(groups)
}

/// The groups that the options name, sorted.
pub(super) async fn meant(options: &Options, brokers: &mut Brokers) -> Result<Vec<String>> {
    let mut names: Vec<String> = if options.has("all-groups") {
        let groups = consumer_groups(brokers).await?;
        groups.into_iter().map(|group| group.group).collect()
    } else {
        options.values("group").map(str::to_owned).collect()
    };
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The words of a list among those that there are, however they are written.
fn chosen(text: Option<&str>, known: &[&'static str], what: &str, valid: &str) -> Result<Vec<&'static str>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let words = text.split(',').map(str::trim);
    let found: Option<Vec<&'static str>> = words
        .map(|word| known.iter().find(|known| known.eq_ignore_ascii_case(word)).copied())
        .collect();
    found.ok_or_else(|| {
        UsageError::of(format!(
            "Invalid {what} '{text}'. Valid {valid} are: {}",
            known.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_types_are_known_however_they_are_written() {
        let states = |text| chosen(Some(text), &STATES, "state list", "states");
        assert_eq!(states("stable, EMPTY").unwrap(), ["Stable", "Empty"]);
        let error = states("stable,wrong").unwrap_err().to_string();
        assert!(
            error.starts_with("Invalid state list 'stable,wrong'. Valid states are: "),
            "{error}"
        );
        assert!(chosen(None, &TYPES, "types list", "types").unwrap().is_empty());
        chosen(Some("share"), &TYPES, "types list", "types").unwrap_err();
    }
}
