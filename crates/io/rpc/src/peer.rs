//! Who may call: one check in front of every internal service.
//!
//! On a plaintext listener a peer shows its cluster id and protocol version; listeners with TLS or SASL will add the
//! node's certificate or the cluster's secret here. A wrong cluster is the classic accident (two compose files, one
//! network): both ids are named, with the remedy.

use parking_lot::RwLock;
use std::sync::Arc;
use thiserror::Error;
use types::{BrokerEpoch, BrokerId, ClusterId};

use crate::proto::PeerHeader;

/// Version of the messages between nodes. Raised when an older node couldn't understand a newer one.
pub const PROTOCOL_VERSION: u32 = 2;

/// Who this node is to its peers; the cluster id is learnt once and then never changes.
#[derive(Debug, Clone)]
pub struct PeerIdentity {
    node_id: BrokerId,
    cluster_id: Arc<RwLock<Option<ClusterId>>>,
}

/// Why a peer isn't served.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeerRefusal {
    /// A node of another cluster.
    #[error(
        "node {node} is of cluster {theirs}, this node is of cluster {ours}: give one of them the other's addresses, or an empty data directory"
    )]
    OtherCluster {
        /// The caller.
        node: BrokerId,
        /// Its cluster.
        theirs: String,
        /// This node's.
        ours: String,
    },
    /// A release that speaks otherwise.
    #[error("node {node} speaks version {theirs} of the protocol between nodes, this node {PROTOCOL_VERSION}")]
    OtherVersion {
        /// The caller.
        node: BrokerId,
        /// Its version.
        theirs: u32,
    },
    /// Malformed call.
    #[error("the call carries no header")]
    NoHeader,
}

impl PeerIdentity {
    /// This node; `cluster_id` when it is known already.
    #[must_use]
    pub fn new(node_id: BrokerId, cluster_id: Option<ClusterId>) -> Self {
        Self {
            node_id,
            cluster_id: Arc::new(RwLock::new(cluster_id)),
        }
    }

    /// This node's id.
    #[must_use]
    pub fn node_id(&self) -> BrokerId {
        self.node_id
    }

    /// The cluster, once known.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster_id.read().clone()
    }

    /// Learns the cluster id. Returns false when another one is known already.
    #[must_use]
    pub fn learn_cluster(&self, cluster_id: &ClusterId) -> bool {
        let mut known = self.cluster_id.write();
        match &*known {
            Some(known) => known == cluster_id,
            None => {
                *known = Some(cluster_id.clone());
                true
            }
        }
    }

    /// The header of this node's calls.
    #[must_use]
    pub fn header(&self, broker_epoch: BrokerEpoch) -> PeerHeader {
        PeerHeader {
            cluster_id: self.cluster_id().map(|id| id.0).unwrap_or_default(),
            protocol_version: PROTOCOL_VERSION,
            node_id: self.node_id.0,
            broker_epoch: broker_epoch.0,
        }
    }

    /// Checks a caller that may be of another cluster: Raft's messages carry the cluster id themselves, and one of them asks
    /// which cluster this is.
    ///
    /// # Errors
    /// Why it isn't served.
    pub fn check_protocol<'a>(&self, header: Option<&'a PeerHeader>) -> Result<&'a PeerHeader, PeerRefusal> {
        let header = header.ok_or(PeerRefusal::NoHeader)?;
        if header.protocol_version == PROTOCOL_VERSION {
            return Ok(header);
        }
        Err(PeerRefusal::OtherVersion {
            node: BrokerId(header.node_id),
            theirs: header.protocol_version,
        })
    }

    /// Checks a caller. One without a cluster yet is served: it asks in order to find its cluster.
    ///
    /// # Errors
    /// Why it isn't served.
    pub fn check<'a>(&self, header: Option<&'a PeerHeader>) -> Result<&'a PeerHeader, PeerRefusal> {
        let header = self.check_protocol(header)?;
        let node = BrokerId(header.node_id);
        match &*self.cluster_id.read() {
            Some(ours) if !header.cluster_id.is_empty() && header.cluster_id != ours.0 => {
                Err(PeerRefusal::OtherCluster {
                    node,
                    theirs: header.cluster_id.clone(),
                    ours: ours.0.clone(),
                })
            }
            _ => Ok(header),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_another_cluster_or_version_is_refused() {
        let ours = PeerIdentity::new(BrokerId(1), Some(ClusterId("a".to_owned())));
        let theirs = PeerIdentity::new(BrokerId(2), Some(ClusterId("b".to_owned()))).header(BrokerEpoch(1));
        assert!(matches!(
            ours.check(Some(&theirs)),
            Err(PeerRefusal::OtherCluster { .. })
        ));
        let blank = PeerIdentity::new(BrokerId(2), None).header(BrokerEpoch(1));
        assert!(ours.check(Some(&blank)).is_ok());
        let older = PeerHeader {
            protocol_version: 0,
            ..blank
        };
        assert!(matches!(
            ours.check(Some(&older)),
            Err(PeerRefusal::OtherVersion { .. })
        ));
        assert_eq!(ours.check(None), Err(PeerRefusal::NoHeader));
    }

    #[test]
    fn the_cluster_is_learnt_once() {
        let identity = PeerIdentity::new(BrokerId(1), None);
        assert!(identity.learn_cluster(&ClusterId("a".to_owned())));
        assert!(identity.learn_cluster(&ClusterId("a".to_owned())));
        assert!(!identity.learn_cluster(&ClusterId("b".to_owned())));
    }
}
