//! A broker's registration as replayed (KIP-631).
//!
//! META-6: of one broker id only the registration with the registered epoch counts; every request and record
//! that carries another epoch is refused.

use std::collections::BTreeSet;

use config::SecurityProtocol;
use types::{BrokerEpoch, BrokerId, DirectoryId, PartitionIndex, TopicId, TopicIdPartition, Uuid};

use crate::proto;
use crate::record::{ReplayError, uuid_from};

/// Kafka's number of a security protocol.
#[must_use]
pub fn security_protocol_code(protocol: SecurityProtocol) -> i16 {
    match protocol {
        SecurityProtocol::Plaintext => 0,
        SecurityProtocol::Ssl => 1,
        SecurityProtocol::SaslPlaintext => 2,
        SecurityProtocol::SaslSsl => 3,
    }
}

/// The security protocol of Kafka's number.
#[must_use]
pub fn security_protocol_from_code(code: i32) -> Option<SecurityProtocol> {
    match code {
        0 => Some(SecurityProtocol::Plaintext),
        1 => Some(SecurityProtocol::Ssl),
        2 => Some(SecurityProtocol::SaslPlaintext),
        3 => Some(SecurityProtocol::SaslSsl),
        _ => None,
    }
}

/// An address at which a broker serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BrokerListener {
    /// The listener's name, upper case by custom.
    pub name: String,
    /// The advertised host.
    pub host: String,
    /// The advertised port.
    pub port: u16,
    /// How to speak there.
    pub security_protocol: SecurityProtocol,
}

/// What the cluster knows of one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// The broker.
    pub id: BrokerId,
    /// The metadata offset at which this incarnation was registered.
    pub epoch: BrokerEpoch,
    /// Names the process: new for every start.
    pub incarnation_id: Uuid,
    /// Where it serves.
    pub listeners: Vec<BrokerListener>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Its log directories.
    pub directories: Vec<DirectoryId>,
    /// It has no session, or hasn't caught up yet: it neither leads nor joins an ISR.
    pub fenced: bool,
    /// It is handing its leaderships over.
    pub in_controlled_shutdown: bool,
    /// Features that it can speak.
    pub features: Vec<proto::SupportedFeature>,
    /// Replicas that this incarnation can't serve: their log directory is offline. They neither lead nor join an ISR.
    pub offline_replicas: BTreeSet<TopicIdPartition>,
}

impl BrokerRegistration {
    /// Whether it may lead and join ISRs: neither fenced nor shutting down.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// The listener of that name, in any case.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<&BrokerListener> {
        self.listeners
            .iter()
            .find(|listener| listener.name.eq_ignore_ascii_case(name))
    }

    /// Reads the record.
    ///
    /// # Errors
    /// When an id hasn't 16 bytes, or a listener's port or protocol doesn't exist.
    pub fn from_record(record: &proto::RegisterBroker) -> Result<Self, ReplayError> {
        let listeners = record
            .listeners
            .iter()
            .map(listener_from)
            .collect::<Result<Vec<_>, _>>()?;
        let directories = directories_from(&record.directory_ids)?;
        Ok(Self {
            id: BrokerId(record.broker_id),
            epoch: BrokerEpoch(record.broker_epoch),
            incarnation_id: uuid_from(&record.incarnation_id)?,
            listeners,
            rack: record.rack.clone(),
            directories,
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            features: record.features.clone(),
            offline_replicas: replicas_from(&record.offline_replicas)?,
        })
    }

    /// The record that this registration replays from.
    #[must_use]
    pub fn to_record(&self) -> proto::RegisterBroker {
        proto::RegisterBroker {
            broker_id: self.id.0,
            broker_epoch: self.epoch.0,
            incarnation_id: crate::record::uuid_bytes(self.incarnation_id),
            listeners: self.listeners.iter().map(listener_record).collect(),
            rack: self.rack.clone(),
            directory_ids: self
                .directories
                .iter()
                .map(|id| crate::record::uuid_bytes(id.0))
                .collect(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            features: self.features.clone(),
            offline_replicas: self
                .offline_replicas
                .iter()
                .map(|id| proto::ReplicaOf {
                    topic_id: crate::record::uuid_bytes(id.topic_id.0),
                    index: id.partition.0,
                })
                .collect(),
        }
    }

    /// Takes a committed change.
    ///
    /// # Errors
    /// When an id hasn't 16 bytes; nothing has changed then.
    pub(super) fn apply(&mut self, change: &proto::BrokerChange) -> Result<(), ReplayError> {
        let offline = replicas_from(&change.offline_replicas)?;
        let directories = change
            .directories
            .as_ref()
            .map(|directories| directories_from(&directories.ids))
            .transpose()?;
        if let Some(fenced) = change.fenced {
            self.fenced = fenced;
        }
        if let Some(in_controlled_shutdown) = change.in_controlled_shutdown {
            self.in_controlled_shutdown = in_controlled_shutdown;
        }
        if let Some(directories) = directories {
            self.directories = directories;
        }
        self.offline_replicas.extend(offline);
        Ok(())
    }
}

fn directories_from(ids: &[bytes::Bytes]) -> Result<Vec<DirectoryId>, ReplayError> {
    ids.iter().map(|id| uuid_from(id).map(DirectoryId)).collect()
}

fn replicas_from(replicas: &[proto::ReplicaOf]) -> Result<BTreeSet<TopicIdPartition>, ReplayError> {
    let read = replicas.iter().map(|replica| {
        Ok(TopicIdPartition {
            topic_id: TopicId(uuid_from(&replica.topic_id)?),
            partition: PartitionIndex(replica.index),
        })
    });
    read.collect()
}

fn listener_from(listener: &proto::Listener) -> Result<BrokerListener, ReplayError> {
    let port = u16::try_from(listener.port).map_err(|_| ReplayError::InvalidListener(listener.name.clone()))?;
    let security_protocol = security_protocol_from_code(listener.security_protocol)
        .ok_or_else(|| ReplayError::InvalidListener(listener.name.clone()))?;
    Ok(BrokerListener {
        name: listener.name.clone(),
        host: listener.host.clone(),
        port,
        security_protocol,
    })
}

fn listener_record(listener: &BrokerListener) -> proto::Listener {
    proto::Listener {
        name: listener.name.clone(),
        host: listener.host.clone(),
        port: u32::from(listener.port),
        security_protocol: i32::from(security_protocol_code(listener.security_protocol)),
    }
}
