//! `kafka-features` (`FeatureCommand`): describe.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use wire::messages::ApiVersionsRequest;
use wire::protocol::StrBytes;

use super::columns::MISSING;
use super::connect::{BOOTSTRAP_CONTROLLER, BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::options::{OptionSpec, Options, flag, value};
use crate::commands::brokers::Brokers;
use crate::commands::error_advice::refusal;
use crate::commands::output::write_line;

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    BOOTSTRAP_CONTROLLER,
    COMMAND_CONFIG,
    value("node-id", "node id", "describe: the broker to ask."),
    value("feature", "feature=level", "Of commands that are not supported."),
    value("metadata", "version", "Of commands that are not supported."),
    value("release-version", "version", "Of commands that are not supported."),
    flag("unsafe", "Of commands that are not supported."),
    flag("dry-run", "Of commands that are not supported."),
];

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    match options.words() {
        [command] if command == "describe" => describe(options).await,
        [] => bail!("Command line error: too few arguments. Type --help for help."),
        [command, ..] => bail!("{command} is not supported by klamm's kafka-features; it knows describe"),
    }
}

async fn describe(options: &Options) -> Result<ExitCode> {
    options.refuse(&["feature", "metadata", "release-version", "unsafe", "dry-run"])?;
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
