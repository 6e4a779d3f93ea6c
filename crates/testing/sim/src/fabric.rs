//! The wires between the nodes: who is reachable, how long messages take, what is lost or cut.
//!
//! A message takes at least [`SLICE_MS`] (see `scope`). Connections keep their order, as TCP does; what is lost is a whole
//! call or a whole connection, never a message within one. A cut link stalls a connection until it heals or its
//! keep-alive gives up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rpc::{PeerAddress, Services};
use tokio::runtime::Handle;

use crate::clock::SimClock;
use crate::entrance::Entrance;
use crate::stream::Breakable;
use crate::trace::Trace;

/// Nodes run for so long before the others do: the least time that a message takes.
pub(crate) const SLICE_MS: u64 = 2;
/// What gRPC's keep-alive needs to give a connection up.
pub(crate) const KEEP_ALIVE_MS: u64 = 3_000;
/// The port that serves the quorum and the controller.
pub(crate) const CONTROLLER_PORT: u16 = 9093;
/// The port that serves brokers and clients.
pub(crate) const BROKER_PORT: u16 = 9092;

/// A node, or 0: the clients.
pub(crate) type NodeId = i32;

/// The name under which a node is reached.
pub(crate) fn host_name(node: NodeId) -> String {
    format!("n{node}")
}

fn node_of(address: &PeerAddress) -> Option<NodeId> {
    address.host.strip_prefix('n')?.parse().ok()
}

/// A running process as its peers find it.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) handle: Handle,
    pub(crate) clock: SimClock,
    /// What answers at the controller's port.
    pub(crate) controller: Option<Services>,
    /// What answers at the broker's port.
    pub(crate) broker: Option<Services>,
    /// Where the clients come in.
    pub(crate) entrance: Option<Arc<Entrance>>,
}

/// How badly the network behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Slowest ordinary message.
    pub(crate) delay_max_ms: u64,
    /// One message of so many is much slower; 0: none.
    pub(crate) spike_one_in: u32,
    /// One call of so many is lost, on its way or on its way back; 0: none.
    pub(crate) loss_one_in: u32,
}

impl Weather {
    pub(crate) const CALM: Self = Self {
        delay_max_ms: 4,
        spike_one_in: 0,
        loss_one_in: 0,
    };
}

#[derive(Debug)]
struct State {
    dice: StdRng,
    now_ms: u64,
    weather: Weather,
    processes: BTreeMap<NodeId, Process>,
    /// Hosts without power: silent, where a dead process on a living host refuses.
    dark: BTreeSet<NodeId>,
    /// One-way cuts.
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// Everything to and from these takes longer.
    slow: BTreeMap<NodeId, u64>,
    connections: Vec<(NodeId, NodeId, Weak<dyn Breakable>)>,
}

/// What peers are to be told of an end.
type Farewell = Box<dyn FnOnce() + Send>;

/// The ends that a dying process leaves, in whatever order its tasks are dropped: that order hangs on tokio's task ids,
/// which the whole test process shares, so the peers are told in the order of the ends' numbers instead.
#[derive(Default)]
struct Farewells {
    next: u64,
    /// `None`: nobody is dying, ends are told at once.
    waiting: Option<BTreeMap<u64, Farewell>>,
}

impl std::fmt::Debug for Farewells {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Farewells").field("next", &self.next).finish()
    }
}

/// Tells the other side when it is dropped.
pub(crate) struct TellOnDrop {
    fabric: Arc<Fabric>,
    number: u64,
    farewell: Option<Farewell>,
}

impl TellOnDrop {
    pub(crate) fn new(fabric: &Arc<Fabric>, farewell: impl FnOnce() + Send + 'static) -> Self {
        let mut farewells = fabric.farewells.lock();
        farewells.next += 1;
        Self {
            fabric: Arc::clone(fabric),
            number: farewells.next,
            farewell: Some(Box::new(farewell)),
        }
    }
}

impl Drop for TellOnDrop {
    fn drop(&mut self) {
        let Some(farewell) = self.farewell.take() else { return };
        if let Some(waiting) = &mut self.fabric.farewells.lock().waiting {
            waiting.insert(self.number, farewell);
            return;
        }
        farewell();
    }
}

/// All the wires.
#[derive(Debug)]
pub(crate) struct Fabric {
    state: Mutex<State>,
    farewells: Mutex<Farewells>,
    pub(crate) trace: Trace,
}

/// What becomes of a message that is sent now.
#[derive(Debug)]
pub(crate) enum Passage {
    /// It arrives after so many milliseconds.
    Arrives(u64),
    /// It never does, and nobody says so.
    Lost,
}

/// What lies at the other end.
#[derive(Debug)]
pub(crate) enum Target {
    /// A process; boxed, for it is large.
    Process(NodeId, Box<Process>),
    /// A host on which nothing listens there.
    Refuses(NodeId),
    /// No host, or one without power.
    Silent,
}

