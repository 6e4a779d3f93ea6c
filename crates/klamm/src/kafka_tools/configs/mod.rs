//! `kafka-configs` (`ConfigCommand`).

mod entities;
mod quotas;
mod resources;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Error, Result, bail};
use entities::{Entities, EntityType};

use super::connect::{BOOTSTRAP_CONTROLLER, BOOTSTRAP_SERVER, COMMAND_CONFIG, connection, read_properties};
use super::kafka_words::exception_of;
use super::options::{OptionSpec, Options, UsageError, flag, value};
use crate::commands::error_advice::Refusal;
use crate::commands::output::{note, write_line};

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    BOOTSTRAP_CONTROLLER,
    COMMAND_CONFIG,
    flag("alter", "Alter the configurations of an entity."),
    flag("describe", "Describe the configurations of an entity."),
    flag("all", "Describe all configurations, those that nobody has set, too."),
    value(
        "entity-type",
        "type",
        "topics, clients, users, brokers, ips, client-metrics or groups.",
    ),
    value("entity-name", "name", "The name of the entity."),
    flag("entity-default", "The default of clients, users, brokers or ips."),
    value("add-config", "k1=v1,k2=[v1,v2]", "Configurations to set."),
    value("add-config-file", "file", "A file of configurations to set."),
    value("delete-config", "k1,k2", "Configurations to delete."),
    value("topic", "topic", "The topic's name."),
    value("client", "client", "The client's id."),
    flag("client-defaults", "What holds for all clients."),
    value("user", "user", "The user's principal."),
    flag("user-defaults", "What holds for all users."),
    value("broker", "broker", "The broker's id."),
    flag("broker-defaults", "What holds for all brokers."),
    value(
        "broker-logger",
        "broker",
        "Not supported: klamm has no loggers of log4j.",
    ),
    flag("ip-defaults", "What holds for all addresses."),
    value("ip", "ip", "The address."),
    value("group", "group", "The group's id."),
    value("client-metrics", "name", "The name of the client metrics resource."),
];

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    let entities = check(options)?;
    match execute(options, &entities).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is::<Refusal>() => {
            note(&format!(
                "Error while executing config command with args '{}'\n{}",
                options.line(),
                exception_of(&error)
            ));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error),
    }
}

fn check(options: &Options) -> Result<Entities> {
    if options.given(&["alter", "describe"]).count() != 1 {
        return Err(UsageError::of(
            "Command must include exactly one action: --describe, --alter",
        ));
    }
    options.forbid("describe", &["add-config", "delete-config"])?;
    let entities = Entities::of(options)?;
    if options.has("alter") {
        if options.has("add-config") && options.has("add-config-file") {
            bail!("Only one of --add-config or --add-config-file must be specified");
        }
        if options
            .given(&["add-config", "add-config-file", "delete-config"])
            .next()
            .is_none()
        {
            bail!("At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter");
        }
    }
    Ok(entities)
}

async fn execute(options: &Options, entities: &Entities) -> Result<()> {
    let connection = connection(options)?;
    if options.has("describe") {
        return match entities.first() {
            EntityType::Users | EntityType::Clients | EntityType::Ips => quotas::describe(entities, &connection).await,
            kind => resources::describe(kind, entities.name(), options.has("all"), &connection).await,
        };
    }
    if entities.types.len() != entities.names.len() {
        bail!("An entity name must be specified for every entity type");
    }
    let added = added(options)?;
    let deleted: Vec<String> = options
        .values("delete-config")
        .flat_map(|keys| keys.split(','))
        .map(|key| key.trim().to_owned())
        .collect();
    let kind = entities.first();
    match kind {
        EntityType::Users | EntityType::Clients | EntityType::Ips => {
            quotas::alter(entities, &added, &deleted, &connection).await?;
        }
        kind => resources::alter(kind, entities.name().unwrap_or_default(), &added, &deleted, &connection).await?,
    }
    let plural = kind.name();
    match entities.name() {
        Some(name) if !name.is_empty() => {
            // As Kafka's tool makes a word of one of them: without its last letter.
            let singular = plural.get(..plural.len() - 1).unwrap_or(plural);
            write_line(&format!("Completed updating config for {singular} {name}."))
        }
        _ => write_line(&format!(
            "Completed updating default config for {plural} in the cluster."
        )),
    }
}

