//! Which options of `kafka-consumer-groups` go together.

use anyhow::Result;

use crate::commands::output::note;
use crate::kafka_tools::options::{Options, UsageError};

const ACTIONS: [&str; 6] = [
    "list",
    "describe",
    "delete",
    "reset-offsets",
    "delete-offsets",
    "validate-regex",
];
const SCENARIOS: [&str; 8] = [
    "to-offset",
    "to-datetime",
    "by-duration",
    "to-earliest",
    "to-latest",
    "to-current",
    "shift-by",
    "from-file",
];
const SUB_ACTIONS: [&str; 3] = ["members", "offsets", "state"];

/// Refuses what Kafka's tool refuses, in its words.
pub(super) fn check(options: &Options) -> Result<()> {
    options.only_with(&["members", "verbose", "offsets"], &["describe"])?;
    options.only_with(&["state"], &["describe", "list"])?;
    options.only_with(&["type"], &["list"])?;
    if !options.has("validate-regex") {
        options.require(&["bootstrap-server"])?;
    }
    let usage = |message: String| Err(UsageError::of(message));
    let has_groups = options.has("group") || options.has("all-groups");
    for action in ["describe", "delete", "reset-offsets"] {
        if options.has(action) && !has_groups {
            return usage(format!(
                "Option [{action}] takes one of these options: [group], [all-groups]"
            ));
        }
    }
    if options.has("describe") {
        if options.given(&SUB_ACTIONS).count() > 1 {
            return usage(
                "Option [describe] takes at most one of these options: [members], [offsets], [state]".to_owned(),
            );
        }
        if options.value("state")?.is_some() {
            return usage("Option [describe] does not take a value for [state]".to_owned());
        }
    }
    if options.has("delete") && options.has("topic") {
        return usage("The consumer does not support topic-specific offset deletion from a consumer group.".to_owned());
    }
    if options.has("delete-offsets") && !(options.has("group") && options.has("topic")) {
        return usage("Option [delete-offsets] takes the following options: [group], [topic]".to_owned());
    }
    if options.has("reset-offsets") {
        check_reset(options)?;
    }
    options.forbid("group", &["all-groups", "list"])?;
    options.forbid("topic", &["list", "describe"])?;
    if ACTIONS.iter().filter(|action| options.has(action)).count() != 1 {
        let actions: Vec<String> = ACTIONS.iter().map(|action| format!("--{action}")).collect();
        return usage(format!(
            "Command must include exactly one action: {}",
            actions.join(", ")
        ));
    }
    Ok(())
}

fn check_reset(options: &Options) -> Result<()> {
    if options.has("dry-run") && options.has("execute") {
        return Err(UsageError::of(
            "Option [reset-offsets] only accepts one of [execute] and [dry-run]",
        ));
    }
    if !options.has("dry-run") && !options.has("execute") {
        note(
            "WARN: No action will be performed as the --execute option is missing. In version 5.0, this command will require either \
             --dry-run or --execute to be specified. You should add the --dry-run option explicitly if you are scripting this \
             command and want to keep the current default behavior without prompting.",
        );
    }
    for scenario in SCENARIOS {
        let others: Vec<&str> = SCENARIOS.into_iter().filter(|other| *other != scenario).collect();
        options.forbid(scenario, &others)?;
    }
    if options.given(&SCENARIOS).next().is_none() {
        let scenarios: Vec<String> = SCENARIOS.iter().map(|name| format!("[{name}]")).collect();
        return Err(UsageError::of(format!(
            "Option '[reset-offsets]' requires one of the following scenarios: [{}]",
            scenarios.join(", ")
        )));
    }
    let has_scope = options.has("all-topics") || options.has("topic") || options.has("from-file");
    if !has_scope {
        return Err(UsageError::of(
            "One of the reset scopes should be defined: --all-topics, --topic.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka_tools::consumer_groups::OPTIONS;

    fn refused(line: &str) -> String {
        let line = format!("--bootstrap-server a:1 {line}");
        let options = Options::parse(OPTIONS, line.split_whitespace().map(str::to_owned).collect()).unwrap();
        check(&options).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_goes_together_is_taken() {
        for line in [
            "--list",
            "--list --state",
            "--list --state stable,empty --type classic",
            "--describe --group g",
            "--describe --all-groups --members --verbose",
            "--delete --group a --group b",
            "--reset-offsets --group g --topic t:0 --to-earliest --execute",
            "--reset-offsets --all-groups --all-topics --shift-by -5 --dry-run --export",
            "--reset-offsets --group g --from-file f --dry-run",
            "--delete-offsets --group g --topic t",
        ] {
            assert_eq!(refused(line), "", "{line}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (line, part) in [
            ("--group g", "Command must include exactly one action: --list"),
            ("--list --describe --group g", "can't be used"),
            ("--describe", "takes one of these options: [group], [all-groups]"),
            ("--describe --group g --members --state", "at most one"),
            ("--describe --group g --state stable", "does not take a value"),
            (
                "--describe --group g --all-groups",
                "\"[group]\" can't be used with option \"[all-groups]\"",
            ),
            ("--list --verbose", "unavailable"),
            ("--delete --group g --topic t", "topic-specific"),
            ("--delete-offsets --group g", "takes the following options"),
            (
                "--reset-offsets --group g --topic t --dry-run",
                "requires one of the following scenarios",
            ),
            (
                "--reset-offsets --group g --to-latest --dry-run",
                "One of the reset scopes",
            ),
            (
                "--reset-offsets --group g --topic t --to-latest --to-earliest --dry-run",
                "can't be used",
            ),
            (
                "--reset-offsets --group g --topic t --to-latest --execute --dry-run",
                "only accepts one of",
            ),
        ] {
            assert!(refused(line).contains(part), "{line}: {}", refused(line));
        }
    }
}
