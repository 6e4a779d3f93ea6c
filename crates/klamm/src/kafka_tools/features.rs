//! `kafka-features` (`FeatureCommand`): describe; upgrade, downgrade and disable of features that are named.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use wire::messages::update_features_request::FeatureUpdateKey;
use wire::messages::{ApiVersionsRequest, UpdateFeaturesRequest};
use wire::protocol::StrBytes;

use super::columns::MISSING;
use super::connect::{BOOTSTRAP_CONTROLLER, BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::kafka_words::message_of;
use super::options::{OptionSpec, Options, flag, value};
use crate::commands::brokers::Brokers;
use crate::commands::error_advice::refusal;
use crate::commands::output::write_line;

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    BOOTSTRAP_CONTROLLER,
    COMMAND_CONFIG,
    value("node-id", "node id", "describe: the broker to ask."),
    value(
        "feature",
        "feature=level",
        "upgrade, downgrade, disable: the feature; may be given more than once.",
    ),
    flag("unsafe", "downgrade, disable: even if metadata are lost by it."),
    flag("dry-run", "upgrade, downgrade, disable: check it only."),
    value(
        "metadata",
        "version",
        "Not supported: give --feature metadata.version=LEVEL.",
    ),
    value("release-version", "version", "Not supported: give each --feature."),
];

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    match options.words() {
        [command] if command == "describe" => describe(options).await,
        [command] if ["upgrade", "downgrade", "disable"].contains(&command.as_str()) => update(command, options).await,
        [] => bail!("Command line error: too few arguments. Type --help for help."),
        [command, ..] => bail!(
            "{command} is not supported by klamm's kafka-features; it knows describe, upgrade, downgrade and disable"
        ),
    }
}

