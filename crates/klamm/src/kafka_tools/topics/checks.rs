//! Which options of `kafka-topics` go together.

use anyhow::{Result, bail};

use crate::commands::output::{note, write_line};
use crate::kafka_tools::options::{Options, UsageError};

const ACTIONS: [&str; 5] = ["alter", "create", "describe", "list", "delete"];
const REPORTS: [&str; 4] = [
    "under-replicated-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "unavailable-partitions",
];

/// Refuses what Kafka's tool refuses, in its words.
pub(super) fn check(options: &Options) -> Result<()> {
    if ACTIONS.iter().filter(|action| options.has(action)).count() != 1 {
        return Err(UsageError::of(
            "Command must include exactly one action: --list, --describe, --create, --alter or --delete",
        ));
    }
    if options.has("delete-config") {
        note(
            "delete-config option is no longer supported and deprecated since version 4.0. The config will be fully removed in future releases.",
        );
    }
    if !options.has("bootstrap-server") {
        bail!("--bootstrap-server must be specified");
    }
    if options.has("describe") && options.has("if-exists") {
        match (options.has("topic"), options.has("topic-id")) {
            (false, false) => return Err(UsageError::of("--topic or --topic-id is required to describe a topic")),
            (true, true) => write_line(
                "Only topic id will be used when both --topic and --topic-id are specified and topicId is not Uuid.ZERO_UUID",
            )?,
            (true, false) | (false, true) => {}
        }
    }
    if !options.has("list") && !options.has("describe") {
        options.require(&["topic"])?;
    }
    if options.has("alter") {
        if options.has("config") {
            return Err(UsageError::of(
                "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \"[alter]\" (To alter topic \
                 configurations, the kafka-configs tool can be used.)",
            ));
        }
        options.require(&["partitions"])?;
    }
    check_pairs(options)
}

fn check_pairs(options: &Options) -> Result<()> {
    let without = |kept: &[&str]| -> Vec<&str> {
        let others = ACTIONS.iter().filter(|action| !kept.contains(action));
        others.copied().collect()
    };
    options.forbid("config", &without(&["alter", "create"]))?;
    options.forbid("partitions", &without(&["alter", "create"]))?;
    options.forbid("replication-factor", &without(&["create"]))?;
    options.forbid("replica-assignment", &without(&["alter", "create"]))?;
    if options.has("create") {
        options.forbid("replica-assignment", &["partitions", "replication-factor"])?;
    }
    for report in REPORTS {
        options.forbid(report, &without(&["describe"]))?;
        options.forbid(report, &["topics-with-overrides"])?;
    }
    options.forbid("topics-with-overrides", &without(&["describe"]))?;
    options.forbid("if-exists", &without(&["alter", "delete", "describe"]))?;
    options.forbid("if-not-exists", &without(&["create"]))?;
    options.forbid("exclude-internal", &without(&["list", "describe"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka_tools::topics::OPTIONS;

    fn refused(line: &str) -> String {
        let line = format!("--bootstrap-server a:1 {line}");
        let options = Options::parse(OPTIONS, line.split_whitespace().map(str::to_owned).collect()).unwrap();
        check(&options).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn there_is_one_action_and_it_has_what_it_needs() {
        assert!(refused("--topic a").starts_with("Command must include exactly one action"));
        assert!(refused("--list --describe").starts_with("Command must include exactly one action"));
        assert_eq!(refused("--create"), "Missing required argument \"[topic]\"");
        assert_eq!(
            refused("--alter --topic a"),
            "Missing required argument \"[partitions]\""
        );
        assert_eq!(refused("--list"), "");
        assert_eq!(refused("--create --topic a --config b=c --if-not-exists"), "");
        assert_eq!(refused("--describe --topic a --at-min-isr-partitions"), "");
    }

    #[test]
    fn options_of_other_actions_are_refused() {
        assert!(refused("--list --partitions 3").contains("\"[partitions]\" can't be used with option \"[list]\""));
        assert!(refused("--alter --topic a --partitions 3 --config b=c").contains("kafka-configs"));
        assert!(
            refused("--describe --topics-with-overrides --unavailable-partitions").contains("topics-with-overrides")
        );
        assert!(refused("--create --topic a --replica-assignment 1:2 --partitions 3").contains("can't be used"));
    }
}
