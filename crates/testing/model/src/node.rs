//! One broker's replica: what the broker's shell holds around the rules.

use metadata::PartitionRegistration;
use partition::{FollowRequest, FollowerState, IsrProposal, LeaderEffects, LeaderState, LeadershipStart};
use types::{BrokerEpoch, BrokerId, FollowId, LeaderEpoch, Offset, PartitionEpoch, TimestampMs};

use crate::controller::View;
use crate::log::Log;

/// All of a run's time but for the limit of lag, which [`crate::Step::Tick`] lets pass at will.
pub(crate) const NOW: TimestampMs = TimestampMs(0);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Leader(LeaderState),
    Follower(FollowerState),
}

/// An accepted follow, on the leader's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) replica: usize,
    pub(crate) follow_id: FollowId,
    pub(crate) next_offset: Offset,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) id: BrokerId,
    pub(crate) alive: bool,
    /// A power cut may have taken what the controller counts on; not registered since.
    pub(crate) dirty: bool,
    pub(crate) epoch: BrokerEpoch,
    pub(crate) log: Log,
    pub(crate) role: Role,
    pub(crate) partition_epoch: PartitionEpoch,
    pub(crate) slots: Vec<Slot>,
    pub(crate) proposal: Option<IsrProposal>,
    pub(crate) next_follow: u64,
    /// Counts processes.
    pub(crate) life: u8,
}

/// What of the scenario a node needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) min_isr: usize,
    /// The topic syncs before it acknowledges.
    pub(crate) flush: bool,
}

impl Node {
    pub(crate) fn new(id: BrokerId) -> Self {
        Self {
            id,
            alive: false,
            dirty: false,
            epoch: BrokerEpoch::NONE,
            log: Log::default(),
            role: Role::Follower(FollowerState::new(LeaderEpoch::NONE, None, Offset::ZERO)),
            partition_epoch: PartitionEpoch(-1),
            slots: Vec::new(),
            proposal: None,
            next_follow: 0,
            life: 1,
        }
    }

    pub(crate) fn leader(&self) -> Option<&LeaderState> {
        match &self.role {
            Role::Leader(leader) if self.alive => Some(leader),
            Role::Leader(_) | Role::Follower(_) => None,
        }
    }

    pub(crate) fn leader_mut(&mut self) -> Option<&mut LeaderState> {
        match &mut self.role {
            Role::Leader(leader) if self.alive => Some(leader),
            Role::Leader(_) | Role::Follower(_) => None,
        }
    }

    pub(crate) fn follower(&self) -> Option<&FollowerState> {
        match &self.role {
            Role::Follower(follower) if self.alive => Some(follower),
            Role::Leader(_) | Role::Follower(_) => None,
        }
    }

    pub(crate) fn high_watermark(&self) -> Offset {
        match &self.role {
            Role::Leader(leader) => leader.high_watermark(),
            Role::Follower(follower) => follower.high_watermark,
        }
    }

    pub(crate) fn acknowledgeable_end(&self, settings: Settings) -> Offset {
        if settings.flush {
            crate::log::offset(self.log.synced)
        } else {
            self.log.end()
        }
    }

    /// The process is gone. Its high watermark was checkpointed long ago, or never.
    pub(crate) fn die(&mut self) {
        self.alive = false;
        self.role = Role::Follower(FollowerState::new(LeaderEpoch::NONE, None, Offset::ZERO));
        self.partition_epoch = PartitionEpoch(-1);
        self.slots.clear();
        self.proposal = None;
        self.next_follow += 1;
    }

    /// Takes the committed registration, as `broker/partition/role` does. Returns the effects of leading, and the leader to
    /// follow anew.
    pub(crate) fn apply(
        &mut self,
        registration: &PartitionRegistration,
        view: &View,
        settings: Settings,
    ) -> (LeaderEffects, Option<BrokerId>) {
        if registration.partition_epoch <= self.partition_epoch {
            return (LeaderEffects::default(), None);
        }
        self.partition_epoch = registration.partition_epoch;
        if registration.leader == Some(self.id) {
            (self.lead(registration, view, settings), None)
        } else {
            (LeaderEffects::default(), self.follow(registration))
        }
    }

    fn lead(&mut self, registration: &PartitionRegistration, view: &View, settings: Settings) -> LeaderEffects {
        self.proposal = None;
        if let Role::Leader(leader) = &mut self.role
            && leader.leader_epoch() == registration.leader_epoch
        {
            return leader.on_partition_change(
                registration.partition_epoch,
                &registration.replicas,
                &registration.isr,
                &|id| view.eligible(id),
                NOW,
            );
        }
        self.slots.clear();
        self.log.assign_epoch(registration.leader_epoch);
        let start = LeadershipStart {
            local: self.id,
            local_epoch: self.epoch,
            leader_epoch: registration.leader_epoch,
            partition_epoch: registration.partition_epoch,
            replicas: registration.replicas.clone(),
            isr: registration.isr.clone(),
            log_end_offset: self.log.end(),
            acknowledgeable_end: self.acknowledgeable_end(settings),
            high_watermark: self.high_watermark(),
            min_insync_replicas: settings.min_isr,
            lag_time_max_ms: 0,
        };
        let (leader, effects) = LeaderState::new(start, NOW);
        self.role = Role::Leader(leader);
        effects
    }

    fn follow(&mut self, registration: &PartitionRegistration) -> Option<BrokerId> {
        let unchanged = matches!(&self.role, Role::Follower(follower)
            if follower.leader_epoch == registration.leader_epoch && follower.leader == registration.leader);
        if unchanged {
            return None;
        }
        let high_watermark = self.high_watermark();
        self.slots.clear();
        self.proposal = None;
        self.log.forget_epochs_without_records();
        if bugs::is_planted(bugs::Bug::TruncateByHighWatermark) {
            self.log.truncate_to(high_watermark);
        }
        self.role = Role::Follower(FollowerState::new(
            registration.leader_epoch,
            registration.leader,
            high_watermark,
        ));
        registration.leader
    }

    /// Begins a follow of the leadership that it believes in.
    pub(crate) fn begin_follow(&mut self, settings: Settings) -> Option<FollowRequest> {
        let acknowledgeable_end = self.acknowledgeable_end(settings);
        let last_epoch = self.log.records.last().map_or(LeaderEpoch::NONE, |last| last.epoch);
        let follow_id = FollowId(self.next_follow);
        let Role::Follower(follower) = &mut self.role else {
            return None;
        };
        follower.leader?;
        follower.follow = Some(follow_id);
        self.next_follow += 1;
        Some(FollowRequest {
            replica: self.id,
            broker_epoch: self.epoch,
            follow_id,
            leader_epoch: follower.leader_epoch,
            offset: self.log.end(),
            acknowledgeable_end,
            last_epoch,
        })
    }
}
