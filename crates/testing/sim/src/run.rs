//! One run from a seed to a verdict.

use std::collections::BTreeMap;
use std::sync::Once;
use std::sync::atomic::Ordering;
use std::thread;

use crate::clients::{TOPIC, Writer};
use crate::faults::FaultPlan;
use crate::invariants::Violation;
use crate::view::two_votes;
use crate::world::{Scenario, World};
use crate::{entropy, panics};

/// The cluster forms, registers and creates its topic within this.
const FORM_MS: u64 = 20_000;
/// After the last fault everything is in sync again within this.
const SETTLE_MS: u64 = 40_000;

/// Members of the consumer group.
const MEMBERS: i64 = 3;

static WARM: Once = Once::new();

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Hash of everything that happened: the same seed gives the same.
    pub trace: u64,
    /// Events in it.
    pub events: u64,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
    /// Acknowledged records.
    pub acked: u64,
    /// Records read by consumers.
    pub consumed: usize,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// The promise that was broken.
    pub violation: Option<Violation>,
    /// The last events.
    pub tail: Vec<String>,
}

impl Scenario {
    /// What the seed says: most of it differs from seed to seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let pick = |shift: u32, of: u64| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) % of;
        let mut faults = FaultPlan::ALL;
        match pick(20, 6) {
            0 => faults.network = false,
            1 => faults.processes = false,
            _ => {}
        }
        faults.every_ms = 300 + pick(40, 1_500);
        faults.power = pick(50, 3) > 0;
        faults.disks = pick(54, 2) == 0;
        faults.crashes = pick(58, 3) > 0;
        Self {
            seed,
            nodes: 3,
            partitions: 1 + i32::try_from(pick(8, 3)).unwrap_or(0),
            chaos_ms: 8_000 + pick(30, 8_000),
            faults,
            synced: pick(12, 3) == 0,
            churn: pick(16, 2) == 0,
            bug: None,
        }
    }
}

#[cfg(test)]
impl Scenario {
    /// The weather in which a bug shows.
    pub(crate) fn for_bug(bug: bugs::Bug, seed: u64) -> Self {
        use bugs::Bug;
        let scenario = Self::from_seed(seed);
        let faults = FaultPlan {
            every_ms: 700,
            ..FaultPlan::ALL
        };
        match bug {
            Bug::AckBeforeWrite => Self {
                synced: true,
                faults,
                bug: Some(bug),
                ..scenario
            },
            Bug::TruncateByHighWatermark
            | Bug::SkipEpochCheck
            | Bug::VoteWithoutSync
            | Bug::IgnoreMaximalIsr
            | Bug::RiseUnderMinIsr
            | Bug::CountOldStreamsAck
            | Bug::ForgetProducersAtFailover
            | Bug::EqualBootId
            | Bug::TwoVotersOfOneId => Self {
                faults,
                bug: Some(bug),
                ..scenario
            },
        }
    }
}

/// Runs a scenario on a thread of its own.
#[must_use]
pub fn run(scenario: Scenario, kept_lines: usize) -> Report {
    run_with(scenario, kept_lines, chaos)
}

/// Runs a scenario whose middle part is `middle`.
pub(crate) fn run_with(
    scenario: Scenario,
    kept_lines: usize,
    middle: fn(&mut World) -> Result<(), Violation>,
) -> Report {
    // What libraries make once a process, hash maps among it, would otherwise be drawn from the first run's seed.
    WARM.call_once(|| {
        let warming = Scenario {
            chaos_ms: 4_000,
            ..Scenario::from_seed(0)
        };
        let _ = thread::spawn(move || begin(warming, 0, chaos)).join();
    });
    let verdict = thread::scope(|threads| threads.spawn(|| begin(scenario, kept_lines, middle)).join());
    verdict.unwrap_or_else(|panic| Report {
        violation: Some(Violation::new(
            "FAULT",
            format!(
                "the world itself panicked: {:?}",
                panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or(panic.downcast_ref::<&str>().copied())
            ),
        )),
        ..Report::default()
    })
}

fn begin(scenario: Scenario, kept_lines: usize, middle: fn(&mut World) -> Result<(), Violation>) -> Report {
    bugs::plant(scenario.bug);
    entropy::seed_thread(scenario.seed);
    panics::watch_this_thread();
    on_this_thread(scenario, kept_lines, middle)
}

fn on_this_thread(scenario: Scenario, kept_lines: usize, middle: fn(&mut World) -> Result<(), Violation>) -> Report {
    let mut world = match World::new(scenario, kept_lines) {
        Ok(world) => world,
        Err(violation) => {
            return Report {
                violation: Some(violation),
                ..Report::default()
            };
        }
    };
    let outcome = live(&mut world, middle);
    Report {
        trace: world.trace.hash() ^ entropy::fingerprint(),
        events: world.trace.count(),
        virtual_ms: world.now_ms,
        acked: world.history.acked(),
        consumed: world.history.consumed_count(),
        faults: world.faults.clone(),
        violation: outcome.err().map(|Violation { id, why }| Violation {
            id,
            why: why + &describe(&world),
        }),
        tail: world.trace.tail(),
    }
}

