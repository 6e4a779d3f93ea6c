//! What can happen next, and what it does.

use std::sync::Arc;

use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{
    AlterPartitionItem, AlterPartitionRequest, ElectLeadersRequest, FenceBrokerRequest, IsrMember, UnfenceBrokerRequest,
};
use partition::{FollowAnswer, FollowerAck, truncation_target};
use types::TimestampMs;

use crate::checks::Violation;
use crate::controller::{decide, registration};
use crate::log::{Record, index};
use crate::messages::Ack;
use crate::node::{NOW, Node, Slot};
use crate::world::World;

/// One thing that happens. Nodes are 0 to 2; messages are named by their place among those on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A leader appends a record.
    Append(usize),
    /// A follower's log, or a leader's, is synced.
    Sync(usize),
    /// A leader's push arrives: records, or its high watermark.
    Push(usize, usize),
    /// A request to follow arrives.
    Follow(usize),
    /// An acknowledgement arrives.
    Ack(usize),
    /// A proposal arrives at the controller, and its answer at the leader.
    Alter(usize),
    /// A leader sends its proposal again.
    AlterAgain(usize),
    /// Time passes for a leader: who lags leaves the ISR.
    Tick(usize),
    /// A node learns of all metadata.
    Learn(usize),
    /// A node learns of one record.
    LearnOne(usize),
    /// A follower's stream breaks, and it follows anew.
    Refollow(usize),
    /// The controller fences a broker; only the first record is committed if so.
    Fence(usize, bool),
    /// The controller unfences a broker.
    Unfence(usize),
    /// The process ends.
    Kill(usize),
    /// The host loses power.
    PowerCut(usize),
    /// The process starts and registers; only the first record is committed if so.
    Restart(usize, bool),
    /// The preferred leader is elected.
    ElectPreferred,
}