impl Fabric {
    pub(crate) fn new(seed: u64, trace: Trace) -> Arc<Self> {
        let state = State {
            dice: StdRng::seed_from_u64(seed),
            now_ms: 0,
            weather: Weather::CALM,
            processes: BTreeMap::new(),
            dark: BTreeSet::new(),
            cuts: BTreeSet::new(),
            slow: BTreeMap::new(),
            connections: Vec::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            farewells: Mutex::default(),
            trace,
        })
    }

    /// Runs `end`, which drops a process's tasks; then its peers hear of it, in a fixed order.
    pub(crate) fn bury(&self, end: impl FnOnce()) {
        self.farewells.lock().waiting = Some(BTreeMap::new());
        end();
        let waiting = self.farewells.lock().waiting.take();
        for farewell in waiting.unwrap_or_default().into_values() {
            farewell();
        }
    }

    /// The world's time at the beginning of the slice: for those who are outside of any runtime.
    pub(crate) fn slice_ms(&self) -> u64 {
        self.state.lock().now_ms
    }

    pub(crate) fn set_slice(&self, now_ms: u64) {
        self.state.lock().now_ms = now_ms;
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.state.lock().weather = weather;
    }

    pub(crate) fn set_slow(&self, node: NodeId, extra_ms: u64) {
        let mut state = self.state.lock();
        if extra_ms == 0 {
            state.slow.remove(&node);
        } else {
            state.slow.insert(node, extra_ms);
        }
    }

    pub(crate) fn register(&self, node: NodeId, process: Process) {
        let mut state = self.state.lock();
        state.dark.remove(&node);
        state.processes.insert(node, process);
    }

    pub(crate) fn update(&self, node: NodeId, change: impl FnOnce(&mut Process)) {
        if let Some(process) = self.state.lock().processes.get_mut(&node) {
            change(process);
        }
    }

    /// The process is gone; returned, so that it is dropped outside the lock.
    #[must_use]
    pub(crate) fn unregister(&self, node: NodeId, dark: bool) -> Option<Process> {
        let mut state = self.state.lock();
        if dark {
            state.dark.insert(node);
        }
        state.processes.remove(&node)
    }

    pub(crate) fn process(&self, node: NodeId) -> Option<Process> {
        self.state.lock().processes.get(&node).cloned()
    }

    pub(crate) fn is_dark(&self, node: NodeId) -> bool {
        self.state.lock().dark.contains(&node)
    }

    /// Who answers at an address.
    pub(crate) fn target(&self, address: &PeerAddress) -> Target {
        let Some(node) = node_of(address) else {
            return Target::Silent;
        };
        let state = self.state.lock();
        if state.dark.contains(&node) {
            return Target::Silent;
        }
        let Some(process) = state.processes.get(&node) else {
            return Target::Refuses(node);
        };
        let listens = match address.port {
            CONTROLLER_PORT => process.controller.is_some(),
            _ => process.broker.is_some(),
        };
        if listens {
            Target::Process(node, Box::new(process.clone()))
        } else {
            Target::Refuses(node)
        }
    }

    pub(crate) fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.state.lock().cuts.contains(&(from, to))
    }

    /// How long a message within a connection takes.
    pub(crate) fn delay(&self, from: NodeId, to: NodeId) -> u64 {
        self.state.lock().delay(from, to)
    }

    /// What becomes of a call's message.
    pub(crate) fn passage(&self, from: NodeId, to: NodeId) -> Passage {
        let mut state = self.state.lock();
        if state.cuts.contains(&(from, to)) {
            return Passage::Lost;
        }
        let one_in = state.weather.loss_one_in;
        if one_in > 0 && state.dice.random_ratio(1, one_in) {
            return Passage::Lost;
        }
        Passage::Arrives(state.delay(from, to))
    }

    /// Connections that faults can break.
    pub(crate) fn add_connection(&self, from: NodeId, to: NodeId, connection: Weak<dyn Breakable>) {
        let mut state = self.state.lock();
        if state.connections.len() >= 256 {
            state
                .connections
                .retain(|(_, _, connection)| connection.strong_count() > 0);
        }
        state.connections.push((from, to, connection));
    }

    /// Cuts one direction; each connection over it breaks at once with probability 1/3, else it stalls.
    pub(crate) fn cut(&self, from: NodeId, to: NodeId) {
        self.state.lock().cuts.insert((from, to));
        self.break_some(|a, b| (a, b) == (from, to) || (b, a) == (from, to), 3);
    }

    /// Heals everything.
    pub(crate) fn heal(&self) {
        let healed = {
            let mut state = self.state.lock();
            state.slow.clear();
            std::mem::take(&mut state.cuts)
        };
        if !healed.is_empty() {
            self.break_some(|a, b| healed.contains(&(a, b)) || healed.contains(&(b, a)), 2);
        }
    }

    /// Breaks one of `one_in` connections between nodes that `which` picks.
    pub(crate) fn break_some(&self, which: impl Fn(NodeId, NodeId) -> bool, one_in: u32) {
        let mut broken = Vec::new();
        {
            let mut state = self.state.lock();
            let state = &mut *state;
            for (from, to, connection) in &state.connections {
                if !which(*from, *to) {
                    continue;
                }
                if let Some(connection) = connection.upgrade()
                    && state.dice.random_ratio(1, one_in)
                {
                    broken.push(connection);
                }
            }
        }
        for connection in broken {
            connection.break_now();
        }
    }
}

impl State {
    fn delay(&mut self, from: NodeId, to: NodeId) -> u64 {
        let Weather {
            delay_max_ms,
            spike_one_in,
            ..
        } = self.weather;
        let mut delay = self.dice.random_range(SLICE_MS..=delay_max_ms.max(SLICE_MS));
        if spike_one_in > 0 && self.dice.random_ratio(1, spike_one_in) {
            delay += self.dice.random_range(10..400);
        }
        delay + self.slow.get(&from).copied().unwrap_or(0) + self.slow.get(&to).copied().unwrap_or(0)
    }
}
