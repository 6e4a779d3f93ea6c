//! The metadata quorum as the file knows it: whom a blank node asks.
//!
//! `controller.quorum.voters` names the controllers at the cluster's birth; `controller.quorum.bootstrap.servers`
//! only says where to ask (KIP-853). One of them must be given. What the quorum is at any later moment is in its
//! log, not here.

use std::fmt;

use types::BrokerId;

use crate::listeners::Endpoint;
use crate::reader::Reader;
use crate::server::ProcessRoles;

/// A controller at the cluster's birth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumVoter {
    /// Its `node.id`.
    pub id: BrokerId,
    /// Where its controller listener is dialled.
    pub endpoint: Endpoint,
}

impl fmt::Display for QuorumVoter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.endpoint)
    }
}

/// Whom a node asks about the metadata quorum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuorumConfig {
    /// `controller.quorum.voters`, ordered by id, each id once.
    pub voters: Vec<QuorumVoter>,
    /// `controller.quorum.bootstrap.servers`.
    pub bootstrap_servers: Vec<Endpoint>,
    /// `controller.quorum.auto.join.enable`: a controller that isn't a voter asks to become one.
    pub auto_join: bool,
    /// A snapshot is written after this many bytes of new metadata records.
    pub snapshot_after_bytes: u64,
}

impl QuorumConfig {
    const VOTERS: &'static str = "controller.quorum.voters";
    const SERVERS: &'static str = "controller.quorum.bootstrap.servers";

    pub(crate) fn read(reader: &mut Reader<'_>, node_id: BrokerId, roles: ProcessRoles) -> Self {
        let voters = Self::read_voters(reader);
        let mut bootstrap_servers = Vec::new();
        for text in reader.list(Self::SERVERS) {
            match Endpoint::parse(text).filter(|endpoint| endpoint.port != 0 && !endpoint.host.is_empty()) {
                Some(endpoint) => bootstrap_servers.push(endpoint),
                None => reader.invalid(Self::SERVERS, text, "expected host:port, as in localhost:9093"),
            }
        }
        if reader.given(Self::VOTERS).is_none() && reader.given(Self::SERVERS).is_none() {
            reader.missing(
                Self::VOTERS,
                format!(
                    "name the controllers as id@host:port, separated by commas, or give {} as host:port",
                    Self::SERVERS
                ),
            );
        }
        let listed = voters.iter().any(|voter| voter.id == node_id);
        if !voters.is_empty() && roles.controller && !listed {
            let given = reader.given(Self::VOTERS).unwrap_or_default();
            reader.invalid(
                Self::VOTERS,
                given,
                format!("this node is a controller: its id, {node_id}, must be listed"),
            );
        }
        if roles.broker && !roles.controller && listed {
            let given = reader.given(Self::VOTERS).unwrap_or_default();
            let expected = format!("this node isn't a controller: its id, {node_id}, can't be listed");
            reader.invalid(Self::VOTERS, given, expected);
        }
        let bytes = reader.long("metadata.log.max.record.bytes.between.snapshots");
        Self {
            voters,
            bootstrap_servers,
            auto_join: reader.boolean("controller.quorum.auto.join.enable"),
            snapshot_after_bytes: u64::try_from(bytes).unwrap_or(1).max(1),
        }
    }

    fn read_voters(reader: &mut Reader<'_>) -> Vec<QuorumVoter> {
        let mut voters: Vec<QuorumVoter> = Vec::new();
        for text in reader.list(Self::VOTERS) {
            let parsed = text.split_once('@').and_then(|(id, address)| {
                let id = id.trim().parse::<i32>().ok().filter(|id| *id >= 0)?;
                let endpoint = Endpoint::parse(address)?;
                (!endpoint.host.is_empty()).then_some(QuorumVoter {
                    id: BrokerId(id),
                    endpoint,
                })
            });
            match parsed {
                None => reader.invalid(Self::VOTERS, text, "expected id@host:port, as in 1@localhost:9093"),
                Some(voter) if voter.endpoint.is_unroutable() => {
                    reader.invalid(
                        Self::VOTERS,
                        text,
                        "0.0.0.0 can't be dialled; give a name or an address",
                    );
                }
                Some(voter) if voters.iter().any(|other| other.id == voter.id) => {
                    reader.invalid(Self::VOTERS, text, format!("the id {} occurs twice", voter.id));
                }
                Some(voter) => voters.push(voter),
            }
        }
        voters.sort_unstable_by_key(|voter| voter.id);
        voters
    }
}
