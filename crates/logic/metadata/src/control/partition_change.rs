//! How one partition changes when replicas come, go or are reassigned: who leads, who is in ISR and ELR.
//!
//! Every decision that touches a partition goes through here, so that the rules hold for all (Kafka's
//! PartitionChangeBuilder with KIP-966):
//! - META-1: the leader is a member of the ISR; it comes from the ISR or the ELR, else the election was unclean.
//! - META-3: the ISR is empty only when an unclean shutdown took its last member; then nobody leads. Kafka moves
//!   the last member that is fenced to the ELR, here it stays in the ISR: both leave it electable.
//! - META-4: at its election the leader is active, and its replica's log directory in use.
//! - META-5: ISR, ELR and last known ELR have no member in common. The ELR has members only while the ISR is smaller than
//!   `min.insync.replicas`: then the high watermark stands still, so who leaves the ISR keeps all that was visible.

use types::{BrokerId, TopicIdPartition};

use super::ControlDefaults;
use crate::image::{LeaderRecovery, MetadataImage, PartitionRegistration, numbers};
use crate::proto::{BrokerIds, MetadataRecord, PartitionChange};
use crate::record::uuid_bytes;

/// Who counts as alive in a decision whose own records aren't in the image yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Liveness<'a> {
    image: &'a MetadataImage,
    /// Not active any more after this decision.
    leaving: Option<BrokerId>,
    /// Active after this decision.
    coming: Option<BrokerId>,
    /// Whose replica of the partition is offline after this decision.
    offline: Option<BrokerId>,
}

impl<'a> Liveness<'a> {
    pub(crate) fn of(image: &'a MetadataImage) -> Self {
        Self {
            image,
            leaving: None,
            coming: None,
            offline: None,
        }
    }

    pub(crate) fn without(image: &'a MetadataImage, leaving: BrokerId) -> Self {
        Self {
            image,
            leaving: Some(leaving),
            coming: None,
            offline: None,
        }
    }

    pub(crate) fn with(image: &'a MetadataImage, coming: BrokerId) -> Self {
        Self {
            image,
            leaving: None,
            coming: Some(coming),
            offline: None,
        }
    }

    /// For partitions whose replica on that broker is lost with its log directory.
    pub(crate) fn without_replica(image: &'a MetadataImage, broker: BrokerId) -> Self {
        Self {
            offline: Some(broker),
            ..Self::of(image)
        }
    }

    fn may_be_elected(&self, partition: TopicIdPartition, id: BrokerId) -> bool {
        Some(id) != self.leaving
            && (Some(id) == self.coming || self.image.is_active(id))
            && !self.is_offline(partition, id)
    }

    /// A leader that is shutting down goes on leading until somebody can take over.
    fn may_stay(&self, partition: TopicIdPartition, id: BrokerId) -> bool {
        Some(id) != self.leaving
            && self.image.broker(id).is_some_and(|broker| !broker.fenced)
            && !self.is_offline(partition, id)
    }

    fn is_offline(&self, partition: TopicIdPartition, id: BrokerId) -> bool {
        Some(id) == self.offline || self.image.is_replica_offline(partition, id)
    }
}

/// Which leader is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Election {
    /// The present leader as long as it may lead.
    Online,
    /// The first replica if it is in sync.
    Preferred,
    /// As `Online`, and any living replica when there is no other way. Can lose acknowledged records.
    Unclean,
    /// This one, whose log goes farthest of the last known ISR. Can lose acknowledged records.
    LastKnown(BrokerId),
}

enum Elected {
    /// The leader stays, or nobody leads still.
    Same,
    FromIsr(BrokerId),
    FromElr(BrokerId),
    Uncleanly(BrokerId),
    Nobody,
}

/// Gathers what is wanted of a partition, then decides what changes.
#[derive(Debug)]
pub(crate) struct PartitionChangeBuilder<'a> {
    id: TopicIdPartition,
    partition: &'a PartitionRegistration,
    liveness: Liveness<'a>,
    min_isr: usize,
    election: Election,
    unclean_shutdown: Option<BrokerId>,
    recovered: bool,
    refused: bool,
    isr: Vec<BrokerId>,
    replicas: Vec<BrokerId>,
    adding: Vec<BrokerId>,
    removing: Vec<BrokerId>,
}

