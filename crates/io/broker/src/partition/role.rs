//! The controller's word on this partition: leading, following, and the change between them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use partition::{FollowerState, LeaderState, LeadershipStart};
use types::{BrokerId, LeaderEpoch, Offset};

use metadata::PartitionRegistration;

use super::wakes::Wakes;
use super::{Partition, Role, State};
use crate::topic_settings::PartitionSettings;

/// A lock that isn't free by then is held by a write that hangs.
const GIVE_UP_WAIT: Duration = Duration::from_millis(50);

/// What a replica has to do after a change of registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleChange {
    /// It leads (perhaps newly): no follow of its own.
    Leads {
        /// A new leadership began.
        newly: bool,
    },
    /// It follows that leader.
    Follows {
        /// Who leads.
        leader: BrokerId,
        /// In which epoch.
        leader_epoch: LeaderEpoch,
        /// Nothing about the leader changed.
        unchanged: bool,
    },
    /// Nobody leads.
    Leaderless,
}

impl Partition {
    /// Takes the committed registration.
    pub fn apply_registration(&self, registration: &PartitionRegistration) -> RoleChange {
        let local = self.host.local;
        let now = self.host.clock.now();
        let (wakes, change, flush) = {
            let mut state = self.lock();
            if registration.partition_epoch <= state.partition_epoch {
                return state.current_role(local, registration);
            }
            state.partition_epoch = registration.partition_epoch;
            let (wakes, change) = if registration.leader == Some(local) {
                self.lead(&mut state, registration, now)
            } else {
                state.follow(registration)
            };
            let anew = match change {
                RoleChange::Leads { newly } => newly,
                RoleChange::Follows { unchanged, .. } => !unchanged,
                RoleChange::Leaderless => false,
            };
            // After a restart the synced end is the last checkpoint's: without a sync the high watermark would wait for the
            // background's round.
            (wakes, change, anew && state.owes_a_sync())
        };
        self.log_starts.notify_waiters();
        self.run(wakes);
        if flush {
            self.request_flush();
        }
        change
    }

    fn lead(
        &self,
        state: &mut State,
        registration: &PartitionRegistration,
        now: types::TimestampMs,
    ) -> (Wakes, RoleChange) {
        if let Role::Leader(leader) = &mut state.role
            && leader.leader_epoch() == registration.leader_epoch
        {
            let effects = leader.on_partition_change(
                registration.partition_epoch,
                &registration.replicas,
                &registration.isr,
                &|id| self.host.eligible(self.id, id),
                now,
            );
            state.proposal = None;
            return (state.settle(effects), RoleChange::Leads { newly: false });
        }
        let mut wakes = state.leave_role();
        state
            .log
            .assign_epoch_start(registration.leader_epoch, state.log.log_end_offset());
        let (leader, effects) = LeaderState::new(
            LeadershipStart {
                local: self.host.local,
                local_epoch: self.host.broker_epoch(),
                leader_epoch: registration.leader_epoch,
                partition_epoch: registration.partition_epoch,
                replicas: registration.replicas.clone(),
                isr: registration.isr.clone(),
                log_end_offset: state.log.log_end_offset(),
                acknowledgeable_end: state.acknowledgeable_end(),
                high_watermark: state.high_watermark(),
                min_insync_replicas: state.settings.min_insync_replicas,
                lag_time_max_ms: self.host.lag_time_max_ms,
            },
            now,
        );
        tracing::debug!(partition = %self.directory_name(), epoch = %registration.leader_epoch,
            start = %state.log.log_end_offset(), "leads");
        state.role = Role::Leader(leader);
        wakes.merge(state.settle(effects));
        (wakes, RoleChange::Leads { newly: true })
    }

    /// The topic was deleted, or the replica moved away.
    pub fn retire(&self) {
        let wakes = self.lock().retire();
        self.log_starts.notify_waiters();
        self.run(wakes);
    }