impl World {
    /// Everything that can happen now.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(24);
        let budget = self.budget;
        for at in 0..3 {
            let node = &self.nodes[at];
            let behind = self.views.len() - 1 - self.learned[at];
            let mut offer = |possible: bool, step: Step| {
                if possible {
                    steps.push(step);
                }
            };
            offer(!node.alive, Step::Restart(at, false));
            offer(!node.alive && budget.cuts > 0, Step::Restart(at, true));
            let registered = self.latest().image.broker(node.id);
            let fenced = registered.is_some_and(|broker| broker.fenced);
            offer(!fenced && budget.fences > 0, Step::Fence(at, false));
            offer(!fenced && budget.fences > 0 && budget.cuts > 0, Step::Fence(at, true));
            if !node.alive {
                continue;
            }
            offer(behind > 0, Step::Learn(at));
            offer(behind > 1, Step::LearnOne(at));
            offer(fenced, Step::Unfence(at));
            offer(budget.kills > 0, Step::Kill(at));
            offer(budget.power_cuts > 0, Step::PowerCut(at));
            let unsynced = node.log.synced < node.log.records.len();
            offer(self.settings.flush && unsynced, Step::Sync(at));
            if node.leader().is_some() {
                offer(budget.appends > 0, Step::Append(at));
                offer(budget.ticks > 0, Step::Tick(at));
                offer(budget.resends > 0 && node.proposal.is_some(), Step::AlterAgain(at));
                for slot in &node.slots {
                    offer(true, Step::Push(at, slot.replica));
                }
            }
            let follows = node.follower().is_some_and(|follower| follower.leader.is_some());
            offer(budget.breaks > 0 && follows, Step::Refollow(at));
        }
        steps.extend((0..self.flight.follows.len()).map(Step::Follow));
        steps.extend((0..self.flight.acks.len()).map(Step::Ack));
        steps.extend((0..self.flight.alters.len()).map(Step::Alter));
        if budget.elections > 0 {
            steps.push(Step::ElectPreferred);
        }
        steps
    }

    /// The state after a step; none when it changes nothing that matters.
    pub(crate) fn after(&self, step: Step) -> Result<Option<Self>, Violation> {
        let mut world = self.clone();
        if !world.take(step)? {
            return Ok(None);
        }
        world.tidy();
        world.check(self)?;
        Ok(Some(world))
    }

    fn take(&mut self, step: Step) -> Result<bool, Violation> {
        match step {
            Step::Append(at) => self.append(at),
            Step::Sync(at) => self.sync(at),
            Step::Push(from, to) => Ok(self.push(from, to)),
            Step::Follow(message) => self.take_follow(message),
            Step::Ack(message) => self.take_ack(message),
            Step::Alter(message) => self.take_alter(message),
            Step::AlterAgain(at) => {
                self.budget.resends -= 1;
                self.send_proposal(at);
                Ok(true)
            }
            Step::Tick(at) => self.tick(at),
            Step::Learn(at) => self.learn(at, self.views.len() - 1).map(|()| true),
            Step::LearnOne(at) => self.learn(at, self.learned[at] + 1).map(|()| true),
            Step::Refollow(at) => {
                self.budget.breaks -= 1;
                self.follow(at);
                Ok(true)
            }
            Step::Fence(at, cut) => self.fence(at, cut),
            Step::Unfence(at) => self.unfence(at),
            Step::Kill(at) => {
                self.budget.kills -= 1;
                self.node_mut(at).die();
                Ok(true)
            }
            Step::PowerCut(at) => {
                self.budget.power_cuts -= 1;
                let node = self.node_mut(at);
                let synced = node.log.synced;
                let loses = synced < node.log.records.len();
                node.log.truncate_to(crate::log::offset(synced));
                node.die();
                // Synced acknowledgements are honoured by whoever lost the rest.
                node.dirty |= loses;
                self.lost |= loses;
                Ok(true)
            }
            Step::Restart(at, cut) => self.restart(at, cut),
            Step::ElectPreferred => {
                self.budget.elections -= 1;
                let elect = ElectLeadersRequest {
                    unclean: false,
                    all: true,
                    topics: Vec::new(),
                };
                Ok(self.decide(Request::ElectLeaders(elect), false)?.1)
            }
        }
    }

    fn append(&mut self, at: usize) -> Result<bool, Violation> {
        self.budget.appends -= 1;
        self.appended += 1;
        let value = self.appended;
        let settings = self.settings;
        let node = self.node_mut(at);
        let Some(epoch) = node.leader().map(|leader| leader.leader_epoch()) else {
            return Ok(false);
        };
        node.log.append(Record { epoch, value });
        self.on_local_append(at, settings)
    }

    fn sync(&mut self, at: usize) -> Result<bool, Violation> {
        let settings = self.settings;
        let node = self.node_mut(at);
        node.log.synced = node.log.records.len();
        if node.leader().is_some() {
            return self.on_local_append(at, settings);
        }
        self.acknowledge(at);
        Ok(true)
    }

    fn on_local_append(&mut self, at: usize, settings: crate::node::Settings) -> Result<bool, Violation> {
        let node = self.node_mut(at);
        let (end, acknowledgeable) = (node.log.end(), node.acknowledgeable_end(settings));
        let Some(leader) = node.leader_mut() else {
            return Ok(false);
        };
        let effects = leader.on_local_append(end, acknowledgeable);
        self.settle(at, effects).map(|()| true)
    }

    /// The follower tells whoever it follows what it has.
    fn acknowledge(&mut self, at: usize) {
        let node = &self.nodes[at];
        let Some((leader, follow_id)) = node
            .follower()
            .and_then(|follower| Some((follower.leader?, follower.follow?)))
        else {
            return;
        };
        let Some(to) = self.nodes.iter().position(|node| node.id == leader) else {
            return;
        };
        // Before its follow was taken there is no stream that it could acknowledge on.
        if !self.nodes[to]
            .slots
            .iter()
            .any(|slot| slot.follow_id == follow_id && slot.replica == at)
        {
            return;
        }
        let ack = Ack {
            from: at,
            to,
            to_epoch: self.nodes[to].epoch,
            follow_id,
            end: node.acknowledgeable_end(self.settings),
        };
        self.flight_mut().ack(ack);
    }

    /// Sent and taken at once: a push that is on its way longer changes nothing but what the follower has, and one that comes
    /// when the follower has turned away is dropped.
    fn push(&mut self, from: usize, to: usize) -> bool {
        let leader = Arc::clone(&self.nodes[from]);
        let Some(at) = leader.slots.iter().position(|slot| slot.replica == to) else {
            return false;
        };
        let slot = leader.slots[at];
        let follower = self.node_mut(to);
        let end = follower.log.end();
        let Some(state) = follower.follower() else {
            return false;
        };
        if state.check_push(slot.follow_id, slot.next_offset, end).is_err() {
            return false;
        }
        let news = leader.log.records.get(index(slot.next_offset)..).unwrap_or_default();
        if news.iter().any(|record| record.epoch > state.leader_epoch) {
            return false;
        }
        for record in news {
            follower.log.append(*record);
        }
        let end = follower.log.end();
        let crate::node::Role::Follower(state) = &mut follower.role else {
            return false;
        };
        let rose = state.on_high_watermark(leader.high_watermark(), end);
        if news.is_empty() {
            return rose;
        }
        self.node_mut(from).slots[at].next_offset = end;
        self.acknowledge(to);
        true
    }

    fn take_follow(&mut self, message: usize) -> Result<bool, Violation> {
        let follow = self.flight.follows[message];
        let view = Arc::clone(&self.views[self.learned[follow.to]]);
        let node = self.node_mut(follow.to);
        let log = node.log.clone();
        let Some(leader) = node.leader_mut() else {
            return Ok(false);
        };
        if leader.leader_epoch() != follow.request.leader_epoch {
            return Ok(false);
        }
        let answered = leader.on_follow(&follow.request, &log, &|id| view.eligible(id), NOW);
        self.flight_mut().follows.remove(message);
        let Ok((answer, effects)) = answered else {
            return Ok(true);
        };
        let node = self.node_mut(follow.to);
        node.slots.retain(|slot| slot.replica != follow.from);
        if let FollowAnswer::Append(next_offset) = answer {
            node.slots.push(Slot {
                replica: follow.from,
                follow_id: follow.request.follow_id,
                next_offset,
            });
            node.slots.sort_by_key(|slot| slot.replica);
        }
        self.settle(follow.to, effects)?;
        self.answer_follow(follow.from, follow.request.follow_id, answer);
        Ok(true)
    }

    fn answer_follow(&mut self, at: usize, follow_id: types::FollowId, answer: FollowAnswer) {
        let node = self.node_mut(at);
        let Some(follower) = node.follower() else { return };
        if follower.check_follow(follow_id).is_err() {
            return;
        }
        let target = match answer {
            FollowAnswer::Append(_) => return,
            FollowAnswer::Truncate(end) => truncation_target(&node.log, end),
            FollowAnswer::RestartAtLogStart(start) => start,
        };
        node.log.truncate_to(target);
        let end = node.log.end();
        if let crate::node::Role::Follower(follower) = &mut node.role {
            follower.on_truncated(end);
        }
        self.follow(at);
    }

    fn take_ack(&mut self, message: usize) -> Result<bool, Violation> {
        let ack = self.flight.acks[message];
        let view = Arc::clone(&self.views[self.learned[ack.to]]);
        let replica = self.nodes[ack.from].id;
        let before = self.nodes[ack.to].leader().cloned();
        let node = self.node_mut(ack.to);
        let Some(leader) = node.leader_mut() else {
            return Ok(false);
        };
        let taken = FollowerAck {
            replica,
            follow_id: ack.follow_id,
            end: ack.end,
        };
        let effects = leader.on_follower_ack(taken, &|id| view.eligible(id), NOW);
        if before.as_ref() == Some(leader) {
            return Ok(false);
        }
        self.flight_mut().acks.remove(message);
        self.settle(ack.to, effects).map(|()| true)
    }

    fn tick(&mut self, at: usize) -> Result<bool, Violation> {
        self.budget.ticks -= 1;
        let view = Arc::clone(&self.views[self.learned[at]]);
        let Some(leader) = self.node_mut(at).leader_mut() else {
            return Ok(false);
        };
        let latest = leader
            .remotes()
            .map(|(_, remote)| remote.caught_up_at)
            .max()
            .unwrap_or(NOW);
        let later = TimestampMs(latest.0 + 1);
        let effects = leader.on_tick(&|id| view.eligible(id), later);
        let proposes = effects.isr_proposal.is_some();
        self.settle(at, effects).map(|()| proposes)
    }

    /// Commits what is decided; returns the answer and whether anything was.
    fn decide(&mut self, request: Request, cut: bool) -> Result<(Option<Response>, bool), Violation> {
        let (mut views, response) = decide(self.latest(), request, self.settings.min_isr)?;
        if cut {
            if views.len() < 2 {
                return Ok((None, false));
            }
            self.budget.cuts -= 1;
            views.truncate(1);
        }
        let some = !views.is_empty();
        self.views.extend(views);
        Ok((response.response.filter(|_| response.error_code == 0), some))
    }

    fn take_alter(&mut self, message: usize) -> Result<bool, Violation> {
        let alter = self.flight_mut().alters.remove(message);
        let Some(id) = self.latest().id else { return Ok(false) };
        let proposal = &alter.proposal;
        let member = |(id, epoch): &(types::BrokerId, types::BrokerEpoch)| IsrMember {
            broker_id: id.0,
            broker_epoch: epoch.0,
        };
        let item = AlterPartitionItem {
            partition: Some(id.into()),
            leader_epoch: proposal.leader_epoch.0,
            partition_epoch: proposal.partition_epoch.0,
            new_isr: proposal.new_isr.iter().map(member).collect(),
            recovering: false,
        };
        let request = AlterPartitionRequest {
            broker_id: self.nodes[alter.from].id.0,
            broker_epoch: alter.broker_epoch.0,
            partitions: vec![item],
        };
        let (response, _) = self.decide(Request::AlterPartition(request), false)?;
        let Some(Response::AlterPartition(answer)) = response else {
            return Ok(true);
        };
        let code = answer.partitions.first().map_or(0, |result| result.error_code);
        let sender = &self.nodes[alter.from];
        if code == 0 || !alter.awaited || !sender.alive || sender.epoch != alter.broker_epoch {
            return Ok(true);
        }
        // As `broker/replication/isr_reporter` takes the answer: it isn't sent again.
        let refused = alter.proposal.partition_epoch;
        let node = self.node_mut(alter.from);
        node.proposal = node.proposal.take().filter(|made| made.partition_epoch != refused);
        Ok(true)
    }

    fn fence(&mut self, at: usize, cut: bool) -> Result<bool, Violation> {
        self.budget.fences -= 1;
        let id = self.nodes[at].id;
        let epoch = self.latest().image.broker(id).map_or(-1, |broker| broker.epoch.0);
        let fence = FenceBrokerRequest {
            broker_id: id.0,
            broker_epoch: epoch,
        };
        Ok(self.decide(Request::FenceBroker(fence), cut)?.1)
    }

    fn unfence(&mut self, at: usize) -> Result<bool, Violation> {
        let node = &self.nodes[at];
        let unfence = UnfenceBrokerRequest {
            broker_id: node.id.0,
            broker_epoch: node.epoch.0,
            metadata_offset: self.views[self.learned[at]].image.offset().0,
        };
        Ok(self.decide(Request::UnfenceBroker(unfence), false)?.1)
    }

    fn restart(&mut self, at: usize, cut: bool) -> Result<bool, Violation> {
        let node = &self.nodes[at];
        let unclean = node.dirty && !self.settings.flush;
        let life = node.life.wrapping_add(1);
        let request = registration(node.id, life, Some(node.epoch), unclean);
        let (response, some) = self.decide(Request::RegisterBroker(request), cut)?;
        if cut {
            return Ok(some);
        }
        let Some(Response::RegisterBroker(answer)) = response else {
            return Ok(false);
        };
        let node: &mut Node = self.node_mut(at);
        node.alive = true;
        node.dirty = false;
        node.life = life;
        node.epoch = types::BrokerEpoch(answer.broker_epoch);
        self.learn(at, self.views.len() - 1).map(|()| true)
    }
}
