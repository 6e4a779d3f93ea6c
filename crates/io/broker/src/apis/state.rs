//! What the APIs remember between requests, held by the broker's context.

use config::NetworkConfig;

use super::fetch_session::FetchSessionCache;
use super::producer_ids::ProducerIdAllocator;

/// Of one broker.
#[derive(Debug)]
pub struct ApiState {
    pub(super) fetch_sessions: FetchSessionCache,
    pub(super) producer_ids: ProducerIdAllocator,
}

impl ApiState {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(network: &NetworkConfig) -> Self {
        Self {
            fetch_sessions: FetchSessionCache::new(network.fetch_session_slots),
            producer_ids: ProducerIdAllocator::default(),
        }
    }
}
