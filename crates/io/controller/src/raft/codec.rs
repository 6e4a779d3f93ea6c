//! Between openraft's types and the messages of `raft.proto`, on the wire and on disk alike.
//!
//! Every `*_from` checks what it reads: a message of a foreign or damaged sender is refused, it never panics.

use std::collections::{BTreeMap, BTreeSet};

use openraft::EntryPayload;
use types::{BrokerId, DirectoryId, MetadataOffset, Uuid};

use super::proto;
use super::type_config::{Entry, LogId, Member, Membership, Proposal, SnapshotMeta, StoredMembership, Vote, log_id};

/// A message that does not say what it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed raft message: {0}")]
pub(super) struct Malformed(pub(super) &'static str);

impl From<Malformed> for std::io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, malformed)
    }
}

pub(super) fn log_id_to(id: &LogId) -> proto::LogId {
    proto::LogId {
        term: id.leader_id.term,
        index: id.index,
    }
}

pub(super) fn log_id_from(id: proto::LogId) -> LogId {
    log_id(id.term, id.index)
}

pub(super) fn vote_to(vote: &Vote) -> proto::Vote {
    proto::Vote {
        term: vote.leader_id.term,
        voted_for: vote.leader_id.voted_for,
        committed: vote.committed,
    }
}

pub(super) fn vote_from(vote: Option<proto::Vote>) -> Result<Vote, Malformed> {
    let vote = vote.ok_or(Malformed("no vote"))?;
    Ok(if vote.committed {
        Vote::new_committed(vote.term, vote.voted_for)
    } else {
        Vote::new(vote.term, vote.voted_for)
    })
}

pub(super) fn member_to(member: &Member) -> proto::Member {
    proto::Member {
        raft_id: member.raft_id(),
        node_id: member.node_id.0,
        directory_id: bytes::Bytes::copy_from_slice(member.directory_id.0.as_bytes()),
        host: member.host.clone(),
        port: u32::from(member.port),
    }
}

/// A member that names itself: its raft id must be that of its node and directory.
pub(super) fn member_from(member: proto::Member) -> Result<Member, Malformed> {
    let raft_id = member.raft_id;
    let decoded = listed_member_from(member)?;
    if decoded.raft_id() != raft_id {
        return Err(Malformed("the raft id is not that of the node and directory"));
    }
    Ok(decoded)
}

fn listed_member_from(member: proto::Member) -> Result<Member, Malformed> {
    let directory = Uuid::from_slice(&member.directory_id).map_err(|_| Malformed("a directory id has 16 bytes"))?;
    Ok(Member {
        node_id: BrokerId(member.node_id),
        directory_id: DirectoryId(directory),
        host: member.host,
        port: u16::try_from(member.port).map_err(|_| Malformed("no such port"))?,
    })
}

pub(super) fn membership_to(membership: &Membership) -> proto::Membership {
    proto::Membership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|voters| proto::VoterSet {
                raft_ids: voters.iter().copied().collect(),
            })
            .collect(),
        members: membership
            .nodes()
            .map(|(&raft_id, member)| proto::Member {
                raft_id,
                ..member_to(member)
            })
            .collect(),
    }
}

pub(super) fn membership_from(membership: proto::Membership) -> Result<Membership, Malformed> {
    let mut members = BTreeMap::new();
    for member in membership.members {
        members.insert(member.raft_id, listed_member_from(member)?);
    }
    let configs: Vec<BTreeSet<u64>> = membership
        .configs
        .into_iter()
        .map(|voters| voters.raft_ids.into_iter().collect())
        .collect();
    if configs.is_empty() && members.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, members).map_err(|_| Malformed("a voter without an address"))
}

pub(super) fn stored_membership_to(stored: &StoredMembership) -> proto::StoredMembership {
    proto::StoredMembership {
        log_id: stored.log_id().as_ref().map(log_id_to),
        membership: Some(membership_to(stored.membership())),
    }
}

