//! `kafka-broker-api-versions` (`BrokerApiVersionsCommand`).

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use wire::ApiRange;

use super::api_names::CLIENT_APIS;
use super::connect::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::options::{OptionSpec, Options};
use crate::commands::brokers::Brokers;
use crate::commands::output::write_line;

pub(super) const OPTIONS: &[OptionSpec] = &[BOOTSTRAP_SERVER, COMMAND_CONFIG];

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    options.require(&["bootstrap-server"])?;
    let connection = connection(options)?;
    let (mut brokers, metadata) = Brokers::of(&connection).await?;
    let racks: BTreeMap<i32, String> = metadata
        .brokers
        .iter()
        .filter_map(|broker| Some((broker.node_id.0, broker.rack.as_ref()?.to_string())))
        .collect();
    for broker in brokers.ids() {
        let rack = racks.get(&broker).map_or("null", String::as_str);
        let address = brokers.address(broker).unwrap_or_default();
        let name = format!("{address} (id: {broker} rack: {rack} isFenced: false)");
        let text = match brokers.ranges(broker).await {
            Ok(ranges) => versions(ranges),
            Err(error) => format!("ERROR: {error:#}"),
        };
        write_line(&format!("{name} -> {text}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the broker serves, what Kafka's client could use of it, and what it lacks.
fn versions(ranges: &[ApiRange]) -> String {
    let mut texts: BTreeMap<i16, String> = BTreeMap::new();
    for range in ranges {
        let served = if range.min == range.max {
            range.min.to_string()
        } else {
            format!("{} to {}", range.min, range.max)
        };
        let known = CLIENT_APIS.iter().find(|api| api.key == range.key);
        let text = match known {
            None => format!("UNKNOWN({}): {served}", range.key),
            Some(api) => {
                let usable = if api.max < range.min {
                    "unusable: node too new".to_owned()
                } else if range.max < api.min {
                    "unusable: node too old".to_owned()
                } else {
                    format!("usable: {}", api.max.min(range.max))
                };
                format!("{}({}): {served} [{usable}]", api.name, api.key)
            }
        };
        texts.insert(range.key, text);
    }
    for api in &CLIENT_APIS {
        texts
            .entry(api.key)
            .or_insert_with(|| format!("{}({}): UNSUPPORTED", api.name, api.key));
    }
    let texts: Vec<String> = texts.into_values().collect();
    format!("(\n\t{}\n)", texts.join(",\n\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_is_told_as_usable_unknown_or_unsupported() {
        let range = |key, min, max| ApiRange { key, min, max };
        let text = versions(&[range(0, 0, 13), range(1, 4, 4), range(999, 0, 1)]);
        assert!(
            text.starts_with("(\n\tProduce(0): 0 to 13 [usable: 13],\n\tFetch(1): 4 [usable: 4],\n\t"),
            "{text}"
        );
        assert!(text.ends_with(",\n\tUNKNOWN(999): 0 to 1\n)"), "{text}");
        assert!(text.contains("ListOffsets(2): UNSUPPORTED"), "{text}");
    }
}
