//! What can be done to nodes: kinds of faults, and the actions that one is made of.
//!
//! A fault is a list of actions with their times.

use std::time::Duration;

use clap::ValueEnum;

use crate::local_cluster::DiskRole;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum FaultKind {
    /// SIGKILL, and a start a moment later: one node, two, or all at once
    Kill,
    /// SIGKILL of the same node every few seconds, ten times
    KillAgain,
    /// SIGSTOP for 3 s: connections stay, nothing answers
    Pause,
    /// SIGSTOP for 30 s
    PauseLong,
    /// SIGTERM: a controlled shutdown, and a start a moment later
    Stop,
    /// Cuts of the network: a node alone, a link, one direction, a link that comes and goes (root, iproute2, iptables)
    Partition,
    /// The power of one node is cut: what it hadn't synced is gone, and its boot id is another one (root, xfsprogs)
    Power,
    /// The power of all nodes is cut at once; the topic has flush.messages=1, unless --topic-config says otherwise (as power)
    PowerAll,
    /// The disk of a node, of two or of all is full for a few seconds; or the one of the metadata log (root)
    DiskFull,
    /// Syncs fail on a node until it ends itself; it is started with a disk that works (root, strace)
    FsyncError,
    /// The wall clock of one node or of all is an hour ahead or behind for a few seconds (faketime)
    Clock,
    /// SIGKILL, and a start with empty directories under the same id: one node
    Wipe,
}

impl FaultKind {
    /// As on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What hurts a process and what takes that back, of a kind that is made of nothing else: commands and Compose can do it, too.
    pub(super) fn on_processes(self) -> Option<[ProcessAction; 2]> {
        match self {
            Self::Kill | Self::KillAgain => Some([ProcessAction::Kill, ProcessAction::Start]),
            Self::Stop => Some([ProcessAction::Stop, ProcessAction::Start]),
            Self::Pause | Self::PauseLong => Some([ProcessAction::Pause, ProcessAction::Resume]),
            Self::Partition
            | Self::Power
            | Self::PowerAll
            | Self::DiskFull
            | Self::FsyncError
            | Self::Clock
            | Self::Wipe => None,
        }
    }

    /// Whether a node forgets what it has acknowledged: never two of them at a time, for nobody promises anything then.
    pub(super) fn forgets(self) -> bool {
        match self {
            Self::Power | Self::PowerAll | Self::Wipe => true,
            Self::Kill
            | Self::KillAgain
            | Self::Pause
            | Self::PauseLong
            | Self::Stop
            | Self::Partition
            | Self::DiskFull
            | Self::FsyncError
            | Self::Clock => false,
        }
    }
}

/// Something that is done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// SIGKILL.
    Kill,
    /// SIGTERM, and its end.
    Stop,
    /// It runs again.
    Start,
    /// SIGSTOP.
    Pause,
    /// SIGCONT.
    Resume,
    /// Parts it.
    Cut(Cut),
    /// Takes all its cuts back.
    Heal,
    /// Its power is gone: the process, and what wasn't synced.
    PowerOff,
    /// Its power is back: it runs again, under another boot id.
    PowerOn,
    /// Leaves no room on a disk.
    Fill(DiskRole),
    /// Gives the room back.
    Free(DiskRole),
    /// Its wall clock is so many seconds ahead.
    SetClock(i64),
    /// Its wall clock is right again.
    ResetClock,
    /// Its syncs fail, until it has ended itself.
    FailSyncs,
    /// Empties its directories; it doesn't run.
    Wipe,
}

/// What can be done to a process from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessAction {
    Kill,
    Stop,
    Start,
    Pause,
    Resume,
}

impl ProcessAction {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [Self::Kill, Self::Stop, Self::Start, Self::Pause, Self::Resume];
}

impl Action {
    /// The same as something that is done to a process, if it is no more.
    pub(super) fn on_process(self) -> Option<ProcessAction> {
        match self {
            Self::Kill => Some(ProcessAction::Kill),
            Self::Stop => Some(ProcessAction::Stop),
            Self::Start => Some(ProcessAction::Start),
            Self::Pause => Some(ProcessAction::Pause),
            Self::Resume => Some(ProcessAction::Resume),
            Self::Cut(_)
            | Self::Heal
            | Self::PowerOff
            | Self::PowerOn
            | Self::Fill(_)
            | Self::Free(_)
            | Self::SetClock(_)
            | Self::ResetClock
            | Self::FailSyncs
            | Self::Wipe => None,
        }
    }

    /// Whether it takes another one back.
    pub(super) fn undoes(self) -> bool {
        match self {
            Self::Start | Self::Resume | Self::Heal | Self::PowerOn | Self::Free(_) | Self::ResetClock => true,
            Self::Kill
            | Self::Stop
            | Self::Pause
            | Self::Cut(_)
            | Self::PowerOff
            | Self::Fill(_)
            | Self::SetClock(_)
            | Self::FailSyncs
            | Self::Wipe => false,
        }
    }
}

/// From whom a node is parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// From everybody, clients too.
    All,
    /// From the other nodes; clients reach it.
    Peers,
    /// From this node.
    Link(i32),
    /// It doesn't hear this node, which hears it.
    Hears(i32),
}

/// An action and when it is due, counted from the fault's begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) action: Action,
    pub(crate) node: i32,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What is done to whom.
    pub(crate) name: String,
    /// More than one if faults overlap.
    pub(crate) kinds: Vec<FaultKind>,
    pub(crate) steps: Vec<Step>,
    /// Whom it hits.
    pub(crate) nodes: Vec<i32>,
}

/// Who is what when a fault begins.
#[derive(Debug, Clone)]
pub(crate) struct Roles {
    pub(crate) nodes: Vec<i32>,
    /// Of the partition that was drawn.
    pub(crate) leader: Option<i32>,
    pub(crate) controller: Option<i32>,
    /// Of the group that was drawn.
    pub(crate) coordinator: Option<i32>,
    /// Those whose metadata log has a disk of its own.
    pub(crate) metadata_disks: Vec<i32>,
}
