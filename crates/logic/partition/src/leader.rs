//! One leadership of one partition: followers' progress, ISR and high watermark.
//!
//! - HW-1: the high watermark is never above the log end, and never goes back within a leadership.
//! - HW-2: it is the lowest acknowledged end of the maximal ISR, the leader's own acknowledgeable end included.
//! - HW-3: it doesn't advance while the committed ISR is smaller than the effective min ISR (KIP-966), so that a member
//!   of the ELR holds everything that was ever visible.
//! - LEAD-1: an acknowledgement counts only under the follow id that this leadership accepted from that replica.
//! - ISR-2: a replica joins when its end has reached the high watermark *and* the start of this epoch; before that its
//!   log may lack records that an earlier leader acknowledged (KAFKA-7128).
//! - ISR-3: only brokers that are registered, unfenced and of the incarnation that follows are proposed (KIP-841, KIP-903).

use std::collections::BTreeMap;

use types::{BrokerEpoch, BrokerId, EpochEnd, FollowId, LeaderEpoch, Offset, PartitionEpoch, TimestampMs};

use crate::follow::{EpochLookup, FollowAnswer, FollowRefusal, FollowRequest, reconcile};
use crate::isr::Isr;

/// What the shell must do now. Dropping it loses an acknowledgement.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaderEffects {
    /// The high watermark advanced to here: release waiters below it and tell the followers.
    pub high_watermark: Option<Offset>,
    /// Ask the controller, guarded by the partition epoch.
    pub isr_proposal: Option<IsrProposal>,
}

/// An ISR change for the controller to commit or refuse (AlterPartition).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IsrProposal {
    /// The leadership that proposes.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the change builds on.
    pub partition_epoch: PartitionEpoch,
    /// The new members with their incarnations, the leader among them.
    pub new_isr: Vec<(BrokerId, BrokerEpoch)>,
}

/// Where a leadership starts from.
#[derive(Debug, Clone)]
pub struct LeadershipStart {
    /// This broker.
    pub local: BrokerId,
    /// This broker's incarnation.
    pub local_epoch: BrokerEpoch,
    /// The epoch of this leadership.
    pub leader_epoch: LeaderEpoch,
    /// Of the registration that made it.
    pub partition_epoch: PartitionEpoch,
    /// All replicas.
    pub replicas: Vec<BrokerId>,
    /// The committed ISR.
    pub isr: Vec<BrokerId>,
    /// The local log's end: where this epoch starts.
    pub log_end_offset: Offset,
    /// The local acknowledgeable end.
    pub acknowledgeable_end: Offset,
    /// What this replica knows to be committed.
    pub high_watermark: Offset,
    /// `min.insync.replicas` of the topic.
    pub min_insync_replicas: usize,
    /// `replica.lag.time.max.ms`.
    pub lag_time_max_ms: i64,
}

/// A follower's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FollowerAck {
    /// Who acknowledges.
    pub replica: BrokerId,
    /// Under which follow.
    pub follow_id: FollowId,
    /// Up to where (exclusive).
    pub end: Offset,
}

/// What is known of a remote replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplicaProgress {
    /// Its incarnation, once it has followed.
    pub broker_epoch: BrokerEpoch,
    /// The follow whose acknowledgements count.
    pub follow: Option<FollowId>,
    /// Highest follow id seen of this incarnation: an older one that arrives late is refused.
    newest_follow: Option<FollowId>,
    /// Acknowledged end; `None` until it followed this leadership.
    pub end: Option<Offset>,
    /// When it last had everything that the leader had.
    pub caught_up_at: TimestampMs,
    /// A leader end and when it was the leader's: reaching it proves having been caught up then.
    mark: (Offset, TimestampMs),
}

/// One leadership.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaderState {
    local: BrokerId,
    local_epoch: BrokerEpoch,
    leader_epoch: LeaderEpoch,
    epoch_start: Offset,
    partition_epoch: PartitionEpoch,
    isr: Isr,
    remotes: BTreeMap<BrokerId, ReplicaProgress>,
    log_end: Offset,
    acknowledgeable_end: Offset,
    high_watermark: Offset,
    min_insync_replicas: usize,
    lag_time_max_ms: i64,
    led_since: TimestampMs,
}

