//! The schedule: a seed gives the same faults in the same order.
//!
//! Whom a fault hits is drawn as a role (the leader of a partition, the active controller, a group's coordinator) and becomes a
//! node when it begins. Kinds are dealt like cards: each comes once before one comes again.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};

use super::fault::{Action, Cut, Fault, FaultKind, Roles, Step};
use crate::local_cluster::DiskRole;

/// How often `kill-again` kills.
const KILLS_AGAIN: u32 = 10;
/// How far a clock jumps, in seconds.
const CLOCK_JUMP: i64 = 3_600;

/// Whom a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Leader,
    Controller,
    Coordinator,
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
    /// Those that haven't come since all of them had.
    undealt: Vec<FaultKind>,
    overlap: bool,
    last: Vec<i32>,
}

/// One kind's fault, before its name is put together.
struct Drawn {
    words: String,
    steps: Vec<Step>,
}

impl Schedule {
    /// Of these kinds; with `overlap` a second fault may begin while the first lasts.
    pub(crate) fn new(seed: u64, kinds: &[FaultKind], overlap: bool) -> Self {
        let kinds: BTreeSet<FaultKind> = kinds.iter().copied().collect();
        Self {
            random: StdRng::seed_from_u64(seed),
            kinds: kinds.into_iter().collect(),
            undealt: Vec::new(),
            overlap,
            last: Vec::new(),
        }
    }

    /// Draws the partition whose leader the next fault may hit.
    pub(crate) fn partition(&mut self, partitions: u32) -> u32 {
        self.random.random_range(0..partitions.max(1))
    }

    /// Draws the group whose coordinator the next fault may hit.
    pub(crate) fn group(&mut self, groups: u16) -> u16 {
        self.random.random_range(0..groups.max(1))
    }

    /// Draws a fault; `None` if there is no kind or nobody to hit.
    pub(crate) fn next(&mut self, roles: &Roles) -> Option<Fault> {
        let kind = self.deal()?;
        let mut fault = self.one(kind, roles)?;
        self.last.clone_from(&fault.nodes);
        if self.overlap && self.random.random_ratio(1, 3) {
            self.overlap_with_another(kind, &mut fault, roles);
        }
        Some(fault)
    }

    fn deal(&mut self) -> Option<FaultKind> {
        if self.undealt.is_empty() {
            self.undealt.clone_from(&self.kinds);
            self.undealt.shuffle(&mut self.random);
        }
        self.undealt.pop()
    }

    fn overlap_with_another(&mut self, first: FaultKind, fault: &mut Fault, roles: &Roles) {
        let spared = |id: &i32| !fault.nodes.contains(id);
        let others = Roles {
            nodes: roles.nodes.iter().copied().filter(spared).collect(),
            leader: roles.leader.filter(spared),
            controller: roles.controller.filter(spared),
            coordinator: roles.coordinator.filter(spared),
            metadata_disks: roles.metadata_disks.clone(),
        };
        // Of all nodes at once means of all.
        let fits = |kind: &FaultKind| *kind != FaultKind::PowerAll && !(first.forgets() && kind.forgets());
        let kinds: Vec<FaultKind> = self.kinds.iter().copied().filter(fits).collect();
        let Some(kind) = kinds.choose(&mut self.random) else {
            return;
        };
        let Some(second) = self.one(*kind, &others) else { return };
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
        fault.kinds.extend(second.kinds);
    }

    fn one(&mut self, kind: FaultKind, roles: &Roles) -> Option<Fault> {
        let (victim, nodes) = self.victims(kind, roles)?;
        let role = match victim {
            Victim::Leader => "leader ",
            Victim::Controller => "controller ",
            Victim::Coordinator => "coordinator ",
            Victim::SameAgain => "again ",
            Victim::Random | Victim::Two | Victim::All => "",
        };
        let ids: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        let who = format!("{role}{}", ids.join("+"));
        let drawn = self.draw(kind, &who, &nodes, roles)?;
        Some(Fault {
            name: drawn.words,
            kinds: vec![kind],
            steps: drawn.steps,
            nodes,
        })
    }

