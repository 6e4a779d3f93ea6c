//! Who this node is: its directory id, written before anything else, and its cluster id, once it has one.
//!
//! A blank node has a directory id only. The cluster id is chosen by the founder or taken over from the cluster that the
//! node joins; after that no other cluster is ever served or followed from this directory (RAFT-6).
//!
//! A quorum that was recovered by force counts its recoveries (RAFT-7): a member that was thought lost and comes back with
//! its old disk must neither vote nor lead beside the recovered one, for both would call themselves the same cluster.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use rand::{RngCore, SeedableRng};
use storage::{FileLock, FileSystem};
use tokio::sync::watch;
use types::{BrokerId, ClusterId, DirectoryId, Uuid};

use super::runtime::handed_over;
use super::slot_file::SlotFile;
use super::{QuorumConfig, QuorumError, proto};

/// This node's identity; the lock on its directory is held as long as this lives.
#[derive(Debug)]
pub(super) struct Identity {
    node_id: BrokerId,
    pub(super) directory_id: DirectoryId,
    directory: PathBuf,
    configured: Option<ClusterId>,
    /// The cluster that the broker's log directories belong to.
    registered_in: Option<ClusterId>,
    cluster_id: watch::Sender<Option<ClusterId>>,
    stored: Mutex<Stored>,
    seed: Option<u64>,
    _lock: Box<dyn FileLock>,
}

/// The file, and what it holds beside the ids.
#[derive(Debug)]
struct Stored {
    file: SlotFile,
    voted: bool,
    recoveries: u64,
}

impl Identity {
    /// Reads the stored identity, or makes and stores one for a blank directory.
    pub(super) fn open(config: &QuorumConfig, files: &Arc<dyn FileSystem>) -> Result<Self, QuorumError> {
        storage::create_dir_durably(files.as_ref(), &config.directory)?;
        let lock = files
            .lock(&config.directory.join("lock"))
            .map_err(|error| match error.kind() {
                ErrorKind::WouldBlock => QuorumError::InUse(config.directory.display().to_string()),
                _ => QuorumError::Io(error),
            })?;
        let (file, bytes) = SlotFile::open(files.as_ref(), &config.directory.join("identity"), true)?;
        let found = bytes.map(|bytes| check_stored(config, bytes)).transpose()?;
        let blank = found.is_none();
        let new = || {
            config
                .directory_id
                .unwrap_or_else(|| DirectoryId(new_uuid(config.seed)))
        };
        let (directory_id, stored) = found.unwrap_or_else(|| (new(), proto::StoredIdentity::default()));
        let cluster_id = Some(stored.cluster_id).filter(|id| !id.is_empty()).map(ClusterId);
        let identity = Self {
            node_id: config.node_id,
            directory_id,
            directory: config.directory.clone(),
            configured: config.cluster_id.clone(),
            registered_in: config.registered_in.clone(),
            cluster_id: watch::Sender::new(cluster_id),
            stored: Mutex::new(Stored {
                file,
                voted: stored.voted,
                recoveries: stored.recoveries,
            }),
            seed: config.seed,
            _lock: lock,
        };
        if blank {
            identity.store(None, |_| {})?;
        }
        Ok(identity)
    }

    /// This directory was a voter once.
    pub(super) fn has_voted(&self) -> bool {
        self.stored.lock().voted
    }

    /// This directory is a voter now, durably.
    pub(super) fn remember_vote(&self) -> std::io::Result<()> {
        if self.has_voted() {
            return Ok(());
        }
        self.store(self.cluster_id().as_ref(), |stored| stored.voted = true)
    }

    /// How often the quorum was recovered by force, as far as is known here.
    pub(super) fn recoveries(&self) -> u64 {
        self.stored.lock().recoveries
    }

    /// The quorum was recovered from this directory.
    pub(super) fn count_recovery(&self) -> std::io::Result<()> {
        self.store(self.cluster_id().as_ref(), |stored| stored.recoveries += 1)
    }