impl LeaderState {
    /// Takes over. Every replica gets one lag period of grace from `now`.
    pub fn new(start: LeadershipStart, now: TimestampMs) -> (Self, LeaderEffects) {
        let mut state = Self {
            local: start.local,
            local_epoch: start.local_epoch,
            leader_epoch: start.leader_epoch,
            epoch_start: start.log_end_offset,
            partition_epoch: start.partition_epoch,
            isr: Isr::Committed { members: start.isr },
            remotes: BTreeMap::new(),
            log_end: start.log_end_offset,
            acknowledgeable_end: start.acknowledgeable_end,
            high_watermark: start.high_watermark.min(start.log_end_offset),
            min_insync_replicas: start.min_insync_replicas,
            lag_time_max_ms: start.lag_time_max_ms,
            led_since: now,
        };
        state.set_replicas(&start.replicas, now);
        let effects = state.advance();
        (state, effects)
    }

    fn set_replicas(&mut self, replicas: &[BrokerId], now: TimestampMs) {
        let local = self.local;
        self.remotes.retain(|id, _| replicas.contains(id));
        for &id in replicas.iter().filter(|&&id| id != local) {
            self.remotes.entry(id).or_insert(ReplicaProgress {
                broker_epoch: BrokerEpoch::NONE,
                follow: None,
                newest_follow: None,
                end: None,
                caught_up_at: now,
                mark: (Offset(i64::MAX), now),
            });
        }
    }

