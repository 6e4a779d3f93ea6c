//! The state: three replicas, what the controller committed, what is on its way, and what may still happen.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use partition::LeaderEffects;
use types::BrokerId;

use crate::checks::Violation;
use crate::controller::{View, form};
use crate::fingerprint::Fingerprint;
use crate::log::Record;
use crate::messages::{Alter, Follow, InFlight};
use crate::node::{Node, Settings};

/// How often each thing may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Budget {
    /// Records appended, by whoever believes to lead.
    pub appends: u8,
    /// Processes that end, their logs kept.
    pub kills: u8,
    /// Hosts that lose power, and with it what wasn't synced.
    pub power_cuts: u8,
    /// Sessions that the controller ends.
    pub fences: u8,
    /// Streams that break: followed anew, with the old one's messages still on their way.
    pub breaks: u8,
    /// Times that a lag runs out or a replica is found to have caught up.
    pub ticks: u8,
    /// Requests of leaders to the controller that are sent again while the first is still on its way.
    pub resends: u8,
    /// Decisions of which only the first record is committed, because the controller dies.
    pub cuts: u8,
    /// Elections of the preferred leader.
    pub elections: u8,
}

/// One state.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) settings: Settings,
    pub(crate) nodes: [Arc<Node>; 3],
    /// What was committed, record by record.
    pub(crate) views: Vec<Arc<View>>,
    /// Which of them each node has learned of.
    pub(crate) learned: [usize; 3],
    pub(crate) flight: Arc<InFlight>,
    /// What lay below a high watermark.
    pub(crate) visible: Vec<Record>,
    /// A power cut took something.
    pub(crate) lost: bool,
    pub(crate) budget: Budget,
    pub(crate) appended: u8,
}

impl World {
    pub(crate) fn new(settings: Settings, budget: Budget) -> Result<Self, Violation> {
        let view = form(settings.min_isr)?;
        let node = |id: i32| {
            let mut node = Node::new(BrokerId(id));
            node.alive = true;
            node.epoch = view
                .image
                .broker(BrokerId(id))
                .map_or(node.epoch, |broker| broker.epoch);
            Arc::new(node)
        };
        let nodes = [node(1), node(2), node(3)];
        let mut world = Self {
            settings,
            nodes,
            views: vec![view],
            learned: [0; 3],
            flight: Arc::default(),
            visible: Vec::new(),
            lost: false,
            budget,
            appended: 0,
        };
        for at in 0..3 {
            world.learn(at, 0)?;
        }
        Ok(world)
    }

    pub(crate) fn latest(&self) -> &Arc<View> {
        &self.views[self.views.len() - 1]
    }

    pub(crate) fn node_mut(&mut self, at: usize) -> &mut Node {
        Arc::make_mut(&mut self.nodes[at])
    }

    pub(crate) fn flight_mut(&mut self) -> &mut InFlight {
        Arc::make_mut(&mut self.flight)
    }

    /// The node takes that view of the metadata.
    pub(crate) fn learn(&mut self, at: usize, view: usize) -> Result<(), Violation> {
        self.learned[at] = view;
        let view = Arc::clone(&self.views[view]);
        let Some(partition) = view.partition() else {
            return Ok(());
        };
        let settings = self.settings;
        let (effects, leader) = self.node_mut(at).apply(partition, &view, settings);
        self.settle(at, effects)?;
        if leader.is_some() {
            self.follow(at);
        }
        Ok(())
    }

    /// The node asks its leader, and goes on asking in place of a message that was lost.
    pub(crate) fn follow(&mut self, at: usize) {
        let settings = self.settings;
        let leader = self.nodes[at].follower().and_then(|follower| follower.leader);
        let to = leader.and_then(|leader| self.nodes.iter().position(|node| node.id == leader));
        if let Some(to) = to
            && let Some(request) = self.node_mut(at).begin_follow(settings)
        {
            self.flight_mut().follows.push(Follow { from: at, to, request });
        }
    }

    /// Carries out what a leader's rules ask for.
    pub(crate) fn settle(&mut self, at: usize, effects: LeaderEffects) -> Result<(), Violation> {
        if effects.high_watermark.is_some() {
            self.on_visible(at)?;
        }
        if let Some(proposal) = effects.isr_proposal {
            self.node_mut(at).proposal = Some(proposal);
            self.send_proposal(at);
        }
        Ok(())
    }

    /// One request at a time is awaited; earlier ones may still arrive.
    pub(crate) fn send_proposal(&mut self, at: usize) {
        let broker_epoch = self.nodes[at].epoch;
        let Some(proposal) = self.nodes[at].proposal.clone() else {
            return;
        };
        let flight = self.flight_mut();
        for sent in flight.alters.iter_mut().filter(|sent| sent.from == at) {
            sent.awaited = false;
        }
        flight.alters.push(Alter {
            from: at,
            broker_epoch,
            proposal,
            awaited: true,
        });
    }

    /// Messages that can't change anything any more are forgotten, so that states which differ by them only are one.
    pub(crate) fn tidy(&mut self) {
        let nodes = &self.nodes;
        let views = &self.views;
        let learned = self.learned;
        let epoch_at = |at: usize| views[learned[at]].partition().map(|partition| partition.leader_epoch);
        let follow_lives =
            |follow: &Follow| epoch_at(follow.to).is_none_or(|epoch| epoch <= follow.request.leader_epoch);
        let stale = self.flight.follows.iter().any(|follow| !follow_lives(follow))
            || self
                .flight
                .acks
                .iter()
                .any(|ack| !nodes[ack.to].alive || nodes[ack.to].epoch != ack.to_epoch);
        if stale {
            let flight = Arc::make_mut(&mut self.flight);
            flight.follows.retain(follow_lives);
            flight
                .acks
                .retain(|ack| nodes[ack.to].alive && nodes[ack.to].epoch == ack.to_epoch);
        }
    }

    /// Two states with one fingerprint are taken for the same.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = Fingerprint::default();
        self.nodes.hash(&mut hasher);
        let oldest = self.learned.iter().copied().min().unwrap_or(0);
        for view in self.views.iter().skip(oldest) {
            view.hash.hash(&mut hasher);
        }
        self.learned.map(|view| view - oldest).hash(&mut hasher);
        // In whatever order they were sent.
        let each = |message: &dyn Fn(&mut Fingerprint)| {
            let mut hasher = Fingerprint::default();
            message(&mut hasher);
            hasher.finish()
        };
        let mut sum = 0_u64;
        for follow in &self.flight.follows {
            sum = sum.wrapping_add(each(&|hasher| follow.hash(hasher)));
        }
        for ack in &self.flight.acks {
            sum = sum.wrapping_add(each(&|hasher| ack.hash(hasher)));
        }
        for alter in &self.flight.alters {
            sum = sum.wrapping_add(each(&|hasher| alter.hash(hasher)));
        }
        (sum, &self.visible, self.lost, self.budget, self.appended).hash(&mut hasher);
        hasher.finish()
    }
}