impl<'a> PartitionChangeBuilder<'a> {
    /// Starts from the partition as it is; none if it doesn't exist.
    pub(crate) fn new(liveness: Liveness<'a>, id: TopicIdPartition, defaults: &ControlDefaults) -> Option<Self> {
        let image = liveness.image;
        let topic = image.topic_by_id(id.topic_id)?;
        let partition = topic.partition(id.partition)?;
        let unclean = image.unclean_leader_election(&topic.name, defaults.unclean_leader_election_enable);
        Some(Self {
            id,
            partition,
            liveness,
            min_isr: image.min_insync_replicas(&topic.name, defaults.min_insync_replicas),
            election: if unclean { Election::Unclean } else { Election::Online },
            unclean_shutdown: None,
            recovered: false,
            refused: false,
            isr: partition.isr.clone(),
            replicas: partition.replicas.clone(),
            adding: partition.adding.clone(),
            removing: partition.removing.clone(),
        })
    }

    pub(crate) fn partition(&self) -> &'a PartitionRegistration {
        self.partition
    }

    pub(crate) fn election(mut self, election: Election) -> Self {
        self.election = election;
        self
    }

    /// `min.insync.replicas` as it will be after this decision.
    pub(crate) fn min_isr(mut self, min_isr: usize) -> Self {
        self.min_isr = min_isr;
        self
    }

    /// Takes a replica that went in good order out of the ISR, unless it is the last (META-3).
    pub(crate) fn without_in_sync(mut self, id: BrokerId) -> Self {
        if self.isr != [id] {
            self.isr.retain(|member| *member != id);
        }
        self
    }

    /// Takes a replica that may have lost the end of its log out of ISR and ELR.
    pub(crate) fn without_unclean(mut self, id: BrokerId) -> Self {
        self.isr.retain(|member| *member != id);
        self.unclean_shutdown = Some(id);
        self
    }

    /// The ISR that the leader proposed.
    pub(crate) fn isr(mut self, isr: Vec<BrokerId>) -> Self {
        self.isr = isr;
        self
    }

    /// The leader told that it recovered from its unclean election.
    pub(crate) fn recovered(mut self) -> Self {
        self.recovered = true;
        self
    }

    /// A proposal for the present partition epoch was refused: the epoch rises even if nothing else changes.
    pub(crate) fn refused(mut self) -> Self {
        self.refused = true;
        self
    }

    /// Other replicas, and which of them come and go.
    pub(crate) fn replicas(mut self, replicas: Vec<BrokerId>, adding: Vec<BrokerId>, removing: Vec<BrokerId>) -> Self {
        self.isr.retain(|member| replicas.contains(member));
        self.replicas = replicas;
        self.adding = adding;
        self.removing = removing;
        self
    }

    /// The record of the change, none if nothing changes.
    pub(crate) fn build(mut self) -> Option<MetadataRecord> {
        self.complete_reassignment();
        let (mut elr, mut last_known_elr) = self.eligible_after();
        let elected = self.elect(&elr);
        let mut recovering = self.partition.recovery == LeaderRecovery::Recovering && !self.recovered;
        let leader = match elected {
            Elected::Same => self.partition.leader,
            Elected::FromIsr(leader) => Some(leader),
            Elected::FromElr(leader) => {
                self.isr = vec![leader];
                (elr, last_known_elr) = self.eligible_after();
                Some(leader)
            }
            Elected::Uncleanly(leader) => {
                self.isr = vec![leader];
                elr.clear();
                last_known_elr.clear();
                recovering = true;
                Some(leader)
            }
            Elected::Nobody => None,
        };
        self.record(leader, elr, last_known_elr, recovering)
    }

    fn record(
        self,
        leader: Option<BrokerId>,
        elr: Vec<BrokerId>,
        last_known_elr: Vec<BrokerId>,
        recovering: bool,
    ) -> Option<MetadataRecord> {
        let now = self.partition;
        // A removed replica must not go on fetching under this leader epoch as if it still counted.
        let removes_replicas = now.replicas.iter().any(|replica| !self.replicas.contains(replica));
        let new_leadership = leader != now.leader || removes_replicas;
        let recovering_now = now.recovery == LeaderRecovery::Recovering;
        let change = PartitionChange {
            topic_id: uuid_bytes(self.id.topic_id.0),
            index: self.id.partition.0,
            replicas: changed(&now.replicas, &self.replicas),
            isr: changed(&now.isr, &self.isr),
            elr: changed(&now.elr, &elr),
            last_known_elr: changed(&now.last_known_elr, &last_known_elr),
            leader: new_leadership.then_some(leader.map_or(-1, |leader| leader.0)),
            leader_epoch: if new_leadership {
                now.leader_epoch.next().0
            } else {
                now.leader_epoch.0
            },
            partition_epoch: now.partition_epoch.next().0,
            adding: changed(&now.adding, &self.adding),
            removing: changed(&now.removing, &self.removing),
            recovering: (recovering != recovering_now).then_some(recovering),
        };
        let changes_something = self.refused
            || change.replicas.is_some()
            || change.isr.is_some()
            || change.elr.is_some()
            || change.last_known_elr.is_some()
            || change.leader.is_some()
            || change.adding.is_some()
            || change.removing.is_some()
            || change.recovering.is_some();
        changes_something.then(|| change.into())
    }

    /// KIP-455: when every replica that is to stay is in sync, the removed ones go.
    fn complete_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let replicas = difference(&self.replicas, &self.removing);
        let isr = difference(&self.isr, &self.removing);
        let in_sync = replicas.iter().all(|replica| isr.contains(replica));
        if replicas.is_empty() || !in_sync {
            return;
        }
        self.replicas = replicas;
        self.isr = isr;
        self.adding.clear();
        self.removing.clear();
    }

    /// ELR and last known ELR for the ISR as wanted (KIP-966).
    fn eligible_after(&self) -> (Vec<BrokerId>, Vec<BrokerId>) {
        if self.isr.len() >= self.min_isr.min(self.replicas.len()) {
            return (Vec::new(), Vec::new());
        }
        let mut elr = Vec::new();
        let mut last_known_elr = Vec::new();
        let eligible = self.partition.elr.iter().chain(&self.partition.isr);
        for id in eligible.filter(|id| !self.isr.contains(id) && self.replicas.contains(id)) {
            let list = if self.unclean_shutdown == Some(*id) {
                &mut last_known_elr
            } else {
                &mut elr
            };
            if !list.contains(id) {
                list.push(*id);
            }
        }
        for id in &self.partition.last_known_elr {
            let elsewhere = self.isr.contains(id) || elr.contains(id) || last_known_elr.contains(id);
            if !elsewhere && self.replicas.contains(id) {
                last_known_elr.push(*id);
            }
        }
        (elr, last_known_elr)
    }

    fn elect(&self, elr: &[BrokerId]) -> Elected {
        if let Election::LastKnown(leader) = self.election {
            return Elected::Uncleanly(leader);
        }
        let in_sync = |id: &BrokerId| self.isr.contains(id) && self.liveness.may_be_elected(self.id, *id);
        let preferred = self.replicas.first().copied().filter(in_sync);
        let present = self.partition.leader;
        let elected = match (self.election, preferred) {
            (Election::Preferred, Some(preferred)) => Some(preferred),
            _ => present
                .filter(in_sync)
                .or_else(|| self.replicas.iter().copied().find(in_sync)),
        };
        if let Some(leader) = elected {
            return if present == Some(leader) {
                Elected::Same
            } else {
                Elected::FromIsr(leader)
            };
        }
        let alive = |id: &BrokerId| self.liveness.may_be_elected(self.id, *id);
        if let Some(leader) = self.replicas.iter().copied().find(|id| elr.contains(id) && alive(id)) {
            return Elected::FromElr(leader);
        }
        if present.is_some_and(|leader| self.isr.contains(&leader) && self.liveness.may_stay(self.id, leader)) {
            return Elected::Same;
        }
        if self.election == Election::Unclean
            && let Some(leader) = self.replicas.iter().copied().find(alive)
        {
            return Elected::Uncleanly(leader);
        }
        if present.is_none() {
            Elected::Same
        } else {
            Elected::Nobody
        }
    }
}

fn changed(before: &[BrokerId], after: &[BrokerId]) -> Option<BrokerIds> {
    (before != after).then(|| BrokerIds { ids: numbers(after) })
}

pub(crate) fn difference(list: &[BrokerId], without: &[BrokerId]) -> Vec<BrokerId> {
    list.iter().copied().filter(|id| !without.contains(id)).collect()
}