/// What shall be set, of the command line or of a file.
fn added(options: &Options) -> Result<BTreeMap<String, String>> {
    let mut added = BTreeMap::new();
    if let Some(file) = options.value("add-config-file")? {
        let properties = read_properties(Path::new(file))?;
        added.extend(properties.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    if let Some(text) = options.value("add-config")? {
        added.extend(parse_assignments(text)?);
    }
    let is_known = |letter: char| letter.is_ascii_alphanumeric() || "$._-".contains(letter);
    if let Some(key) = added.keys().find(|key| !key.chars().all(is_known)) {
        bail!("Invalid character found for config key: {key}");
    }
    Ok(added)
}

/// `k1=v1,k2=[v1,v2]`: commas and equals signs within brackets belong to the value.
fn parse_assignments(text: &str) -> Result<BTreeMap<String, String>> {
    let mut parts = vec![String::new()];
    let mut brackets = 0_u32;
    for letter in text.chars() {
        match letter {
            '[' => brackets += 1,
            ']' => brackets = brackets.saturating_sub(1),
            ',' if brackets == 0 => parts.push(String::new()),
            other => {
                if let Some(part) = parts.last_mut() {
                    // An equals sign within brackets must not split; it is put back below.
                    part.push(if other == '=' && brackets > 0 {
                        WITHIN_BRACKETS
                    } else {
                        other
                    });
                }
            }
        }
    }
    // As Java's split does: empty parts at the end are none.
    while parts.len() > 1 && parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    let mut assignments = BTreeMap::new();
    for part in &parts {
        let mut halves = part.split('=').map(str::trim);
        let (Some(key), Some(value), None) = (halves.next(), halves.next(), halves.next()) else {
            return Err(invalid());
        };
        assignments.insert(key.to_owned(), value.replace(WITHIN_BRACKETS, "="));
    }
    Ok(assignments)
}

/// Stands for an equals sign that belongs to a value; no configuration has it.
const WITHIN_BRACKETS: char = '\u{0}';

fn invalid() -> Error {
    Error::msg(
        "requirement failed: Invalid entity config: all configs to be added must be in the format \"key=val\" or  \
         \"key=[val1,val2]\" to group values which contain commas.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_commas_stand_in_brackets_and_may_be_empty() {
        let read = parse_assignments("a=1, b = [x,y] ,c=,d=[password=p,iterations=8]").unwrap();
        let value = |key: &str| read.get(key).map(String::as_str);
        assert_eq!(value("a"), Some("1"));
        assert_eq!(value("b"), Some("x,y"));
        assert_eq!(value("c"), Some(""));
        assert_eq!(value("d"), Some("password=p,iterations=8"));
        assert_eq!(parse_assignments("a=1,").unwrap().len(), 1);
        for bad in ["a", "a=1,b", "a=1=2"] {
            parse_assignments(bad).unwrap_err();
        }
    }

    fn refused(line: &str) -> String {
        let line = format!("--bootstrap-server a:1 {line}");
        let options = Options::parse(OPTIONS, line.split_whitespace().map(str::to_owned).collect()).unwrap();
        check(&options).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_action_an_entity_and_something_to_alter_are_needed() {
        assert_eq!(refused("--describe --topic t"), "");
        assert_eq!(refused("--alter --topic t --add-config a=b"), "");
        assert!(refused("--topic t").starts_with("Command must include exactly one action"));
        assert!(refused("--alter --topic t").starts_with("At least one of --add-config"));
        assert!(refused("--describe --topic t --add-config a=b").contains("can't be used"));
        assert!(refused("--alter --topic t --add-config a=b --add-config-file f").starts_with("Only one of"));
    }
}
