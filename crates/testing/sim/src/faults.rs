//! What goes wrong, and when: drawn from the seed.

use rand::Rng;
use rand::rngs::StdRng;
use storage::testing::{Operation, Step};

use crate::fabric::{NodeId, Weather};

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL of these processes at once; each starts again after so many milliseconds.
    Kill(Vec<(NodeId, u64)>),
    /// The power of these hosts fails at once: what wasn't synced may be lost.
    PowerCut(Vec<(NodeId, u64)>),
    /// A controlled shutdown, and a start after so many milliseconds.
    Stop(NodeId, u64),
    /// SIGSTOP for so long.
    Freeze(NodeId, u64),
    /// A node hears and reaches nobody, clients included, for so long.
    Isolate(NodeId, u64),
    /// Messages from one node to another don't arrive for so long.
    CutOneWay(NodeId, NodeId, u64),
    /// Two nodes don't reach each other for so long.
    CutPair(NodeId, NodeId, u64),
    /// Everything to and from a node takes so many milliseconds longer, for so long.
    Slow(NodeId, u64, u64),
    /// Losses and delays everywhere for so long.
    BadWeather(u64),
    /// Some of a node's connections break.
    Reset(NodeId),
    /// Only so many more bytes fit on a node's disk, for so long.
    DiskFull(NodeId, u64, u64),
    /// This operation fails on a node's files whose paths contain this, for so long.
    DiskError(NodeId, Operation, &'static str, u64),
    /// What a node's disk is asked for in the background takes so long.
    DiskStall(NodeId, u64),
    /// A node's process ends at a step, if it comes to it.
    Crash(NodeId, Crash),
    /// A node loses its disk, and starts with a blank one under its id after so many milliseconds.
    Wipe(NodeId, u64),
}

/// How a process ends that comes to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crash {
    pub(crate) step: Step,
    /// Its host fails with it, if it may.
    pub(crate) with_power: bool,
    /// It starts again after so many milliseconds.
    pub(crate) again_ms: u64,
}

impl Fault {
    /// For counting.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Kill(kills) if kills.len() > 1 => "kill of several",
            Self::Kill(_) => "kill",
            Self::PowerCut(cuts) if cuts.len() > 1 => "power cut of all",
            Self::PowerCut(_) => "power cut",
            Self::Stop(..) => "controlled stop",
            Self::Freeze(..) => "freeze",
            Self::Isolate(..) => "isolation",
            Self::CutOneWay(..) => "one-way cut",
            Self::CutPair(..) => "cut",
            Self::Slow(..) => "slow links",
            Self::BadWeather(_) => "bad weather",
            Self::Reset(_) => "resets",
            Self::DiskFull(..) => "full disk",
            Self::DiskError(..) => "disk error",
            Self::DiskStall(..) => "stalled disk",
            Self::Crash(..) => "planned crash",
            Self::Wipe(..) => "wiped disk",
        }
    }
}

/// What fails when a disk does.
const OPERATIONS: [Operation; 4] = [
    Operation::Read,
    Operation::Write,
    Operation::SyncData,
    Operation::SyncDir,
];
/// Where: everywhere, in the topic's logs, in the quorum's, in the groups'.
const PLACES: [&str; 4] = ["", "events-", "__cluster_metadata", "__consumer_offsets"];

/// What a crash hits: each kind of change.
const CHANGES: [Operation; 7] = [
    Operation::Write,
    Operation::SetLen,
    Operation::SyncData,
    Operation::CreateDir,
    Operation::Rename,
    Operation::Remove,
    Operation::SyncDir,
];
/// Where: the files that say what the logs hold, beside the logs themselves.
const STEPS: [&str; 12] = [
    "",
    "events-",
    "__cluster_metadata",
    "__consumer_offsets",
    "-checkpoint",
    ".log",
    "index",
    "snapshot",
    "partition.metadata",
    "truncation.pending",
    "delete",
    "klamm.incarnation",
];

/// For counting: at what a process ended.
pub(crate) fn crash_kind(operation: Operation) -> &'static str {
    match operation {
        Operation::Write => "crash at a write",
        Operation::SetLen => "crash at a cut",
        Operation::SyncData => "crash at a sync",
        Operation::CreateDir => "crash at a new directory",
        Operation::Rename => "crash at a rename",
        Operation::Remove => "crash at a removal",
        Operation::SyncDir => "crash at a directory's sync",
        _ => "crash at another call",
    }
}

