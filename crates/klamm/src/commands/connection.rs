//! Reaching a cluster: bootstrap servers, the first of them that answers, timeouts.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use tokio::task::JoinSet;
use wire::Client;
use wire::protocol::Request;

use super::error_advice::CONNECT_ADVICE;

/// Where a command looks when nobody says where.
const DEFAULT_BOOTSTRAP: &str = "127.0.0.1:9092";

/// Names the cluster when `--bootstrap-server` doesn't.
const BOOTSTRAP_VARIABLE: &str = "KLAMM_BOOTSTRAP";

/// What Kafka's brokers see as the client's name.
pub(crate) const CLIENT_ID: &str = "klamm-cli";

/// How to reach the cluster.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// Brokers to ask, separated by commas [default: $KLAMM_BOOTSTRAP, or 127.0.0.1:9092]
    #[arg(short = 'b', long = "bootstrap-server", value_name = "HOST:PORT,…")]
    bootstrap_server: Option<String>,
    /// Milliseconds to wait for an answer
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout: u32,
}

impl Connection {
    /// To these brokers, whatever the command line says.
    pub(crate) fn to(bootstrap: String, timeout: Duration) -> Self {
        Self {
            bootstrap_server: Some(bootstrap),
            timeout: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
        }
    }

    /// Whether somebody has said where the cluster is.
    pub(crate) fn is_given(&self) -> bool {
        self.bootstrap_server.is_some() || std::env::var_os(BOOTSTRAP_VARIABLE).is_some()
    }

    /// One for each of the bootstrap servers.
    pub(crate) fn each(&self) -> Vec<Self> {
        let addresses = addresses(&self.bootstrap()).into_iter();
        addresses.map(|address| Self::to(address, self.timeout())).collect()
    }

    /// The addresses as librdkafka takes them.
    pub(crate) fn bootstrap(&self) -> String {
        let given = self
            .bootstrap_server
            .clone()
            .or_else(|| std::env::var_os(BOOTSTRAP_VARIABLE)?.into_string().ok());
        given
            .filter(|text| !text.trim().is_empty())
            .unwrap_or_else(|| DEFAULT_BOOTSTRAP.to_owned())
    }

    /// How long to wait for one answer.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.timeout))
    }

    /// The same for requests that carry their own.
    pub(crate) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.timeout).unwrap_or(i32::MAX)
    }

    /// Connects to whichever of the bootstrap servers answers first: a silent one costs nothing.
    pub(crate) async fn connect(&self) -> Result<Cluster> {
        let bootstrap = self.bootstrap();
        let addresses = addresses(&bootstrap);
        let timeout = self.timeout();
        let mut attempts = JoinSet::new();
        for address in addresses {
            attempts.spawn(async move { Client::connect(&address, CLIENT_ID, timeout).await });
        }
        let mut failures = Vec::new();
        while let Some(attempt) = attempts.join_next().await {
            match attempt {
                Ok(Ok(client)) => return Ok(Cluster { client, timeout }),
                Ok(Err(error)) => failures.push(error.to_string()),
                Err(error) => failures.push(error.to_string()),
            }
        }
        match failures.as_slice() {
            [] => bail!("no address in --bootstrap-server {bootstrap:?}; give host:port, as in {DEFAULT_BOOTSTRAP}"),
            [one] => bail!("{one}\n{CONNECT_ADVICE}"),
            many => bail!(
                "none of the bootstrap servers answered:\n  {}\n{CONNECT_ADVICE}",
                many.join("\n  ")
            ),
        }
    }
}

/// The list's addresses, each with a port.
fn addresses(bootstrap: &str) -> Vec<String> {
    let with_port = |address: &str| {
        let port = address.rsplit_once(':').map(|(_, port)| port);
        // "::1" alone has colons and no port.
        let has_port = port.is_some_and(|port| port.parse::<u16>().is_ok())
            && (address.matches(':').count() == 1 || address.contains("]:"));
        match (has_port, address.contains(':') && !address.starts_with('[')) {
            (true, _) => address.to_owned(),
            (false, true) => format!("[{address}]:9092"),
            (false, false) => format!("{address}:9092"),
        }
    };
    bootstrap
        .split(',')
        .map(str::trim)
        .filter(|address| !address.is_empty())
        .map(with_port)
        .collect()
}

/// A connection to one broker of the cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    client: Client,
    timeout: Duration,
}

impl Cluster {
    /// One call. Errors in the response are the caller's to look for.
    pub(crate) async fn call<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        Ok(self.client.call(request, self.timeout).await?)
    }

    /// The newest version that both sides speak, if there is one.
    pub(crate) fn version_of<R: Request>(&self) -> Option<i16> {
        self.client.version_of::<R>(i16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_kafkas_port_when_they_have_none() {
        assert_eq!(
            addresses("a:1, b ,,[::1]:2,::1"),
            ["a:1", "b:9092", "[::1]:2", "[::1]:9092"]
        );
        assert!(addresses(" , ").is_empty());
    }
}