async fn describe(options: &Options) -> Result<ExitCode> {
    let connection = connection(options)?;
    let mut brokers = Brokers::reach(&connection).await?;
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("klamm"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
    let response = match options.number::<i32>("node-id")? {
        Some(node) if node < 0 => bail!("Invalid node id {node}: must be non-negative."),
        Some(node) => brokers.call(node, &request).await?,
        None => brokers.call_any(&request).await?,
    };
    if let Some(error) = refusal("asking for features", response.error_code, None) {
        return Err(error);
    }
    if response.supported_features.is_empty() {
        return Err(anyhow!("the broker names no features"));
    }
    let finalized: BTreeMap<&str, i16> = response
        .finalized_features
        .iter()
        .map(|feature| (feature.name.as_str(), feature.max_version_level))
        .collect();
    let epoch = Some(response.finalized_features_epoch).filter(|epoch| *epoch >= 0);
    let supported: BTreeMap<&str, (i16, i16)> = response
        .supported_features
        .iter()
        .map(|feature| (feature.name.as_str(), (feature.min_version, feature.max_version)))
        .collect();
    for (name, (min, max)) in supported {
        let level = finalized.get(name).copied().unwrap_or_default();
        write_line(&line(name, [min, max, level], epoch))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line(name: &str, levels: [i16; 3], epoch: Option<i64>) -> String {
    let [min, max, level] = levels.map(|level| level_name(name, level));
    let epoch = epoch.map_or_else(|| MISSING.to_owned(), |epoch| epoch.to_string());
    format!(
        "Feature: {name:40}  SupportedMinVersion: {min:15}  SupportedMaxVersion: {max:15}  FinalizedVersionLevel: {level:15}  \
         Epoch: {epoch}"
    )
}

/// Kafka's numbers of what may be done to a level.
const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

async fn update(command: &str, options: &Options) -> Result<ExitCode> {
    options.refuse(&["metadata", "release-version", "node-id"])?;
    let wanted = wanted(command, options)?;
    let dry_run = options.has("dry-run");
    let kind = match (command, options.has("unsafe")) {
        ("upgrade", _) => UPGRADE,
        (_, false) => SAFE_DOWNGRADE,
        (_, true) => UNSAFE_DOWNGRADE,
    };
    let updates = wanted.iter().map(|(feature, level)| {
        FeatureUpdateKey::default()
            .with_feature(StrBytes::from_string(feature.clone()))
            .with_max_version_level(*level)
            .with_upgrade_type(kind)
    });
    let connection = connection(options)?;
    let request = UpdateFeaturesRequest::default()
        .with_timeout_ms(connection.timeout_ms())
        .with_feature_updates(updates.collect())
        .with_validate_only(dry_run);
    let mut brokers = Brokers::reach(&connection).await?;
    let response = brokers.call_any(&request).await?;
    // Of the whole, since version 2; before, of each.
    let whole = refusal(
        "updating features",
        response.error_code,
        response.error_message.as_deref(),
    );
    let mut failed = 0;
    for (feature, level) in &wanted {
        let of_each = response
            .results
            .iter()
            .find(|result| result.feature.as_str() == feature);
        let of_each = of_each.and_then(|result| {
            let said = result.error_message.as_deref();
            refusal("updating a feature", result.error_code, said)
        });
        let error = whole.as_ref().or(of_each.as_ref()).map(message_of);
        failed += usize::from(error.is_some());
        write_line(&outcome(command, feature, *level, dry_run, error.as_deref()))?;
    }
    if failed > 0 {
        bail!("{failed} out of {} operation(s) failed.", wanted.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// The features with the levels that they shall have; to be disabled is level 0.
fn wanted(command: &str, options: &Options) -> Result<BTreeMap<String, i16>> {
    let mut wanted = BTreeMap::new();
    for text in options.values("feature") {
        let (feature, level) = match (command, text.split_once('=')) {
            ("disable", _) => (text, 0),
            (_, None) => bail!("Can't parse feature=level string {text}: equals sign not found."),
            (_, Some((feature, level))) => match level.trim().parse() {
                Ok(number) => (feature.trim(), number),
                Err(_) => bail!(
                    "Can't parse feature=level string {text}: unable to parse {} as a short.",
                    level.trim()
                ),
            },
        };
        if wanted.insert(feature.to_owned(), level).is_some() {
            bail!("Feature {feature} was specified more than once.");
        }
    }
    if wanted.is_empty() {
        bail!("You must specify at least one feature to {command}");
    }
    Ok(wanted)
}

fn outcome(command: &str, feature: &str, level: i16, dry_run: bool, error: Option<&str>) -> String {
    let disables = command == "disable";
    match error {
        Some(error) => {
            let head = if dry_run { "Can not" } else { "Could not" };
            let target = if disables {
                String::new()
            } else {
                format!(" to {level}")
            };
            format!("{head} {command} {feature}{target}. {error}")
        }
        None => {
            let verb = if dry_run { "can be" } else { "was" };
            let done = if disables {
                "disabled.".to_owned()
            } else {
                format!("{command}d to {level}.")
            };
            format!("{feature} {verb} {done}")
        }
    }
}

/// A level's number; those of the metadata's version have names.
fn level_name(feature: &str, level: i16) -> String {
    if feature != "metadata.version" {
        return level.to_string();
    }
    let name = match level {
        7 => "3.3-IV3",
        8 => "3.4-IV0",
        9 => "3.5-IV0",
        10 => "3.5-IV1",
        11 => "3.5-IV2",
        12 => "3.6-IV0",
        13 => "3.6-IV1",
        14 => "3.6-IV2",
        15 => "3.7-IV0",
        16 => "3.7-IV1",
        17 => "3.7-IV2",
        18 => "3.7-IV3",
        19 => "3.7-IV4",
        20 => "3.8-IV0",
        21 => "3.9-IV0",
        22 => "4.0-IV0",
        23 => "4.0-IV1",
        24 => "4.0-IV2",
        25 => "4.0-IV3",
        26 => "4.1-IV0",
        27 => "4.1-IV1",
        28 => "4.2-IV0",
        29 => "4.2-IV1",
        30 => "4.3-IV0",
        31 => "4.4-IV0",
        32 => "4.4-IV1",
        33 => "4.4-IV2",
        unknown => return format!("UNKNOWN {unknown}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_named_once_with_a_level_unless_they_are_disabled() {
        let read = |line: &str| {
            let options = Options::parse(OPTIONS, line.split_whitespace().map(str::to_owned).collect()).unwrap();
            let command = options.words().first().cloned().unwrap();
            wanted(&command, &options).map_err(|error| error.to_string())
        };
        assert_eq!(read("upgrade --feature a=1 --feature b=2").unwrap().len(), 2);
        assert_eq!(read("disable --feature a").unwrap()["a"], 0);
        assert!(
            read("upgrade --feature a")
                .unwrap_err()
                .contains("equals sign not found")
        );
        assert!(read("upgrade --feature a=x").unwrap_err().contains("as a short"));
        assert!(
            read("disable --feature a --feature a")
                .unwrap_err()
                .contains("more than once")
        );
        assert_eq!(
            read("downgrade").unwrap_err(),
            "You must specify at least one feature to downgrade"
        );
    }

    #[test]
    fn what_became_of_an_update_is_told_in_kafkas_words() {
        assert_eq!(outcome("upgrade", "f", 2, false, None), "f was upgraded to 2.");
        assert_eq!(outcome("disable", "f", 0, true, None), "f can be disabled.");
        assert_eq!(
            outcome("downgrade", "f", 1, false, Some("No.")),
            "Could not downgrade f to 1. No."
        );
        assert_eq!(outcome("disable", "f", 0, true, Some("No.")), "Can not disable f. No.");
    }

    #[test]
    fn a_feature_is_a_line_and_metadata_versions_have_names() {
        assert_eq!(
            line("group.version", [0, 1, 1], Some(7)),
            "Feature: group.version                             SupportedMinVersion: 0                SupportedMaxVersion: 1                \
             FinalizedVersionLevel: 1                Epoch: 7"
        );
        assert_eq!(level_name("metadata.version", 7), "3.3-IV3");
        assert_eq!(level_name("metadata.version", 99), "UNKNOWN 99");
    }
}