    fn draw(&mut self, kind: FaultKind, who: &str, nodes: &[i32], roles: &Roles) -> Option<Drawn> {
        let moment = self.between(Duration::from_millis(100), Duration::from_secs(5));
        let while_it_lasts = self.between(Duration::from_secs(3), Duration::from_secs(10));
        Some(match kind {
            FaultKind::Kill => held(format!("kill {who}"), nodes, &[Action::Kill], Action::Start, moment),
            FaultKind::Stop => held(format!("stop {who}"), nodes, &[Action::Stop], Action::Start, moment),
            FaultKind::Pause => {
                let hold = Duration::from_secs(3);
                held(format!("pause {who}"), nodes, &[Action::Pause], Action::Resume, hold)
            }
            FaultKind::PauseLong => {
                let hold = Duration::from_secs(30);
                held(format!("pause {who}"), nodes, &[Action::Pause], Action::Resume, hold)
            }
            // Frozen first, so that it is one moment for all of them.
            FaultKind::Power | FaultKind::PowerAll => held(
                format!("cut the power of {who}"),
                nodes,
                &[Action::Pause, Action::PowerOff],
                Action::PowerOn,
                moment,
            ),
            FaultKind::Wipe => held(
                format!("wipe {who}"),
                nodes,
                &[Action::Kill, Action::Wipe],
                Action::Start,
                moment,
            ),
            FaultKind::FsyncError => held(
                format!("fail the syncs of {who}"),
                nodes,
                &[Action::FailSyncs],
                Action::Start,
                moment,
            ),
            FaultKind::Clock => {
                let (words, jump) =
                    *[("an hour ahead", CLOCK_JUMP), ("an hour behind", -CLOCK_JUMP)].choose(&mut self.random)?;
                let words = format!("set the clock of {who} {words}");
                held(
                    words,
                    nodes,
                    &[Action::SetClock(jump)],
                    Action::ResetClock,
                    while_it_lasts,
                )
            }
            FaultKind::DiskFull => {
                let apart = nodes.iter().all(|node| roles.metadata_disks.contains(node));
                let (words, role) = if apart && self.random.random_ratio(1, 2) {
                    (format!("fill the metadata disk of {who}"), DiskRole::Metadata)
                } else {
                    (format!("fill the disk of {who}"), DiskRole::Data)
                };
                held(words, nodes, &[Action::Fill(role)], Action::Free(role), while_it_lasts)
            }
            FaultKind::KillAgain => self.again_and_again(who, *nodes.first()?),
            FaultKind::Partition => self.partition_of(who, *nodes.first()?, roles),
        })
    }

    /// A node that never gets far.
    fn again_and_again(&mut self, who: &str, node: i32) -> Drawn {
        let mut steps = Vec::new();
        let mut at = Duration::ZERO;
        for _ in 0..KILLS_AGAIN {
            steps.push(Step {
                at,
                action: Action::Kill,
                node,
            });
            at += self.between(Duration::from_millis(50), Duration::from_millis(1_000));
            steps.push(Step {
                at,
                action: Action::Start,
                node,
            });
            at += self.between(Duration::from_millis(100), Duration::from_millis(4_000));
        }
        let last = steps.last().map_or(Duration::ZERO, |step| step.at);
        Drawn {
            words: format!("kill {who} {KILLS_AGAIN} times in {} s", seconds(last)),
            steps,
        }
    }

    fn partition_of(&mut self, who: &str, node: i32, roles: &Roles) -> Drawn {
        let peers: Vec<i32> = roles.nodes.iter().copied().filter(|id| *id != node).collect();
        let hold = self.between(Duration::from_secs(3), Duration::from_secs(15));
        let peer = peers.choose(&mut self.random).copied();
        let (cut, words) = match (self.random.random_range(0..5), peer) {
            (0, Some(peer)) => (Cut::Link(peer), format!("cut the link of {who} to {peer}")),
            (1, Some(peer)) => (Cut::Hears(peer), format!("{who} doesn't hear {peer}")),
            (2, Some(_)) => (Cut::Peers, format!("part {who} from its peers, not from clients")),
            (3, Some(_)) => {
                return Drawn {
                    words: format!("flap {who} for {} s", seconds(hold)),
                    steps: flapping(node, hold, &mut self.random),
                };
            }
            _ => (Cut::All, format!("cut {who} off")),
        };
        held(words, &[node], &[Action::Cut(cut)], Action::Heal, hold)
    }

