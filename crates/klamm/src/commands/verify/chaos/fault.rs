//! What can be done to nodes, and the schedule: a seed gives the same faults in the same order.
//!
//! A fault is a list of actions with their times. Whom it hits is drawn as a role (the leader of a partition, the active
//! controller) and becomes a node when it begins.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum FaultKind {
    /// SIGKILL, and a start a moment later: one node, two, or all at once.
    Kill,
    /// SIGSTOP for 3 s: connections stay, nothing answers.
    Pause,
    /// SIGSTOP for 30 s.
    PauseLong,
    /// SIGTERM: a controlled shutdown, and a start a moment later.
    Stop,
    /// Cuts of the network: a node alone, a link, one direction, a link that comes and goes.
    Partition,
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
}

/// Whom a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Leader,
    Controller,
    Random,
    SameAgain,
    Two,
    All,
}

/// Draws faults.
#[derive(Debug)]
pub(crate) struct Schedule {
    random: StdRng,
    kinds: Vec<FaultKind>,
    overlap: bool,
    last: Vec<i32>,
}

impl Schedule {
    /// Of these kinds; with `overlap` a second fault may begin while the first lasts.
    pub(crate) fn new(seed: u64, kinds: &[FaultKind], overlap: bool) -> Self {
        let kinds: BTreeSet<FaultKind> = kinds.iter().copied().collect();
        Self {
            random: StdRng::seed_from_u64(seed),
            kinds: kinds.into_iter().collect(),
            overlap,
            last: Vec::new(),
        }
    }

    /// Draws the partition whose leader the next fault may hit.
    pub(crate) fn partition(&mut self, partitions: u32) -> u32 {
        self.random.random_range(0..partitions.max(1))
    }

    /// Draws a fault; `None` if there is no kind or nobody to hit.
    pub(crate) fn next(&mut self, roles: &Roles) -> Option<Fault> {
        let mut fault = self.one(roles)?;
        self.last.clone_from(&fault.nodes);
        if self.overlap && self.random.random_ratio(1, 3) {
            let others = Roles {
                nodes: roles
                    .nodes
                    .iter()
                    .copied()
                    .filter(|id| !fault.nodes.contains(id))
                    .collect(),
                leader: roles.leader.filter(|id| !fault.nodes.contains(id)),
                controller: roles.controller.filter(|id| !fault.nodes.contains(id)),
            };
            if let Some(second) = self.one(&others) {
                let length = fault.steps.last().map_or(Duration::ZERO, |step| step.at);
                let begin = self.between(Duration::ZERO, length);
                fault.name = format!("{}, {} s later {}", fault.name, seconds(begin), second.name);
                let later = second.steps.into_iter().map(|step| Step {
                    at: step.at + begin,
                    ..step
                });
                fault.steps.extend(later);
                fault.steps.sort_by_key(|step| step.at);
                fault.nodes.extend(second.nodes);
            }
        }
        Some(fault)
    }

    fn one(&mut self, roles: &Roles) -> Option<Fault> {
        let kind = *self.kinds.choose(&mut self.random)?;
        let (victim, nodes) = self.victims(kind, roles)?;
        let who = match victim {
            Victim::Leader => "leader ",
            Victim::Controller => "controller ",
            Victim::SameAgain => "again ",
            Victim::Random | Victim::Two | Victim::All => "",
        };
        let ids: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        let who = format!("{who}{}", ids.join("+"));
        let moment = self.between(Duration::from_millis(100), Duration::from_secs(5));
        let (name, begin, end, hold) = match kind {
            FaultKind::Kill => (format!("kill {who}"), Action::Kill, Action::Start, moment),
            FaultKind::Stop => (format!("stop {who}"), Action::Stop, Action::Start, moment),
            FaultKind::Pause => {
                let hold = Duration::from_secs(3);
                (format!("pause {who}"), Action::Pause, Action::Resume, hold)
            }
            FaultKind::PauseLong => {
                let hold = Duration::from_secs(30);
                (format!("pause {who}"), Action::Pause, Action::Resume, hold)
            }
            FaultKind::Partition => return self.partition_of(&who, *nodes.first()?, roles),
        };
        let steps = |at, action| {
            let one = move |node: &i32| Step {
                at,
                action,
                node: *node,
            };
            nodes.iter().map(one).collect::<Vec<_>>()
        };
        Some(Fault {
            name: format!("{name} for {} s", seconds(hold)),
            steps: [steps(Duration::ZERO, begin), steps(hold, end)].concat(),
            nodes,
        })
    }

    fn partition_of(&mut self, who: &str, node: i32, roles: &Roles) -> Option<Fault> {
        let peers: Vec<i32> = roles.nodes.iter().copied().filter(|id| *id != node).collect();
        let hold = self.between(Duration::from_secs(3), Duration::from_secs(15));
        let peer = peers.choose(&mut self.random).copied();
        let (cut, words) = match (self.random.random_range(0..5), peer) {
            (0, Some(peer)) => (Cut::Link(peer), format!("cut the link of {who} to {peer}")),
            (1, Some(peer)) => (Cut::Hears(peer), format!("{who} doesn't hear {peer}")),
            (2, Some(_)) => (Cut::Peers, format!("part {who} from its peers, not from clients")),
            (3, Some(_)) => {
                let steps = flapping(node, hold, &mut self.random);
                let name = format!("flap {who} for {} s", seconds(hold));
                return Some(Fault {
                    name,
                    steps,
                    nodes: vec![node],
                });
            }
            _ => (Cut::All, format!("cut {who} off")),
        };
        let step = |at, action| Step { at, action, node };
        Some(Fault {
            name: format!("{words} for {} s", seconds(hold)),
            steps: vec![step(Duration::ZERO, Action::Cut(cut)), step(hold, Action::Heal)],
            nodes: vec![node],
        })
    }

