//! The cluster's brokers, each with a connection of its own: what only a leader or a coordinator can answer.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use wire::messages::metadata_request::MetadataRequestTopic;
use wire::messages::{MetadataRequest, MetadataResponse};
use wire::protocol::Request;
use wire::{ApiRange, Client};

use super::connection::{CLIENT_ID, Connection};
use super::error_advice::refusal;

/// Connections are made when they are first needed.
#[derive(Debug)]
pub(crate) struct Brokers {
    addresses: BTreeMap<i32, String>,
    clients: BTreeMap<i32, Client>,
    timeout: Duration,
}

impl Brokers {
    /// Those of the cluster, with all its topics.
    pub(crate) async fn of(connection: &Connection) -> Result<(Self, MetadataResponse)> {
        Self::asking(connection, None).await
    }

    /// Those of the cluster alone.
    pub(crate) async fn reach(connection: &Connection) -> Result<Self> {
        let (brokers, _) = Self::asking(connection, Some(Vec::new())).await?;
        Ok(brokers)
    }

    async fn asking(
        connection: &Connection,
        topics: Option<Vec<MetadataRequestTopic>>,
    ) -> Result<(Self, MetadataResponse)> {
        let request = MetadataRequest::default()
            .with_topics(topics)
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
    pub(crate) fn ids(&self) -> Vec<i32> {
        self.addresses.keys().copied().collect()
    }

    /// Where it is reached, as `host:port`.
    pub(crate) fn address(&self, broker: i32) -> Option<&str> {
        self.addresses.get(&broker).map(String::as_str)
    }

    /// One call to whichever is reached first: what every broker answers alike.
    pub(crate) async fn call_any<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        let connected = self.clients.keys().next().copied();
        let mut failure = None;
        for broker in connected.into_iter().chain(self.ids()) {
            // An answer that didn't come may have been acted upon: only what couldn't be sent is sent to the next one.
            match self.connect(broker).await {
                Ok(()) => return self.call(broker, request).await,
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| anyhow!("the cluster names no brokers")))
    }

    /// The newest version of `R` that the client speaks with whichever `call_any` calls.
    pub(crate) async fn version_of_any<R: Request>(&mut self) -> Result<Option<i16>> {
        let connected = self.clients.keys().next().copied();
        let mut failure = None;
        for broker in connected.into_iter().chain(self.ids()) {
            match self.version_of::<R>(broker).await {
                Ok(version) => return Ok(version),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| anyhow!("the cluster names no brokers")))
    }

    /// One call to one of them.
    pub(crate) async fn call<R: Request>(&mut self, broker: i32, request: &R) -> Result<R::Response> {
        self.call_up_to(broker, request, i16::MAX).await
    }

    /// The same, in no version above `version_max`.
    pub(crate) async fn call_up_to<R: Request>(
        &mut self,
        broker: i32,
        request: &R,
        version_max: i16,
    ) -> Result<R::Response> {
        self.connect(broker).await?;
        let client = self.clients.get_mut(&broker).context("no connection")?;
        let answer = client.call_up_to(request, version_max, self.timeout).await;
        if answer.is_err() {
            self.clients.remove(&broker);
        }
        Ok(answer?)
    }

    /// What it serves.
    pub(crate) async fn ranges(&mut self, broker: i32) -> Result<&[ApiRange]> {
        self.connect(broker).await?;
        let client = self.clients.get(&broker).context("no connection")?;
        Ok(client.ranges())
    }

    /// The newest version of `R` that broker and client speak.
    pub(crate) async fn version_of<R: Request>(&mut self, broker: i32) -> Result<Option<i16>> {
        self.connect(broker).await?;
        let client = self.clients.get(&broker).context("no connection")?;
        Ok(client.version_of::<R>(i16::MAX))
    }

    async fn connect(&mut self, broker: i32) -> Result<()> {
        if !self.clients.contains_key(&broker) {
            let address = self.addresses.get(&broker);
            let address = address.with_context(|| format!("broker {broker} is not there"))?;
            let client = Client::connect(address, CLIENT_ID, self.timeout).await?;
            self.clients.insert(broker, client);
        }
        Ok(())
    }
}