fn late(what: &str, _world: &World) -> Violation {
    Violation::new("LIVE", what.to_owned())
}

/// What the world looked like when a promise was broken.
fn describe(world: &World) -> String {
    let image = crate::view::newest_image(&world.views());
    let brokers: Vec<String> = image
        .iter()
        .flat_map(|image| image.brokers())
        .map(|broker| format!("{} epoch {} fenced {}", broker.id, broker.epoch, broker.fenced))
        .collect();
    let partitions: Vec<String> = image
        .iter()
        .flat_map(|image| {
            crate::view::event_partitions(image)
                .into_iter()
                .map(|id| (id, image.partition(id)))
        })
        .map(|(id, partition)| format!("{id}: {partition:?}"))
        .collect();
    let replicas: Vec<String> = world
        .views()
        .iter()
        .flat_map(|view| {
            view.replicas
                .values()
                .map(|replica| format!("{replica:?}"))
                .collect::<Vec<_>>()
        })
        .collect();
    let leaders: Vec<String> = world
        .views()
        .iter()
        .map(|view| {
            let leadership = view.quorum.as_ref().map(|quorum| quorum.leadership().borrow().clone());
            let at = view.applied.as_ref().map(|applied| applied.offset);
            format!("node {}: {leadership:?}, applied {at:?}", view.node)
        })
        .collect();
    format!("\n  brokers {brokers:?}\n  quorum {leaders:#?}\n  partitions {partitions:#?}\n  replicas {replicas:#?}")
}

/// The story of every run: a cluster forms, is written to while `middle` happens, and comes to rest.
fn live(world: &mut World, middle: fn(&mut World) -> Result<(), Violation>) -> Result<(), Violation> {
    let scenario = world.scenario;
    let (clients, seed) = (world.clients.clone(), world.seed());
    let configs = [("segment.ms", "1500".to_owned())];
    world.spawn(async move {
        let _ = clients
            .create_topic(seed, TOPIC, scenario.partitions, &configs, None)
            .await;
    });
    if !world.run_until(FORM_MS, World::all_in_sync)? {
        return Err(late("no cluster with its topic came about", world));
    }
    world.trace.event(world.now_ms, format_args!("the topic is there"));
    start_clients(world);
    if scenario.churn {
        let (clients, seed) = (world.clients.clone(), world.seed());
        world.spawn(clients.churn(seed));
    }
    middle(world)?;
    world.end_chaos();
    world.run_for(1_000)?;
    let before = world.history.acked();
    world.trace.event(
        world.now_ms,
        format_args!("the chaos is over, {before} records acknowledged"),
    );
    if !world.run_until(SETTLE_MS, |world| world.all_in_sync() && world.history.acked() > before)? {
        return Err(late("the cluster did not recover", world));
    }
    world.clients.stop.store(true, Ordering::Relaxed);
    if !world.run_until(SETTLE_MS, |world| world.writing() == 0 && world.is_settled())? {
        return Err(late("the cluster did not come to rest", world));
    }
    if !world.run_until(SETTLE_MS, World::is_consumed)? {
        let answered = world.history.offsets_answered();
        return Err(late(
            &format!("the group did not read everything: it has {answered:?}"),
            world,
        ));
    }
    if !world.run_until(SETTLE_MS, |world| two_votes(&world.views()).is_none())? {
        let votes = two_votes(&world.views()).unwrap_or_default();
        return Err(Violation::new("META", format!("a node keeps two votes, {votes}")));
    }
    world.look()?;
    world.invariants.check_history(&world.history)
}

/// Producers, lone consumers, and a group.
fn start_clients(world: &mut World) {
    let partitions = world.scenario.partitions;
    for partition in 0..partitions {
        for (at, idempotent) in [(0, true), (1, true), (2, false)] {
            let writer = Writer {
                id: 1_000 + i64::from(partition) * 10 + at,
                partition,
                idempotent,
                seed: world.seed(),
            };
            world.spawn(world.clients.clone().write(writer));
        }
        let (clients, seed) = (world.clients.clone(), world.seed());
        world.spawn(clients.read(i64::from(partition), partition, seed));
    }
    let (clients, seed) = (world.clients.clone(), world.seed());
    let members: Vec<(i64, u64)> = (1..=MEMBERS).map(|name| (name, world.seed())).collect();
    let handle = world.client_handle();
    world.spawn(async move {
        clients.clone().found_group(partitions, seed).await;
        for (name, seed) in members {
            handle.spawn(clients.clone().join(name, seed));
        }
    });
}

/// Faults as the plan draws them.
pub(crate) fn chaos(world: &mut World) -> Result<(), Violation> {
    let until = world.now_ms + world.scenario.chaos_ms;
    world.run_for(500)?;
    if world.scenario.faults == FaultPlan::NONE {
        return world.run_for(world.scenario.chaos_ms);
    }
    while world.now_ms < until {
        let pause = world.draw_fault()?;
        world.run_for(pause)?;
    }
    Ok(())
}
