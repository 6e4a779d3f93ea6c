//! `klamm quorum add`: AddRaftVoter (KIP-853).

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;
use types::DirectoryId;
use wire::messages::AddRaftVoterRequest;
use wire::messages::add_raft_voter_request::Listener;
use wire::protocol::StrBytes;

use super::members::{describe_quorum, directory_of};
use crate::commands::connection::Connection;
use crate::commands::error_advice::refusal;
use crate::commands::output::Output;

/// The name of the endpoint that voters dial; the quorum looks at its address only.
const LISTENER: &str = "CONTROLLER";
/// The cluster refuses in its own words before this command gives it up.
const GRACE_MS: i32 = 3_000;
const WAIT_MIN_MS: i32 = 1_000;

/// `klamm quorum add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The node's id; it runs with the controller's role and follows the quorum as an observer
    node: i32,
    /// Its directory, when it has several
    #[arg(long, value_name = "ID")]
    directory_id: Option<String>,
    /// Where its controller listens, for a node that isn't an observer yet; needs --directory-id
    #[arg(long, value_name = "HOST:PORT", requires = "directory_id")]
    controller_address: Option<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Added {
    node: i32,
    directory_id: String,
}

impl AddArgs {
    pub(super) async fn run(self) -> Result<()> {
        let mut cluster = self.connection.connect().await?;
        let quorum = describe_quorum(&mut cluster).await?;
        let directory = directory_of(&quorum, self.node, false, self.directory_id.as_deref())?;
        let listeners = match &self.controller_address {
            Some(address) => vec![listener(address)?],
            None => Vec::new(),
        };
        let wait_ms = self.connection.timeout_ms().saturating_sub(GRACE_MS).max(WAIT_MIN_MS);
        let request = AddRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_timeout_ms(wait_ms)
            .with_voter_id(self.node)
            .with_voter_directory_id(directory.0)
            .with_listeners(listeners);
        let response = cluster.call(&request).await?;
        let what = format!("adding node {} to the metadata quorum", self.node);
        if let Some(error) = refusal(&what, response.error_code, response.error_message.as_deref()) {
            return Err(error);
        }
        let added = Added {
            node: self.node,
            directory_id: DirectoryId(directory.0).to_string(),
        };
        self.output.write(&added, |added| {
            format!("node {} votes now (directory {})", added.node, added.directory_id)
        })
    }
}

fn listener(address: &str) -> Result<Listener> {
    let odd = || anyhow!("{address:?} is no address; give host:port, as in localhost:9093");
    let (host, port) = address.rsplit_once(':').ok_or_else(odd)?;
    let port = port.parse().map_err(|_| odd())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(odd());
    }
    Ok(Listener::default()
        .with_name(StrBytes::from_static_str(LISTENER))
        .with_host(StrBytes::from_string(host.to_owned()))
        .with_port(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        let parsed = listener("[::1]:9093").unwrap();
        assert_eq!((parsed.host.as_str(), parsed.port), ("::1", 9093));
        for text in ["host", ":1", "host:x", "host:70000"] {
            assert!(listener(text).is_err(), "{text}");
        }
    }
}
