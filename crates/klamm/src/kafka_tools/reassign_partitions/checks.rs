//! Which options of `kafka-reassign-partitions` go together.

use anyhow::Result;

use crate::kafka_tools::options::{Options, UsageError};

const ACTIONS: [&str; 5] = ["generate", "execute", "verify", "cancel", "list"];

const ALL: [&str; 13] = [
    "bootstrap-server",
    "bootstrap-controller",
    "command-config",
    "reassignment-json-file",
    "topics-to-move-json-file",
    "broker-list",
    "disable-rack-aware",
    "throttle",
    "replica-alter-log-dirs-throttle",
    "timeout",
    "additional",
    "preserve-throttles",
    "disallow-replication-factor-change",
];

/// Refuses what Kafka's tool refuses, in its words.
pub(super) fn check(options: &Options) -> Result<()> {
    let given: Vec<&str> = ACTIONS.into_iter().filter(|action| options.has(action)).collect();
    let [action] = given.as_slice() else {
        let actions: Vec<String> = ACTIONS.iter().map(|action| format!("--{action}")).collect();
        return Err(UsageError::of(format!(
            "Command must include exactly one action: {}",
            actions.join(", ")
        )));
    };
    match (options.has("bootstrap-server"), options.has("bootstrap-controller")) {
        (true, true) => {
            return Err(UsageError::of(
                "Please don't specify both --bootstrap-server and --bootstrap-controller",
            ));
        }
        (false, false) => {
            return Err(UsageError::of(
                "Please specify either --bootstrap-server or --bootstrap-controller",
            ));
        }
        (true, false) | (false, true) => {}
    }
    let (required, permitted): (&[&str], &[&str]) = match *action {
        "verify" => (&["reassignment-json-file"], &["preserve-throttles"]),
        "generate" => (&["topics-to-move-json-file", "broker-list"], &["disable-rack-aware"]),
        "execute" => (
            &["reassignment-json-file"],
            &[
                "additional",
                "throttle",
                "replica-alter-log-dirs-throttle",
                "timeout",
                "disallow-replication-factor-change",
            ],
        ),
        "cancel" => (
            &["reassignment-json-file"],
            &["bootstrap-controller", "preserve-throttles", "timeout"],
        ),
        _ => (&[], &["bootstrap-controller"]),
    };
    options.require(required)?;
    let allowed = |name: &str| {
        ["bootstrap-server", "command-config"].contains(&name) || required.contains(&name) || permitted.contains(&name)
    };
    match options.given(&ALL).find(|name| !allowed(name)) {
        Some(name) => Err(UsageError::of(format!(
            "Option \"[{name}]\" can't be used with action \"[{action}]\""
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka_tools::reassign_partitions::OPTIONS;

    fn refused(line: &str) -> String {
        let options = Options::parse(OPTIONS, line.split_whitespace().map(str::to_owned).collect()).unwrap();
        check(&options).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_action_takes_its_own_options_only() {
        let at = "--bootstrap-server a:1";
        assert_eq!(refused(&format!("{at} --list")), "");
        assert_eq!(
            refused(&format!(
                "{at} --execute --reassignment-json-file f --throttle 1000 --additional"
            )),
            ""
        );
        assert_eq!(
            refused(&format!(
                "{at} --generate --topics-to-move-json-file f --broker-list 1,2"
            )),
            ""
        );
        assert_eq!(
            refused(&format!("{at} --list --throttle 5")),
            "Option \"[throttle]\" can't be used with action \"[list]\""
        );
        assert_eq!(
            refused(&format!("{at} --verify")),
            "Missing required argument \"[reassignment-json-file]\""
        );
        assert!(refused(at).starts_with("Command must include exactly one action: --generate, --execute"));
        assert!(refused("--list").starts_with("Please specify either"));
    }
}
