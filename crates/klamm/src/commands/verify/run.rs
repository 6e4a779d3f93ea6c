//! One run: topic, clients, faults, the end of everything in good order, and what it all amounts to.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use history::{Event, ReaderKind};

use super::chaos::{Injecting, Injector};
use super::consumers::Consumers;
use super::final_reader::{note_ends, read_back};
use super::group_members::{GroupMembers, note_committed};
use super::history_file::HISTORY_FILE;
use super::plan::Plan;
use super::producers::Producers;
use super::recorder::{Recorded, Recorder, Recording};
use crate::commands::cluster_state::ClusterState;
use crate::commands::progress::{Progress, thousands};
use crate::stop_signal::StopSignal;

/// How long readers and groups may take to reach the end when all is written and the cluster is whole.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// When a run has had enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Enough {
    pub(super) duration: Option<Duration>,
    pub(super) records: Option<u64>,
    /// After all faults, so many as there are.
    pub(super) faults: Option<u32>,
}

/// What a run needs besides its plan.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) seed: u64,
    pub(super) replication_factor: Option<i16>,
    pub(super) enough: Enough,
    pub(super) whole_within: Duration,
    pub(super) state: ClusterState,
    pub(super) out: &'a Path,
    pub(super) stop: &'a StopSignal,
}

impl Run<'_> {
    /// Runs to its end. `injector` makes the faults, if there shall be any.
    pub(super) fn run(
        &self,
        progress: &mut Progress,
        injector: impl FnOnce(&Recorder) -> Result<Option<Injector>>,
    ) -> Result<Recorded> {
        let plan = self.plan;
        let (recorder, recording) = Recorder::start(&self.out.join(HISTORY_FILE), plan)?;
        recorder.record(self.begin());
        self.state.create_topic(
            &plan.topic,
            plan.partitions,
            self.replication_factor,
            &plan.topic_configs,
        )?;
        let brokers = self.state.brokers()?.len();
        let stopped = || self.stop.requested();
        self.state
            .wait_until_whole(&[&plan.topic], brokers, self.whole_within, stopped)
            .with_context(|| format!("topic {} was created, but the cluster is not whole", plan.topic))?;
        let consumers = Consumers::start(plan, &recorder, 0)?;
        let members = GroupMembers::start(plan, &recorder, plan.consumers)?;
        let producers = Producers::start(plan, &recorder, self.seed)?;
        let chaos = injector(&recorder)?.map(Injector::start).transpose()?;
        self.watch(progress, &recording, chaos.as_ref(), &producers)?;

        progress.say("sending ends; waiting until everything is answered and the cluster is whole …");
        if let Some(chaos) = chaos {
            chaos.finish()?;
        }
        producers.finish()?;
        let never = || false;
        if let Err(error) = self
            .state
            .wait_until_whole(&[&plan.topic], brokers, self.whole_within, never)
        {
            let what = format!("at the end: {error:#}");
            recorder.record(Event::Stalled { what });
        }
        progress.say("reading everything back …");
        members.settle();
        self.read_back(&recorder, &consumers, &members)?;
        consumers.finish(&recorder)?;
        members.finish(&recorder)?;
        recording.finish()
    }

    fn begin(&self) -> Event {
        let plan = self.plan;
        let mut readers = vec![ReaderKind::Assigned; usize::from(plan.consumers)];
        for group in 0..plan.groups {
            readers.extend(vec![ReaderKind::Member { group }; usize::from(plan.members)]);
        }
        readers.push(ReaderKind::Final);
        Event::Begin {
            run: plan.run,
            partitions: plan.partitions,
            producers: plan.producers,
            groups: plan.groups,
            readers,
        }
    }

    /// Until enough was sent, or time is over, or all faults were, or somebody has had enough.
    fn watch(
        &self,
        progress: &mut Progress,
        recording: &Recording,
        chaos: Option<&Injecting>,
        producers: &Producers,
    ) -> Result<()> {
        let began = Instant::now();
        loop {
            let done = self.done(began.elapsed(), recording);
            let counters = &recording.counters;
            let acked = counters.acked.load(Ordering::Relaxed);
            progress.show(done, acked, |rate| {
                format!(
                    "{} acknowledged ({rate:.0}/s), {} failed, {} read, {} faults",
                    thousands(acked),
                    counters.failed.load(Ordering::Relaxed),
                    thousands(counters.read.load(Ordering::Relaxed)),
                    counters.faults.load(Ordering::Relaxed),
                )
            });
            if done >= 1.0 || self.stop.requested() || chaos.is_some_and(Injecting::is_finished) {
                return Ok(());
            }
            if recording.is_finished() || producers.any_ended() {
                // Whoever ended too early says why when it is waited for.
                return Ok(());
            }
            self.stop.wait(LOOK);
        }
    }

    /// How much of the run is over, from 0 to 1.
    fn done(&self, elapsed: Duration, recording: &Recording) -> f64 {
        let part = |now: f64, all: f64| if all > 0.0 { now / all } else { 1.0 };
        let counters = &recording.counters;
        let enough = self.enough;
        let by_time = enough
            .duration
            .map(|duration| part(elapsed.as_secs_f64(), duration.as_secs_f64()));
        let acked = counters.acked.load(Ordering::Relaxed) as f64;
        let by_records = enough.records.map(|records| part(acked, records as f64));
        // The injector itself says when the last one is over.
        let faults = counters.faults.load(Ordering::Relaxed) as f64;
        let by_faults = enough.faults.map(|all| part(faults, f64::from(all)).min(0.99));
        [by_time, by_records, by_faults]
            .into_iter()
            .flatten()
            .fold(0.0, f64::max)
    }

    fn read_back(&self, recorder: &Recorder, consumers: &Consumers, members: &GroupMembers) -> Result<()> {
        let plan = self.plan;
        let final_reader = plan.consumers + plan.groups * plan.members;
        let ends = match note_ends(plan, recorder) {
            Ok(ends) => ends,
            Err(error) => {
                let what = format!("at the end: {error:#}");
                recorder.record(Event::Stalled { what });
                return Ok(());
            }
        };
        read_back(plan, recorder, final_reader, &ends)?;
        let deadline = Instant::now() + CATCH_UP_WITHIN;
        loop {
            let behind = consumers.behind(&ends).or_else(|| members.behind(&ends));
            let Some(behind) = behind else { break };
            if Instant::now() > deadline {
                let what = format!("{} s after the end {behind}", CATCH_UP_WITHIN.as_secs());
                recorder.record(Event::Stalled { what });
                break;
            }
            std::thread::park_timeout(LOOK);
        }
        note_committed(plan, recorder)
    }
}

/// Refuses what can't be.
pub(super) fn check_plan(plan: &Plan) -> Result<()> {
    let readers = u32::from(plan.consumers) + u32::from(plan.groups) * u32::from(plan.members) + 1;
    if readers > u32::from(u16::MAX) {
        bail!("{readers} readers are too many");
    }
    Ok(())
}
