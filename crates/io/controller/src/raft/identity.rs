//! Who this node is: its directory id, written before anything else, and its cluster id, once it has one.
//!
//! A blank node has a directory id only. The cluster id is chosen by the founder or taken over from the cluster that the
//! node joins; after that no other cluster is ever served or followed from this directory (RAFT-6).

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use rand::{RngCore, SeedableRng};
use storage::{FileLock, FileSystem};
use tokio::sync::watch;
use types::{BrokerId, ClusterId, DirectoryId, Uuid};

use super::slot_file::SlotFile;
use super::{QuorumConfig, QuorumError, proto};

/// This node's identity; the lock on its directory is held as long as this lives.
#[derive(Debug)]
pub(super) struct Identity {
    node_id: BrokerId,
    pub(super) directory_id: DirectoryId,
    configured: Option<ClusterId>,
    cluster_id: watch::Sender<Option<ClusterId>>,
    file: Mutex<SlotFile>,
    seed: Option<u64>,
    _lock: Box<dyn FileLock>,
}

impl Identity {
    /// Reads the stored identity, or makes and stores one for a blank directory.
    pub(super) fn open(config: &QuorumConfig, files: &Arc<dyn FileSystem>) -> Result<Self, QuorumError> {
        storage::create_dir_durably(files.as_ref(), &config.directory)?;
        let lock = files.lock(&config.directory.join("lock"))?;
        let (file, stored) = SlotFile::open(files.as_ref(), &config.directory.join("identity"), true)?;
        let (directory_id, cluster_id, blank) = match stored {
            Some(bytes) => {
                let (directory, cluster) = check_stored(config, bytes)?;
                (directory, cluster, false)
            }
            None => (
                config
                    .directory_id
                    .unwrap_or_else(|| DirectoryId(new_uuid(config.seed))),
                None,
                true,
            ),
        };
        let identity = Self {
            node_id: config.node_id,
            directory_id,
            configured: config.cluster_id.clone(),
            cluster_id: watch::Sender::new(cluster_id),
            file: Mutex::new(file),
            seed: config.seed,
            _lock: lock,
        };
        if blank {
            identity.store(None)?;
        }
        Ok(identity)
    }

    /// The cluster id, if this node has one.
    pub(super) fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster_id.borrow().clone()
    }

    pub(super) fn watch_cluster_id(&self) -> watch::Receiver<Option<ClusterId>> {
        self.cluster_id.subscribe()
    }

    /// What a founder calls its cluster: the configured id, the one chosen before a crash, or a new one.
    pub(super) fn choose_cluster_id(&self) -> ClusterId {
        self.configured
            .clone()
            .or_else(|| self.cluster_id())
            .unwrap_or_else(|| {
                let seed = self.seed.map(|seed| seed.wrapping_add(1));
                ClusterId(DirectoryId(new_uuid(seed)).to_string())
            })
    }

    /// Says why this node can't belong to `offered`: it is configured for, or holds data of, another cluster.
    pub(super) fn mismatch(&self, offered: &ClusterId, holds_data: bool) -> Option<String> {
        let own = match (&self.configured, holds_data) {
            (Some(configured), _) => Some(configured.clone()),
            (None, true) => self.cluster_id(),
            (None, false) => None,
        };
        own.filter(|own| own != offered).map(|own| {
            format!(
                "node {} belongs to cluster {own}, the other side to cluster {offered}; set cluster.id and the quorum's \
                 addresses to one cluster, or empty the metadata log directory of the node that is to change over",
                self.node_id
            )
        })
    }

    /// Takes a cluster id over, durably. The caller has checked [`mismatch`](Self::mismatch).
    pub(super) fn adopt(&self, cluster_id: &ClusterId) -> std::io::Result<()> {
        if self.cluster_id.borrow().as_ref() == Some(cluster_id) {
            return Ok(());
        }
        self.store(Some(cluster_id))?;
        self.cluster_id.send_replace(Some(cluster_id.clone()));
        tracing::info!(cluster_id = %cluster_id, node_id = %self.node_id, "this node belongs to the cluster");
        Ok(())
    }

    fn store(&self, cluster_id: Option<&ClusterId>) -> std::io::Result<()> {
        let stored = proto::StoredIdentity {
            node_id: self.node_id.0,
            directory_id: Bytes::copy_from_slice(self.directory_id.0.as_bytes()),
            cluster_id: cluster_id.map(|id| id.0.clone()).unwrap_or_default(),
        };
        self.file.lock().write_durably(&stored.encode_to_vec())
    }
}

fn check_stored(config: &QuorumConfig, bytes: Bytes) -> Result<(DirectoryId, Option<ClusterId>), QuorumError> {
    let invalid = |what: String| QuorumError::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
    let stored = proto::StoredIdentity::decode(bytes).map_err(|error| invalid(error.to_string()))?;
    let directory_id = DirectoryId(Uuid::from_slice(&stored.directory_id).map_err(|error| invalid(error.to_string()))?);
    if stored.node_id != config.node_id.0 || config.directory_id.is_some_and(|configured| configured != directory_id) {
        return Err(QuorumError::ForeignDirectory {
            directory: config.directory.display().to_string(),
            stored: BrokerId(stored.node_id),
            stored_directory: directory_id,
            configured: config.node_id,
        });
    }
    let cluster_id = Some(stored.cluster_id).filter(|id| !id.is_empty()).map(ClusterId);
    match (&cluster_id, &config.cluster_id) {
        (Some(stored), Some(configured)) if stored != configured => Err(QuorumError::ForeignCluster {
            directory: config.directory.display().to_string(),
            stored: stored.clone(),
            configured: configured.clone(),
        }),
        _ => Ok((directory_id, cluster_id)),
    }
}

fn new_uuid(seed: Option<u64>) -> Uuid {
    let mut bytes = [0; 16];
    match seed {
        Some(seed) => rand::rngs::SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes),
        None => rand::rng().fill_bytes(&mut bytes),
    }
    // Version 4, so that it never is one of Kafka's reserved ids.
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Uuid::from_bytes(bytes)
}
