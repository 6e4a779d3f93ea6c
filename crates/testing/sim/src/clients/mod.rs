//! The clients: they speak Kafka's protocol to the brokers over the simulated wires, and do with metadata and error codes
//! what librdkafka does.

mod assignment;
mod client;
mod connection;
mod consumer;
mod member;
mod producer;
mod topics;

pub(crate) use producer::Writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use records::{Tail, batches};
use types::Offset;

use crate::fabric::NodeId;
use crate::history::History;
use crate::network::SimNetwork;

/// The topic that is written to.
pub(crate) const TOPIC: &str = "events";
/// The group that reads it.
pub(crate) const GROUP: &str = "readers";
/// How long a member may be silent.
pub(crate) const SESSION_MS: i32 = 3_000;
/// How long a rebalance waits for members.
pub(crate) const REBALANCE_MS: i32 = 3_000;
/// How long a broker holds a produce request.
pub(crate) const COMMIT_MS: i32 = 1_500;
/// How long a broker holds a fetch that finds nothing.
pub(crate) const FETCH_WAIT_MS: i32 = 250;
/// What creating a topic may take.
pub(crate) const CREATE_MS: i32 = 2_000;

/// What clients share.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) network: SimNetwork,
    pub(crate) nodes: NodeId,
    pub(crate) history: History,
    /// Set when the world wants no more writes.
    pub(crate) stop: Arc<AtomicBool>,
    /// Writers that still run.
    pub(crate) writing: Arc<AtomicUsize>,
}

impl Clients {
    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The records of whole batches, as (offset, value).
pub(crate) fn values_of(bytes: &Bytes) -> Vec<(Offset, String)> {
    let mut values = Vec::new();
    for batch in batches(bytes, Tail::MayBeTruncated).flatten() {
        let Ok(records) = batch.records() else { continue };
        for record in records.flatten() {
            let value = record.value.as_deref().unwrap_or_default();
            values.push((record.offset, String::from_utf8_lossy(value).into_owned()));
        }
    }
    values
}
