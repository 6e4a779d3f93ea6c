//! The world: nodes, clients, wires and time, stepped on one thread from one seed.
//!
//! Longer than 500 lines because a slice of time, the faults and the hosts change the same fields together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bugs::Bug;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use storage::testing::MemoryFileSystem;
use tokio::sync::watch;
use types::TopicIdPartition;

use crate::clients::Clients;
use crate::fabric::{Fabric, NodeId, Process, SLICE_MS, Weather};
use crate::faults::{Crash, FaultPlan};
use crate::history::History;
use crate::invariants::{Invariants, Violation};
use crate::network::SimNetwork;
use crate::node::{Boot, Node};
use crate::panics;
use crate::scope::Scope;
use crate::trace::Trace;
use crate::view::{NodeView, event_partitions, newest_image, voters, watched_partitions};

/// The invariants are looked at so often, and before and after every fault.
const LOOK_EVERY_MS: u64 = 10;
/// A process that ended by its disk's fault is started again after so long.
const AGAIN_MS: u64 = 300;
/// A controlled shutdown takes at most this before the process is killed.
const STOP_MS: u64 = 5_000;

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Everything is drawn from it.
    pub seed: u64,
    /// Nodes with both roles.
    pub nodes: i32,
    /// Partitions of the topic that is written to.
    pub partitions: i32,
    /// How long things go wrong.
    pub chaos_ms: u64,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// Whether the topic has `flush.messages=1`: then every power may fail at once.
    pub synced: bool,
    /// Whether other topics come and go.
    pub churn: bool,
    /// A deliberate bug.
    pub bug: Option<Bug>,
}

/// A host: its disk outlives its processes.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) disk: MemoryFileSystem,
    boot_id: u64,
    lives: u64,
    pub(crate) running: Option<Node>,
    /// When it starts again.
    start_at: Option<u64>,
    /// Its process is stopped until then.
    pub(crate) frozen_until: Option<u64>,
    /// A controlled shutdown began then; the node starts again so much later.
    pub(crate) stopping: Option<(u64, u64)>,
    /// Lost unsynced bytes, or its disk, and isn't in sync everywhere again.
    pub(crate) dirty: bool,
    /// It lost its disk, and isn't a voter again.
    pub(crate) wiped: bool,
    /// Open while its disk does what it is asked for in the background.
    pub(crate) gate: watch::Sender<bool>,
    /// Its disk failed in this life: the process may end.
    pub(crate) ailing: bool,
    /// When its disk is whole again.
    pub(crate) heals_at: Option<u64>,
    /// Its process ends when it comes to a step.
    pub(crate) crash: Option<Crash>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) now_ms: u64,
    pub(crate) trace: Trace,
    pub(crate) history: History,
    pub(crate) fabric: Arc<Fabric>,
    pub(crate) clients: Clients,
    client_scope: Scope,
    pub(crate) dice: StdRng,
    pub(crate) hosts: BTreeMap<NodeId, Host>,
    pub(crate) invariants: Invariants,
    next_look: u64,
    pub(crate) heal_at: Option<u64>,
    /// Faults that happened, by kind.
    pub(crate) faults: BTreeMap<&'static str, u64>,
}

impl World {
    pub(crate) fn new(scenario: Scenario, kept_lines: usize) -> Result<Self, Violation> {
        let mut dice = StdRng::seed_from_u64(scenario.seed);
        controller::raft::seed_randomness(Some(dice.next_u64()));
        let trace = Trace::keeping(kept_lines);
        let fabric = Fabric::new(dice.next_u64(), trace.clone());
        let client_scope = Scope::start(dice.next_u64(), 0, 0).map_err(|error| fault(error.to_string()))?;
        let process = Process {
            handle: client_scope.handle(),
            clock: client_scope.clock().clone(),
            controller: None,
            broker: None,
            entrance: None,
        };
        fabric.register(0, process);
        let network = SimNetwork::new(
            0,
            client_scope.clock().clone(),
            client_scope.handle(),
            Arc::clone(&fabric),
        );
        let history = History::default();
        let clients = Clients {
            network,
            nodes: scenario.nodes,
            history: history.clone(),
            stop: Arc::new(AtomicBool::new(false)),
            writing: Arc::new(AtomicUsize::new(0)),
        };
        let hosts = (1..=scenario.nodes)
            .map(|node| {
                let host = Host {
                    disk: MemoryFileSystem::new(),
                    gate: watch::Sender::new(true),
                    ailing: false,
                    heals_at: None,
                    crash: None,
                    wiped: false,
                    boot_id: 0,
                    lives: 0,
                    running: None,
                    start_at: Some(0),
                    frozen_until: None,
                    stopping: None,
                    dirty: false,
                };
                (node, host)
            })
            .collect();
        Ok(Self {
            scenario,
            now_ms: 0,
            trace,
            history,
            fabric,
            clients,
            client_scope,
            dice,
            hosts,
            invariants: Invariants::default(),
            next_look: 0,
            heal_at: None,
            faults: BTreeMap::new(),
        })
    }

