//! The simulation's tests: one slice of the way, determinism, and many seeds.

use crate::faults::FaultPlan;
use crate::invariants::Violation;
use crate::run::{Report, run, run_with};
use crate::world::{Scenario, World};

fn calm(seed: u64) -> Scenario {
    Scenario {
        seed,
        nodes: 3,
        partitions: 1,
        chaos_ms: 3_000,
        faults: FaultPlan::NONE,
        synced: false,
        churn: false,
    }
}

#[expect(clippy::disallowed_methods, reason = "how a seed is run again")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "how a seed is looked at")]
fn start_log() {
    if let Ok(filter) = std::env::var("KLAMM_SIM_LOG") {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
            .without_time()
            .with_ansi(false)
            .with_writer(std::io::stderr)
            .try_init();
    }
}

fn assert_kept(seed: u64, report: &Report) {
    if let Some(Violation { id, why }) = &report.violation {
        panic!(
            "seed {seed} breaks {id}: {why}\n{}\nrun it again with KLAMM_SIM_SEED={seed} cargo test -p sim one_seed -- \
             --nocapture (KLAMM_SIM_LOG=debug for the nodes' logs)",
            report.tail.join("\n")
        );
    }
}

#[test]
fn a_killed_leader_is_replaced_and_nothing_acknowledged_is_lost() {
    start_log();
    let report = run_with(calm(1), 0, |world: &mut World| {
        world.run_for(1_000)?;
        let leader = world.leader_of(0).unwrap_or(1);
        world.kill(leader, 1_500)?;
        world.run_for(4_000)
    });
    assert_kept(1, &report);
    assert!(report.acked > 50 && report.consumed > 50, "{report:?}");
}

#[test]
fn a_calm_cluster_acknowledges_steadily_whether_synced_or_not() {
    start_log();
    for synced in [false, true] {
        let report = run(Scenario { synced, ..calm(2) }, 0);
        assert_kept(2, &report);
        // Three writers that pause 60 ms on average, two records a batch, three seconds.
        assert!(report.acked > 100, "synced {synced}: {report:?}");
    }
}

#[test]
fn one_seed_twice_gives_the_same_trace() {
    start_log();
    for seed in [3, 4] {
        let first = run(Scenario::from_seed(seed), 0);
        let second = run(Scenario::from_seed(seed), 0);
        assert_eq!(first, second);
    }
}

/// What each found: 15, 27 and 32 a power cut that took a partition's whole directory unnoticed; 8 a restarted broker that
/// led again in old epochs; 6 a truncation that never ended; 61 a dead stream that ended its successor's follow; 90 and
/// 125 leaders that were frozen while others took over.
#[test]
fn seeds_that_once_failed_keep_the_promises() {
    start_log();
    for seed in [6, 8, 15, 27, 32, 61, 90, 125] {
        assert_kept(seed, &run(Scenario::from_seed(seed), 60));
    }
}

#[test]
fn one_seed() {
    start_log();
    let seed = number("KLAMM_SIM_SEED").unwrap_or(7);
    let started = std::time::Instant::now();
    let report = run(Scenario::from_seed(seed), 4_000);
    println!(
        "seed {seed}: trace {:016x}, {} ms, {} virtual, {} acked, {} consumed, {} events",
        report.trace,
        started.elapsed().as_millis(),
        report.virtual_ms,
        report.acked,
        report.consumed,
        report.events
    );
    assert_kept(seed, &report);
}

#[test]
fn seeds() {
    start_log();
    let first = number("KLAMM_SIM_FIRST").unwrap_or(1);
    let count = number("KLAMM_SIM_SEEDS").unwrap_or(300);
    let (mut broken, mut acked) = (Vec::new(), 0);
    for seed in first..first + count {
        let report = run(Scenario::from_seed(seed), 60);
        acked += report.acked;
        if let Some(violation) = report.violation {
            println!("seed {seed} breaks {}: {}", violation.id, violation.why);
            println!("{}", report.tail.join("\n"));
            broken.push((seed, violation.id));
        }
    }
    println!("{count} seeds from {first}, {acked} records acknowledged");
    assert!(
        broken.is_empty(),
        "seeds {broken:?}: run one again with KLAMM_SIM_SEED=… cargo test -p sim one_seed"
    );
}
