//! What a measurement costs: CPU of the brokers, of the client and of everybody else, and the brokers' memory meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::processes::{children_seconds, cpu_seconds, machine_seconds, rss_bytes};

/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(200);
/// Brokers are at rest when all of them together use less than this of a core …
const REST_CORES: f64 = 0.15;
/// … and so is the machine when others use less than this, …
const QUIET_CORES: f64 = 0.6;
/// … over this time.
const WINDOW: Duration = Duration::from_secs(1);
/// How long to wait for rest; what is measured afterwards says itself how quiet it was.
pub(super) const REST_WITHIN: Duration = Duration::from_secs(30);

/// CPU times at one moment.
#[derive(Debug, Clone, Copy)]
struct Times {
    at: Instant,
    brokers: f64,
    client: f64,
    machine: f64,
}

impl Times {
    fn now(pids: &[u32]) -> anyhow::Result<Self> {
        let brokers = pids.iter().map(|pid| cpu_seconds(*pid));
        Ok(Self {
            at: Instant::now(),
            brokers: brokers.sum::<anyhow::Result<f64>>()?,
            client: children_seconds()?,
            machine: machine_seconds()?,
        })
    }
}

/// What it cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) seconds: f64,
    pub(super) broker_cpu: f64,
    pub(super) client_cpu: f64,
    /// Cores that others used.
    pub(super) others: f64,
    /// Bytes of the largest broker, at most.
    pub(super) rss: f64,
}

/// A measurement that goes on.
#[derive(Debug)]
pub(super) struct Meter {
    pids: Vec<u32>,
    began: Times,
    watching: Arc<AtomicBool>,
    watcher: JoinHandle<f64>,
}

impl Meter {
    /// From now on.
    pub(super) fn start(pids: &[u32]) -> anyhow::Result<Self> {
        let watching = Arc::new(AtomicBool::new(true));
        let (flag, watched) = (Arc::clone(&watching), pids.to_vec());
        let watcher = std::thread::Builder::new().name("memory".to_owned()).spawn(move || {
            let mut most = 0.0;
            loop {
                most = watched
                    .iter()
                    .filter_map(|pid| rss_bytes(*pid).ok())
                    .fold(most, f64::max);
                if !flag.load(Ordering::Relaxed) {
                    return most;
                }
                std::thread::park_timeout(LOOK);
            }
        })?;
        Ok(Self {
            pids: pids.to_vec(),
            began: Times::now(pids)?,
            watching,
            watcher,
        })
    }

    /// Until now.
    pub(super) fn finish(self) -> anyhow::Result<Cost> {
        let ended = Times::now(&self.pids)?;
        self.watching.store(false, Ordering::Relaxed);
        self.watcher.thread().unpark();
        let rss = self
            .watcher
            .join()
            .map_err(|_| anyhow!("the watch of the memory broke"))?;
        Ok(cost(&self.began, &ended, rss))
    }
}

fn cost(began: &Times, ended: &Times, rss: f64) -> Cost {
    let seconds = (ended.at - began.at).as_secs_f64();
    let (broker_cpu, client_cpu) = (ended.brokers - began.brokers, ended.client - began.client);
    let others = (ended.machine - began.machine - broker_cpu - client_cpu) / seconds.max(1e-9);
    Cost {
        seconds,
        broker_cpu,
        client_cpu,
        others: others.max(0.0),
        rss,
    }
}

/// Waits until the brokers have nothing left to do and nobody else has much, or long enough; gives the seconds until rest began.
pub(super) fn wait_for_rest(pids: &[u32], within: Duration) -> anyhow::Result<f64> {
    let start = Instant::now();
    loop {
        let began = Times::now(pids)?;
        wait(WINDOW);
        let cost = cost(&began, &Times::now(pids)?, 0.0);
        let is_rest = cost.broker_cpu / cost.seconds < REST_CORES && cost.others < QUIET_CORES;
        if is_rest || start.elapsed() > within {
            return Ok((began.at - start).as_secs_f64());
        }
    }
}

/// Lets time pass.
pub(super) fn wait(time: Duration) {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_neither_brokers_nor_client_used_belongs_to_others() {
        let began = Times {
            at: Instant::now(),
            brokers: 1.0,
            client: 2.0,
            machine: 10.0,
        };
        let ended = Times {
            at: began.at + Duration::from_secs(2),
            brokers: 2.5,
            client: 2.5,
            machine: 13.0,
        };
        let cost = cost(&began, &ended, 7.0);
        assert_eq!((cost.broker_cpu, cost.client_cpu, cost.others), (1.5, 0.5, 0.5));
        assert_eq!((cost.seconds, cost.rss), (2.0, 7.0));
    }

    #[test]
    fn a_meter_sees_the_memory_of_what_it_watches() {
        let meter = Meter::start(&[std::process::id()]).unwrap();
        let cost = meter.finish().unwrap();
        assert!(cost.rss > 100_000.0 && cost.seconds >= 0.0, "{cost:?}");
    }
}