    /// A seed for somebody's dice.
    pub(crate) fn seed(&mut self) -> u64 {
        self.dice.next_u64()
    }

    /// Where clients run.
    pub(crate) fn client_handle(&self) -> tokio::runtime::Handle {
        self.client_scope.handle()
    }

    /// Runs a client's task.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.client_scope.handle().spawn(task);
    }

    /// Runs the world for so long.
    pub(crate) fn run_for(&mut self, ms: u64) -> Result<(), Violation> {
        let until = self.now_ms + ms;
        while self.now_ms < until {
            self.slice()?;
        }
        Ok(())
    }

    /// Runs the world until `done`, at most so long.
    pub(crate) fn run_until(
        &mut self,
        at_most_ms: u64,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Violation> {
        let until = self.now_ms + at_most_ms;
        while self.now_ms < until {
            if done(self) {
                return Ok(true);
            }
            self.run_for(LOOK_EVERY_MS)?;
        }
        Ok(done(self))
    }

    fn slice(&mut self) -> Result<(), Violation> {
        self.fabric.set_slice(self.now_ms);
        self.start_and_stop()?;
        let until = self.now_ms + SLICE_MS;
        self.client_scope.run_until(until);
        for host in self.hosts.values_mut() {
            let Some(node) = &host.running else { continue };
            match host.frozen_until {
                Some(at) if at > self.now_ms => continue,
                Some(_) => {
                    host.frozen_until = None;
                    let stopped_ms = node.scope.jump_to(self.now_ms);
                    if let Some(entrance) = &node.parts.lock().entrance {
                        entrance.excuse(stopped_ms);
                    }
                }
                None => {}
            }
            node.scope.run_until(until);
        }
        self.now_ms = until;
        if let Some(panic) = panics::taken() {
            return Err(fault(format!("a task panicked: {panic}")));
        }
        if self.now_ms >= self.next_look {
            self.look()?;
        }
        Ok(())
    }

    /// Checks every invariant.
    pub(crate) fn look(&mut self) -> Result<(), Violation> {
        self.next_look = self.now_ms + LOOK_EVERY_MS;
        let views = self.views();
        let running: BTreeMap<NodeId, &Node> = self
            .hosts
            .iter()
            .filter_map(|(node, host)| Some((*node, host.running.as_ref()?)))
            .collect();
        let ailing = self
            .hosts
            .iter()
            .filter(|(_, host)| host.ailing || host.disk.is_stopped())
            .map(|(node, _)| *node)
            .collect();
        let checked = self.invariants.check(&views, &running, &self.history, &ailing);
        for replica in views.iter().flat_map(|view| view.replicas.values()) {
            let (high, end) = (
                replica.high_watermark.0.unsigned_abs(),
                replica.log_end.0.unsigned_abs(),
            );
            self.trace.mix(&[high, end, u64::from(replica.is_leader)]);
        }
        self.note_cleaned(&views);
        checked
    }

    /// What every running node looks like.
    pub(crate) fn views(&self) -> Vec<NodeView> {
        let running = self
            .hosts
            .iter()
            .filter_map(|(node, host)| Some((*node, host.lives, host.running.as_ref()?)));
        running
            .map(|(node, life, running)| running.scope.inside(|| NodeView::of(node, life, running)))
            .collect()
    }

    fn note_cleaned(&mut self, views: &[NodeView]) {
        if !self.hosts.values().any(|host| host.dirty) {
            return;
        }
        let Some(image) = newest_image(views) else { return };
        let partitions = watched_partitions(&image);
        let voters = voters(views);
        for (node, host) in self.hosts.iter_mut().filter(|(_, host)| host.dirty) {
            let in_sync = |id: &TopicIdPartition| {
                image
                    .partition(*id)
                    .is_some_and(|partition| partition.isr.contains(&types::BrokerId(*node)))
            };
            // An image of before its new registration still counts the last incarnation.
            let epoch = views
                .iter()
                .find(|view| view.node == *node)
                .and_then(|view| view.broker_epoch);
            let registered = image.broker(types::BrokerId(*node)).map(|broker| broker.epoch);
            let votes = !host.wiped || voters.contains(node);
            if votes && epoch.is_some() && epoch == registered && partitions.iter().all(in_sync) {
                host.dirty = false;
                host.wiped = false;
                self.invariants.on_cleaned(*node);
            }
        }
    }

    fn start_and_stop(&mut self) -> Result<(), Violation> {
        if self.heal_at.is_some_and(|at| at <= self.now_ms) {
            self.heal();
        }
        let nodes: Vec<NodeId> = self.hosts.keys().copied().collect();
        for node in nodes {
            self.heal_disk(node);
            self.crash(node)?;
            let Some(host) = self.hosts.get(&node) else { continue };
            if let Some(running) = &host.running {
                let failure = running.parts.lock().failure.clone();
                if let Some(failure) = failure {
                    let stopped = host.stopping.filter(|_| failure == STOPPED);
                    let Some((_, again)) = stopped.or(host.ailing.then_some((0, AGAIN_MS))) else {
                        return Err(fault(format!("node {node} ended by itself: {failure}")));
                    };
                    if stopped.is_none() {
                        self.trace
                            .event(self.now_ms, format_args!("node {node} ends with its disk: {failure}"));
                        self.look()?;
                        self.end(node, End::Kill, again);
                        continue;
                    }
                    self.trace
                        .event(self.now_ms, format_args!("node {node} stopped in good order"));
                    self.look()?;
                    self.end(node, End::Kill, again);
                } else if let Some((since, again)) = host.stopping
                    && self.now_ms > since + STOP_MS
                {
                    self.trace
                        .event(self.now_ms, format_args!("node {node} takes too long to stop"));
                    self.look()?;
                    self.end(node, End::Kill, again);
                }
            } else if host.start_at.is_some_and(|at| at <= self.now_ms) {
                self.start(node)?;
            }
        }
        Ok(())
    }

    fn start(&mut self, node: NodeId) -> Result<(), Violation> {
        let (seed, skew) = (self.dice.next_u64(), self.dice.random_range(-200..200));
        let Some(host) = self.hosts.get_mut(&node) else {
            return Ok(());
        };
        host.lives += 1;
        host.start_at = None;
        self.trace
            .event(self.now_ms, format_args!("node {node} starts, life {}", host.lives));
        let boot = Boot {
            node,
            nodes: self.scenario.nodes,
            seed,
            boot_id: host.boot_id,
            synced: self.scenario.synced,
        };
        host.ailing = host.heals_at.is_some();
        let gate = host.gate.subscribe();
        let started = Node::start(boot, host.disk.clone(), gate, &self.fabric, self.now_ms, skew).map_err(fault)?;
        host.running = Some(started);
        Ok(())
    }

    /// The process ends; its host starts it again after `again_ms`.
    pub(crate) fn end(&mut self, node: NodeId, how: End, again_ms: u64) {
        let cut_seed = self.dice.next_u64();
        let Some(host) = self.hosts.get_mut(&node) else { return };
        host.start_at = Some(self.now_ms + again_ms);
        host.frozen_until = None;
        host.stopping = None;
        host.crash = None;
        match how {
            End::Kill => host.disk.kill(),
            End::PowerCut => {
                host.disk.power_cut(cut_seed);
                host.boot_id += u64::from(!bugs::is_planted(Bug::EqualBootId));
                host.dirty = true;
            }
            End::Wipe => {
                host.disk.kill();
                host.disk = MemoryFileSystem::new();
                host.dirty = true;
                host.wiped = true;
            }
        }
        let process = self.fabric.unregister(node, how == End::PowerCut);
        let running = host.running.take();
        self.fabric.bury(|| {
            if let Some(Node { scope, parts }) = running {
                drop(scope);
                drop(parts);
            }
            drop(process);
        });
        if how != End::Kill {
            self.invariants.on_power_cut(node);
        }
    }

    /// Kills a node now.
    #[cfg(test)]
    pub(crate) fn kill(&mut self, node: NodeId, again_ms: u64) -> Result<(), Violation> {
        self.inflict(crate::faults::Fault::Kill(vec![(node, again_ms)]))
    }

    /// Every partition has its full ISR.
    pub(crate) fn all_in_sync(&self) -> bool {
        let Some(image) = newest_image(&self.views()) else {
            return false;
        };
        let partitions = watched_partitions(&image);
        !partitions.is_empty()
            && partitions.iter().all(|id| {
                image
                    .partition(*id)
                    .is_some_and(|partition| partition.leader.is_some() && partition.isr.len() == 3)
            })
    }

    /// The network is whole and calm again.
    pub(crate) fn heal(&mut self) {
        self.trace.event(self.now_ms, format_args!("the network heals"));
        self.heal_at = None;
        self.fabric.heal();
        self.fabric.set_weather(Weather::CALM);
    }

    /// Nothing more goes wrong; everything that is down starts.
    pub(crate) fn end_chaos(&mut self) {
        self.heal();
        let now = self.now_ms;
        for host in self.hosts.values_mut() {
            host.start_at = host.start_at.map(|at| at.min(now));
            host.frozen_until = host.frozen_until.map(|at| at.min(now));
            host.heals_at = host.heals_at.map(|at| at.min(now));
            if !host.disk.is_stopped() {
                host.disk.stop_at(None);
                host.crash = None;
            }
        }
    }

    /// One fault from the plan.
    pub(crate) fn draw_fault(&mut self) -> Result<u64, Violation> {
        let plan = self.scenario.faults;
        if let Some(fault) = plan.draw(self.scenario.nodes, &mut self.dice) {
            self.inflict(fault)?;
        }
        Ok(plan.pause_ms(&mut self.dice))
    }

    /// Who leads a partition of the topic, by the newest metadata.
    #[cfg(test)]
    pub(crate) fn leader_of(&self, partition: i32) -> Option<NodeId> {
        let image = newest_image(&self.views())?;
        let topic = image.topic(crate::clients::TOPIC)?;
        topic
            .partition(types::PartitionIndex(partition))?
            .leader
            .map(|leader| leader.0)
    }

    /// Every replica holds the whole log and knows it as committed.
    pub(crate) fn is_settled(&self) -> bool {
        let views = self.views();
        let nodes = usize::try_from(self.scenario.nodes).unwrap_or(0);
        views.len() == nodes
            && self.all_in_sync()
            && newest_image(&views).is_some_and(|image| {
                image.brokers().all(|broker| !broker.fenced)
                    && watched_partitions(&image).iter().all(|id| {
                        let end = self.invariants.committed().end(*id);
                        let whole = |view: &&NodeView| {
                            view.replicas
                                .get(id)
                                .is_some_and(|replica| replica.log_end == end && replica.high_watermark == end)
                        };
                        views.iter().filter(whole).count() == 3
                    })
            })
    }

    /// The group has committed everything.
    pub(crate) fn is_consumed(&self) -> bool {
        let answered = self.history.offsets_answered();
        newest_image(&self.views()).is_some_and(|image| {
            event_partitions(&image)
                .iter()
                .all(|id| answered.get(&id.partition.0) == Some(&self.invariants.committed().end(*id)))
        })
    }

    /// Writers that haven't ended.
    pub(crate) fn writing(&self) -> usize {
        self.clients.writing.load(Ordering::Relaxed)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Hosts last: the clients' tasks hold processes' handles.
        for node in self.hosts.keys().copied().collect::<Vec<_>>() {
            self.end(node, End::Kill, 0);
        }
        controller::raft::seed_randomness(None);
    }
}

/// What a controlled shutdown leaves as its reason.
pub(crate) const STOPPED: &str = "stopped";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Kill,
    PowerCut,
    /// The host's disk is lost.
    Wipe,
}

fn fault(why: String) -> Violation {
    Violation::new("FAULT", why)
}
