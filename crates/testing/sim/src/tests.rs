//! The simulation's tests: one slice of the way, determinism, and many seeds.

use bugs::Bug;

use crate::faults::{Fault, FaultPlan};
use crate::invariants::Violation;
use crate::run::{Report, chaos, run, run_with};
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
        bug: None,
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
/// 125 leaders that were frozen while others took over; 23 a batch that overtook its predecessor at a failover; 150 a change
/// of voters that its leader didn't live to end; 89 a restarted leader that knew only the last of five batches in flight;
/// 398 a checker that read from a disk which didn't; 23225 a third batch that overtook two that had just been refused.
#[test]
fn seeds_that_once_failed_keep_the_promises() {
    start_log();
    for seed in [6, 8, 15, 23, 27, 32, 61, 89, 90, 125, 150, 398, 20_411, 21_366, 23_225] {
        let mut scenario = Scenario::from_seed(seed);
        scenario.faults.crashes = false;
        assert_kept(seed, &run(scenario, 60));
    }
}

/// The scripts find nothing where there is no bug.
#[test]
fn the_scripts_break_no_promise() {
    start_log();
    for (bug, seed) in [(Bug::AckBeforeWrite, 1), (Bug::AckBeforeWrite, 2)] {
        let scenario = Scenario {
            bug: None,
            ..Scenario::for_bug(bug, seed)
        };
        assert_kept(seed, &run_with(scenario, 60, middle_for(bug)));
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

/// How many seeds are looked at, with room beyond what has been enough, and which promises the bug may break: what isn't
/// found then is a checker gone blind.
fn look_for(bug: Bug) -> (u64, &'static [&'static str]) {
    match bug {
        Bug::TruncateByHighWatermark | Bug::AckBeforeWrite => (60, &["ACK", "VIS", "HW-1", "HW-2", "HW-3"]),
        // One seed of 36 finds it: a power cut of a whole ISR with something unsynced.
        Bug::EqualBootId => (240, &["ACK", "VIS", "HW-1", "HW-2", "HW-3"]),
        // What counts for one follower is missing for another, which never joins.
        Bug::CountOldStreamsAck => (60, &["ACK", "VIS", "HW-1", "HW-2", "HW-3", "LIVE"]),
        Bug::SkipEpochCheck => (60, &["ACK", "VIS", "HW-1", "HW-2", "HW-3", "FAULT", "LIVE"]),
        Bug::VoteWithoutSync => (120, &["META", "FAULT"]),
        Bug::IgnoreMaximalIsr => (120, &["ACK", "VIS", "HW-3"]),
        Bug::RiseUnderMinIsr => (60, &["HW-3"]),
        Bug::ForgetProducersAtFailover => (60, &["ACK", "IDEM"]),
        // A change of voters doesn't end beside a directory that nobody answers for; with worse luck two leaders commit.
        Bug::TwoVotersOfOneId => (60, &["META", "LIVE"]),
    }
}

/// What happens while a bug is looked for: the seed's faults, or a script where those would need too many seeds.
fn middle_for(bug: Bug) -> fn(&mut World) -> Result<(), Violation> {
    match bug {
        Bug::AckBeforeWrite => cut_power_while_disks_stall,
        Bug::TruncateByHighWatermark
        | Bug::SkipEpochCheck
        | Bug::VoteWithoutSync
        | Bug::IgnoreMaximalIsr
        | Bug::RiseUnderMinIsr
        | Bug::CountOldStreamsAck
        | Bug::ForgetProducersAtFailover
        | Bug::EqualBootId
        | Bug::TwoVotersOfOneId => chaos,
    }
}

/// Whatever is acknowledged while nothing can be synced is lost.
fn cut_power_while_disks_stall(world: &mut World) -> Result<(), Violation> {
    for _ in 0..3 {
        world.run_for(1_000)?;
        for node in 1..=3 {
            world.inflict(Fault::DiskStall(node, 400))?;
        }
        world.run_for(300)?;
        world.inflict(Fault::PowerCut((1..=3).map(|node| (node, 100)).collect()))?;
        world.run_for(3_000)?;
    }
    Ok(())
}

#[test]
fn every_deliberate_bug_is_found() {
    start_log();
    let mut missed = Vec::new();
    // Not found within a bearable number of seeds: the window between the commit of a larger ISR and the leader's learning of it
    // is a few milliseconds wide. crates/testing/model finds it, where no time passes.
    for bug in Bug::ALL.into_iter().filter(|bug| *bug != Bug::IgnoreMaximalIsr) {
        let (seeds, promises) = look_for(bug);
        let found = (1..=seeds).find_map(|seed| {
            let scenario = Scenario::for_bug(bug, seed);
            let report = run_with(scenario, 1, middle_for(bug));
            report.violation.map(|violation| (seed, violation))
        });
        println!(
            "{bug:?}: {:?}",
            found.as_ref().map(|(seed, violation)| (seed, violation.id))
        );
        if found.is_none_or(|(_, violation)| !promises.contains(&violation.id)) {
            missed.push(bug);
        }
    }
    assert!(missed.is_empty(), "not found, or taken for something else: {missed:?}");
}
