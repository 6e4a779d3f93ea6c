//! Forced recovery of a quorum whose majority is lost for good: offline, on one survivor.
//!
//! The survivor's own log gets one more entry: a membership of itself alone, in a term above all that it has seen. Started
//! again, it is the only voter and leads. What the lost voters had committed without it is gone: only an operator can
//! accept that. RAFT-7: it counts the recovery, so that former voters with their old disks are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use openraft::EntryPayload;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use storage::FileSystem;
use tokio::sync::watch;
use types::{BrokerId, ClusterId, DirectoryId};

use super::codec::membership_from;
use super::identity::{Identity, stored_node};
use super::log_store::LogStore;
use super::snapshots::Snapshots;
use super::start::check_history;
use super::type_config::{Entry, LogId, Member, Membership, TypeConfig, Vote, log_id};
use super::{LogIo, QuorumConfig, QuorumError, VoterAddress};

/// A stopped voter's metadata log, locked.
#[derive(Debug)]
pub struct Survivor {
    identity: Identity,
    log: LogStore,
    member: Member,
    cluster_id: ClusterId,
    membership: Membership,
    last: LogId,
    term: u64,
}

impl Survivor {
    /// Opens the log of a stopped voter. Cuts an unsynced tail, as a start would; changes nothing else.
    ///
    /// # Errors
    /// There is no log, another process uses it, it is damaged, or it isn't a voter's.
    pub fn open(file_system: Arc<dyn FileSystem>, directory: &Path) -> Result<Self, QuorumError> {
        let refuse = |what: &str| QuorumError::Config(format!("{} {what}", directory.display()));
        let node = stored_node(file_system.as_ref(), directory)?
            .ok_or_else(|| refuse("holds no metadata log: give the metadata.log.dir of a voter"))?;
        let mut config = QuorumConfig::new(node, "", 0, directory);
        config.log_io = LogIo::Inline;
        let identity = Identity::open(&config, &file_system)?;
        let log = LogStore::open(&config, Arc::clone(&file_system), watch::Sender::new(None))?;
        let snapshots = Snapshots::open(file_system, directory)?;
        check_history(&log, &snapshots)?;
        let cluster_id = identity
            .cluster_id()
            .ok_or_else(|| refuse("belongs to no cluster yet: there is nothing to recover"))?;
        let last = log
            .last_log_id()
            .ok_or_else(|| refuse("holds no entries: there is nothing to recover"))?;
        let membership = match log.last_membership()? {
            Some(membership) => membership,
            None => snapshots
                .newest()
                .and_then(|snapshot| snapshot.meta.membership?.membership)
                .map(membership_from)
                .transpose()
                .map_err(io::Error::from)?
                .ok_or_else(|| refuse("names no voters"))?,
        };
        let own = membership
            .nodes()
            .find(|(_, member)| member.directory_id == identity.directory_id)
            .map(|(id, member)| (*id, member.clone()))
            .filter(|(id, _)| membership.voter_ids().any(|voter| voter == *id));
        let (_, member) = own.ok_or_else(|| refuse("was no voter: recover from one that was"))?;
        let term = log.vote_term().max(last.leader_id.term);
        Ok(Self {
            identity,
            log,
            member,
            cluster_id,
            membership,
            last,
            term,
        })
    }

    /// Its cluster.
    #[must_use]
    pub fn cluster_id(&self) -> &ClusterId {
        &self.cluster_id
    }

    /// Its node.
    #[must_use]
    pub fn node_id(&self) -> BrokerId {
        self.member.node_id
    }

    /// Its directory.
    #[must_use]
    pub fn directory_id(&self) -> DirectoryId {
        self.member.directory_id
    }

    /// Who votes besides, by this log.
    #[must_use]
    pub fn other_voters(&self) -> Vec<VoterAddress> {
        let voters: BTreeSet<u64> = self.membership.voter_ids().collect();
        let others = self
            .membership
            .nodes()
            .filter(|(id, member)| voters.contains(id) && member.directory_id != self.member.directory_id);
        others.map(|(_, member)| member.address()).collect()
    }

    /// Term of its last entry.
    #[must_use]
    pub fn last_term(&self) -> u64 {
        self.last.leader_id.term
    }

    /// Index of its last entry.
    #[must_use]
    pub fn last_index(&self) -> u64 {
        self.last.index
    }

    /// Makes it the only voter. After a crash in between it can be called again.
    ///
    /// # Errors
    /// The disk's.
    pub async fn recover(mut self) -> io::Result<()> {
        // First: a membership without its count would let the others' old votes in again.
        self.identity.count_recovery()?;
        let (id, term) = (self.member.raft_id(), self.term + 1);
        let members = BTreeMap::from([(id, self.member.clone())]);
        let membership = Membership::new(vec![BTreeSet::from([id])], members).map_err(io::Error::other)?;
        self.log.save_vote(&Vote::new(term, id)).await?;
        let entry = Entry {
            log_id: log_id(term, self.last.index + 1),
            payload: EntryPayload::Membership(membership),
        };
        RaftLogStorageExt::<TypeConfig>::blocking_append(&mut self.log, [entry]).await?;
        self.log.flush().await
    }
}

impl LogStore {
    /// The newest membership in the log; `None`: it is older than the log's beginning.
    fn last_membership(&self) -> io::Result<Option<Membership>> {
        let end = self.last_log_id().map_or(0, |last| last.index + 1);
        let first = self.purged().map_or(0, |purged| purged.index + 1);
        for index in (first..end).rev() {
            let entries = self.entries((index, index + 1))?;
            if let Some(EntryPayload::Membership(membership)) = entries.into_iter().next().map(|entry| entry.payload) {
                return Ok(Some(membership));
            }
        }
        Ok(None)
    }
}
