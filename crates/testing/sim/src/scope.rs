//! One process's tasks: a seeded single-threaded runtime with paused time of its own.
//!
//! A runtime a process, because killing a process must end all of its tasks at once, and tokio offers that for a
//! runtime only: dropping it drops every task where it awaits, and what the parts spawn with `tokio::spawn` lands in it.
//! The world runs the runtimes one after the other on one thread, a slice of virtual time each. No message takes less than
//! a slice to arrive, so that nobody can hear of something before its own time has come (conservative lookahead).

use std::io;

use tokio::runtime::{Builder, Handle, RngSeed, Runtime};

use crate::clock::SimClock;

/// A runtime and its time.
#[derive(Debug)]
pub(crate) struct Scope {
    runtime: Runtime,
    clock: SimClock,
}

impl Scope {
    /// Starts one at `now_ms`; its wall clock is wrong by `skew_ms`.
    pub(crate) fn start(seed: u64, now_ms: u64, skew_ms: i64) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
            .build()?;
        let clock = {
            let _inside = runtime.enter();
            SimClock::new(now_ms, skew_ms)
        };
        Ok(Self { runtime, clock })
    }

    pub(crate) fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }

    pub(crate) fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// Runs the tasks until `at_ms`.
    pub(crate) fn run_until(&self, at_ms: u64) {
        let clock = self.clock.clone();
        self.runtime.block_on(async move { clock.sleep_until(at_ms).await });
    }

    /// Lets time pass at once, as after a stopped process goes on: every timer in between is late.
    /// Tells how long it was.
    pub(crate) fn jump_to(&self, at_ms: u64) -> u64 {
        let clock = self.clock.clone();
        self.runtime.block_on(async move {
            let behind = at_ms.saturating_sub(clock.now_ms());
            tokio::time::advance(std::time::Duration::from_millis(behind)).await;
            behind
        })
    }

    /// Runs `look` with this runtime's time.
    pub(crate) fn inside<T>(&self, look: impl FnOnce() -> T) -> T {
        let _inside = self.runtime.enter();
        look()
    }
}