    /// The log's directory failed: whoever waits is told. A hung write may hold the lock; then those who wait run into
    /// their own deadlines.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
        self.log_starts.notify_waiters();
        let wakes = self.state.try_lock_for(GIVE_UP_WAIT).map(|mut state| state.retire());
        if let Some(wakes) = wakes {
            self.run(wakes);
        }
    }

    /// The topic's configuration changed.
    pub fn apply_settings(&self, settings: PartitionSettings) {
        let settings = Arc::new(settings);
        self.uncleanable.store(false, Ordering::Release);
        let wakes = {
            let mut state = self.lock();
            state.log.set_config(settings.log.clone());
            let min = settings.min_insync_replicas;
            self.settings.store(Arc::clone(&settings));
            state.settings = settings;
            if state.owes_a_sync() {
                self.request_flush();
            }
            let lag = self.host.lag_time_max_ms;
            let log_end = state.log.log_end_offset();
            let acknowledgeable = state.acknowledgeable_end();
            let Role::Leader(leader) = &mut state.role else { return };
            let mut effects = leader.on_config_change(min, lag);
            let grown = leader.on_local_append(log_end, acknowledgeable);
            effects.high_watermark = grown.high_watermark.or(effects.high_watermark);
            state.settle(effects)
        };
        self.run(wakes);
    }
}

impl State {
    /// What a replica may acknowledge, or a leader count itself for: the synced end on topics that flush.
    pub(super) fn acknowledgeable_end(&self) -> Offset {
        let waits_for_sync = self.settings.log.acknowledges_synced_end();
        #[cfg(feature = "bugs")]
        let waits_for_sync = waits_for_sync && !bugs::is_planted(bugs::Bug::AckBeforeWrite);
        if waits_for_sync {
            self.log.synced_end()
        } else {
            self.log.log_end_offset()
        }
    }

    fn current_role(&self, local: BrokerId, registration: &PartitionRegistration) -> RoleChange {
        match (&self.role, registration.leader) {
            (Role::Leader(_), _) => RoleChange::Leads { newly: false },
            (Role::Follower(_), Some(leader)) if leader != local => RoleChange::Follows {
                leader,
                leader_epoch: registration.leader_epoch,
                unchanged: true,
            },
            (Role::Follower(_), _) => RoleChange::Leaderless,
        }
    }

    fn follow(&mut self, registration: &PartitionRegistration) -> (Wakes, RoleChange) {
        let unchanged = matches!(&self.role, Role::Follower(follower)
            if follower.leader_epoch == registration.leader_epoch && follower.leader == registration.leader);
        let mut wakes = Wakes::default();
        if !unchanged {
            let high_watermark = self.high_watermark();
            wakes = self.leave_role();
            self.log.forget_epochs_without_records();
            #[cfg(feature = "bugs")]
            if bugs::is_planted(bugs::Bug::TruncateByHighWatermark) {
                let _ = self.log.truncate_to(high_watermark, types::TimestampMs(0));
            }
            self.role = Role::Follower(FollowerState::new(
                registration.leader_epoch,
                registration.leader,
                high_watermark,
            ));
        }
        let change = match registration.leader {
            Some(leader) => RoleChange::Follows {
                leader,
                leader_epoch: registration.leader_epoch,
                unchanged,
            },
            None => RoleChange::Leaderless,
        };
        (wakes, change)
    }

    fn retire(&mut self) -> Wakes {
        self.retired = true;
        let high_watermark = self.high_watermark();
        let wakes = self.leave_role();
        self.role = Role::Follower(FollowerState::new(LeaderEpoch::NONE, None, high_watermark));
        wakes
    }

    /// PART-1: nothing of the old role outlives it.
    fn leave_role(&mut self) -> Wakes {
        self.slots.clear();
        self.acks = None;
        self.proposal = None;
        Wakes {
            ended: self.waiters.take_all(),
            readers: std::mem::take(&mut self.readers),
            ..Wakes::default()
        }
    }
}