/// What may go wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPlan {
    /// Mean pause between faults.
    pub every_ms: u64,
    /// Whether processes are killed, stopped and frozen.
    pub processes: bool,
    /// Whether links are cut, slow and lossy.
    pub network: bool,
    /// Whether the power fails.
    pub power: bool,
    /// Whether disks fill up, fail, stall and are lost.
    pub disks: bool,
    /// Whether processes end at steps: a plan without draws what it drew before there were any.
    pub crashes: bool,
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        every_ms: 0,
        processes: false,
        network: false,
        power: false,
        disks: false,
        crashes: false,
    };
    /// Everything does.
    pub const ALL: Self = Self {
        every_ms: 900,
        processes: true,
        network: true,
        power: true,
        disks: true,
        crashes: true,
    };

    pub(crate) fn pause_ms(&self, dice: &mut StdRng) -> u64 {
        dice.random_range(20..=self.every_ms.max(20) * 2)
    }

    /// The next fault; `None` when the plan has nothing of the kind that was drawn.
    pub(crate) fn draw(&self, nodes: NodeId, dice: &mut StdRng) -> Option<Fault> {
        let node = dice.random_range(1..=nodes);
        let other = 1 + (node + dice.random_range(0..nodes - 1)) % nodes;
        let down = if dice.random_bool(0.5) {
            dice.random_range(20..400)
        } else {
            dice.random_range(400..4_000)
        };
        let long = dice.random_range(100..4_500);
        let fault = match dice.random_range(0..if self.crashes { 34 } else { 30 }) {
            0..=5 => Fault::Kill(vec![(node, down)]),
            6 => Fault::Kill(vec![(node, down), (other, dice.random_range(20..3_000))]),
            7 => Fault::Kill((1..=nodes).map(|node| (node, dice.random_range(20..2_000))).collect()),
            8..=9 => Fault::PowerCut(vec![(node, down)]),
            10 => Fault::PowerCut((1..=nodes).map(|node| (node, dice.random_range(20..2_000))).collect()),
            11..=12 => Fault::Stop(node, down),
            13..=14 => Fault::Freeze(node, long),
            15..=16 => Fault::Isolate(node, long),
            17 => Fault::CutOneWay(node, other, long),
            18..=19 => Fault::CutPair(node, other, long),
            20 => Fault::Slow(node, dice.random_range(5..150), long),
            21..=22 => Fault::BadWeather(long),
            23 => Fault::Reset(node),
            24 => Fault::DiskFull(node, dice.random_range(0..20_000), long),
            25..=26 => {
                let operation = OPERATIONS[dice.random_range(0..OPERATIONS.len())];
                Fault::DiskError(node, operation, PLACES[dice.random_range(0..PLACES.len())], long)
            }
            27 => Fault::DiskStall(node, long),
            30..34 => {
                let step = Step {
                    operation: CHANGES[dice.random_range(0..CHANGES.len())],
                    path_part: STEPS[dice.random_range(0..STEPS.len())],
                    skip: dice.random_range(0..4),
                    after: dice.random_bool(0.5),
                };
                let crash = Crash {
                    step,
                    with_power: dice.random_bool(0.5),
                    again_ms: down,
                };
                Fault::Crash(node, crash)
            }
            _ => Fault::Wipe(node, down),
        };
        let allowed = match fault {
            Fault::Kill(_) | Fault::Stop(..) | Fault::Freeze(..) => self.processes,
            Fault::Crash(..) => self.crashes,
            Fault::PowerCut(_) => self.power,
            Fault::DiskFull(..) | Fault::DiskError(..) | Fault::DiskStall(..) | Fault::Wipe(..) => self.disks,
            _ => self.network,
        };
        allowed.then_some(fault)
    }

    /// Bad weather, as bad as the dice say.
    pub(crate) fn weather(dice: &mut StdRng) -> Weather {
        Weather {
            delay_max_ms: dice.random_range(4..60),
            spike_one_in: if dice.random_bool(0.6) {
                dice.random_range(10..200)
            } else {
                0
            },
            loss_one_in: if dice.random_bool(0.6) {
                dice.random_range(5..60)
            } else {
                0
            },
        }
    }
}