pub(super) fn stored_membership_from(stored: proto::StoredMembership) -> Result<StoredMembership, Malformed> {
    let membership = membership_from(stored.membership.unwrap_or_default())?;
    Ok(StoredMembership::new(stored.log_id.map(log_id_from), membership))
}

pub(super) fn entry_to(entry: &Entry) -> proto::Entry {
    let payload = match &entry.payload {
        EntryPayload::Blank => proto::entry::Payload::Blank(true),
        EntryPayload::Normal(proposal) => proto::entry::Payload::Records(proto::Records {
            decided_on: proposal.decided_on.0,
            records: proposal.records.clone(),
        }),
        EntryPayload::Membership(membership) => proto::entry::Payload::Membership(membership_to(membership)),
    };
    proto::Entry {
        log_id: Some(log_id_to(&entry.log_id)),
        payload: Some(payload),
    }
}

pub(super) fn entry_from(entry: proto::Entry) -> Result<Entry, Malformed> {
    let log_id = log_id_from(entry.log_id.ok_or(Malformed("an entry without a log id"))?);
    let payload = match entry.payload.ok_or(Malformed("an entry without a payload"))? {
        proto::entry::Payload::Blank(_) => EntryPayload::Blank,
        proto::entry::Payload::Records(records) => EntryPayload::Normal(Proposal {
            decided_on: MetadataOffset(records.decided_on),
            records: records.records,
        }),
        proto::entry::Payload::Membership(membership) => EntryPayload::Membership(membership_from(membership)?),
    };
    Ok(Entry { log_id, payload })
}

pub(super) fn snapshot_meta_to(meta: &SnapshotMeta, offset: MetadataOffset) -> proto::SnapshotMeta {
    proto::SnapshotMeta {
        last_log_id: meta.last_log_id.as_ref().map(log_id_to),
        membership: Some(stored_membership_to(&meta.last_membership)),
        offset: offset.0,
    }
}

pub(super) fn snapshot_meta_from(meta: proto::SnapshotMeta) -> Result<SnapshotMeta, Malformed> {
    Ok(SnapshotMeta {
        last_log_id: meta.last_log_id.map(log_id_from),
        last_membership: stored_membership_from(meta.membership.unwrap_or_default())?,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn member(node: i32) -> Member {
        Member {
            node_id: BrokerId(node),
            directory_id: DirectoryId(Uuid::from_u128(u128::from(node.cast_unsigned()) << 64 | 5)),
            host: format!("host-{node}"),
            port: 9093,
        }
    }

    #[test]
    fn entries_of_every_kind_survive_the_wire() {
        let members: BTreeMap<u64, Member> = (1..4).map(|node| (member(node).raft_id(), member(node))).collect();
        let voters: BTreeSet<u64> = members.keys().copied().take(2).collect();
        let membership = Membership::new(vec![voters], members).unwrap();
        let proposal = Proposal {
            decided_on: MetadataOffset(9),
            records: Bytes::from_static(b"abc"),
        };
        for payload in [
            EntryPayload::Blank,
            EntryPayload::Normal(proposal),
            EntryPayload::Membership(membership),
        ] {
            let entry = Entry {
                log_id: log_id(3, 7),
                payload,
            };
            assert_eq!(entry_from(entry_to(&entry)).unwrap(), entry);
        }
    }

    #[test]
    fn votes_survive_the_wire() {
        for vote in [Vote::new(3, 4), Vote::new_committed(5, 6)] {
            assert_eq!(vote_from(Some(vote_to(&vote))).unwrap(), vote);
        }
    }

    #[test]
    fn a_member_with_a_foreign_raft_id_is_refused() {
        let mut foreign = member_to(&member(1));
        foreign.raft_id += 1;
        assert!(member_from(foreign).is_err());
        assert!(entry_from(proto::Entry::default()).is_err());
    }
}
