//! Java's client properties, of a file and of the command line, for librdkafka: most have the same names there.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rdkafka::config::ClientConfig;

use super::connect::read_properties;
use super::options::Options;
use crate::commands::output::note;

/// Reads them: those of the command line before those of the file.
pub(super) fn read(options: &Options, file_option: &str, property_option: &str) -> Result<Vec<(String, String)>> {
    let mut properties = Vec::new();
    if let Some(file) = options.value(file_option)? {
        let file = read_properties(Path::new(file))?;
        properties.extend(file.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    for text in options.values(property_option) {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        properties.retain(|(held, _)| held != key);
        properties.push((key.to_owned(), value.to_owned()));
    }
    Ok(properties)
}

/// Sets what librdkafka knows and names the rest on standard error. A wish for TLS or SASL that can't be met is an error.
pub(super) fn apply(config: &mut ClientConfig, properties: &[(String, String)]) -> Result<()> {
    for (key, value) in properties {
        if key == "bootstrap.servers" {
            continue;
        }
        let mut alone = ClientConfig::new();
        alone.set(key, value);
        match alone.create_native_config() {
            Ok(_) => {
                config.set(key, value);
            }
            Err(error) if is_about_security(key) => {
                bail!("{key}={value} is not supported by klamm's tools: {error}");
            }
            Err(_) if is_known_to_java(key) => {
                note(&format!("warning: {key} means nothing to this tool and is ignored"));
            }
            Err(error) => return Err(error).with_context(|| format!("{key}={value} can't be set")),
        }
    }
    Ok(())
}

fn is_about_security(key: &str) -> bool {
    ["security.", "sasl.", "ssl."]
        .iter()
        .any(|prefix| key.starts_with(prefix))
}

/// Properties of Java's clients that have no meaning here; whatever else is unknown may be a mistake.
fn is_known_to_java(key: &str) -> bool {
    const KNOWN: [&str; 24] = [
        "key.serializer",
        "value.serializer",
        "key.deserializer",
        "value.deserializer",
        "buffer.memory",
        "max.block.ms",
        "max.request.size",
        "max.poll.records",
        "default.api.timeout.ms",
        "exclude.internal.topics",
        "partitioner.class",
        "partitioner.adaptive.partitioning.enable",
        "partitioner.availability.timeout.ms",
        "partitioner.ignore.keys",
        "interceptor.classes",
        "metric.reporters",
        "metrics.num.samples",
        "metrics.recording.level",
        "metrics.sample.window.ms",
        "metadata.max.idle.ms",
        "receive.buffer.bytes",
        "send.buffer.bytes",
        "request.timeout.ms",
        "auto.include.jmx.reporter",
    ];
    KNOWN.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(key: &str, value: &str) -> Result<Option<String>> {
        let mut config = ClientConfig::new();
        apply(&mut config, &[(key.to_owned(), value.to_owned())])?;
        Ok(config.get(key).map(str::to_owned))
    }

    #[test]
    fn what_librdkafka_knows_is_set_and_what_only_java_knows_is_left_out() {
        assert_eq!(applied("linger.ms", "7").unwrap().as_deref(), Some("7"));
        assert_eq!(applied("max.poll.records", "7").unwrap(), None);
        applied("linger.ms", "soon").unwrap_err();
        applied("no.such.thing", "1").unwrap_err();
        applied("sasl.jaas.config", "x").unwrap_err();
    }
}
