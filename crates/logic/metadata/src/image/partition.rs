//! One partition's committed state: replicas, ISR, ELR, leader and epochs.
//!
//! META-2: `partition_epoch` rises by one with every change, `leader_epoch` by one with every new leadership;
//! replay refuses anything else, so a change decided on an older state can't slip in.

use types::{BrokerId, LeaderEpoch, PartitionEpoch, TopicIdPartition};

use crate::proto;
use crate::record::{ReplayError, uuid_bytes};

/// Whether the leader has recovered from an unclean election (KIP-704).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LeaderRecovery {
    /// Elected cleanly, or recovered since.
    #[default]
    Recovered,
    /// Elected uncleanly; the ISR is the leader alone until it reports that it recovered.
    Recovering,
}

/// What the cluster has committed about one partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionRegistration {
    /// The replicas in the order of preference; the first is the preferred leader.
    pub replicas: Vec<BrokerId>,
    /// The in-sync replicas. Empty only when an unclean shutdown took the last one.
    pub isr: Vec<BrokerId>,
    /// Eligible leader replicas (KIP-966): they hold everything that was ever visible.
    pub elr: Vec<BrokerId>,
    /// Last members of ISR or ELR that unclean shutdowns took.
    pub last_known_elr: Vec<BrokerId>,
    /// The leader, none while nobody may lead.
    pub leader: Option<BrokerId>,
    /// Counts leaderships, the leaderless times included.
    pub leader_epoch: LeaderEpoch,
    /// Counts changes.
    pub partition_epoch: PartitionEpoch,
    /// Replicas that a reassignment adds (KIP-455).
    pub adding: Vec<BrokerId>,
    /// Replicas that a reassignment removes when the added ones are in sync.
    pub removing: Vec<BrokerId>,
    /// Whether the leader has recovered.
    pub recovery: LeaderRecovery,
}

impl PartitionRegistration {
    /// Nothing has happened to it since it was made. A broker that started anew, or left the ISR, is something.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.leader_epoch == LeaderEpoch(0) && self.partition_epoch == PartitionEpoch(0)
    }

    /// A new partition, led by the first of its ISR.
    #[must_use]
    pub fn new(replicas: Vec<BrokerId>, isr: Vec<BrokerId>) -> Self {
        Self {
            leader: isr.first().copied(),
            replicas,
            isr,
            elr: Vec::new(),
            last_known_elr: Vec::new(),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            adding: Vec::new(),
            removing: Vec::new(),
            recovery: LeaderRecovery::Recovered,
        }
    }

    /// The first replica: who leads when everybody is well.
    #[must_use]
    pub fn preferred_leader(&self) -> Option<BrokerId> {
        self.replicas.first().copied()
    }

    /// Whether the preferred replica leads.
    #[must_use]
    pub fn has_preferred_leader(&self) -> bool {
        self.leader.is_some() && self.leader == self.preferred_leader()
    }

    /// Whether a reassignment is under way.
    #[must_use]
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// Reads the record of a new partition.
    #[must_use]
    pub fn from_record(record: &proto::Partition) -> Self {
        Self {
            replicas: broker_ids(&record.replicas),
            isr: broker_ids(&record.isr),
            elr: broker_ids(&record.elr),
            last_known_elr: broker_ids(&record.last_known_elr),
            leader: leader_from(record.leader),
            leader_epoch: LeaderEpoch(record.leader_epoch),
            partition_epoch: PartitionEpoch(record.partition_epoch),
            adding: broker_ids(&record.adding),
            removing: broker_ids(&record.removing),
            recovery: recovery_from(record.recovering),
        }
    }

    /// The record that this partition replays from.
    #[must_use]
    pub fn to_record(&self, id: TopicIdPartition) -> proto::Partition {
        proto::Partition {
            topic_id: uuid_bytes(id.topic_id.0),
            index: id.partition.0,
            replicas: numbers(&self.replicas),
            isr: numbers(&self.isr),
            elr: numbers(&self.elr),
            last_known_elr: numbers(&self.last_known_elr),
            leader: self.leader.map_or(-1, |leader| leader.0),
            leader_epoch: self.leader_epoch.0,
            partition_epoch: self.partition_epoch.0,
            adding: numbers(&self.adding),
            removing: numbers(&self.removing),
            recovering: self.recovery == LeaderRecovery::Recovering,
        }
    }

    /// Applies a change.
    ///
    /// # Errors
    /// When its epochs don't follow the present ones, or the new leader is no replica; nothing has changed then.
    pub(crate) fn apply(&mut self, change: &proto::PartitionChange) -> Result<(), ReplayError> {
        if self.partition_epoch.next() != PartitionEpoch(change.partition_epoch) {
            return Err(ReplayError::PartitionEpoch {
                present: self.partition_epoch,
                record: PartitionEpoch(change.partition_epoch),
            });
        }
        let leader = change.leader.map(leader_from);
        let expected = if leader.is_some() {
            self.leader_epoch.next()
        } else {
            self.leader_epoch
        };
        if expected != LeaderEpoch(change.leader_epoch) {
            return Err(ReplayError::LeaderEpoch {
                present: self.leader_epoch,
                record: LeaderEpoch(change.leader_epoch),
            });
        }
        let in_replicas = |id: &BrokerId| match &change.replicas {
            Some(replicas) => replicas.ids.contains(&id.0),
            None => self.replicas.contains(id),
        };
        if let Some(Some(leader)) = leader
            && !in_replicas(&leader)
        {
            return Err(ReplayError::LeaderIsNoReplica(leader));
        }
        replace(&mut self.replicas, change.replicas.as_ref());
        replace(&mut self.isr, change.isr.as_ref());
        replace(&mut self.elr, change.elr.as_ref());
        replace(&mut self.last_known_elr, change.last_known_elr.as_ref());
        replace(&mut self.adding, change.adding.as_ref());
        replace(&mut self.removing, change.removing.as_ref());
        if let Some(leader) = leader {
            self.leader = leader;
        }
        if let Some(recovering) = change.recovering {
            self.recovery = recovery_from(recovering);
        }
        self.leader_epoch = LeaderEpoch(change.leader_epoch);
        self.partition_epoch = PartitionEpoch(change.partition_epoch);
        Ok(())
    }
}

fn replace(list: &mut Vec<BrokerId>, change: Option<&proto::BrokerIds>) {
    if let Some(change) = change {
        *list = broker_ids(&change.ids);
    }
}

fn leader_from(id: i32) -> Option<BrokerId> {
    (id >= 0).then_some(BrokerId(id))
}

fn recovery_from(recovering: bool) -> LeaderRecovery {
    if recovering {
        LeaderRecovery::Recovering
    } else {
        LeaderRecovery::Recovered
    }
}

pub(crate) fn broker_ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

pub(crate) fn numbers(ids: &[BrokerId]) -> Vec<i32> {
    ids.iter().map(|id| id.0).collect()
}
