//! openraft's types, made concrete once: nothing else in this folder spells out its generics.

use bytes::Bytes;
use openraft::impls::leader_id_std;
use types::{BrokerId, DirectoryId, MetadataOffset};

use super::VoterAddress;
use super::runtime::RaftRuntime;

openraft::declare_raft_types!(
    /// A metadata quorum in openraft's eyes. Standard Raft: one leader a term, so that a term names a controller.
    pub(super) TypeConfig:
        D = Proposal,
        R = Outcome,
        NodeId = u64,
        Node = Member,
        Term = u64,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = RaftRuntime,
);

pub(super) type LogId = openraft::alias::LogIdOf<TypeConfig>;
pub(super) type Vote = openraft::alias::VoteOf<TypeConfig>;
pub(super) type Entry = openraft::alias::EntryOf<TypeConfig>;
pub(super) type Membership = openraft::Membership<u64, Member>;
pub(super) type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
pub(super) type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
pub(super) type Snapshot = openraft::alias::SnapshotOf<TypeConfig, super::snapshots::SnapshotFile>;
pub(super) type Raft = openraft::Raft<TypeConfig, super::state_machine::StateMachine>;
pub(super) type Metrics = openraft::RaftMetrics<TypeConfig>;
pub(super) type MetricsReceiver = openraft::type_config::alias::WatchReceiverOf<TypeConfig, Metrics>;

/// A log id from its two numbers.
pub(super) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(term.into(), index)
}

/// What the active controller asks the quorum to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    /// The image's offset that the records were decided on.
    pub(super) decided_on: MetadataOffset,
    /// Length-prefixed records.
    pub(super) records: Bytes,
}

impl std::fmt::Display for Proposal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes decided on {}", self.records.len(), self.decided_on)
    }
}

/// What became of an entry when it was applied: the same on every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The image is now at this offset.
    Applied(MetadataOffset),
    /// Decided on another offset than this one: nobody applied it (RAFT-3).
    Refused(MetadataOffset),
}

/// One member: where it is, and which directory makes it a voter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Member {
    pub(super) node_id: BrokerId,
    pub(super) directory_id: DirectoryId,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Member {
    /// openraft's id of this (node, directory): the node id above, the folded directory id below, so that a wiped disk
    /// is another member (RAFT-2) and the lowest id belongs to the lowest node.
    pub(super) fn raft_id(&self) -> u64 {
        let directory = self.directory_id.0.as_u128();
        let folded = (directory ^ (directory >> 32) ^ (directory >> 64) ^ (directory >> 96)) & u128::from(u32::MAX);
        (u64::from(self.node_id.0.cast_unsigned()) << 32) | u64::try_from(folded).unwrap_or_default()
    }

    pub(super) fn address(&self) -> VoterAddress {
        VoterAddress {
            node_id: Some(self.node_id),
            host: self.host.clone(),
            port: self.port,
        }
    }
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}@{}:{} (directory {})",
            self.node_id, self.host, self.port, self.directory_id
        )
    }
}

#[cfg(test)]
mod tests {
    use types::Uuid;

    use super::*;

    #[test]
    fn another_directory_is_another_member_and_the_lowest_node_stays_the_lowest() {
        let member = |node, directory| Member {
            node_id: BrokerId(node),
            directory_id: DirectoryId(Uuid::from_u128(directory)),
            ..Member::default()
        };
        assert_ne!(member(1, 7).raft_id(), member(1, 8).raft_id());
        assert_ne!(member(1, 7 << 96).raft_id(), member(1, 8 << 96).raft_id());
        assert!(member(1, u128::from(u32::MAX)).raft_id() < member(2, 0).raft_id());
    }
}