    /// The epoch of this leadership.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }
    /// When this leadership began, by this broker's clock.
    #[must_use]
    pub fn led_since(&self) -> TimestampMs {
        self.led_since
    }
    /// Where this epoch starts in the log.
    #[must_use]
    pub fn epoch_start(&self) -> Offset {
        self.epoch_start
    }
    /// Of the last registration seen.
    #[must_use]
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }
    /// The in-sync replicas.
    #[must_use]
    pub fn isr(&self) -> &Isr {
        &self.isr
    }
    /// First offset not yet committed.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }
    /// Followers' progress.
    pub fn remotes(&self) -> impl Iterator<Item = (BrokerId, &ReplicaProgress)> {
        self.remotes.iter().map(|(id, progress)| (*id, progress))
    }

    /// Whether the high watermark has reached this epoch's start: until then the newest offset isn't known (KIP-207).
    #[must_use]
    pub fn end_is_known(&self) -> bool {
        self.high_watermark >= self.epoch_start
    }

    /// Replicas that a write needs: `min.insync.replicas`, at most the replication factor, as in Kafka.
    #[must_use]
    pub fn effective_min_isr(&self) -> usize {
        self.min_insync_replicas.min(self.remotes.len() + 1)
    }

    /// Whether the committed ISR is smaller than min ISR.
    #[must_use]
    pub fn is_under_min_isr(&self) -> bool {
        self.isr.committed().len() < self.effective_min_isr()
    }

    /// Whether the committed ISR lacks a replica.
    #[must_use]
    pub fn is_under_replicated(&self) -> bool {
        self.isr.committed().len() < self.remotes.len() + 1
    }

    /// The log grew, or more of it was synced.
    pub fn on_local_append(&mut self, log_end: Offset, acknowledgeable_end: Offset) -> LeaderEffects {
        self.log_end = log_end;
        self.acknowledgeable_end = acknowledgeable_end;
        self.advance()
    }

    /// `min.insync.replicas` or the lag limit changed.
    pub fn on_config_change(&mut self, min_insync_replicas: usize, lag_time_max_ms: i64) -> LeaderEffects {
        self.min_insync_replicas = min_insync_replicas;
        self.lag_time_max_ms = lag_time_max_ms;
        self.advance()
    }

    /// A replica asks to follow.
    ///
    /// # Errors
    /// When its epochs aren't this leadership's, or it isn't a replica.
    pub fn on_follow(
        &mut self,
        request: &FollowRequest,
        log: &dyn EpochLookup,
        eligible: &dyn Fn(BrokerId) -> Option<BrokerEpoch>,
        now: TimestampMs,
    ) -> Result<(FollowAnswer, LeaderEffects), FollowRefusal> {
        if request.leader_epoch < self.leader_epoch {
            return Err(FollowRefusal::FencedEpoch {
                current: self.leader_epoch,
            });
        }
        if request.leader_epoch > self.leader_epoch {
            return Err(FollowRefusal::UnknownEpoch {
                current: self.leader_epoch,
            });
        }
        let log_end = self.log_end;
        let Some(remote) = self.remotes.get_mut(&request.replica) else {
            return Err(FollowRefusal::NotReplica(request.replica));
        };
        if request.broker_epoch < remote.broker_epoch
            || (request.broker_epoch == remote.broker_epoch && remote.newest_follow > Some(request.follow_id))
        {
            return Err(FollowRefusal::Superseded(request.replica));
        }
        remote.broker_epoch = request.broker_epoch;
        remote.newest_follow = Some(request.follow_id);
        let answer = reconcile(log, request);
        let FollowAnswer::Append(_) = answer else {
            // Until the logs agree, nothing of this replica counts (FOL-1).
            remote.follow = None;
            remote.end = None;
            return Ok((answer, LeaderEffects::default()));
        };
        remote.follow = Some(request.follow_id);
        remote.end = Some(request.acknowledgeable_end.min(request.offset));
        remote.note_progress(log_end, now);
        let mut effects = self.advance();
        effects.isr_proposal = self.propose_join(request.replica, eligible);
        Ok((answer, effects))
    }

    /// A follow's stream ended: its acknowledgements no longer count, what it had acknowledged stays acknowledged.
    pub fn on_unfollow(&mut self, replica: BrokerId, follow_id: FollowId) {
        if let Some(remote) = self.remotes.get_mut(&replica)
            && remote.follow == Some(follow_id)
        {
            remote.follow = None;
        }
    }

    /// A follower acknowledges (LEAD-1). One that isn't of the current follow changes nothing.
    pub fn on_follower_ack(
        &mut self,
        ack: FollowerAck,
        eligible: &dyn Fn(BrokerId) -> Option<BrokerEpoch>,
        now: TimestampMs,
    ) -> LeaderEffects {
        let log_end = self.log_end;
        let Some(remote) = self.remotes.get_mut(&ack.replica) else {
            return LeaderEffects::default();
        };
        // An acknowledgement above the log end is of bytes that were never sent: an old or a broken peer.
        let is_current = remote.follow == Some(ack.follow_id);
        #[cfg(feature = "bugs")]
        let is_current = is_current || bugs::is_planted(bugs::Bug::CountOldStreamsAck);
        if !is_current || ack.end > log_end || remote.end > Some(ack.end) {
            return LeaderEffects::default();
        }
        remote.end = Some(ack.end);
        remote.note_progress(log_end, now);
        let mut effects = self.advance();
        effects.isr_proposal = self.propose_join(ack.replica, eligible);
        effects
    }

    /// The controller's word on this partition within this leadership. An older one than known changes nothing.
    ///
    /// Nothing else ends a proposal (ISR-1): its refusal, too, is a committed change of the partition epoch. Who caught up
    /// meanwhile is proposed now: its log may grow no more, and no acknowledgement come. Not who was a member until now: it was
    /// taken out because it lags, or because it is being fenced, which this broker's image may tell with the next record only.
    pub fn on_partition_change(
        &mut self,
        partition_epoch: PartitionEpoch,
        replicas: &[BrokerId],
        isr: &[BrokerId],
        eligible: &dyn Fn(BrokerId) -> Option<BrokerEpoch>,
        now: TimestampMs,
    ) -> LeaderEffects {
        if partition_epoch <= self.partition_epoch {
            return LeaderEffects::default();
        }
        self.partition_epoch = partition_epoch;
        for member in isr.iter().filter(|member| !self.isr.counts(**member)) {
            // A member that this leader didn't ask for starts its lag period now.
            if let Some(remote) = self.remotes.get_mut(member) {
                remote.caught_up_at = now;
            }
        }
        let members = Isr::Committed { members: isr.to_vec() };
        let before = std::mem::replace(&mut self.isr, members);
        self.set_replicas(replicas, now);
        let mut effects = self.advance();
        effects.isr_proposal = self.propose_any(before.committed(), eligible);
        effects
    }

    /// Time passed: members that lag leave, replicas that became eligible join.
    pub fn on_tick(&mut self, eligible: &dyn Fn(BrokerId) -> Option<BrokerEpoch>, now: TimestampMs) -> LeaderEffects {
        let log_end = self.log_end;
        for remote in self.remotes.values_mut().filter(|remote| remote.end == Some(log_end)) {
            remote.caught_up_at = now;
        }
        if self.isr.is_pending() {
            return LeaderEffects::default();
        }
        let lags = |id: &BrokerId| {
            self.remotes
                .get(id)
                .is_some_and(|remote| now.since(remote.caught_up_at) > self.lag_time_max_ms)
        };
        let members = self.isr.committed();
        if members.iter().any(lags) {
            let stay: Vec<BrokerId> = members.iter().copied().filter(|id| !lags(id)).collect();
            return LeaderEffects {
                high_watermark: None,
                isr_proposal: self.propose(stay, eligible),
            };
        }
        LeaderEffects {
            high_watermark: None,
            isr_proposal: self.propose_any(&[], eligible),
        }
    }

    fn propose_any(
        &mut self,
        except: &[BrokerId],
        eligible: &dyn Fn(BrokerId) -> Option<BrokerEpoch>,
    ) -> Option<IsrProposal> {
        if !self.is_under_replicated() {
            return None;
        }
        let others = self.remotes.keys().filter(|id| !except.contains(id));
        let joins: Vec<BrokerId> = others.copied().collect();
        joins.into_iter().find_map(|id| self.propose_join(id, eligible))
    }

    fn propose_join(
        &mut self,
        replica: BrokerId,
        eligible: &dyn Fn(BrokerId) -> Option<BrokerEpoch>,
    ) -> Option<IsrProposal> {
        if self.isr.is_pending() || self.isr.committed().contains(&replica) {
            return None;
        }
        let remote = self.remotes.get(&replica)?;
        let end = remote.end?;
        let reached = remote.follow.is_some() && end >= self.high_watermark && end >= self.epoch_start;
        if !reached || eligible(replica) != Some(remote.broker_epoch) {
            return None;
        }
        let mut members = self.isr.committed().to_vec();
        members.push(replica);
        self.propose(members, eligible)
    }

    fn propose(
        &mut self,
        members: Vec<BrokerId>,
        eligible: &dyn Fn(BrokerId) -> Option<BrokerEpoch>,
    ) -> Option<IsrProposal> {
        let new_isr: Vec<(BrokerId, BrokerEpoch)> = members
            .iter()
            .filter_map(|&id| {
                if id == self.local {
                    Some((id, self.local_epoch))
                } else {
                    eligible(id).map(|epoch| (id, epoch))
                }
            })
            .collect();
        let proposed: Vec<BrokerId> = new_isr.iter().map(|member| member.0).collect();
        if proposed == self.isr.committed() {
            return None;
        }
        self.isr = Isr::Pending {
            committed: self.isr.committed().to_vec(),
            proposed,
        };
        Some(IsrProposal {
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            new_isr,
        })
    }

    /// Moves the high watermark as far as HW-1 to HW-3 allow.
    fn advance(&mut self) -> LeaderEffects {
        let may_rise = !self.is_under_min_isr();
        #[cfg(feature = "bugs")]
        let may_rise = may_rise || bugs::is_planted(bugs::Bug::RiseUnderMinIsr);
        if !may_rise {
            return LeaderEffects::default();
        }
        let mut reached = self.acknowledgeable_end.min(self.log_end);
        for (id, remote) in &self.remotes {
            if self.isr.counts(*id) {
                match remote.end {
                    Some(end) => reached = reached.min(end),
                    None => return LeaderEffects::default(),
                }
            }
        }
        if reached <= self.high_watermark {
            return LeaderEffects::default();
        }
        self.high_watermark = reached;
        LeaderEffects {
            high_watermark: Some(reached),
            isr_proposal: None,
        }
    }

    /// Where `epoch` ends, for OffsetForLeaderEpoch: this leadership's own epoch ends at the log end.
    #[must_use]
    pub fn epoch_end(&self, log: &dyn EpochLookup, epoch: LeaderEpoch) -> Option<EpochEnd> {
        if epoch == self.leader_epoch {
            return Some(EpochEnd {
                epoch,
                end_offset: self.log_end,
            });
        }
        log.end_offset_for_epoch(epoch)
    }
}

impl ReplicaProgress {
    fn note_progress(&mut self, log_end: Offset, now: TimestampMs) {
        let Some(end) = self.end else { return };
        if end >= log_end {
            self.caught_up_at = now;
            self.mark = (log_end, now);
        } else if end >= self.mark.0 {
            self.caught_up_at = self.caught_up_at.max(self.mark.1);
            self.mark = (log_end, now);
        } else if self.mark.0 == Offset(i64::MAX) {
            self.mark = (log_end, now);
        }
    }
}

#[cfg(test)]
#[path = "leader/tests.rs"]
mod tests;
