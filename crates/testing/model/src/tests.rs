//! Every interleaving keeps the promises, and each planted bug breaks one.
//!
//! `KLAMM_MODEL_DEPTH=2 cargo test --release -p model -- --nocapture` looks two steps deeper than every run does.

use bugs::Bug;

use crate::{Outcome, Scenario, explore, scenarios};

/// Room for about four gigabytes of states.
const MAX_STATES: usize = 8_000_000;

fn run(scenario: &Scenario, depth: usize) -> Outcome {
    let world = scenario.begin().expect("the script breaks nothing");
    let outcome = explore(world, depth, MAX_STATES);
    println!(
        "{}: {} states, {} steps, {} deep{}",
        scenario.name,
        outcome.states,
        outcome.steps,
        outcome.depth,
        if outcome.complete { ", complete" } else { "" },
    );
    outcome
}

/// How many steps deeper than every run, if the environment says so.
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
fn deeper() -> usize {
    std::env::var("KLAMM_MODEL_DEPTH").map_or(0, |depth| depth.parse().expect("a number of steps"))
}

#[test]
fn no_interleaving_breaks_a_promise() {
    for scenario in scenarios() {
        let depth = scenario.depth + deeper();
        let outcome = run(&scenario, depth);
        assert_eq!(outcome.violation, None, "{}", scenario.name);
        assert!(
            outcome.complete || outcome.depth == depth,
            "{}: too many states",
            scenario.name
        );
    }
}

/// Each is found in some scenario within the depth of every run, and taken for what it breaks.
#[test]
fn every_planted_bug_is_found() {
    for (bug, promises) in [
        (Bug::IgnoreMaximalIsr, ["ACK"].as_slice()),
        (Bug::TruncateByHighWatermark, &["ACK"]),
        (Bug::RiseUnderMinIsr, &["HW-3", "ACK"]),
        (Bug::CountOldStreamsAck, &["ACK"]),
        (Bug::SkipEpochCheck, &["HW-3", "VIS", "ACK"]),
    ] {
        let found = scenarios().iter().find_map(|scenario| {
            // In the script, too.
            bugs::plant(Some(bug));
            let violation = match scenario.begin() {
                Ok(world) => explore(world, scenario.depth, MAX_STATES).violation,
                Err(violation) => Some((violation, Vec::new())),
            };
            bugs::plant(None);
            violation.map(|(violation, way)| (scenario.name, violation, way))
        });
        let (scenario, violation, way) = found.unwrap_or_else(|| panic!("{bug:?} isn't found"));
        println!("{bug:?}: {scenario}, {way:?}: {} {}", violation.id, violation.why);
        assert!(promises.contains(&violation.id), "{bug:?} is taken for {violation:?}");
    }
}
