//! The thread that goes by the schedule: a fault, the wait until the cluster is whole again, a pause, the next fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use history::Event;

use super::fault::{Fault, FaultKind, Roles};
use super::nodes::Nodes;
use super::schedule::Schedule;
use crate::commands::cluster_state::ClusterState;
use crate::commands::duration::deadline_in;
use crate::commands::verify::group_members::note_committed;
use crate::commands::verify::plan::Plan;
use crate::commands::verify::recorder::Recorder;

/// Between two looks at the flag that ends it.
const LOOK: Duration = Duration::from_millis(50);
/// Kafka's name of the groups' log.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// What the injector is told.
pub(crate) struct Injector {
    pub(crate) nodes: Box<dyn Nodes>,
    pub(crate) schedule: Schedule,
    pub(crate) state: ClusterState,
    pub(crate) plan: Plan,
    pub(crate) recorder: Recorder,
    /// From the cluster's being whole to the next fault.
    pub(crate) every: Duration,
    pub(crate) whole_within: Duration,
    /// Ends after so many faults.
    pub(crate) faults: Option<u32>,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Injecting {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Injecting {
    /// Whether all faults have been, or one couldn't be done.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it: a fault that lasts is taken back first.
    pub(crate) fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the injector panicked"))
    }
}

impl Injector {
    /// Begins.
    pub(crate) fn start(self) -> Result<Injecting> {
        let stop = Arc::<AtomicBool>::default();
        let own = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("chaos".to_owned())
            .spawn(move || self.run(&own))?;
        Ok(Injecting { stop, thread })
    }

    fn run(mut self, stop: &AtomicBool) {
        let mut count = 0;
        while self.faults.is_none_or(|faults| count < faults) {
            if wait(self.every, stop) {
                return;
            }
            let Some(fault) = self.draw() else { return };
            if let Err(error) = self.inject(count, &fault, stop) {
                let what = format!("fault {count} ({}) couldn't be done: {error:#}", fault.name);
                self.recorder.record(Event::Stalled { what });
                return;
            }
            if !self.is_whole(count, &fault, stop) {
                return;
            }
            count += 1;
        }
    }

    fn draw(&mut self) -> Option<Fault> {
        let partition = self.schedule.partition(self.plan.partitions);
        let group = self.plan.group(self.schedule.group(self.plan.groups));
        let roles = Roles {
            nodes: self.nodes.ids(),
            leader: self.state.leader(&self.plan.topic, partition).ok(),
            controller: self.state.active_controller().ok(),
            coordinator: self.state.coordinator(&group).ok(),
            metadata_disks: self.nodes.metadata_disks(),
        };
        self.schedule.next(&roles)
    }

    /// Takes all steps, each at its time; asked to stop, it takes back at once what it did.
    fn inject(&mut self, number: u32, fault: &Fault, stop: &AtomicBool) -> Result<()> {
        self.recorder.record(Event::FaultBegan {
            fault: number,
            name: fault.name.clone(),
            kinds: fault.kinds.iter().copied().map(FaultKind::name).collect(),
        });
        let began = Instant::now();
        let mut outcome = Ok(());
        for step in &fault.steps {
            let early = wait(step.at.saturating_sub(began.elapsed()), stop);
            let undoes = step.action.undoes();
            if !undoes && (early || outcome.is_err()) {
                continue;
            }
            match self.nodes.act(step.action, step.node) {
                // What wasn't hurt any more can't be healed.
                Err(_) if early && undoes => {}
                Err(error) if outcome.is_ok() => outcome = Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        self.recorder.record(Event::FaultEnded { fault: number });
        outcome
    }

    fn is_whole(&mut self, number: u32, fault: &Fault, stop: &AtomicBool) -> bool {
        if let Some(what) = self.nodes.ended_by_itself() {
            self.recorder.record(Event::Stalled { what });
            return false;
        }
        let topics = [self.plan.topic.as_str(), OFFSETS_TOPIC];
        let brokers = self.nodes.ids().len();
        let asked = || stop.load(Ordering::Relaxed);
        match self.state.wait_until_whole(&topics, brokers, self.whole_within, asked) {
            Ok(()) => self.recorder.record(Event::Whole { fault: number }),
            // The run's end waits for it again.
            Err(_) if asked() => return true,
            Err(error) => {
                let what = format!("after fault {number} ({}): {error:#}", fault.name);
                self.recorder.record(Event::Stalled { what });
                return false;
            }
        }
        // Now that nobody is left who could tell of the past.
        if let Err(error) = note_committed(&self.plan, &self.recorder) {
            let text = format!("the committed offsets couldn't be asked for: {error:#}");
            self.recorder.record(Event::Note { text });
        }
        self.goes_on(number, fault, stop)
    }

    /// Whether every client achieves something now that the cluster is whole.
    fn goes_on(&self, number: u32, fault: &Fault, stop: &AtomicBool) -> bool {
        let before = self.recorder.counters.achieved();
        let deadline = deadline_in(self.whole_within);
        while let Some(idle) = self.recorder.counters.idle_since(&before) {
            if wait(LOOK, stop) {
                // The run's end finds out who still waits.
                return true;
            }
            if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                let within = self.whole_within.as_secs();
                let what = format!(
                    "after fault {number} ({}) the cluster was whole, but {idle} for {within} s",
                    fault.name
                );
                self.recorder.record(Event::Stalled { what });
                return false;
            }
        }
        true
    }
}

/// True if it was asked to stop meanwhile.
fn wait(time: Duration, stop: &AtomicBool) -> bool {
    let until = deadline_in(time);
    loop {
        if stop.load(Ordering::Relaxed) {
            return true;
        }
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return false;
        }
        std::thread::park_timeout(left.min(LOOK));
    }
}