    /// Says why a member that counts `theirs` recoveries can't belong to one quorum with this one.
    pub(super) fn outdated(&self, theirs: u64, holds_data: bool) -> Option<String> {
        let ours = self.recoveries();
        (holds_data && theirs > ours).then(|| {
            format!(
                "the metadata quorum was recovered without node {} (`klamm quorum recover`), so what {} holds is no longer \
                 part of it; empty that directory, so that the node joins the recovered quorum as a new voter",
                self.node_id,
                self.directory.display()
            )
        })
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

    /// Says why this node can't belong to `offered`: it is configured for, or holds metadata or records of, another cluster.
    pub(super) fn mismatch(&self, offered: &ClusterId, holds_data: bool) -> Option<String> {
        let own = match (&self.configured, holds_data) {
            (Some(configured), _) => Some(configured.clone()),
            (None, true) => self.cluster_id(),
            (None, false) => self.registered_in.clone(),
        };
        own.filter(|own| own != offered).map(|own| {
            format!(
                "node {} belongs to cluster {own} ({}), the other side to cluster {offered}; set cluster.id and the quorum's \
                 addresses to one cluster, or empty the data directories of the node that is to change over",
                self.node_id,
                self.directory.display()
            )
        })
    }

    /// Takes a cluster id over, durably. The caller has checked [`mismatch`](Self::mismatch) and
    /// [`outdated`](Self::outdated).
    pub(super) fn adopt(&self, cluster_id: &ClusterId, recoveries: u64) -> std::io::Result<()> {
        if self.cluster_id.borrow().as_ref() == Some(cluster_id) && self.recoveries() >= recoveries {
            return Ok(());
        }
        self.store(Some(cluster_id), |stored| {
            stored.recoveries = stored.recoveries.max(recoveries);
        })?;
        self.cluster_id.send_replace(Some(cluster_id.clone()));
        tracing::info!(cluster_id = %cluster_id, node_id = %self.node_id, "this node belongs to the cluster");
        Ok(())
    }

    fn store(&self, cluster_id: Option<&ClusterId>, change: impl FnOnce(&mut Stored)) -> std::io::Result<()> {
        let mut stored = self.stored.lock();
        change(&mut stored);
        let encoded = proto::StoredIdentity {
            node_id: self.node_id.0,
            directory_id: Bytes::copy_from_slice(self.directory_id.0.as_bytes()),
            cluster_id: cluster_id.map(|id| id.0.clone()).unwrap_or_default(),
            voted: stored.voted,
            recoveries: stored.recoveries,
        };
        handed_over(|| stored.file.write_durably(&encoded.encode_to_vec()))
    }
}

/// Whose metadata log lies in a directory; `None`: there is none. Doesn't take it into use.
pub(super) fn stored_node(files: &dyn FileSystem, directory: &Path) -> Result<Option<BrokerId>, QuorumError> {
    let path = directory.join("identity");
    if !files.exists(&path)? {
        return Ok(None);
    }
    let (_, stored) = SlotFile::open(files, &path, true)?;
    let stored = stored.map(proto::StoredIdentity::decode).transpose();
    let stored = stored.map_err(|error| std::io::Error::new(ErrorKind::InvalidData, error))?;
    Ok(stored.map(|stored| BrokerId(stored.node_id)))
}

fn check_stored(config: &QuorumConfig, bytes: Bytes) -> Result<(DirectoryId, proto::StoredIdentity), QuorumError> {
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
    match &config.cluster_id {
        Some(configured) if !stored.cluster_id.is_empty() && stored.cluster_id != configured.0 => {
            Err(QuorumError::ForeignCluster {
                directory: config.directory.display().to_string(),
                stored: ClusterId(stored.cluster_id),
                configured: configured.clone(),
            })
        }
        _ => Ok((directory_id, stored)),
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
