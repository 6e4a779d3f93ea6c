//! From `--bootstrap-server` and `--command-config` to a connection.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use config::Properties;

use super::options::{OptionSpec, Options, UsageError, value};
use crate::commands::connection::Connection;
use crate::commands::output::note;

/// As long as Kafka's admin client waits for one answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the cluster is.
pub(super) const BOOTSTRAP_SERVER: OptionSpec = value(
    "bootstrap-server",
    "server to connect to",
    "The brokers to connect to: HOST1:PORT1,HOST2:PORT2.",
);

/// Known, and refused: Klamm's controllers don't serve Kafka's protocol.
pub(super) const BOOTSTRAP_CONTROLLER: OptionSpec = value(
    "bootstrap-controller",
    "controller to connect to",
    "Not supported: controllers are reached through the brokers.",
);

/// The client's properties.
pub(super) const COMMAND_CONFIG: OptionSpec = value(
    "command-config",
    "property file",
    "A file of client properties. Of them timeouts count; others are named and ignored.",
);

/// The connection that the options ask for.
pub(super) fn connection(options: &Options) -> Result<Connection> {
    if options.has(BOOTSTRAP_CONTROLLER.name) {
        bail!(
            "--bootstrap-controller is not supported by klamm: give --bootstrap-server, brokers pass requests on to the controllers"
        );
    }
    options.require(&[BOOTSTRAP_SERVER.name])?;
    let bootstrap = options.value(BOOTSTRAP_SERVER.name)?.unwrap_or_default();
    if bootstrap.trim().is_empty() {
        return Err(UsageError::of("Missing required argument \"[bootstrap-server]\""));
    }
    let timeout = match options.value(COMMAND_CONFIG.name)? {
        Some(file) => timeout_of(&read_properties(Path::new(file))?)?,
        None => REQUEST_TIMEOUT,
    };
    Ok(Connection::to(bootstrap.to_owned(), timeout))
}

/// A file as Java's `Properties` writes it.
pub(super) fn read_properties(path: &Path) -> Result<Properties> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    Ok(Properties::parse(&text))
}

/// The one property of Kafka's admin client that means something here. A wish for TLS or SASL isn't ignored: the answer of
/// such a listener to a plain client would be a riddle.
fn timeout_of(properties: &Properties) -> Result<Duration> {
    let mut timeout = REQUEST_TIMEOUT;
    for (key, value) in properties.iter() {
        match key {
            "request.timeout.ms" => {
                let millis = value
                    .trim()
                    .parse()
                    .with_context(|| format!("{key}={value} is no number"))?;
                timeout = Duration::from_millis(millis);
            }
            "security.protocol" if !value.trim().eq_ignore_ascii_case("PLAINTEXT") => {
                bail!("security.protocol={value} is not supported by klamm's tools: they speak to PLAINTEXT listeners")
            }
            "security.protocol" | "bootstrap.servers" => {}
            _ => note(&format!("warning: {key} means nothing to this tool and is ignored")),
        }
    }
    Ok(timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout(text: &str) -> Result<Duration> {
        timeout_of(&Properties::parse(text))
    }

    #[test]
    fn only_the_timeout_counts_and_security_is_never_ignored() {
        assert_eq!(
            timeout("client.id=a\nrequest.timeout.ms=500\n").unwrap(),
            Duration::from_millis(500)
        );
        assert_eq!(timeout("security.protocol=PLAINTEXT").unwrap(), REQUEST_TIMEOUT);
        timeout("security.protocol=SASL_SSL").unwrap_err();
        timeout("request.timeout.ms=soon").unwrap_err();
    }
}
