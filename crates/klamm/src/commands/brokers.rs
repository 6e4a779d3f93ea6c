//! The cluster's brokers, each with a connection of its own: what only a leader or a coordinator can answer.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use wire::Client;
use wire::messages::{MetadataRequest, MetadataResponse};
use wire::protocol::Request;

use super::connection::{CLIENT_ID, Connection};
use super::error_advice::refusal;

/// Connections are made when they are first needed.
#[derive(Debug)]
pub(super) struct Brokers {
    addresses: BTreeMap<i32, String>,
    clients: BTreeMap<i32, Client>,
    timeout: Duration,
}

impl Brokers {
    /// Those of the cluster, with all its topics.
    pub(super) async fn of(connection: &Connection) -> Result<(Self, MetadataResponse)> {
        let request = MetadataRequest::default()
            .with_topics(None)
            .with_allow_auto_topic_creation(false);
        let metadata = connection.connect().await?.call(&request).await?;
        if let Some(error) = refusal("asking for the cluster's brokers", metadata.error_code, None) {
            return Err(error);
        }
        let addresses = metadata.brokers.iter().map(|broker| {
            let host = broker.host.as_str();
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            (broker.node_id.0, format!("{host}:{}", broker.port))
        });
        let brokers = Self {
            addresses: addresses.collect(),
            clients: BTreeMap::new(),
            timeout: connection.timeout(),
        };
        Ok((brokers, metadata))
    }

    /// Their ids.
    pub(super) fn ids(&self) -> Vec<i32> {
        self.addresses.keys().copied().collect()
    }

    /// One call to one of them.
    pub(super) async fn call<R: Request>(&mut self, broker: i32, request: &R) -> Result<R::Response> {
        self.call_up_to(broker, request, i16::MAX).await
    }

    /// The same, in no version above `version_max`.
    pub(super) async fn call_up_to<R: Request>(
        &mut self,
        broker: i32,
        request: &R,
        version_max: i16,
    ) -> Result<R::Response> {
        if !self.clients.contains_key(&broker) {
            let address = self.addresses.get(&broker);
            let address = address.with_context(|| format!("broker {broker} is not there"))?;
            let client = Client::connect(address, CLIENT_ID, self.timeout).await?;
            self.clients.insert(broker, client);
        }
        let client = self.clients.get_mut(&broker).context("no connection")?;
        let answer = client.call_up_to(request, version_max, self.timeout).await;
        if answer.is_err() {
            self.clients.remove(&broker);
        }
        Ok(answer?)
    }
}