    fn victims(&mut self, kind: FaultKind, roles: &Roles) -> Option<(Victim, Vec<i32>)> {
        const ONE: [Victim; 8] = [
            Victim::Leader,
            Victim::Leader,
            Victim::Leader,
            Victim::Controller,
            Victim::Controller,
            Victim::Coordinator,
            Victim::Random,
            Victim::SameAgain,
        ];
        let (one, many): (&[Victim], &[Victim]) = match kind {
            FaultKind::PowerAll => (&[], &[Victim::All]),
            FaultKind::Kill | FaultKind::DiskFull => (&ONE, &[Victim::Two, Victim::All]),
            FaultKind::Pause => (&ONE, &[Victim::Two]),
            FaultKind::Clock => (&ONE, &[Victim::All, Victim::All]),
            // Without a majority a controlled shutdown has nobody to hand over to; two links are a link and a cut; and what
            // one node forgets the others must know.
            FaultKind::KillAgain
            | FaultKind::PauseLong
            | FaultKind::Stop
            | FaultKind::Partition
            | FaultKind::Power
            | FaultKind::FsyncError
            | FaultKind::Wipe => (&ONE, &[]),
        };
        let all: Vec<Victim> = one.iter().chain(many).copied().collect();
        let drawn = *all.choose(&mut self.random)?;
        let mut shuffled = roles.nodes.clone();
        shuffled.shuffle(&mut self.random);
        let random = *shuffled.first()?;
        let again = self.last.first().copied().filter(|id| roles.nodes.contains(id));
        let role = |node: Option<i32>| node.map_or((Victim::Random, vec![random]), |id| (drawn, vec![id]));
        Some(match drawn {
            Victim::Leader => role(roles.leader),
            Victim::Controller => role(roles.controller),
            Victim::Coordinator => role(roles.coordinator),
            Victim::SameAgain => role(again),
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

/// Something that is done to all of these nodes, action by action, and taken back after `hold`.
fn held(words: String, nodes: &[i32], begin: &[Action], end: Action, hold: Duration) -> Drawn {
    let of_all = |at: Duration, action: Action| {
        nodes.iter().map(move |node| Step {
            at,
            action,
            node: *node,
        })
    };
    let mut steps: Vec<Step> = begin
        .iter()
        .flat_map(|action| of_all(Duration::ZERO, *action))
        .collect();
    steps.extend(of_all(hold, end));
    Drawn {
        words: format!("{words} for {} s", seconds(hold)),
        steps,
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
    use clap::ValueEnum as _;

    use super::*;

    fn all() -> Vec<FaultKind> {
        FaultKind::value_variants().to_vec()
    }

    fn roles() -> Roles {
        Roles {
            nodes: vec![1, 2, 3],
            leader: Some(2),
            controller: Some(3),
            coordinator: Some(1),
            metadata_disks: vec![2],
        }
    }

    fn faults(seed: u64, kinds: &[FaultKind], overlap: bool) -> Vec<Fault> {
        let mut schedule = Schedule::new(seed, kinds, overlap);
        (0..400).map(|_| schedule.next(&roles()).unwrap()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_faults_whatever_the_order_of_the_kinds() {
        let mut turned = all();
        turned.reverse();
        assert_eq!(faults(7, &all(), true), faults(7, &turned, true));
        assert_ne!(faults(7, &all(), true), faults(8, &all(), true));
    }

    #[test]
    fn every_kind_and_every_victim_occurs() {
        let names: String = faults(1, &all(), true)
            .iter()
            .map(|fault| format!("{}\n", fault.name))
            .collect();
        for word in [
            "kill leader 2",
            "kill controller 3",
            "kill coordinator 1",
            "kill 1+2+3",
            "kill again",
            "10 times in",
            "pause leader 2 for 3.0",
            "for 30.0 s",
            "stop controller 3",
            "cut the link",
            "doesn't hear",
            "from its peers",
            "flap",
            "off for",
            "cut the power of leader 2",
            "cut the power of 1+2+3",
            "fill the disk of 1+2+3",
            "fill the metadata disk of leader 2",
            "fail the syncs of controller 3",
            "an hour ahead",
            "an hour behind",
            "set the clock of 1+2+3",
            "wipe leader 2",
            "s later",
        ] {
            assert!(names.contains(word), "{word} never occurs in\n{names}");
        }
    }

    #[test]
    fn every_kind_comes_once_before_one_comes_again() {
        for round in faults(9, &all(), true).chunks_exact(all().len()) {
            let first: BTreeSet<FaultKind> = round.iter().filter_map(|fault| fault.kinds.first().copied()).collect();
            assert_eq!(first.len(), all().len(), "{round:?}");
        }
    }

    #[test]
    fn every_node_is_well_again_at_the_end_of_a_fault() {
        for fault in faults(3, &all(), true) {
            for node in &fault.nodes {
                let last = fault.steps.iter().rev().find(|step| step.node == *node).unwrap();
                assert!(last.action.undoes(), "{fault:?}");
            }
            assert!(fault.steps.is_sorted_by_key(|step| step.at), "{fault:?}");
        }
    }

    #[test]
    fn faults_that_overlap_hit_different_nodes_and_one_of_them_at_most_forgets() {
        for fault in faults(5, &all(), true) {
            let different: BTreeSet<i32> = fault.nodes.iter().copied().collect();
            assert_eq!(different.len(), fault.nodes.len(), "{fault:?}");
            assert!(
                fault.kinds.iter().filter(|kind| kind.forgets()).count() <= 1,
                "{fault:?}"
            );
        }
        assert!(
            faults(5, &all(), false)
                .iter()
                .all(|fault| !fault.name.contains("later"))
        );
    }

    #[test]
    fn only_one_node_is_wiped_or_loses_its_power_alone() {
        for fault in faults(6, &[FaultKind::Wipe, FaultKind::Power], true) {
            assert_eq!(fault.nodes.len(), 1, "{fault:?}");
        }
    }
}
