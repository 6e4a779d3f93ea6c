//! Who leads instead, told with the error so that the client needn't ask for metadata first (KIP-951).

use std::collections::BTreeMap;

use metadata::MetadataImage;
use types::{BrokerId, LeaderEpoch, TopicIdPartition};

/// The leaders named in one answer, and where they listen.
#[derive(Debug, Default)]
pub(super) struct NamedLeaders {
    endpoints: BTreeMap<BrokerId, LeaderEndpoint>,
}

/// Where a leader listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeaderEndpoint {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) rack: Option<String>,
}

impl NamedLeaders {
    /// The partition's leader, whose address on the client's listener is remembered; `None` when nobody leads.
    pub(super) fn name(
        &mut self,
        image: &MetadataImage,
        id: TopicIdPartition,
        listener: &str,
    ) -> Option<(BrokerId, LeaderEpoch)> {
        let registration = image.partition(id)?;
        let leader = registration.leader?;
        if let Some(broker) = image.broker(leader)
            && let Some(address) = broker.listener(listener)
        {
            self.endpoints.entry(leader).or_insert_with(|| LeaderEndpoint {
                host: address.host.clone(),
                port: address.port,
                rack: broker.rack.clone(),
            });
        }
        Some((leader, registration.leader_epoch))
    }

    /// The addresses, each broker once.
    pub(super) fn endpoints(self) -> impl Iterator<Item = (BrokerId, LeaderEndpoint)> {
        self.endpoints.into_iter()
    }
}
