//! `kafka-groups` (`GroupsCommand`).

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::columns::{padded, width};
use super::connect::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::kafka_words::{message_of, note_advice};
use super::options::{OptionSpec, Options, UsageError, flag, value};
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::group::{ListedGroup, listed_groups};
use crate::commands::output::write_line;

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    flag("list", "List the groups."),
    value(
        "group-type",
        "type",
        "Only groups of this type: classic, consumer, share or streams.",
    ),
    value("protocol", "protocol", "Only groups of this protocol."),
    flag("consumer", "Only groups that consume, of either protocol."),
    flag("share", "Only share groups."),
    flag("streams", "Only streams groups."),
];

const TYPES: [&str; 4] = ["Classic", "Consumer", "Share", "Streams"];

/// Which groups.
#[derive(Debug)]
struct Filter<'a> {
    kind: Option<&'static str>,
    protocol: Option<&'a str>,
    consumer: bool,
    share: bool,
    streams: bool,
}

impl Filter<'_> {
    fn includes(&self, group: &ListedGroup) -> bool {
        let is = |kind: &str| group.kind.eq_ignore_ascii_case(kind);
        let of_protocol = self.protocol.is_none_or(|protocol| group.protocol == protocol);
        match self.kind {
            Some(kind) => is(kind) && of_protocol,
            None if self.protocol.is_some() => of_protocol,
            None if self.consumer => matches!(group.protocol.as_str(), "consumer" | "") || is("Consumer"),
            None if self.share => is("Share"),
            None if self.streams => is("Streams"),
            None => true,
        }
    }
}

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    options.require(&["bootstrap-server"])?;
    if !options.has("list") {
        return Err(UsageError::of("Command must include exactly one action: --list."));
    }
    let filter = Filter {
        kind: match options.value("group-type")? {
            Some(text) => match TYPES.into_iter().find(|kind| kind.eq_ignore_ascii_case(text)) {
                Some(kind) => Some(kind),
                None => bail!("--group-type must be a valid group type."),
            },
            None => None,
        },
        protocol: options.value("protocol")?,
        consumer: options.has("consumer"),
        share: options.has("share"),
        streams: options.has("streams"),
    };
    for (one, others) in [
        ("consumer", ["group-type", "protocol", "share", "streams"]),
        ("share", ["consumer", "group-type", "protocol", "streams"]),
        ("streams", ["consumer", "group-type", "protocol", "share"]),
    ] {
        options.forbid(one, &others)?;
    }
    let connection = connection(options)?;
    match list(&filter, &connection).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            write_line(&format!(
                "Error while executing groups command : {}",
                message_of(&error)
            ))?;
            note_advice(&error);
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn list(filter: &Filter<'_>, connection: &Connection) -> Result<()> {
    let mut brokers = Brokers::reach(connection).await?;
    let groups = listed_groups(&mut brokers).await?;
    let groups: Vec<&ListedGroup> = groups.iter().filter(|group| filter.includes(group)).collect();
    write_line(&table(&groups))
}

fn table(groups: &[&ListedGroup]) -> String {
    let texts = groups
        .iter()
        .flat_map(|group| [group.group.as_str(), group.protocol.as_str()]);
    let column = width(20, texts);
    let mut lines = vec![padded([("GROUP", column), ("TYPE", column), ("PROTOCOL", column)])];
    for group in groups {
        let kind = TYPES.iter().find(|kind| kind.eq_ignore_ascii_case(&group.kind));
        // Rows end with a blank, the head doesn't: so does Kafka's tool.
        lines.push(padded([
            (group.group.as_str(), column),
            (kind.copied().unwrap_or_default(), column),
            (group.protocol.as_str(), column),
            ("", 0),
        ]));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(kind: &str, protocol: &str) -> ListedGroup {
        ListedGroup {
            group: "g".to_owned(),
            kind: kind.to_owned(),
            protocol: protocol.to_owned(),
            state: "Stable".to_owned(),
            coordinator: 1,
        }
    }

    #[test]
    fn filters_are_by_type_by_protocol_or_by_what_groups_do() {
        let all = [
            group("classic", "consumer"),
            group("classic", "connect"),
            group("consumer", "consumer"),
            group("share", "share"),
        ];
        let none = Filter {
            kind: None,
            protocol: None,
            consumer: false,
            share: false,
            streams: false,
        };
        let count = |filter: &Filter<'_>| all.iter().filter(|group| filter.includes(group)).count();
        assert_eq!(count(&none), 4);
        assert_eq!(count(&Filter { consumer: true, ..none }), 2);
        let none = Filter {
            kind: None,
            protocol: Some("connect"),
            consumer: false,
            share: false,
            streams: false,
        };
        assert_eq!(count(&none), 1);
        assert_eq!(
            count(&Filter {
                kind: Some("Classic"),
                ..none
            }),
            1
        );
        let none = Filter {
            kind: Some("Share"),
            protocol: None,
            consumer: false,
            share: false,
            streams: false,
        };
        assert_eq!(count(&none), 1);
    }

    #[test]
    fn a_group_is_a_line_with_type_and_protocol() {
        let text = table(&[&group("classic", "consumer")]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines.first().unwrap().trim_end(),
            "GROUP                TYPE                 PROTOCOL"
        );
        assert_eq!(
            *lines.last().unwrap(),
            "g                    Classic              consumer             "
        );
    }
}
