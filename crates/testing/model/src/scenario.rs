//! Where a search begins, and what may happen in it.

use crate::checks::Violation;
use crate::moves::Step;
use crate::node::Settings;
use crate::world::{Budget, World};

/// A state to begin at and a budget.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// For people.
    pub name: &'static str,
    /// `min.insync.replicas`.
    pub min_isr: usize,
    /// Whether the topic syncs before it acknowledges.
    pub flush: bool,
    /// What happened before.
    pub script: Vec<Step>,
    /// What may happen.
    pub budget: Budget,
    /// How deep every run of the tests looks.
    pub depth: usize,
}

const PLENTY: Budget = Budget {
    appends: 100,
    kills: 100,
    power_cuts: 100,
    fences: 100,
    breaks: 100,
    ticks: 100,
    resends: 100,
    cuts: 100,
    elections: 100,
};

impl Scenario {
    /// The state after the script.
    ///
    /// # Errors
    /// When the script breaks a promise, or a step of it can't happen.
    pub fn begin(&self) -> Result<World, Violation> {
        let settings = Settings {
            min_isr: self.min_isr,
            flush: self.flush,
        };
        let mut world = World::new(settings, PLENTY)?;
        for step in &self.script {
            world = world
                .after(*step)?
                .ok_or_else(|| Violation::new("MODEL", format!("{}: {step:?} can't happen", self.name)))?;
        }
        world.budget = self.budget;
        Ok(world)
    }
}

/// Node 0 leads, 1 and 2 follow it.
pub(crate) fn following() -> Vec<Step> {
    vec![Step::Follow(0), Step::Follow(0)]
}

/// As [`following`], and one record is everywhere and visible.
fn steady() -> Vec<Step> {
    let mut script = following();
    script.extend([
        Step::Append(0),
        Step::Push(0, 1),
        Step::Push(0, 2),
        Step::Ack(0),
        Step::Ack(0),
    ]);
    script
}

/// As [`steady`], and node 2, which lacks a second record, has left the ISR.
fn one_out() -> Vec<Step> {
    let mut script = steady();
    script.extend([
        Step::Append(0),
        Step::Push(0, 1),
        Step::Ack(0),
        Step::Tick(0),
        Step::Alter(0),
        Step::Learn(0),
    ]);
    script
}

/// As [`steady`], a second record is everywhere and not visible, and node 2's acknowledgement of it is on its way.
fn unseen_acknowledgement() -> Vec<Step> {
    let mut script = steady();
    script.extend([Step::Append(0), Step::Push(0, 1), Step::Push(0, 2), Step::Ack(0)]);
    script
}

/// Where searches begin, with as much as may happen in them.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    let none = Budget::default();
    let of = |name, script, depth, budget| Scenario {
        name,
        min_isr: 2,
        flush: false,
        script,
        budget,
        depth,
    };
    let all_in_sync = Budget {
        appends: 1,
        kills: 1,
        fences: 1,
        ticks: 1,
        ..none
    };
    let streams_break = Budget {
        appends: 2,
        breaks: 2,
        ..none
    };
    let a_replica_joins = Budget {
        appends: 1,
        fences: 1,
        resends: 1,
        ..none
    };
    let deposed = Budget {
        appends: 1,
        kills: 1,
        elections: 1,
        ..none
    };
    let power_fails = Budget {
        appends: 1,
        power_cuts: 2,
        fences: 1,
        ..none
    };
    let power_fails_once = Budget {
        power_cuts: 1,
        ticks: 1,
        ..none
    };
    let controllers_die = Budget {
        appends: 1,
        kills: 1,
        fences: 1,
        cuts: 2,
        ..none
    };
    let more = [steady(), vec![Step::Append(0), Step::Fence(0, false)]].concat();
    vec![
        of("all in sync", steady(), 8, all_in_sync),
        of("streams break", steady(), 12, streams_break),
        of("a replica joins", one_out(), 10, a_replica_joins),
        of("a leader with more is deposed", more, 8, deposed),
        of("power fails, unsynced", steady(), 7, power_fails),
        of(
            "a follower's power fails",
            unseen_acknowledgement(),
            10,
            power_fails_once,
        ),
        of("controllers die", steady(), 7, controllers_die),
        Scenario {
            flush: true,
            ..of("power fails, synced", following(), 8, power_fails)
        },
        Scenario {
            min_isr: 1,
            ..of("one is enough", one_out(), 8, all_in_sync)
        },
    ]
}
