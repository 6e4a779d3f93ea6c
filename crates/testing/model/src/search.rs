//! Breadth first, every state once.
//!
//! States are told apart by 64 bits of hash: of a few million states a collision, which would hide one of them, is one in a
//! million runs.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use crate::checks::Violation;
use crate::fingerprint::AlreadyHashed;
use crate::moves::Step;
use crate::world::World;

/// What a search found.
#[derive(Debug)]
pub struct Outcome {
    /// States seen.
    pub states: usize,
    /// Steps taken, those that led to known states included.
    pub steps: usize,
    /// How many steps deep everything was seen.
    pub depth: usize,
    /// Nothing is left to happen: deeper, there is nothing.
    pub complete: bool,
    /// The first violation, with the way to it.
    pub violation: Option<(Violation, Vec<Step>)>,
}

/// Takes every order of steps from `start`, at most `depth` of them, and while fewer than `max_states` states were seen.
#[must_use]
pub fn explore(start: World, depth: usize, max_states: usize) -> Outcome {
    let mut outcome = Outcome {
        states: 1,
        steps: 0,
        depth: 0,
        complete: false,
        violation: None,
    };
    let mut seen: HashSet<u64, BuildHasherDefault<AlreadyHashed>> = HashSet::default();
    seen.insert(start.fingerprint());
    // Where each state came from, for the way back.
    let mut origins: Vec<(usize, Step)> = vec![(0, Step::ElectPreferred)];
    let mut frontier = vec![(0_usize, start)];
    while outcome.depth < depth {
        let mut next = Vec::new();
        for (at, world) in frontier {
            for step in world.steps() {
                outcome.steps += 1;
                match world.after(step) {
                    Err(violation) => {
                        let mut way = way_to(&origins, at);
                        way.push(step);
                        outcome.violation = Some((violation, way));
                        return outcome;
                    }
                    Ok(Some(after)) if seen.insert(after.fingerprint()) => {
                        next.push((origins.len(), after));
                        origins.push((at, step));
                        outcome.states += 1;
                    }
                    Ok(_) => {}
                }
            }
            if outcome.states > max_states {
                return outcome;
            }
        }
        outcome.depth += 1;
        frontier = next;
        if frontier.is_empty() {
            outcome.complete = true;
            return outcome;
        }
    }
    outcome
}

fn way_to(origins: &[(usize, Step)], mut at: usize) -> Vec<Step> {
    let mut way = Vec::new();
    while at > 0 {
        let (from, step) = origins[at];
        way.push(step);
        at = from;
    }
    way.reverse();
    way
}