    fn victims(&mut self, kind: FaultKind, roles: &Roles) -> Option<(Victim, Vec<i32>)> {
        let many: &[Victim] = match kind {
            FaultKind::Kill => &[Victim::Two, Victim::All],
            FaultKind::Pause => &[Victim::Two],
            // Without a majority a controlled shutdown has nobody to hand over to; two links are a link and a cut.
            FaultKind::PauseLong | FaultKind::Stop | FaultKind::Partition => &[],
        };
        const ONE: [Victim; 7] = [
            Victim::Leader,
            Victim::Leader,
            Victim::Leader,
            Victim::Controller,
            Victim::Controller,
            Victim::Random,
            Victim::SameAgain,
        ];
        let all: Vec<Victim> = ONE.iter().chain(many).copied().collect();
        let drawn = *all.choose(&mut self.random)?;
        let mut shuffled = roles.nodes.clone();
        shuffled.shuffle(&mut self.random);
        let random = *shuffled.first()?;
        let again = self.last.first().copied().filter(|id| roles.nodes.contains(id));
        Some(match drawn {
            Victim::Leader => roles
                .leader
                .map_or((Victim::Random, vec![random]), |id| (drawn, vec![id])),
            Victim::Controller => roles
                .controller
                .map_or((Victim::Random, vec![random]), |id| (drawn, vec![id])),
            Victim::SameAgain => again.map_or((Victim::Random, vec![random]), |id| (drawn, vec![id])),
            Victim::Random => (drawn, vec![random]),
            Victim::Two => (drawn, shuffled.into_iter().take(2).collect()),
            Victim::All => (drawn, roles.nodes.clone()),
        })
    }

    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let (least, most) = (least.as_millis() as u64, most.as_millis() as u64);
        Duration::from_millis(self.random.random_range(least..=most.max(least)))
    }
}

/// A link that comes and goes: each time long enough for somebody to notice, or not.
fn flapping(node: i32, hold: Duration, random: &mut StdRng) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = Duration::ZERO;
    let mut step = |at, action| steps.push(Step { at, action, node });
    while at < hold {
        step(at, Action::Cut(Cut::Peers));
        at += Duration::from_millis(random.random_range(100..2_500));
        step(at, Action::Heal);
        at += Duration::from_millis(random.random_range(100..1_500));
    }
    steps
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [FaultKind; 5] = [
        FaultKind::Kill,
        FaultKind::Pause,
        FaultKind::PauseLong,
        FaultKind::Stop,
        FaultKind::Partition,
    ];

    fn roles() -> Roles {
        Roles {
            nodes: vec![1, 2, 3],
            leader: Some(2),
            controller: Some(3),
        }
    }

    fn faults(seed: u64, kinds: &[FaultKind], overlap: bool) -> Vec<Fault> {
        let mut schedule = Schedule::new(seed, kinds, overlap);
        (0..200).map(|_| schedule.next(&roles()).unwrap()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_faults_whatever_the_order_of_the_kinds() {
        let mut turned = ALL;
        turned.reverse();
        assert_eq!(faults(7, &ALL, true), faults(7, &turned, true));
        assert_ne!(faults(7, &ALL, true), faults(8, &ALL, true));
    }

    #[test]
    fn every_kind_and_every_victim_occurs() {
        let names: String = faults(1, &ALL, true)
            .iter()
            .map(|fault| format!("{}\n", fault.name))
            .collect();
        for word in [
            "kill leader 2",
            "kill controller 3",
            "kill 1+2+3",
            "kill again",
            "pause leader 2 for 3.0",
            "for 30.0 s",
            "stop controller 3",
            "cut the link",
            "doesn't hear",
            "from its peers",
            "flap",
            "off for",
            "s later",
        ] {
            assert!(names.contains(word), "{word} never occurs in\n{names}");
        }
    }

    #[test]
    fn every_node_is_well_again_at_the_end_of_a_fault() {
        for fault in faults(3, &ALL, true) {
            for node in &fault.nodes {
                let last = fault.steps.iter().rev().find(|step| step.node == *node).unwrap();
                assert!(
                    matches!(last.action, Action::Start | Action::Resume | Action::Heal),
                    "{fault:?}"
                );
            }
            assert!(fault.steps.is_sorted_by_key(|step| step.at), "{fault:?}");
        }
    }

    #[test]
    fn faults_that_overlap_hit_different_nodes() {
        for fault in faults(5, &ALL, true) {
            let different: BTreeSet<i32> = fault.nodes.iter().copied().collect();
            assert_eq!(different.len(), fault.nodes.len(), "{fault:?}");
        }
        assert!(faults(5, &ALL, false).iter().all(|fault| !fault.name.contains("later")));
    }
}
